/*
 * The ring's slots, as a hostile client may fill them. The input is a small segment: a list of requests, each a
 * position in the slot and bytes to put there, that are taken, run against memfs and answered as chimerad
 * does. What is checked: payload lies in the arena, sizes are bounded, and nothing is written outside the answer.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "backends/builtin.h"
#include "base/log.h"
#include "ring/server-impl.h"
#include "vfs/vfs.h"

#define SLOTS 16
#define STEPS_MAX 24

static struct loop *loop;
static struct vfs *vfs;
static struct vfs_session *session;
static struct ring_attachment attachment;
static struct op_handle root;

static const uint8_t *input;
static size_t input_size;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- once -------------------------------------------------------------------------------- */

static void find_root(void)
{
	static struct ring_request r;
	struct vfs_pins pins = {.n_chunks = 0};
	struct vfs_step step = {&r.op, &r.payload, &pins};

	op_reset(&r.op, OP_lookup_path);
	memset(&r.op.cred, 0, sizeof(r.op.cred));
	memcpy(attachment.seg.arena, "fuzz", 4);
	r.payload.iov[0] = (struct iovec){attachment.seg.arena, 4};
	r.payload.n_iov = 1;
	vfs_run(session, &step, 1);
	assert(r.op.status == 0);
	root = r.op.out.lookup_path.obj;
}

static void open_all(void *arg)
{
	static const struct vfs_option options[] = {{"capacity", "4M"}, {"inodes", "1000"}, {NULL, NULL}};
	struct vfs_config cfg = {.arena_size = 64 << 20, .arena_limit = 16 << 20};
	struct vfs_mount_spec spec = {.id = 1, .name = "fuzz", .backend = "memfs", .options = options};
	struct vfs_session_config s = {.role = RING_ROLE_TOOL, .name = "fuzz"};
	char *why = NULL;

	backends_register();
	if (vfs_create(&vfs, &cfg, &why) || vfs_mount(vfs, &spec, &why) || vfs_session_create(vfs, &s, &session))
		abort();
	if (ring_segment_create(&attachment.seg, SLOTS, RING_ARENA_MIN))
		abort();
	find_root();
	loop_stop(loop);
}

static void run(fiber_fn *fn)
{
	if (fiber_start(loop, fn, NULL))
		abort();
	loop_run(loop);
}

static void setup(void)
{
	struct loop_config cfg = {.engine = LOOP_EPOLL};

	log_set_level(NULL, LOG_ERROR);
	if (loop_create(&loop, &cfg))
		abort();
	run(open_all);
}

/* ---- each input ---------------------------------------------------------------------------- */

static bool take(void *to, size_t n)
{
	if (input_size < n)
		return false;
	memcpy(to, input, n);
	input += n;
	input_size -= n;
	return true;
}

/* Starts from a plausible request, so that the input can go deep with few bytes. */
static bool fill_slot(struct op *op)
{
	struct {
		uint8_t code, flags;
		uint8_t n_patches, n_segs;
	} head;

	if (!take(&head, sizeof(head)))
		return false;
	op_reset(op, head.code);
	memset(&op->cred, 0, sizeof(op->cred));
	op->flags = head.flags;
	op->obj = op->obj2 = root;
	op->n_segs = head.n_segs % 4;
	for (unsigned i = 0; i < op->n_segs; i++)
		op->segs[i] = (struct op_seg){i * 4096, 4096, OP_SEG_CLIENT};
	for (unsigned i = 0; i < head.n_patches % 8; i++) {
		struct {
			uint16_t at;
			uint8_t bytes[6];
		} patch;
		if (!take(&patch, sizeof(patch)))
			return false;
		memcpy((uint8_t *)op + patch.at % (sizeof(*op) - sizeof(patch.bytes)), patch.bytes, sizeof(patch.bytes));
	}
	return true;
}

static void check_taken(const struct ring_request *r)
{
	const struct ring_segment *seg = &attachment.seg;

	assert(r->op.in_var_size <= OP_VAR_MAX && r->op.n_segs <= OP_SEGS_MAX);
	assert(r->op.obj.size <= OP_HANDLE_MAX && r->op.obj2.size <= OP_HANDLE_MAX);
	for (int i = 0; i < r->payload.n_iov; i++) {
		const uint8_t *p = r->payload.iov[i].iov_base;
		assert(p >= seg->arena && p + r->payload.iov[i].iov_len <= seg->arena + seg->arena_size);
	}
}

static void one_request(uint32_t slot)
{
	static struct ring_request r;
	struct vfs_pins pins = {.n_chunks = 0};
	struct vfs_step step = {&r.op, &r.payload, &pins};
	const struct op *shared = ring_slot(&attachment.seg, slot);

	r.slot = slot;
	if (ring_request_take(&attachment, &r))
		return;
	check_taken(&r);
	union op_in before = shared->in;
	vfs_run(session, &step, 1);
	assert(r.op.out_var_size <= OP_INLINE_MAX && r.op.n_segs <= OP_SEGS_MAX);
	ring_request_answer(&attachment, &r);
	assert(memcmp(&before, &shared->in, sizeof(before)) == 0);
	vfs_pins_release(vfs, &pins);
}

static void one_input(void *arg)
{
	for (uint32_t i = 0; i < STEPS_MAX && fill_slot(ring_slot(&attachment.seg, i % SLOTS)); i++)
		one_request(i % SLOTS);
	loop_stop(loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!loop)
		setup();
	input = data;
	input_size = size;
	run(one_input);
	return 0;
}
