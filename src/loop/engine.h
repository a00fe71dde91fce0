/*
 * What an engine provides. There are three: epoll, io_uring and sim.
 *
 * Life cycle. loop_create() calls init, which may refuse with ERR_NOTSUPP, on whatever thread creates the
 * loop; begin is called when the loop's own thread starts to run it. fini releases everything, with no fiber running any more.
 *
 * Time. clock_ns is monotonic and exact; wall_ns counts from 1970. wait is the one place where a loop
 * sleeps: until an event, a kick or the deadline, and at most that one system call. With a deadline that has passed
 * it only looks. It answers how many events it dispatched, not counting kicks. kick makes a sleeping or about
 * to sleep wait return; it is called from any thread and from signal handlers.
 *
 * Readiness. An I/O object (struct io) tries its operation first and waits only when that would block. It
 * then calls await, after which the engine calls io_ready() at least once when the direction becomes
 * ready, or is ready already. Spurious calls are fine. The engine may keep the descriptor registered for good, as epoll
 * does; forget ends that and is called before the descriptor is closed. After forget the engine
 * touches io no more, whatever is still queued in the kernel.
 *
 * Doorbells. bell_watch makes the engine call bell->fn, if there is one, on each ring; bell_forget ends that.
 *
 * Networks. net_ops does the operations on sockets; each returns at once, ERR_AGAIN where it would block. The
 * kernel's serves epoll and io_uring; sim has its own.
 *
 * Files. file_ops are called from fibers and park. Under epoll they run on the worker pool.
 */
#ifndef LOOP_ENGINE_H
#define LOOP_ENGINE_H

#include "loop/loop.h"

enum io_dir { IO_READ, IO_WRITE, IO_N_DIRS };

/* A socket or other pollable thing, embedded in listener, stream and dgram. */
struct io {
	int fd;                          /* -1 under sim */
	bool canceled;
	bool is_socket;                  /* recv() and send() will do */
	bool is_tcp;                     /* a read that gets less than it asked for has got all there was */
	bool drained;                    /* such a read came last: until io_ready() another would find nothing */
	bool watched;                    /* the engine reports when io becomes readable */
	bool ended;                      /* the peer's end was reported, once: reads find it behind the data */
	struct loop *loop;               /* bound at the first wait, to the loop of the waiting fiber */
	struct fiber *waiter[IO_N_DIRS]; /* parked in io_wait() */
	const struct net_ops *net;
	void *engine_data;               /* the engine's, NULL at first */
	void *sim;                       /* the simulated network's end point */
};

struct net_ops {
	int (*listen)(struct io *io, const struct net_addr *addr, bool share);
	int (*accept)(struct io *listener, struct io *conn);
	/* connect() - ERR_AGAIN: under way; ready to write when decided, then connect_result() tells. */
	int (*connect)(struct io *io, const struct net_addr *addr);
	int (*connect_result)(struct io *io);
	/* readable() - a read would not say ERR_AGAIN. */
	bool (*readable)(struct io *io);
	ssize_t (*readv)(struct io *io, struct iovec *iov, int n_iov);
	ssize_t (*writev)(struct io *io, struct iovec *iov, int n_iov);
	int (*bind_dgram)(struct io *io, const struct net_addr *addr);
	ssize_t (*recv)(struct io *io, void *data, size_t size, struct net_addr *from, struct net_addr *to);
	int (*send)(struct io *io, const struct iovec *iov, int n_iov, const struct net_addr *to,
	            const struct net_addr *from);
	void (*name)(const struct io *io, bool peer, struct net_addr *addr);
	void (*close)(struct io *io);
};

struct file {
	int fd;    /* -1 under sim */
	void *sim; /* the simulated disk's file */
};

struct file_ops {
	int (*open)(struct file *f, int dirfd, const char *path, int flags, mode_t mode);
	ssize_t (*preadv)(struct file *f, const struct iovec *iov, int n_iov, uint64_t offset);
	ssize_t (*pwritev)(struct file *f, const struct iovec *iov, int n_iov, uint64_t offset);
	ssize_t (*pwritev_durable)(struct file *f, const struct iovec *iov, int n_iov, uint64_t offset);
	int (*sync)(struct file *f, bool data_only);
	int (*truncate)(struct file *f, uint64_t size);
	int (*size)(struct file *f, uint64_t *size);
	int (*allocate)(struct file *f, int mode, uint64_t offset, uint64_t size);
	int (*rename)(int dirfd, const char *from, const char *to);
	int (*unlink)(int dirfd, const char *path);
	int (*sync_dir)(int dirfd);
	void (*close)(struct file *f);
};

struct engine_ops {
	const char *name;
	uint32_t look_ns; /* a busy loop lets the engine look this often at the most: what a look costs, times ten */
	int (*init)(struct loop *loop);
	int (*begin)(struct loop *loop);
	void (*fini)(struct loop *loop);
	uint64_t (*clock_ns)(void);
	uint64_t (*wall_ns)(void);
	int (*wait)(struct loop *loop, uint64_t deadline_ns);
	void (*kick)(struct loop *loop);
	int (*await)(struct io *io, enum io_dir dir);
	void (*forget)(struct io *io);
	int (*bell_watch)(struct doorbell *bell);
	void (*bell_forget)(struct doorbell *bell);
	const struct file_ops *file;
};

extern const struct engine_ops engine_epoll;
extern const struct engine_ops engine_uring;
extern const struct engine_ops engine_sim;

extern const struct net_ops net_kernel;
/* The network of this process: net_kernel, or the simulated one while a sim loop exists. */
extern const struct net_ops *net_provider;

extern const struct file_ops file_pool;

/* clock_monotonic_ns(), clock_wall_ns() - the real clocks, for engines. */
uint64_t clock_monotonic_ns(void);
uint64_t clock_wall_ns(void);

/* io_ready() - from the engine: wakes the fiber that waits for that direction. */
void io_ready(struct io *io, enum io_dir dir);
/* io_note_read() - after a read of n of size bytes: remembers whether it drained io. */
void io_note_read(struct io *io, ssize_t n, size_t size);
/* io_wait() - parks until dir may be ready. ERR_TIMEDOUT after timeout_ns (0: never), ERR_CANCELED. */
int io_wait(struct io *io, enum io_dir dir, uint64_t timeout_ns);
/* io_cancel() - every wait, parked or later, gives ERR_CANCELED. */
void io_cancel(struct io *io);
/* io_close() - forgets and closes; nobody may be parked in io. */
void io_close(struct io *io);
/* io_error() - the ERR_* of a failed socket call's errno: a lost connection is ERR_DISCONNECTED however it was lost. */
int io_error(int sys);

#endif
