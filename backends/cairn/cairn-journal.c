/*
 * The journal's file: its first block says what it is, then come the segments. The segments are filled in turn, from
 * their beginnings; a batch that does not fit into the rest of one begins the other.
 */
#include "backends/cairn/cairn-journal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/cursor.h"
#include "base/err.h"
#include "base/log.h"
#include "loop/loop.h"

LOG_MODULE("cairn");

#define FILE_MAGIC "CAIRNJF1"
#define BATCH_MAGIC "CAIRNJB1"
#define FIRST_SUMMED 24u
#define FIRST_USED 32u
#define WINDOW_SIZE (1u << 20)
#define SEARCH_SIZE (1u << 20) /* how far behind the end lost batches are looked for */

/* ---- the file */

static uint8_t *alloc_blocks(size_t size)
{
	uint8_t *p = aligned_alloc(JOURNAL_BLOCK, ALIGN_UP(size, (size_t)JOURNAL_BLOCK));
	if (p)
		memset(p, 0, ALIGN_UP(size, (size_t)JOURNAL_BLOCK));
	return p;
}

static void encode_first(uint8_t *block, uint64_t segment_size, uint64_t secret)
{
	struct cursor c;
	cursor_init(&c, block, JOURNAL_BLOCK);
	cursor_put_bytes(&c, FILE_MAGIC, 8);
	cursor_put_le64(&c, segment_size);
	cursor_put_le64(&c, secret);
	cursor_put_le64(&c, XXH3_64bits(block, FIRST_SUMMED));
}

static int decode_first(struct journal *j, const uint8_t *block)
{
	struct cursor c;
	cursor_init(&c, (void *)block, JOURNAL_BLOCK);
	const uint8_t *magic = cursor_bytes(&c, 8);
	uint64_t segment_size = cursor_le64(&c), secret = cursor_le64(&c);
	if (memcmp(magic, FILE_MAGIC, 8) != 0 || cursor_le64(&c) != XXH3_64bits(block, FIRST_SUMMED))
		return ERR_IO;
	if (segment_size % JOURNAL_BLOCK || segment_size < JOURNAL_SIZE_MIN / 4 || segment_size > JOURNAL_SIZE_MAX)
		return ERR_IO;
	j->segment_size = segment_size;
	j->secret = secret;
	return 0;
}

