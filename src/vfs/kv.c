/*
 * A log of records, each with its checksum, and a tree of what they amount to. A put appends and syncs; at start the
 * log is read until the first record that is not whole, and cut there. Once most of the log is
 * history it is written anew beside and renamed into place.
 *
 * File: 8 bytes "CHIMKV1\n", then records: struct record, key, value; little-endian.
 */
#include "vfs/kv.h"

#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/tree.h"
#include "loop/loop.h"

LOG_MODULE("kv");

#define MAGIC "CHIMKV1\n"
#define MAGIC_SIZE 8u
#define KEY_MAX 255u
#define VALUE_MAX 65536u
#define LIVE_MAX (64ULL << 20)
#define GARBAGE_MAX (1ULL << 20) /* bytes of history that are left alone whatever their share */

enum { RECORD_PUT = 1, RECORD_DELETE = 2 };

struct record {
	uint64_t sum; /* hash_bytes() of everything after it */
	uint32_t role;
	uint16_t kind;
	uint16_t key_size;
	uint32_t value_size;
	uint32_t zero;
};

struct pair {
	struct tree_node link;
	struct kv_key key; /* bytes point behind the struct */
	uint32_t value_size;
	char bytes[]; /* key, then value */
};

struct kv {
	struct fiber_mutex lock; /* guards everything below */
	struct tree pairs;
	uint64_t live; /* bytes of the log that pairs need */
	struct file *log; /* NULL: in memory only */
	uint64_t log_size;
	bool broken; /* the log's end is unknown: a write failed */
	char *path;
	char *path_new;
	char *dir;
};

static int compare(const void *key, const struct tree_node *node)
{
	const struct kv_key *a = key, *b = &container_of((struct tree_node *)node, struct pair, link)->key;
	if (a->role != b->role)
		return a->role < b->role ? -1 : 1;
	int diff = memcmp(a->bytes, b->bytes, MIN(a->size, b->size));
	return diff ? diff : (a->size > b->size) - (a->size < b->size);
}

static uint64_t record_size(const struct pair *p)
{
	return sizeof(struct record) + p->key.size + p->value_size;
}

static const char *value_of(const struct pair *p)
{
	return p->bytes + p->key.size;
}

static struct pair *find(struct kv *kv, const struct kv_key *key)
{
	return tree_entry(tree_find(&kv->pairs, key, compare), struct pair, link);
}

static void forget(struct kv *kv, struct pair *p)
{
	tree_erase(&kv->pairs, &p->link);
	kv->live -= record_size(p);
	free(p);
}

static struct pair *pair_new(const struct kv_key *key, const void *value, uint32_t size)
{
	struct pair *p = malloc(sizeof(*p) + key->size + size);
	if (!p)
		return NULL;
	memcpy(p->bytes, key->bytes, key->size);
	if (size)
		memcpy(p->bytes + key->size, value, size);
	p->key = (struct kv_key){key->role, p->bytes, key->size};
	p->value_size = size;
	return p;
}

static void remember(struct kv *kv, struct pair *p)
{
	struct pair *old = find(kv, &p->key);
	if (old)
		forget(kv, old);
	tree_insert(&kv->pairs, &p->link, &p->key, compare);
	kv->live += record_size(p);
}

/* ---- the log */

/* A record as one buffer, freed by the caller; NULL: no memory. */
static char *encode(const struct kv_key *key, uint16_t kind, const void *value, uint32_t size, uint64_t *total)
{
	struct record r = {0, htole32(key->role), htole16(kind), htole16((uint16_t)key->size), htole32(size), 0};
	*total = sizeof(r) + key->size + size;
	char *buf = malloc(*total);
	if (!buf)
		return NULL;
	memcpy(buf, &r, sizeof(r));
	memcpy(buf + sizeof(r), key->bytes, key->size);
	if (size)
		memcpy(buf + sizeof(r) + key->size, value, size);
	r.sum = htole64(hash_bytes(buf + sizeof(r.sum), *total - sizeof(r.sum)));
	memcpy(buf, &r.sum, sizeof(r.sum));
	return buf;
}

