/*
 * Checking and repairing a store that nobody uses: what fsck.cairn does. Everything that cairn(5) says holds at any
 * moment is compared, table against table; what does not hold is a finding. A repair is decided where its finding is made
 * and is part of one transaction; all findings go into a report.
 *
 * The phases go from what others stand on to what stands on it: the superblock, the pages of the tables' file, records
 * by themselves, inodes, data, space, names, the tree, counts, snapshots' data, counters. Memory: about 50 bytes for each inode, as many again for a
 * directory, 16 for each run of blocks.
 */
#ifndef CAIRN_CHECK_H
#define CAIRN_CHECK_H

#include "backends/cairn/cairn-meta.h"
#include "op/op.h"

enum check_repair {
	CHECK_ONLY,
	CHECK_SAFE, /* what loses nothing; nothing more once something else was found */
	CHECK_ALL,
};

struct check_options {
	const char *path;
	enum check_repair repair;
	bool data; /* reads every block of data too */
	/* Now and then: how many of about how many things of the named phase are done. NULL: nobody asks. */
	void (*progress)(void *arg, const char *phase, uint64_t done, uint64_t total);
	void *arg;
};

enum check_done { CHECK_LEFT, CHECK_REPAIRED };

struct check_finding {
	const char *what;   /* a word that stays: those of fsck.cairn(8) */
	const char *text;   /* the same as a sentence's beginning */
	const char *remedy; /* what was done, or would be */
	const char *table;  /* NULL: none */
	char *key;          /* hexadecimal; NULL: none */
	uint64_t ino;       /* 0: none */
	uint64_t offset;    /* bytes of the file, or of what `where` names */
	uint64_t size;      /* 0: not about bytes */
	char *where;        /* a path within the store; NULL: not known */
	enum check_done done;
};

/* The store was found being rolled back to a snapshot. */
enum check_rollback {
	CHECK_ROLLBACK_NONE,
	CHECK_ROLLBACK_GOING_ON, /* names, inodes and counts were not checked: they are half those of the snapshot */
	CHECK_ROLLBACK_ENDED,    /* by the check, before it went on */
};

#define CHECK_FINDINGS_MAX 100000u /* kept; more are counted only */

struct check_report {
	struct check_finding *findings;
	uint32_t n_kept;
	uint64_t n_found;
	uint64_t n_repaired;
	enum check_rollback rollback;
	char rollback_to[OP_NAME_MAX + 1]; /* name of the snapshot; "": not known */
	uint64_t n_records, n_inodes, n_directories, n_blocks, n_blocks_read;
};

/*
 * cairn_check() - whether the store could be checked: 0 with findings in the report, which check_report_fini() ends, or an error:
 * ERR_BUSY: somebody uses it; ERR_NOENT: there is none; ERR_NOTSUPP: it has features that are not known. *why: a sentence, malloc'ed. Parks.
 */
int cairn_check(const struct check_options *o, struct check_report *report, char **why);
void check_report_fini(struct check_report *report);

/*
 * cairn_record_check() - whether a record, by itself, is one of its table: key, size, and what is plausible. ERR_IO.
 */
int cairn_record_check(enum meta_table table, const struct meta_record *r);

/* A damaged record as it was. */
struct check_mended {
	struct meta_key key;
	struct meta_record record; /* key and body point here */
	uint8_t bytes[8192];
};

/* cairn_record_mend() - whether one flipped bit, in the key or what is stored, explains the damage of r, which meta_inspect() showed. */
bool cairn_record_mend(enum meta_table table, const struct meta_record *r, struct check_mended *m);

#endif
