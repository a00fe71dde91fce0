/*
 * What tests/bench/store runs against every kind of store: workers that all do one thing, and the calls of which those
 * things are made. A target is a store under test; its calls exit the program when something fails, for then
 * there is nothing to measure.
 */
#ifndef BENCH_STORE_LOAD_H
#define BENCH_STORE_LOAD_H

#include <sys/types.h>

#include "base/compiler.h"
#include "tests/bench/bench-stat.h"

enum { STORE_WORKERS_MAX = 256, STORE_IO_MAX = 1 << 20, STORE_BLOCK = 4096, STORE_PAGE = 100 };

struct store_options {
	const char *dir;     /* where the store is; a target may keep several things there */
	unsigned n_loops;    /* threads that serve or call, for targets of ours */
	bool ring;           /* a store in a process of its own */
	uint64_t n_files;    /* that the large directory has */
	uint64_t first_file; /* how many of them are there already */
	bool scattered;      /* their names are in another order than they are made in */
	bool closes;         /* the store is closed after each row of changes, whose CPU time that adds to; it reads nothing ahead */
	uint64_t n_ops;      /* of a row that would be bounded by time; 0: it is */
	uint64_t file_size;  /* bytes of the large file */
	uint64_t hot_size;   /* bytes of it that small reads touch */
	double seconds;      /* of a row that is bounded by time */
	uint64_t cache_size; /* bytes of files that a store of ours keeps in memory at most; 0: as it likes */
	uint64_t n_nodes;    /* inodes that a store of ours keeps in memory; 0: as it likes */
};

struct worker;

/* One row while it runs. */
struct job {
	const struct target *target;
	/* What is done again and again: i counts from first to end. Returns how many operations that were. */
	uint64_t (*step)(struct worker *w, uint64_t i);
	_Atomic uint64_t next;
	uint64_t end;
	_Atomic uint64_t until_ns; /* no step begins after it */
};

struct worker {
	struct job *job;
	unsigned index;
	uint64_t random;
	uint64_t n_ops;
	struct latencies latencies; /* of steps */
	void *own;                  /* the target's */
};

struct target {
	const char *name;
	/* Opens the store, making it if there is none. The time that takes counts. */
	void (*open)(const struct store_options *opt);
	void (*close)(void);
	/* Runs worker_body() for each of n workers, all in flight at once, and waits for all. */
	void (*run)(struct worker *workers, unsigned n);
	/* The processes whose work counts. */
	int (*pids)(pid_t pids[2]);
	/* Bytes of memory that hold what the store knows: without what the kernel keeps of files' bytes. */
	uint64_t (*memory)(void);

	/* The rest is called within a worker. enter: what follows happens in that directory, which is made; */
	void (*enter)(struct worker *w, const char *dir);
	void (*create)(struct worker *w, const char *name); /* durable when it returns, */
	void (*add)(struct worker *w, const char *name);    /* durable after sync. */
	void (*stat)(struct worker *w, const char *name);
	void (*remove)(struct worker *w, const char *name); /* durable */
	/* Up to n entries after *cookie, which moves on; 0: the end. */
	unsigned (*list)(struct worker *w, uint64_t *cookie, unsigned n, bool attributes);
	/* As many names as there are of the n that follow that one; NULL: the store lists in another order. */
	void (*list_from)(struct worker *w, const char *after, unsigned n);
	/* A large file at the top, made when it is missing; the others are about it. */
	void (*open_file)(struct worker *w, const char *name);
	void (*read)(struct worker *w, uint64_t offset, uint32_t size);
	void (*write)(struct worker *w, uint64_t offset, uint32_t size, bool durable);
	void (*commit)(struct worker *w); /* the file */
	void (*sync)(struct worker *w);   /* everything */
};

extern const struct target posix_target;
/* A store of ours through the client library: cairn in DIR/cairn, or memfs. */
extern const struct target cairn_target;
extern const struct target memfs_target;

/* worker_body() - the steps of one worker, until there are none left or the time is over. */
void worker_body(struct worker *w);

/* What is written: STORE_IO_MAX bytes that nothing can compress. */
extern uint8_t store_payload[];

#endif
