/*
 * The loop: one per thread, three engines behind one interface (io_uring, epoll, sim).
 * All time, randomness, sockets, timers, disk I/O and doorbells of the server go through here, so
 * that under the sim engine a whole server runs in one thread under a seeded clock, network and disk.
 *
 * Calls that "park" must be made from a fiber of the loop; they use the current thread's loop.
 * Errors are 0 or a negative enum chimera_err; byte counts are >= 0.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <netinet/in.h>

#include "base/compiler.h"
#include "base/list.h"
#include "loop/fiber.h"

#define NS_PER_US 1000ULL
#define NS_PER_MS 1000000ULL
#define NS_PER_SEC 1000000000ULL

enum loop_engine { LOOP_AUTO, LOOP_IO_URING, LOOP_EPOLL, LOOP_SIM };

struct loop_config {
	enum loop_engine engine; /* LOOP_AUTO: io_uring, or epoll where the kernel forbids it */
	uint32_t spin_us_max;    /* bound of adaptive polling before sleeping; 0: never spin */
	uint32_t n_workers;      /* threads of the shared pool for blocking calls; 0: as many as cores, at least 4 */
	uint64_t sim_seed;       /* LOOP_SIM: everything random follows from it */
};

struct loop;

/* loop_create() - ERR_NOTSUPP when the named engine can't be had here. The sim engine: one loop per process. */
int loop_create(struct loop **loop, const struct loop_config *cfg);
/* loop_destroy() - any thread, once loop_run() has returned. What was opened on the loop must be closed before. */
void loop_destroy(struct loop *loop);
const char *loop_engine_name(const struct loop *loop);

/* loop_run() - serves until loop_stop(). loop_stop() - any thread and signal-safe. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* loop_current() - the loop that runs on this thread, or NULL. */
struct loop *loop_current(void);

/* loop_now_ns() - monotonic, cached once per turn. loop_clock_ns() - monotonic, exact, for measuring. */
uint64_t loop_now_ns(const struct loop *loop);
uint64_t loop_clock_ns(const struct loop *loop);
/* loop_wall_ns() - nanoseconds since 1970, real or simulated; never cached. Any thread; loop may be NULL outside sim. */
uint64_t loop_wall_ns(const struct loop *loop);
/* loop_random() - fills size bytes; cryptographic outside sim. */
void loop_random(void *out, size_t size);

/* ---- tasks and timers ------------------------------------------------------------------ */

/* A task runs fn once on the loop's thread, outside any fiber. The memory is the caller's until fn ran. */
struct loop_task {
	void (*fn)(struct loop_task *task);
	struct loop_task *next;
};

/* loop_post() - any thread; wakes the loop. Tasks of one poster run in order. */
void loop_post(struct loop *loop, struct loop_task *task);

struct loop_timer {
	void (*fn)(struct loop_timer *timer);
	uint64_t deadline_ns;
	bool armed;
	struct loop_timer *child, *next, **link; /* the loop's: a pairing heap */
};

/*
 * Timers: loop thread only; start from all-zero but fn. Starting an armed timer moves it, stopping one
 * that is not armed does nothing. fn runs outside any fiber, with the timer no longer armed.
 */
void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t deadline_ns);
void loop_timer_stop(struct loop *loop, struct loop_timer *timer);

/*
 * A poller looks at shared memory each turn. poll() handles what is there and returns how many
 * things it did (0: idle). Before sleeping the loop calls arm(): set the need-wakeup flag, look once
 * more; true means work arrived, don't sleep. disarm() follows every wake-up. flush() runs at the end
 * of each turn, after fibers ran: publish what was batched. expects() tells whether something may arrive
 * soon, so that looking again and again is worth the time. All but poll may be NULL (expects: never).
 * The loop spins over pollers that expect something up to an adaptive bound (at most spin_us_max) before it sleeps.
 */
