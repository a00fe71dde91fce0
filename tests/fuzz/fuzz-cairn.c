/*
 * What a cairn store is read from: the first byte picks a table, whose record follows as the size of its key, key and body; the
 * superblock; the scrub's place; or the pages of the tables' file. Checksums are put right, so that what is behind them is reached.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backends/cairn/cairn-check-page.h"
#include "backends/cairn/cairn-scrub.h"
#include "base/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* First bytes below these are tables. */
enum { TRY_SUPER = 0x80, TRY_SCRUB, TRY_MEND, TRY_PAGES };

static void try_inode(const struct meta_record *r)
{
	struct cairn_inode inode, again;
	uint8_t body[CAIRN_INODE_SIZE];
	if (cairn_inode_decode(r->body, r->size, &inode))
		return;
	cairn_inode_encode(&inode, body);
	assert(cairn_inode_decode(body, sizeof(body), &again) == 0 && again.attr.size == inode.attr.size && again.parent == inode.parent);
}

static void try_extent(const struct meta_record *r)
{
	static struct cairn_extent e, again;
	uint8_t body[CAIRN_EXTENT_SIZE_MAX];
	struct meta_record back = {.key = r->key, .body = body, .batch = r->batch};
	if (r->key->size != 16 || cairn_extent_decode(r, &e))
		return;
	back.size = cairn_extent_encode(&e, body);
	assert(cairn_extent_decode(&back, &again) == 0 && again.n == e.n && again.place == e.place);
}

static void try_record(int table, const uint8_t *data, size_t size, bool mend)
{
	struct meta_key key = {.size = 0};
	struct check_mended m;
	if (size == 0 || data[0] + 1u > size)
		return;
	key.size = data[0];
	memcpy(key.bytes, data + 1, key.size);
	struct meta_record r = {.key = &key, .body = data + 1 + key.size, .size = (uint32_t)(size - 1 - key.size)};
	if (mend) {
		r.err = ERR_IO;
		cairn_record_mend(key.size % META_N_TABLES, &r, &m);
		return;
	}
	if (cairn_record_check(table, &r) == 0 && table == META_EXTENTS)
		try_extent(&r);
	if (table == META_INODES)
		try_inode(&r);
}

/* With the checksum of all before it at the end. */
static void fill(uint8_t bytes[1024], const uint8_t *data, size_t size)
{
	memset(bytes, 0, 1024);
	memcpy(bytes, data, MIN(size, (size_t)1016));
	uint64_t sum = hash_bytes(bytes, 1016);
	memcpy(bytes + 1016, &sum, sizeof(sum));
}

static void try_super(const uint8_t *data, size_t size)
{
	uint8_t bytes[CAIRN_SUPER_SIZE], back[CAIRN_SUPER_SIZE];
	struct cairn_super super, again;
	fill(bytes, data, size);
	cairn_super_is_whole(bytes);
	if (cairn_super_decode(bytes, &super))
		return;
	cairn_super_encode(&super, back);
	assert(cairn_super_decode(back, &again) == NULL && again.capacity == super.capacity);
}

static void try_scrub(const uint8_t *data, size_t size)
{
	uint8_t bytes[CAIRN_SCRUB_SIZE], back[CAIRN_SCRUB_SIZE];
	struct cairn_scrub_record r, again;
	fill(bytes, data, size);
	if (cairn_scrub_decode(bytes, &r))
		return;
	cairn_scrub_encode(&r, back);
	assert(cairn_scrub_decode(back, &again) == 0 && again.key.size == r.key.size && again.table == r.table);
}

/* Reads all of it, so that a sanitizer sees what is outside of the file. */
static void look(void *arg, int table, const void *key, uint32_t key_size, const uint8_t *value, uint32_t size)
{
	*(uint64_t *)arg += hash_bytes(key, key_size) + hash_bytes(value, size) + (uint64_t)table;
}

static void try_pages(const uint8_t *data, size_t size)
{
	struct page_file f;
	char name[32];
	uint64_t sum = 0;
	int fd = memfd_create("pages", MFD_CLOEXEC);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	if (fd >= 0 && write(fd, data, size) == (ssize_t)size && page_open(&f, AT_FDCWD, name) == 0) {
		page_walk(&f, NULL, look, &sum);
		page_strays(&f, look, &sum);
		page_close(&f);
	}
	if (fd >= 0)
		close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	int what = data[0] < TRY_SUPER ? data[0] % META_N_TABLES : TRY_SUPER + data[0] % 4;
	if (what == TRY_SUPER)
		try_super(data + 1, size - 1);
	else if (what == TRY_SCRUB)
		try_scrub(data + 1, size - 1);
	else if (what == TRY_PAGES)
		try_pages(data + 1, size - 1);
	else
		try_record(what, data + 1, size - 1, what == TRY_MEND);
	return 0;
}
