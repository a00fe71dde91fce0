/*
 * Names regardless of case, and in order. A name that folding changes has a record under the hash of its folded
 * form; one that is its own folded form is found in the table of entries as it is, so lower case costs nothing. The hash is
 * keyed by the store's identity, for peers choose names. The table of entries is in order of names already.
 */
#include <stdlib.h>
#include <string.h>

#include "backends/cairn/cairn.h"
#include "base/cleanup.h"
#include "base/cursor.h"
#include "base/hash.h"
#include "base/utf8.h"

#define PAGE_ENTRIES 64u
#define KEY_HEAD 16u /* directory and hash, before the name */

/* ---- the index */

struct folded {
	uint32_t size;
	uint8_t bytes[UTF8_FOLD_ROOM(OP_NAME_MAX)];
};

static void fold(const struct vfs_name *name, struct folded *f)
{
	f->size = utf8_fold_name(name->bytes, name->size, f->bytes);
}

static struct meta_key key_of(const struct cairn_node *dir, const struct folded *f, const struct vfs_name *name)
{
	struct meta_key key = meta_key_pair(cairn_ino(dir), hash_sip24(cairn_of(dir)->super.uuid, f->bytes, f->size));
	memcpy(key.bytes + KEY_HEAD, name->bytes, name->size);
	key.size += name->size;
	return key;
}

bool cairn_fold_key(const struct cairn_node *dir, const struct vfs_name *name, struct meta_key *key)
{
	return cairn_fold_key_of(cairn_of(dir)->super.uuid, cairn_ino(dir), name, key);
}

void cairn_put_folded(struct meta_txn *txn, const struct cairn_node *dir, const struct vfs_name *name)
{
	struct meta_key key;
	if (cairn_fold_key(dir, name, &key))
		meta_put(txn, META_FOLDED, &key, "", 0);
}

void cairn_delete_folded(struct meta_txn *txn, const struct cairn_node *dir, const struct vfs_name *name)
{
	struct meta_key key;
	if (cairn_fold_key(dir, name, &key))
		meta_delete(txn, META_FOLDED, &key);
}

/* ---- look-up */

struct search {
	const struct vfs_name *wanted;
	uint64_t dir;
	uint64_t hash;
	char *bytes;
	uint32_t size; /* 0: nothing found */
};

/* Records of one hash are in order of names: the first that really matches. */
static bool match(void *arg, const struct meta_record *r)
{
	struct search *s = arg;
	if (r->key->size <= KEY_HEAD || meta_key_first(r->key) != s->dir || meta_key_second(r->key) != s->hash)
		return false;
	uint32_t size = MIN(r->key->size - KEY_HEAD, (uint32_t)OP_NAME_MAX);
	if (utf8_fold_cmp(r->key->bytes + KEY_HEAD, size, s->wanted->bytes, s->wanted->size) != 0)
		return true;
	memcpy(s->bytes, r->key->bytes + KEY_HEAD, size);
	s->size = size;
	return false;
}

static bool is_before(const struct folded *f, const struct search *s)
{
	int cmp = memcmp(f->bytes, s->bytes, MIN(f->size, s->size));
	return cmp < 0 || (cmp == 0 && f->size < s->size);
}

int cairn_lookup_folded(struct vfs_node *node, const struct vfs_name *name, struct vfs_name *stored, char bytes[OP_NAME_MAX],
                        struct vfs_node **found)
{
	struct cairn_node *dir = cairn_node(node);
	struct folded f;
	struct cairn_entry e;
	fold(name, &f);
	struct meta_key key = key_of(dir, &f, &(struct vfs_name){"", 0});
	struct search s = {.wanted = name, .dir = cairn_ino(dir), .hash = meta_key_second(&key), .bytes = bytes};
	int err = meta_scan(cairn_of(dir)->meta, META_FOLDED, &key, META_FROM, match, &s);
	if (err)
		return err;
	struct vfs_name plain = {(const char *)f.bytes, f.size};
	err = f.size <= OP_NAME_MAX && (s.size == 0 || is_before(&f, &s)) ? cairn_find_entry(dir, &plain, &e) : ERR_NOENT;
	if (!err) {
		memcpy(bytes, f.bytes, f.size);
		s.size = f.size;
	} else if (err != ERR_NOENT || s.size == 0) {
		return err;
	}
	*stored = (struct vfs_name){bytes, s.size};
	return cairn_lookup(node, stored, found);
}

/* ---- in order */

/* Entries copied out of one read transaction: emitting them may park. */
struct page {
	uint64_t dir;
	struct vfs_name after;
	uint32_t n;
	struct {
		struct cairn_entry entry;
		uint32_t size;
		char name[OP_NAME_MAX];
	} entries[PAGE_ENTRIES];
	int err;
};

static bool take_entry(void *arg, const struct meta_record *r)
{
	struct page *p = arg;
	if (meta_key_first(r->key) != p->dir || p->n == PAGE_ENTRIES)
		return false;
	uint32_t size = r->key->size > 8 ? MIN(r->key->size - 8, (uint32_t)OP_NAME_MAX) : 0;
	if (size == p->after.size && memcmp(r->key->bytes + 8, p->after.bytes, size) == 0)
		return true;
	p->err = cairn_entry_decode(r->body, r->size, &p->entries[p->n].entry);
	p->entries[p->n].size = size;
	memcpy(p->entries[p->n].name, r->key->bytes + 8, size);
	p->n++;
	return !p->err;
}

static int read_page(struct cairn_node *dir, struct page *p)
{
	struct meta_key key = meta_key_name(cairn_ino(dir), p->after.bytes, p->after.size);
	p->dir = cairn_ino(dir);
	p->n = 0;
	p->err = 0;
	int err = meta_scan(cairn_of(dir)->meta, META_ENTRIES, &key, META_FROM, take_entry, p);
	return err ? err : p->err;
}

int cairn_readdir_from(struct vfs_node *node, const struct vfs_name *after, vfs_emit_fn *emit, void *arg, bool *eof)
{
	struct cairn_node *dir = cairn_node(node);
	char last[OP_NAME_MAX];
	CLEANUP_FREE struct page *p = malloc(sizeof(*p));
	*eof = true;
	if (!p)
		return ERR_NOMEM;
	p->after = *after;
	int err = read_page(dir, p);
	while (!err && p->n) {
		for (uint32_t i = 0; i < p->n; i++) {
			const struct cairn_entry *e = &p->entries[i].entry;
			struct vfs_name name = {p->entries[i].name, p->entries[i].size};
			*eof = emit(arg, &name, 0, e->ino, e->type, NULL);
			if (!*eof)
				return 0;
		}
		p->after.size = p->entries[p->n - 1].size;
		memcpy(last, p->entries[p->n - 1].name, p->after.size);
		p->after.bytes = last;
		err = read_page(dir, p);
	}
	if (!err)
		cairn_stamp_read(dir);
	return err;
}
