/*
 * The file of the tables below LMDB, which trusts what it reads: its pages have no checksums. Before LMDB opens it, every page
 * that is reached is checked against what LMDB's format (0.9, 64-bit) says of it; if one is wrong, all tables are made
 * anew from the records that can be read, whose checksums tell to which table they belong.
 */
#ifndef CAIRN_CHECK_PAGE_H
#define CAIRN_CHECK_PAGE_H

#include "backends/cairn/cairn-check-impl.h"

#define PAGE_SIZE 4096u
#define PAGE_NO_TABLE -1    /* not known */
#define PAGE_TABLE_FREE -2  /* LMDB's list of free pages */
#define PAGE_TABLE_NAMES -3 /* its table of tables */

struct page_file {
	const uint8_t *base;
	uint64_t n;           /* pages */
	uint64_t last;        /* the last that is in use or on the list of free ones */
	const uint8_t *meta;  /* the newer of the first two */
	uint8_t *used, *unused; /* a bit for each page: in a tree; on the list */
	uint64_t n_bad;
	uint64_t n_stray;     /* neither used nor free */
	bool incomplete;      /* there may be pages of records that were not reached */
	uint32_t levels;      /* of each table's tree that are looked at; 0: all */
	uint64_t bad;         /* the first page that is damaged, if n_bad */
};

/* A record as it is stored: table as enum meta_table or PAGE_NO_TABLE. */
typedef void page_record_fn(void *arg, int table, const void *key, uint32_t key_size, const uint8_t *value, uint32_t size);

/* page_open() - maps the file. page_close() - ends it. Block: for a worker. */
int page_open(struct page_file *f, int dir_fd, const char *name);
void page_close(struct page_file *f);
/*
 * page_walk() - goes through everything that is reached, calls fn (unless NULL) for each record that can be made out, of damaged
 * pages too, and counts damage; with c, findings are noted. page_strays() - the same for what is not reached and not free.
 */
void page_walk(struct page_file *f, struct check *c, page_record_fn *fn, void *arg);
void page_strays(struct page_file *f, page_record_fn *fn, void *arg);

/*
 * page_look() - whether LMDB may open the file: all of it is looked at if it is small, else what all else hangs on: its own two pages,
 * the list of free pages, the names of tables and the roots of their trees. ERR_IO: it may not, *bad is the first byte of a page. Blocks.
 */
int page_look(int dir_fd, const char *name, uint64_t *bad);

/* page_record_checks() - whether the checksum of what is stored, r's body, matches. */
bool page_record_checks(int table, const struct meta_record *r);

#define TABLES_SALVAGED "meta/data.salvaged"

/* page_salvage() - makes the tables anew from all legible records of the file, under the name above. Blocks. */
int page_salvage(struct check *c, struct page_file *f);

#endif
