/* How far a scrub is, as bytes: cairn(5). */
#include <string.h>

#include "backends/cairn/cairn-scrub.h"
#include "base/cursor.h"
#include "base/hash.h"

#define MAGIC "CAIRNSCR"
#define VERSION 1u
#define SUM_AT (CAIRN_SCRUB_SIZE - 8)

void cairn_scrub_encode(const struct cairn_scrub_record *r, uint8_t bytes[CAIRN_SCRUB_SIZE])
{
	const struct scrub_state *s = &r->state;
	const uint64_t numbers[] = {s->started_ns, s->ended_ns,      s->rate_bytes,  s->done_bytes, s->total_bytes,
	                            s->done_records, s->total_records, s->bad_records, s->bad_bytes};
	struct cursor c;
	memset(bytes, 0, CAIRN_SCRUB_SIZE);
	cursor_init(&c, bytes, SUM_AT);
	cursor_put_bytes(&c, MAGIC, 8);
	cursor_put_le32(&c, VERSION);
	cursor_put_le32(&c, s->run);
	cursor_put_le32(&c, (uint32_t)s->err);
	cursor_put_le32(&c, r->table);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		cursor_put_le64(&c, numbers[i]);
	cursor_put_bytes(&c, s->last_bad, sizeof(s->last_bad));
	cursor_put_le32(&c, r->key.size);
	cursor_put_bytes(&c, r->key.bytes, r->key.size);
	cursor_init(&c, bytes + SUM_AT, 8);
	cursor_put_le64(&c, hash_bytes(bytes, SUM_AT));
}

static bool is_whole(const uint8_t bytes[CAIRN_SCRUB_SIZE])
{
	struct cursor c;
	cursor_init(&c, (void *)(bytes + SUM_AT), 8);
	return memcmp(bytes, MAGIC, 8) == 0 && cursor_le64(&c) == hash_bytes(bytes, SUM_AT);
}

int cairn_scrub_decode(const uint8_t bytes[CAIRN_SCRUB_SIZE], struct cairn_scrub_record *r)
{
	struct scrub_state *s = &r->state;
	uint64_t *const numbers[] = {&s->started_ns, &s->ended_ns,      &s->rate_bytes,  &s->done_bytes, &s->total_bytes,
	                             &s->done_records, &s->total_records, &s->bad_records, &s->bad_bytes};
	struct cursor c;
	memset(r, 0, sizeof(*r));
	if (!is_whole(bytes))
		return ERR_IO;
	cursor_init(&c, (void *)(bytes + 8), SUM_AT - 8);
	if (cursor_le32(&c) != VERSION)
		return ERR_IO;
	s->run = cursor_le32(&c);
	s->err = (int)cursor_le32(&c);
	r->table = cursor_le32(&c);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		*numbers[i] = cursor_le64(&c);
	memcpy(s->last_bad, cursor_bytes(&c, sizeof(s->last_bad)), sizeof(s->last_bad));
	s->last_bad[sizeof(s->last_bad) - 1] = '\0';
	r->key.size = cursor_le32(&c);
	if (r->key.size > META_KEY_MAX || r->table > META_N_TABLES || s->run > SCRUB_FAILED)
		return ERR_IO;
	memcpy(r->key.bytes, cursor_bytes(&c, r->key.size), r->key.size);
	return 0;
}
