/*
 * Shows that an attachment which scribbles over its whole segment harms nobody else: chimerad neither ends
 * nor stalls, and what another attachment writes and reads meanwhile is what it should be.
 *
 *	hostile-ring [-p] ATTACH-SOCKET MOUNT [SECONDS]
 *
 * With -p there is peace: only the honest one runs.
 *
 * One process attaches again and again and, in each segment, writes random bytes, plausible requests and
 * wild indices as fast as it can, rings the doorbell, floods or closes it. Another writes, reads, verifies and
 * times its calls over the same chimerad. Exits 0 when that one was served all the time.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/client.h"
#include "ring/ring.h"
#include "ring/segment.h"

#define STALL_NS (5 * NS_PER_SEC)

static const char *socket_path, *mount_name;
static unsigned seconds = 10;

/* What the processes tell each other. */
struct board {
	_Atomic uint64_t n_attachments, n_strokes; /* of the hostile one */
	_Atomic uint64_t n_verified;
	_Atomic uint64_t slowest_ns;
	struct op_handle root, file;               /* real handles: forged ones go only so deep */
	_Atomic bool ready;
};

static struct board *board;

static void die(const char *what, int err)
{
	fprintf(stderr, "hostile-ring: %s: %s\n", what, err_text(err));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* ---- the hostile one ----------------------------------------------------------------------- */

struct attack {
	struct ring_segment seg;
	int connection;
	int bell;
	uint64_t seed;
	uint32_t tail;
};

static uint64_t roll(struct attack *a)
{
	a->seed ^= a->seed << 13;
	a->seed ^= a->seed >> 7;
	a->seed ^= a->seed << 17;
	return a->seed;
}

static int receive(int fd, struct ring_welcome *w, int fds[3])
{
	union {
		char space[CMSG_SPACE(3 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {w, sizeof(*w)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};

	if (recvmsg(fd, &msg, 0) != sizeof(*w) || w->status)
		return -1;
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	if (!c || c->cmsg_len < CMSG_LEN(2 * sizeof(int)))
		return -1;
	size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(fds, CMSG_DATA(c), n * sizeof(int));
	if (n == 3)
		close(fds[2]);
	return 0;
}

static bool attach(struct attack *a)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct ring_hello hello = {RING_MAGIC, RING_ABI_VERSION, RING_ROLE_TOOL, 32, 1 << 20, roll(a), "hostile"};
	struct ring_welcome w;
	int fds[3];

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", socket_path);
	a->connection = socket(AF_UNIX, SOCK_STREAM, 0);
	if (connect(a->connection, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    write(a->connection, &hello, sizeof(hello)) != sizeof(hello) || receive(a->connection, &w, fds)) {
		close(a->connection);
		return false;
	}
	a->bell = fds[1];
	a->tail = 0;
	if (ring_segment_map(&a->seg, fds[0], w.segment_size) == 0)
		return true;
	close(a->bell);
	close(a->connection);
	return false;
}

static void detach(struct attack *a)
{
	if (a->bell >= 0)
		close(a->bell);
	ring_segment_close(&a->seg);
	close(a->connection);
}

static void stroke_bytes(struct attack *a)
{
	/* The fields in front of the arena, where it hurts most. */
	size_t size = (size_t)(a->seg.arena - a->seg.base) + 4096;
	for (int i = 0; i < 64; i++)
		a->seg.base[roll(a) % size] = (uint8_t)roll(a);
}

static void stroke_slots(struct attack *a)
{
	uint8_t *slot = (uint8_t *)ring_slot(&a->seg, (uint32_t)(roll(a) % a->seg.n_slots));
	for (size_t i = 0; i < sizeof(struct op); i += 8)
		if (roll(a) % 4 == 0)
			*(uint64_t *)(slot + i) = roll(a);
}

static void fill_plausible(struct attack *a, struct op *op)
{
	op_reset(op, (enum op_code)(roll(a) % OP_N_CODES));
	op->obj = roll(a) % 4 ? board->root : board->file;
	op->obj2 = board->root;
	op->cred = (struct op_cred){.n_groups = (uint16_t)(roll(a) % 34)};
	for (size_t i = 0; i + 8 <= sizeof(op->in); i += 8)
		((uint64_t *)&op->in)[i / 8] = roll(a) % 8 ? roll(a) % 64 : roll(a);
	op->in_var_size = (uint16_t)(roll(a) % (OP_VAR_MAX + 2));
	op->n_segs = (uint16_t)(roll(a) % 4);
	for (unsigned i = 0; i < op->n_segs; i++)
		op->segs[i] = (struct op_seg){roll(a) % (1 << 20), (uint32_t)(roll(a) % 8192), roll(a) % 64 == 0};
	/* Nothing that would touch what the other process checks. */
	if (op->code == OP_remove || op->code == OP_rename || op->code == OP_open || op->code == OP_setattr ||
	    op->code == OP_write || op->code == OP_copy)
		op->obj.bytes[roll(a) % OP_HANDLE_MAX] ^= 0x40;
}

static void submit(struct attack *a, uint32_t entry)
{
	a->seg.sq[a->tail++ & (a->seg.n_entries - 1)] = entry;
	atomic_store(&a->seg.shared->sq_tail.value, a->tail);
}

static void stroke_plausible(struct attack *a)
{
	/* Completions are taken, so that the attachment lives on. */
	atomic_store(&a->seg.shared->cq_head.value, atomic_load(&a->seg.shared->cq_tail.value));
	uint32_t slot = a->tail % a->seg.n_slots;
	if (a->tail - atomic_load(&a->seg.shared->sq_head.value) >= a->seg.n_slots)
		return;
	struct op *op = ring_slot(&a->seg, slot);
	fill_plausible(a, op);
	submit(a, slot | (roll(a) % 16 == 0 ? RING_SQ_RELEASE : 0));
	/* And change it while it is being read. */
	((uint8_t *)op)[roll(a) % sizeof(*op)] = (uint8_t)roll(a);
}

static void stroke_indices(struct attack *a)
{
	struct ring_shared *s = a->seg.shared;
	_Atomic uint32_t *at[] = {&s->sq_tail.value, &s->sq_head.value, &s->cq_tail.value, &s->cq_head.value,
	                          &s->event_head.value, &s->server_sleeps.value, &s->client_sleeps.value};
	atomic_store(at[roll(a) % ARRAY_SIZE(at)], (uint32_t)roll(a) % 2 ? (uint32_t)roll(a) : (uint32_t)(roll(a) % 100));
	submit(a, (uint32_t)roll(a));
}

static void stroke_bell(struct attack *a)
{
	static const char noise[512];
	if (a->bell < 0)
		return;
	fcntl(a->bell, F_SETFL, roll(a) % 2 ? O_NONBLOCK : 0);
	for (int i = 0; i < 300 && send(a->bell, noise, 1 + roll(a) % 512, MSG_DONTWAIT | MSG_NOSIGNAL) > 0; i++)
		;
	if (roll(a) % 64 == 0)
		close(TAKE_FD(a->bell));
}

static void ring_bell(struct attack *a)
{
	if (a->bell >= 0)
		send(a->bell, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void (*const strokes[])(struct attack *) = {stroke_bytes, stroke_slots, stroke_plausible, stroke_indices, stroke_bell};

static void hostile(unsigned number)
{
	struct attack a = {.seed = 88172645463325252ULL + number};
	uint64_t until = now_ns() + seconds * NS_PER_SEC;

	while (now_ns() < until) {
		if (!attach(&a)) {
			usleep(1000);
			continue;
		}
		board->n_attachments++;
		/* Some attacks last long because they stay within the rules. */
		bool careful = roll(&a) % 2;
		uint64_t end = MIN(until, now_ns() + (roll(&a) % 200) * NS_PER_MS);
		while (now_ns() < end) {
			for (int i = 0; i < 16; i++)
				careful ? stroke_plausible(&a) : strokes[roll(&a) % ARRAY_SIZE(strokes)](&a);
			board->n_strokes += 16;
			ring_bell(&a);
		}
		detach(&a);
	}
	exit(0);
}

/* ---- the honest one ------------------------------------------------------------------------ */

static struct client *client;
static struct client_buf *buffer;

static int timed_call(struct op *op)
{
	uint64_t start = now_ns();
	op->cred = (struct op_cred){0};
	int err = client_call(client, op);
	uint64_t took = now_ns() - start;
	if (took > board->slowest_ns)
		board->slowest_ns = took;
	return err;
}

static struct op_handle find_root(void)
{
	struct op *op = client_op(client, OP_lookup_path);
	size_t n = strlen(mount_name);

	memcpy(buffer->data, mount_name, n);
	client_op_seg(op, buffer, 0, (uint32_t)n);
	int err = timed_call(op);
	if (err)
		die(mount_name, err);
	struct op_handle h = op->out.lookup_path.obj;
	client_op_put(client, op);
	return h;
}

static struct op_handle make_file(const char *name)
{
	struct op *op = client_op(client, OP_open);

	op->obj = board->root;
	op_set_str(op, &op->in.open.name, name, strlen(name));
	op->in.open.disposition = OPEN_UNCHECKED;
	op->in.open.flags = OPEN_NO_STATE;
	op->in.open.attr.mask = ATTR_MODE;
	op->in.open.attr.mode = 0600;
	int err = timed_call(op);
	if (err)
		die("create", err);
	struct op_handle h = op->out.open.obj;
	client_op_put(client, op);
	return h;
}

static void write_round(const struct op_handle *file, uint64_t round, uint32_t size)
{
	struct op *op = client_op(client, OP_write);

	for (uint32_t i = 0; i < size; i += 8)
		*(uint64_t *)(buffer->data + i) = round * 1000003 + i;
	op->obj = *file;
	op->in.write.offset = 8192;
	op->in.write.size = size;
	client_op_seg(op, buffer, 0, size);
	int err = timed_call(op);
	if (err || op->out.write.size != size)
		die("write", err);
	client_op_put(client, op);
}

static void check_bytes(const struct iovec *iov, int n, uint64_t round, uint32_t size)
{
	uint32_t at = 0;
	for (int i = 0; i < n; i++)
		for (size_t k = 0; k + 8 <= iov[i].iov_len; k += 8, at += 8)
			if (*(const uint64_t *)((const uint8_t *)iov[i].iov_base + k) != round * 1000003 + at) {
				fprintf(stderr, "hostile-ring: round %llu differs at byte %u\n", (unsigned long long)round, at);
				exit(1);
			}
	if (at != size)
		die("a read is short", ERR_IO);
}

static void read_round(const struct op_handle *file, uint64_t round, uint32_t size)
{
	struct op *op = client_op(client, OP_read);
	struct iovec iov[OP_SEGS_MAX];

	op->obj = *file;
	op->in.read.offset = 8192;
	op->in.read.size = size;
	int err = timed_call(op);
	if (err)
		die("read", err);
	check_bytes(iov, client_op_iov(client, op, iov), round, size);
	client_op_put(client, op);
}

static void honest_main(void *arg)
{
	static const struct client_config cfg = {.name = "honest", .role = RING_ROLE_FUSE};
	int err = client_attach(&client, socket_path, &cfg);
	if (err)
		die(socket_path, err);
	buffer = client_buf_alloc(client, 65536, 0);
	board->root = find_root();
	struct op_handle file = make_file("honest");
	board->file = make_file("other");
	board->ready = true;
	uint64_t until = now_ns() + seconds * NS_PER_SEC;
	for (uint64_t round = 0; now_ns() < until; round++) {
		uint32_t size = 8 * (uint32_t)(1 + round * 7919 % 8191);
		write_round(&file, round, size);
		read_round(&file, round, size);
		board->n_verified++;
	}
	client_buf_put(client, buffer);
	client_detach(client);
	loop_stop(loop_current());
}

static pid_t spawn(void (*fn)(unsigned), unsigned number)
{
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fn(number);
	}
	return pid;
}

static void honest(unsigned number)
{
	struct loop_config cfg = {.engine = LOOP_AUTO, .spin_us_max = 50};
	struct loop *loop;

	if (loop_create(&loop, &cfg) || fiber_start(loop, honest_main, NULL))
		die("no loop", ERR_NOMEM);
	loop_run(loop);
	exit(0);
}

static int wait_for(pid_t pid)
{
	int status;
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
	bool peace = argc > 1 && strcmp(argv[1], "-p") == 0;

	argv += peace;
	argc -= peace;
	if (argc < 3) {
		fprintf(stderr, "usage: hostile-ring [-p] ATTACH-SOCKET MOUNT [SECONDS]\n");
		return 2;
	}
	socket_path = argv[1];
	mount_name = argv[2];
	if (argc > 3)
		seconds = (unsigned)atoi(argv[3]);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t good = spawn(honest, 0);
	while (!board->ready && kill(good, 0) == 0 && waitpid(good, NULL, WNOHANG) == 0)
		sched_yield();
	pid_t bad[2] = {0, 0};
	for (unsigned i = 0; i < ARRAY_SIZE(bad) && !peace; i++)
		bad[i] = spawn(hostile, i + 1);
	int status = wait_for(good);
	for (unsigned i = 0; i < ARRAY_SIZE(bad) && !peace; i++)
		wait_for(bad[i]);
	printf("%llu rounds verified, slowest call %.1f ms; %llu hostile attachments, %llu strokes\n",
	       (unsigned long long)board->n_verified, (double)board->slowest_ns / 1e6,
	       (unsigned long long)board->n_attachments, (unsigned long long)board->n_strokes);
	if (board->slowest_ns > STALL_NS) {
		fprintf(stderr, "hostile-ring: a call took too long\n");
		status = 1;
	}
	return status || !board->n_verified || (!peace && !board->n_attachments);
}
