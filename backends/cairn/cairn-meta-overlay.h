/*
 * The overlay: records in memory that are newer than the tables on disk. A generation collects changes, the last
 * of each record counts, until it is applied as a whole. Not synchronised; nothing here parks.
 */
#ifndef CAIRN_META_OVERLAY_H
#define CAIRN_META_OVERLAY_H

#include "backends/cairn/cairn-meta.h"
#include "base/tree.h"

/* A record that was put, or deleted. Its key is followed by its body. */
struct meta_dirty {
	struct tree_node node;
	uint64_t head[2];  /* of the key: as numbers in the table's order */
	uint64_t batch;
	uint32_t size;     /* of the body */
	uint32_t room;     /* for it */
	uint16_t key_size;
	bool deleted;
	uint8_t bytes[];
};

struct meta_chunk;

struct meta_overlay {
	struct tree tables[META_N_TABLES];
	struct meta_chunk *chunks;
	uint8_t *next, *end;   /* room in the newest */
	uint64_t size;         /* bytes of records */
	uint64_t n_records;
	uint64_t since_ns;     /* when the first came */
};

/* A key as it is compared. */
struct meta_probe {
	uint64_t head[2];
	const uint8_t *bytes;
	uint32_t size;
};

struct meta_change {
	enum meta_table table;
	const void *key;       /* need not be aligned */
	const void *body;
	uint32_t key_size;
	uint32_t size;
	uint64_t batch;
	bool deletes;
};

/* meta_probe_of() - key is used until the probe is not needed any more. */
struct meta_probe meta_probe_of(enum meta_table table, const void *key, uint32_t size);
/* meta_probe_cmp() - the sign of a minus b, in the order of the tables. */
int meta_probe_cmp(const struct meta_probe *a, const struct meta_probe *b);

void overlay_init(struct meta_overlay *o);
void overlay_fini(struct meta_overlay *o);
/* overlay_reserve() - n changes with keys and bodies of so many bytes in all will find memory. ERR_NOMEM. */
int overlay_reserve(struct meta_overlay *o, uint32_t n, size_t size);
/* overlay_put() - room was reserved. */
void overlay_put(struct meta_overlay *o, const struct meta_change *c);
struct meta_dirty *overlay_find(const struct meta_overlay *o, enum meta_table table, const struct meta_probe *key);
/* overlay_from() - the first that is not before key. overlay_upto() - the last that is not after it. NULL: none. */
struct meta_dirty *overlay_from(const struct meta_overlay *o, enum meta_table table, const struct meta_probe *key);
struct meta_dirty *overlay_upto(const struct meta_overlay *o, enum meta_table table, const struct meta_probe *key);
struct meta_dirty *overlay_first(const struct meta_overlay *o, enum meta_table table);
struct meta_dirty *overlay_next(const struct meta_dirty *d);
struct meta_dirty *overlay_prev(const struct meta_dirty *d);

static inline const uint8_t *dirty_body(const struct meta_dirty *d)
{
	return d->bytes + d->key_size;
}

static inline struct meta_probe dirty_probe(const struct meta_dirty *d)
{
	return (struct meta_probe){{d->head[0], d->head[1]}, d->bytes, d->key_size};
}

#endif