/* One flipped bit is flipped back: all that is in the journal depends on these few bytes. */
static int mend_first(struct journal *j, uint8_t *block)
{
	for (uint32_t bit = 0; bit < 8 * FIRST_USED; bit++) {
		block[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (decode_first(j, block) == 0)
			return 0;
		block[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	return ERR_IO;
}

static int write_whole(struct file *f, uint8_t *data, size_t size, uint64_t at)
{
	struct iovec iov = {data, size};
	ssize_t n = file_pwritev(f, &iov, 1, at);
	return n == (ssize_t)size ? 0 : n < 0 ? (int)n : ERR_NOSPC;
}

static int write_zeros(struct file *f, uint64_t size)
{
	uint8_t *zeros = alloc_blocks(WINDOW_SIZE);
	int err = zeros ? 0 : ERR_NOMEM;
	for (uint64_t at = 0; !err && at < size; at += WINDOW_SIZE)
		err = write_whole(f, zeros, MIN(size - at, (uint64_t)WINDOW_SIZE), at);
	free(zeros);
	return err;
}

int journal_create(int dir_fd, uint64_t size)
{
	uint64_t segment_size = MAX(size, (uint64_t)JOURNAL_SIZE_MIN) / 2 / JOURNAL_BLOCK * JOURNAL_BLOCK, secret;
	uint8_t *block = alloc_blocks(JOURNAL_BLOCK);
	struct file *f;
	if (!block)
		return ERR_NOMEM;
	loop_random(&secret, sizeof(secret));
	encode_first(block, segment_size, secret);
	int err = file_open(&f, dir_fd, JOURNAL_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (!err) {
		err = write_zeros(f, 2 * (JOURNAL_BLOCK + segment_size));
		if (!err)
			err = write_whole(f, block, JOURNAL_BLOCK, 0);
		if (!err)
			err = file_sync(f, false);
		file_close(f);
	}
	free(block);
	return err;
}

/* Not every file system writes past its cache. */
static int open_file(struct journal *j, int dir_fd, bool read_only)
{
	int flags = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC;
	int err = file_open(&j->file, dir_fd, JOURNAL_NAME, flags | O_DIRECT, 0);
	return err == ERR_INVAL || err == ERR_NOTSUPP ? file_open(&j->file, dir_fd, JOURNAL_NAME, flags, 0) : err;
}

/* A write of a process that was killed keeps this lock until it is over. */
static int lock_file(void *arg)
{
	return flock(file_fd(arg), LOCK_EX) ? err_from_errno(errno) : 0;
}

/* As much as there is up to the end of the file. */
static ssize_t read_at(struct journal *j, uint8_t *data, size_t size, uint64_t at)
{
	size_t done = 0;
	ssize_t n = 1;
	while (n > 0 && done < size) {
		struct iovec iov = {data + done, size - done};
		n = file_preadv(j->file, &iov, 1, at + done);
		n = n > 0 ? n / JOURNAL_BLOCK * JOURNAL_BLOCK : n;
		done += n > 0 ? (size_t)n : 0;
	}
	return n < 0 ? n : (ssize_t)done;
}

static int put_mended(struct journal *j, uint8_t *block, bool read_only)
{
	log_warn("the journal: a bit of its first block was flipped");
	j->mended = true;
	int err = read_only ? 0 : write_whole(j->file, block, JOURNAL_BLOCK, 0);
	return err || read_only ? err : file_sync(j->file, true);
}

static int read_first(struct journal *j, bool read_only)
{
	uint8_t *block = alloc_blocks(JOURNAL_BLOCK);
	if (!block)
		return ERR_NOMEM;
	ssize_t n = read_at(j, block, JOURNAL_BLOCK, 0);
	int err = n < 0 ? (int)n : n < JOURNAL_BLOCK ? ERR_IO : decode_first(j, block);
	if (err == ERR_IO && n == JOURNAL_BLOCK && mend_first(j, block) == 0)
		err = put_mended(j, block, read_only);
	free(block);
	return err;
}

int journal_open(struct journal *j, int dir_fd, bool read_only)
{
	memset(j, 0, sizeof(*j));
	int err = open_file(j, dir_fd, read_only);
	if (!err)
		err = loop_block(lock_file, j->file);
	/* What such a write has left may be read, but not last yet. */
	if (!err && !read_only)
		err = file_sync(j->file, true);
	if (!err)
		err = read_first(j, read_only);
	if (err)
		log_error("the journal: %s", err == ERR_IO ? "its first block is damaged" : err_text(err));
	return err;
}

void journal_close(struct journal *j)
{
	if (j->file)
		file_close(TAKE(j->file));
}

/* ---- places */

/* A block is left between them, so that the end of one is not the beginning of the other. */
static uint64_t start_of(const struct journal *j, uint32_t segment)
{
	return JOURNAL_BLOCK + segment * (j->segment_size + JOURNAL_BLOCK);
}

static uint64_t end_of(const struct journal *j, uint32_t segment)
{
	return start_of(j, segment) + j->segment_size;
}

static uint32_t segment_of(const struct journal *j, uint64_t at)
{
	return at >= start_of(j, 1);
}

static uint64_t size_on_disk(size_t size)
{
	return ALIGN_UP(JOURNAL_HEAD_SIZE + (uint64_t)size, (uint64_t)JOURNAL_BLOCK);
}

static bool fits_rest(const struct journal *j, uint64_t at, size_t size)
{
	return at + size_on_disk(size) <= end_of(j, segment_of(j, at));
}

bool journal_fits(const struct journal *j, size_t size, uint64_t applied)
{
	uint32_t other = !segment_of(j, j->end.at);
	return fits_rest(j, j->end.at, size) || (size_on_disk(size) <= j->segment_size && j->last[other] <= applied);
}

void journal_restart(struct journal *j, uint64_t batch)
{
	j->end = (struct journal_place){start_of(j, 0), j->secret, batch};
	j->last[0] = j->last[1] = 0;
}

/* ---- buffers */

int journal_buffer_reserve(struct journal_buffer *b, size_t size)
{
	size_t need = size_on_disk(b->size + size), room = b->room ? b->room : 16 * JOURNAL_BLOCK;
	if (need <= b->room)
		return 0;
	while (room < need)
		room *= 2;
	uint8_t *data = aligned_alloc(JOURNAL_BLOCK, room);
	if (!data)
		return ERR_NOMEM;
	if (b->data)
		memcpy(data, b->data, JOURNAL_HEAD_SIZE + b->size);
	free(b->data);
	b->data = data;
	b->room = room;
	return 0;
}

uint8_t *journal_buffer_end(struct journal_buffer *b)
{
	return b->data + JOURNAL_HEAD_SIZE + b->size;
}

void journal_buffer_fini(struct journal_buffer *b)
{
	free(b->data);
	*b = (struct journal_buffer){0};
}

/* ---- batches */

struct batch_head {
	uint64_t batch;
	uint32_t size; /* of the changes */
	uint64_t changes_sum;
	uint64_t sum;
};

static uint64_t encode_head(const struct journal *j, struct journal_buffer *b, uint64_t batch)
{
	struct cursor c;
	memset(b->data, 0, JOURNAL_HEAD_SIZE);
	cursor_init(&c, b->data, JOURNAL_HEAD_SIZE);
	cursor_put_bytes(&c, BATCH_MAGIC, 8);
	cursor_put_le64(&c, batch);
	cursor_put_le32(&c, (uint32_t)b->size);
	cursor_put_le32(&c, b->n);
	cursor_put_le64(&c, XXH3_64bits_withSeed(b->data + JOURNAL_HEAD_SIZE, b->size, j->end.sum));
	uint64_t sum = XXH3_64bits_withSeed(b->data, 32, j->secret);
	cursor_put_le64(&c, sum);
	return sum;
}

/* Whether a batch of this journal begins there, of whatever time. */
static bool decode_head(const struct journal *j, const uint8_t *block, struct batch_head *h)
{
	struct cursor c;
	cursor_init(&c, (void *)block, JOURNAL_HEAD_SIZE);
	if (memcmp(cursor_bytes(&c, 8), BATCH_MAGIC, 8) != 0)
		return false;
	h->batch = cursor_le64(&c);
	h->size = cursor_le32(&c);
	cursor_skip(&c, 4);
	h->changes_sum = cursor_le64(&c);
	h->sum = cursor_le64(&c);
	return h->sum == XXH3_64bits_withSeed(block, 32, j->secret) && h->size <= j->segment_size - JOURNAL_HEAD_SIZE;
}

static int write_durably(struct file *f, const uint8_t *data, size_t size, uint64_t at)
{
	while (size) {
		struct iovec iov = {(void *)data, size};
		ssize_t n = file_pwritev_durable(f, &iov, 1, at);
		if (n <= 0 || (n % JOURNAL_BLOCK && (size_t)n < size))
			return n < 0 ? (int)n : ERR_IO;
		data += n;
		at += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

int journal_append(struct journal *j, struct journal_buffer *b, uint64_t batch, bool *turned)
{
	uint64_t at = fits_rest(j, j->end.at, b->size) ? j->end.at : start_of(j, !segment_of(j, j->end.at));
	uint64_t sum = encode_head(j, b, batch), size = size_on_disk(b->size);
	memset(journal_buffer_end(b), 0, size - JOURNAL_HEAD_SIZE - b->size);
	int err = write_durably(j->file, b->data, size, at);
	if (err)
		return err;
	*turned = at != j->end.at;
	j->end = (struct journal_place){at + size, sum, batch};
	j->last[segment_of(j, at)] = batch;
	return 0;
}

/* ---- replay */

struct window {
	struct journal *j;
	uint8_t *data;
	size_t room, size;
	uint64_t at;
};

/* size bytes at a place, NULL where there are none. */
static const uint8_t *look_at(struct window *w, uint64_t at, size_t size, int *err)
{
	if (at >= w->at && at + size <= w->at + w->size)
		return w->data + (at - w->at);
	if (size > w->room) {
		free(w->data);
		w->room = ALIGN_UP(MAX(size, (size_t)WINDOW_SIZE), (size_t)JOURNAL_BLOCK);
		w->data = alloc_blocks(w->room);
		w->size = 0;
		if (!w->data) {
			w->room = 0;
			*err = ERR_NOMEM;
			return NULL;
		}
	}
	ssize_t n = read_at(w->j, w->data, w->room, at);
	*err = n < 0 ? (int)n : 0;
	w->at = at;
	w->size = n < 0 ? 0 : (size_t)n;
	return w->size >= size ? w->data : NULL;
}

/* The batch that follows the journal's end, at that place: its changes or NULL. */
static const uint8_t *next_batch(struct window *w, uint64_t at, struct batch_head *h, int *err)
{
	struct journal *j = w->j;
	if (!fits_rest(j, at, 0))
		return NULL;
	const uint8_t *block = look_at(w, at, JOURNAL_BLOCK, err);
	if (!block || !decode_head(j, block, h) || h->batch != j->end.batch + 1 || !fits_rest(j, at, h->size))
		return NULL;
	block = look_at(w, at, size_on_disk(h->size), err);
	if (!block || h->changes_sum != XXH3_64bits_withSeed(block + JOURNAL_HEAD_SIZE, h->size, j->end.sum))
		return NULL;
	return block + JOURNAL_HEAD_SIZE;
}

static int replay_next(struct window *w, journal_visit_fn *visit, void *arg, bool *more)
{
	struct journal *j = w->j;
	struct batch_head h;
	int err = 0;
	uint64_t at = j->end.at;
	const uint8_t *changes = next_batch(w, at, &h, &err);
	if (!changes && !err) {
		at = start_of(j, !segment_of(j, at));
		changes = next_batch(w, at, &h, &err);
	}
	*more = changes != NULL;
	if (!changes)
		return err;
	err = visit(arg, h.batch, changes, h.size);
	j->end = (struct journal_place){at + size_on_disk(h.size), h.sum, h.batch};
	j->last[segment_of(j, at)] = h.batch;
	return err;
}

static bool later_at(struct window *w, uint64_t at, int *err)
{
	struct batch_head h;
	const uint8_t *block = look_at(w, at, JOURNAL_BLOCK, err);
	return block && decode_head(w->j, block, &h) && h.batch > w->j->end.batch + 1;
}

/* Only the last batch can be unfinished: where a later one is, those between are lost. */
static int check_end(struct window *w)
{
	const struct journal *j = w->j;
	uint64_t from = j->end.at, end = end_of(j, segment_of(j, from));
	int err = 0;
	bool lost = later_at(w, start_of(j, !segment_of(j, from)), &err);
	for (uint64_t at = from; !err && !lost && at < MIN(end, from + SEARCH_SIZE); at += JOURNAL_BLOCK)
		lost = later_at(w, at, &err);
	if (lost)
		log_error("the journal is damaged: batch %llu is not there, later ones are", (unsigned long long)j->end.batch + 1);
	return lost ? ERR_IO : err;
}

int journal_replay(struct journal *j, const struct journal_place *from, journal_visit_fn *visit, void *arg)
{
	struct window w = {.j = j};
	bool more = true;
	int err = 0;
	journal_restart(j, from->batch);
	if (from->at)
		j->end = *from;
	if (j->end.at < JOURNAL_BLOCK || j->end.at > end_of(j, 1) || j->end.at % JOURNAL_BLOCK)
		return ERR_IO;
	/* The end is looked at twice: what is read wrong for once must not be taken for it. */
	for (bool again = false; !err && (more || !again);) {
		again = !more;
		w.size = again ? 0 : w.size;
		err = replay_next(&w, visit, arg, &more);
	}
	if (!err)
		err = check_end(&w);
	free(w.data);
	return err;
}

uint64_t journal_last(struct journal *j)
{
	struct window w = {.j = j};
	struct batch_head h;
	uint64_t last = 0;
	int err = 0;
	for (uint32_t i = 0; j->segment_size && i < 2; i++)
		for (uint64_t at = start_of(j, i); !err && fits_rest(j, at, 0); at += JOURNAL_BLOCK) {
			const uint8_t *block = look_at(&w, at, JOURNAL_BLOCK, &err);
			if (block && decode_head(j, block, &h))
				last = MAX(last, h.batch);
		}
	free(w.data);
	return last;
}
