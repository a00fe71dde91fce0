/*
 * The superblock. One flipped bit is flipped back. One that is worse is made anew from the fields that are legible, for
 * all that it says but names, limits and features is fixed by the format.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backends/cairn/cairn-check-impl.h"

#define SUPER_NAME "superblock"
#define LABEL_AT 56u
#define LABEL_SIZE 64u
#define UUID_AT 40u

static size_t read_bytes(struct check *c, uint8_t bytes[CAIRN_SUPER_SIZE])
{
	struct iovec iov = {bytes, CAIRN_SUPER_SIZE};
	struct file *f;
	memset(bytes, 0, CAIRN_SUPER_SIZE);
	if (file_open(&f, c->dir_fd, SUPER_NAME, O_RDONLY | O_CLOEXEC, 0))
		return 0;
	ssize_t n = file_preadv(f, &iov, 1, 0);
	file_close(f);
	return n > 0 ? (size_t)n : 0;
}

static bool flip_back(uint8_t bytes[CAIRN_SUPER_SIZE], struct cairn_super *s)
{
	for (uint32_t bit = 0; bit < 8 * CAIRN_SUPER_SIZE; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (!cairn_super_decode(bytes, s))
			return true;
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	return false;
}

static bool is_text(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ')
			return false;
	return true;
}

/* Limits are generous: a store that has grown beyond them would be full at once. */
static void make_anew(const uint8_t bytes[CAIRN_SUPER_SIZE], struct cairn_super *s)
{
	static const uint8_t none[16];
	*s = (struct cairn_super){
		.format = CAIRN_FORMAT, .incompat = CAIRN_INCOMPAT_MADE, .meta_size = CAIRN_META_SIZE_DEFAULT};
	s->created_ns = loop_wall_ns(loop_current());
	memcpy(s->uuid, bytes + UUID_AT, sizeof(s->uuid));
	if (memcmp(s->uuid, none, sizeof(none)) == 0)
		loop_random(s->uuid, sizeof(s->uuid));
	memcpy(s->label, bytes + LABEL_AT, LABEL_SIZE);
	if (!is_text(s->label))
		memset(s->label, 0, sizeof(s->label));
}

static int repair(struct check *c, enum check_kind kind)
{
	struct check_place at = {.where = SUPER_NAME};
	return check_found(c, kind, &at) ? cairn_super_write(c->dir_fd, &c->super) : 0;
}

static int refuse(char **why, const char *path, const char *what)
{
	if (asprintf(why, "%s: %s", path, what) < 0)
		*why = NULL;
	return ERR_NOTSUPP;
}

static bool is_store(struct check *c)
{
	return faccessat(c->dir_fd, "meta", F_OK, 0) == 0 && faccessat(c->dir_fd, "data", F_OK, 0) == 0;
}

/* Twice, if need be: nothing is given up for what is read wrong once. */
static size_t read_super(struct check *c, uint8_t bytes[CAIRN_SUPER_SIZE])
{
	size_t n = read_bytes(c, bytes);
	if (n != CAIRN_SUPER_SIZE || !cairn_super_is_whole(bytes))
		n = read_bytes(c, bytes);
	return n;
}

int check_super(struct check *c, char **why)
{
	uint8_t bytes[CAIRN_SUPER_SIZE];
	size_t n = read_super(c, bytes);
	int err = 0;
	if (n != CAIRN_SUPER_SIZE && !is_store(c)) {
		refuse(why, c->o->path, "there is no cairn store");
		return ERR_NOENT;
	}
	const char *what = n == CAIRN_SUPER_SIZE ? cairn_super_decode(bytes, &c->super) : NULL;
	if (what && cairn_super_is_whole(bytes))
		return refuse(why, c->o->path, what);
	if (n != CAIRN_SUPER_SIZE || what) {
		bool bit = n == CAIRN_SUPER_SIZE && flip_back(bytes, &c->super);
		if (!bit)
			make_anew(bytes, &c->super);
		err = repair(c, bit ? CHECK_SUPER_BIT : CHECK_SUPER);
	}
	if ((c->super.incompat & ~CAIRN_INCOMPAT_KNOWN) || c->super.format != CAIRN_FORMAT)
		return refuse(why, c->o->path, "the store has features that this version does not know");
	if ((c->super.ro_compat & ~CAIRN_RO_COMPAT_KNOWN) && c->o->repair != CHECK_ONLY)
		return refuse(why, c->o->path, "the store has features with which this version can only check it");
	return err;
}
