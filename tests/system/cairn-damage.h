/* A store with something of everything in it, ways to damage it, and what is left of it afterwards. */
#ifndef TESTS_SYSTEM_CAIRN_DAMAGE_H
#define TESTS_SYSTEM_CAIRN_DAMAGE_H

#include "tests/unit/cairn/harness.h"

/* What became of the files of a store. */
struct state {
	uint32_t n_good;
	uint32_t n_missing;
	uint32_t n_unreadable; /* an I/O error, or zeros up to the end of the block */
	uint32_t n_older;      /* as they were at an earlier moment */
	uint32_t n_holes;      /* have zeros where they have bytes, and are right otherwise */
	uint32_t n_held_bad;   /* files in the snapshot that are missing or unreadable */
	uint32_t n_wrong;      /* other bytes, or other names: never */
};

/* -- cairn-damage-store.c: all in a fiber -- */
/* store_make() - a new store at dir. store_look() - opens it and reads everything. ERR_* if it cannot be opened. */
/* crashed: a copy of it as it is before it is closed, NULL: none. */
int store_make(const char *dir, const char *crashed);
int store_look(const char *dir, struct state *st);
uint32_t store_n_files(void);
void store_copy(const char *from, const char *to);
/* store_digest() - of all records that check; damaged ones make it another. 0: the tables cannot be opened. */
uint64_t store_digest(const char *dir);

/* -- cairn-damage-map.c -- */

/* What a byte of a file means; of the lower two a check may find nothing. */
enum meaning {
	MEANS_NOTHING,
	MEANS_LITTLE, /* a flip may be harmless, or not to be told from what a loss of power leaves */
	MEANS_RECORD, /* of a record in the tables */
	MEANS_KEY,    /* of one: under another key it is found by a check or scrub, but a read that looks for it may see a hole */
	MEANS_STRUCTURE,
	MEANS_DATA,
};

/* store_map() - an enum meaning for each byte of a file of the store at dir; freed by the caller. NULL: it cannot be told. */
uint8_t *store_map(const char *dir, const char *file, const uint8_t *bytes, uint64_t size);

/* -- cairn-damage-alter.c -- */

/* A change of records that check, and what the check has to say about it. */
struct alteration {
	const char *name;
	const char *finds;   /* a word of fsck.cairn(8) */
	uint32_t loses;      /* files at most that may be missing or unreadable afterwards */
	void (*apply)(struct meta *meta, struct meta_txn *txn);
};

extern const struct alteration alterations[];
extern const uint32_t n_alterations;
int store_alter(const char *dir, const struct alteration *a);

#endif