static int write_at(struct file *f, const void *data, uint64_t size, uint64_t offset)
{
	struct iovec iov = {(void *)data, size};
	ssize_t n = file_pwritev(f, &iov, 1, offset);
	return n < 0 ? (int)n : (uint64_t)n == size ? 0 : ERR_IO;
}

static int append(struct kv *kv, const struct kv_key *key, uint16_t kind, const void *value, uint32_t size)
{
	uint64_t total;
	if (!kv->log)
		return 0;
	if (kv->broken)
		return ERR_IO;
	CLEANUP_FREE char *buf = encode(key, kind, value, size, &total);
	if (!buf)
		return ERR_NOMEM;
	int err = write_at(kv->log, buf, total, kv->log_size);
	if (!err)
		err = file_sync(kv->log, true);
	if (err) {
		/* What reached the disk is unknown: cut it off, or take no more. */
		kv->broken = file_truncate(kv->log, kv->log_size) != 0;
		return err;
	}
	kv->log_size += total;
	return 0;
}

/* The record at data, size bytes left; gives its whole size, 0 when it is not whole. */
static uint64_t replay_record(struct kv *kv, const char *data, uint64_t size)
{
	struct record r;
	if (size < sizeof(r))
		return 0;
	memcpy(&r, data, sizeof(r));
	uint32_t key_size = le16toh(r.key_size), value_size = le32toh(r.value_size);
	uint64_t total = sizeof(r) + key_size + (uint64_t)value_size;
	if (key_size == 0 || key_size > KEY_MAX || value_size > VALUE_MAX || total > size ||
	    le64toh(r.sum) != hash_bytes(data + sizeof(r.sum), total - sizeof(r.sum)))
		return 0;
	struct kv_key key = {le32toh(r.role), data + sizeof(r), key_size};
	struct pair *p = le16toh(r.kind) == RECORD_PUT ? pair_new(&key, key.bytes + key_size, value_size) : NULL;
	struct pair *old = p ? NULL : find(kv, &key);
	if (p)
		remember(kv, p);
	if (old)
		forget(kv, old);
	return total;
}

static int replay_log(struct kv *kv, const char *data, uint64_t size)
{
	uint64_t at = MAGIC_SIZE;
	if (size < MAGIC_SIZE || memcmp(data, MAGIC, MAGIC_SIZE) != 0)
		return ERR_PROTO;
	for (uint64_t n; (n = replay_record(kv, data + at, size - at)); at += n)
		;
	kv->log_size = at;
	if (at == size)
		return 0;
	log_notice("%s: %llu bytes that were not yet whole are cut off", kv->path, (unsigned long long)(size - at));
	return file_truncate(kv->log, at);
}

static int read_log(struct kv *kv)
{
	uint64_t size;
	int err = file_size(kv->log, &size);
	if (err)
		return err;
	if (size == 0) {
		kv->log_size = MAGIC_SIZE;
		return write_at(kv->log, MAGIC, MAGIC_SIZE, 0);
	}
	CLEANUP_FREE char *data = malloc(size);
	if (!data)
		return ERR_NOMEM;
	struct iovec iov = {data, size};
	ssize_t n = file_preadv(kv->log, &iov, 1, 0);
	if (n < 0 || (uint64_t)n != size)
		return n < 0 ? (int)n : ERR_IO;
	return replay_log(kv, data, size);
}

/* ---- compaction */

static int write_all(struct kv *kv, struct file *f, uint64_t *size)
{
	struct pair *p;
	int err = write_at(f, MAGIC, MAGIC_SIZE, 0);
	*size = MAGIC_SIZE;
	TREE_FOREACH(p, &kv->pairs, link) {
		uint64_t total;
		CLEANUP_FREE char *buf = encode(&p->key, RECORD_PUT, value_of(p), p->value_size, &total);
		if (err || !buf)
			return err ? err : ERR_NOMEM;
		err = write_at(f, buf, total, *size);
		*size += total;
	}
	return err ? err : file_sync(f, false);
}