struct loop_poller {
	int (*poll)(struct loop_poller *p);
	bool (*arm)(struct loop_poller *p);
	void (*disarm)(struct loop_poller *p);
	void (*flush)(struct loop_poller *p);
	bool (*expects)(const struct loop_poller *p);
	struct list link;
};

void loop_poller_add(struct loop *loop, struct loop_poller *p);
void loop_poller_remove(struct loop *loop, struct loop_poller *p);

/* ---- doorbells ------------------------------------------------------------------------- */

/*
 * A doorbell is an eventfd (sim: an in-memory flag). doorbell_watch() calls fn on the loop's thread, outside
 * any fiber, after it was rung: at least once after the last ring. The count itself is never read. Pollers
 * need no fn: waking up is enough. The structure must stay where it is while it is watched.
 */
struct doorbell {
	int fd;    /* -1 under sim */
	bool rung; /* under sim */
	void (*fn)(struct doorbell *bell);
	void (*pair_fn)(struct doorbell *bell); /* of a pair: the user's, called by fn once it has emptied the socket */
	bool pair;
	struct loop *loop;
	void *engine_data;
};

int doorbell_create(struct doorbell *bell);
/*
 * doorbell_pair() - between processes that don't trust each other: a socket pair, *peer_fd is for the other process to
 * adopt. Each end rings the other. Unlike an eventfd's, the flags of one end are out of the other's reach, so
 * that nobody can make ringing block. Not under sim.
 */
int doorbell_pair(struct doorbell *bell, int *peer_fd);
/* doorbell_adopt() - takes over the descriptor of doorbell_pair() that came from a peer. */
void doorbell_adopt(struct doorbell *bell, int fd);
void doorbell_ring(struct doorbell *bell); /* any thread */
int doorbell_watch(struct loop *loop, struct doorbell *bell, void (*fn)(struct doorbell *bell));
void doorbell_close(struct doorbell *bell);

/* ---- addresses, streams, datagrams ----------------------------------------------------- */

struct net_addr {
	socklen_t size;
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_storage storage; /* AF_UNIX too */
	};
};

/* net_addr_parse() - "127.0.0.1:2049", "[::1]:2049", "unix:/path"; ERR_INVAL otherwise. */
int net_addr_parse(const char *text, struct net_addr *addr);
/* net_addr_format() - the same text back; always NUL-terminated. */
void net_addr_format(const struct net_addr *addr, char *out, size_t size);
uint16_t net_addr_port(const struct net_addr *addr);

struct listener;
struct stream;
struct dgram;

/* listener_open() - binds and listens, TCP or Unix. With share set, several loops share the port (SO_REUSEPORT). */
int listener_open(struct listener **l, const struct net_addr *addr, bool share);
/* listener_adopt() - takes over a listening socket (socket activation). */
int listener_adopt(struct listener **l, int fd);
void listener_addr(const struct listener *l, struct net_addr *addr);
/* listener_accept() - parks. ERR_CANCELED after listener_close(). */
int listener_accept(struct listener *l, struct stream **s);
/* listener_close() - wakes the parked accept; frees l when it has returned. */
void listener_close(struct listener *l);

/* stream_connect() - parks up to timeout_ns. */
int stream_connect(struct stream **s, const struct net_addr *addr, uint64_t timeout_ns);
/* stream_adopt() - a connected stream socket or any pollable descriptor (such as /dev/fuse) becomes a stream. */
int stream_adopt(struct stream **s, int fd);
/*
 * stream_readv() - parks until at least one byte; 0 at end of stream. stream_try_readv() never parks: ERR_AGAIN.
 * stream_writev() - parks until everything was taken. stream_try_writev() - what fits now, ERR_AGAIN if nothing.
 * One reader and one writer fiber at a time. ERR_DISCONNECTED for any broken connection,
 * ERR_CANCELED after stream_cancel(), ERR_TIMEDOUT after the timeout set.
 */
ssize_t stream_readv(struct stream *s, struct iovec *iov, int n_iov);
ssize_t stream_try_readv(struct stream *s, struct iovec *iov, int n_iov);
ssize_t stream_writev(struct stream *s, struct iovec *iov, int n_iov);
ssize_t stream_try_writev(struct stream *s, struct iovec *iov, int n_iov);
/* stream_wait_readable() - parks until a read would not; nothing is consumed. */
int stream_wait_readable(struct stream *s);
/* stream_set_timeout() - bound of each parked read or write; 0: none. */
void stream_set_timeout(struct stream *s, uint64_t timeout_ns);
/* stream_cancel() - parked calls return ERR_CANCELED, as do later ones. Loop thread only. */
void stream_cancel(struct stream *s);
void stream_peer(const struct stream *s, struct net_addr *addr);
void stream_local(const struct stream *s, struct net_addr *addr);
int stream_fd(const struct stream *s); /* -1 under sim */
/* stream_send_fds(), stream_recv_fds() - Unix streams: one message with descriptors. Park. Not under sim. */
int stream_send_fds(struct stream *s, const void *data, size_t size, const int *fds, int n_fds);
ssize_t stream_recv_fds(struct stream *s, void *data, size_t size, int *fds, int *n_fds);
/* stream_peer_cred() - SO_PEERCRED of a Unix stream. */
int stream_peer_cred(const struct stream *s, uid_t *uid, gid_t *gid, pid_t *pid);
/* stream_close() - no fiber may be parked in it. */
void stream_close(struct stream *s);

int dgram_open(struct dgram **d, const struct net_addr *addr);
void dgram_addr(const struct dgram *d, struct net_addr *addr);
/* dgram_recv() - parks for one datagram; to is the local address it came to, so that a reply leaves from it. */
ssize_t dgram_recv(struct dgram *d, void *data, size_t size, struct net_addr *from, struct net_addr *to);
/* dgram_sendv() - never parks; ERR_AGAIN when the socket is full (drop the reply). */
int dgram_sendv(struct dgram *d, const struct iovec *iov, int n_iov, const struct net_addr *to,
                const struct net_addr *from);
void dgram_cancel(struct dgram *d);
void dgram_close(struct dgram *d);

/* ---- files: io_uring itself, or the worker pool under epoll; a simulated disk under sim ----- */

struct file;

int file_open(struct file **f, int dirfd, const char *path, int flags, mode_t mode); /* parks */
int file_adopt(struct file **f, int fd);
int file_fd(const struct file *f);
ssize_t file_preadv(struct file *f, const struct iovec *iov, int n_iov, uint64_t offset);  /* parks */
ssize_t file_pwritev(struct file *f, const struct iovec *iov, int n_iov, uint64_t offset); /* parks */
/* file_pwritev_durable() - the bytes and what is needed to find them are durable on return (RWF_DSYNC). Parks. */
ssize_t file_pwritev_durable(struct file *f, const struct iovec *iov, int n_iov, uint64_t offset);
int file_sync(struct file *f, bool data_only);                                             /* parks */
int file_truncate(struct file *f, uint64_t size);                                          /* parks */
int file_size(struct file *f, uint64_t *size);                                             /* parks */
int file_allocate(struct file *f, int mode, uint64_t offset, uint64_t size);               /* fallocate(2); parks */
/* file_rename(), file_unlink(), file_sync_dir() - path relative to dirfd; for replacing state files. Park. */
int file_rename(int dirfd, const char *from, const char *to);
int file_unlink(int dirfd, const char *path);
int file_sync_dir(int dirfd);
void file_close(struct file *f); /* parks */

/* ---- what blocks ----------------------------------------------------------------------- */

/*
 * loop_block() - runs fn(arg) on the shared worker pool and parks until it returns; gives fn's result.
 * For system calls that have no asynchronous form. fn must not touch loop-local data. Under sim fn
 * runs at once in the calling fiber.
 */
int loop_block(int (*fn)(void *arg), void *arg);

#endif