static int sync_dir(struct kv *kv)
{
	struct file *d;
	int err = file_open(&d, AT_FDCWD, kv->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (err)
		return err;
	err = file_sync_dir(file_fd(d));
	file_close(d);
	return err;
}

/* A failure leaves the old log in use. */
static void compact(struct kv *kv)
{
	struct file *f;
	uint64_t size;
	if (!kv->log || kv->log_size < 2 * kv->live + GARBAGE_MAX)
		return;
	int err = file_open(&f, AT_FDCWD, kv->path_new, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (err)
		return;
	err = write_all(kv, f, &size);
	if (!err)
		err = file_rename(AT_FDCWD, kv->path_new, kv->path);
	if (err) {
		file_close(f);
		return;
	}
	sync_dir(kv);
	file_close(kv->log);
	kv->log = f;
	kv->log_size = size;
}

/* ---- the calls */

static int open_log(struct kv *kv, const char *state_dir)
{
	kv->dir = strdup(state_dir);
	if (!kv->dir || asprintf(&kv->path, "%s/kv", state_dir) < 0 || asprintf(&kv->path_new, "%s/kv.new", state_dir) < 0)
		return ERR_NOMEM;
	int err = file_open(&kv->log, AT_FDCWD, kv->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return err ? err : read_log(kv);
}

int kv_open(struct kv **out, const char *state_dir, char **why)
{
	struct kv *kv = calloc(1, sizeof(*kv));
	if (!kv)
		return ERR_NOMEM;
	tree_init(&kv->pairs);
	int err = state_dir ? open_log(kv, state_dir) : 0;
	if (err) {
		if (asprintf(why, "%s/kv: %s", state_dir, err == ERR_PROTO ? "not such a file" : err_text(err)) < 0)
			*why = NULL;
		kv_close(kv);
		return err;
	}
	*out = kv;
	return 0;
}

void kv_close(struct kv *kv)
{
	while (kv->pairs.root)
		forget(kv, tree_entry(tree_first(&kv->pairs), struct pair, link));
	if (kv->log)
		file_close(kv->log);
	free(kv->path);
	free(kv->path_new);
	free(kv->dir);
	free(kv);
}

int kv_put(struct kv *kv, const struct kv_key *key, const void *value, uint32_t size)
{
	struct pair *p = pair_new(key, value, size);
	if (!p)
		return ERR_NOMEM;
	fiber_mutex_lock(&kv->lock);
	int err = kv->live + record_size(p) > LIVE_MAX ? ERR_NOSPC : append(kv, key, RECORD_PUT, value, size);
	if (!err) {
		remember(kv, TAKE(p));
		compact(kv);
	}
	fiber_mutex_unlock(&kv->lock);
	free(p);
	return err;
}

int kv_delete(struct kv *kv, const struct kv_key *key)
{
	fiber_mutex_lock(&kv->lock);
	struct pair *p = find(kv, key);
	int err = p ? append(kv, key, RECORD_DELETE, NULL, 0) : ERR_NOENT;
	if (!err) {
		forget(kv, p);
		compact(kv);
	}
	fiber_mutex_unlock(&kv->lock);
	return err;
}

int kv_get(struct kv *kv, const struct kv_key *key, kv_fn *fn, void *arg)
{
	fiber_mutex_lock(&kv->lock);
	const struct pair *p = find(kv, key);
	int err = !p ? ERR_NOENT : fn(arg, &p->key, value_of(p), p->value_size) ? 0 : ERR_TOOSMALL;
	fiber_mutex_unlock(&kv->lock);
	return err;
}

static bool has_prefix(const struct pair *p, const struct kv_key *prefix)
{
	return p->key.role == prefix->role && p->key.size >= prefix->size &&
	       memcmp(p->key.bytes, prefix->bytes, prefix->size) == 0;
}

void kv_scan(struct kv *kv, const struct kv_key *prefix, const struct kv_key *after, kv_fn *fn, void *arg)
{
	fiber_mutex_lock(&kv->lock);
	bool resume = after->size > 0;
	const struct kv_key *from = resume ? after : prefix;
	struct pair *p = tree_entry(tree_lower_bound(&kv->pairs, from, compare), struct pair, link);
	if (resume && p && compare(after, &p->link) == 0)
		p = tree_entry(tree_next(&p->link), struct pair, link);
	while (p && has_prefix(p, prefix) && fn(arg, &p->key, value_of(p), p->value_size))
		p = tree_entry(tree_next(&p->link), struct pair, link);
	fiber_mutex_unlock(&kv->lock);
}
