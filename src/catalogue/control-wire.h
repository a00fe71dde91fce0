/*
 * The control socket's messages. Integers are little-endian.
 *
 *   request   u32 size of what follows | u32 CONTROL_MAGIC | u32 n | n times: string key, string value
 *   reply     u32 size of what follows | u32 CONTROL_MAGIC | i32 status | string error | string body
 *   string    u32 size | bytes | one NUL that is not counted
 *
 * The pairs "noun", "verb" and "name" say what is asked; the rest are options. One connection carries any
 * number of requests, answered in order. Nothing here parks.
 */
#ifndef CATALOGUE_CONTROL_WIRE_H
#define CATALOGUE_CONTROL_WIRE_H

#include "base/bytes.h"
#include "base/compiler.h"

#define CONTROL_MAGIC 0x314c4843u /* "CHL1" */
#define CONTROL_PAIRS_MAX 128
#define CONTROL_REQUEST_MAX (5u << 20)  /* bytes after the size: room for an INI text to apply */
#define CONTROL_REPLY_MAX (64u << 20)

struct control_pair {
	const char *key;
	const char *value;
};

struct control_message {
	struct control_pair pairs[CONTROL_PAIRS_MAX];
	uint32_t n_pairs;
};

struct control_answer {
	int32_t status; /* 0 or ERR_* */
	const char *error;
	const char *body;
	size_t body_size;
};

/*
 * Decoders: data is the message after its size, and what they answer points into it.
 * ERR_PROTO: malformed, a NUL within a string, or more than CONTROL_PAIRS_MAX pairs.
 */
int control_decode_request(const void *data, size_t size, struct control_message *out);
int control_decode_reply(const void *data, size_t size, struct control_answer *out);

/* Encoders append a whole message with its size; the errors are those of the buffer. */
void control_encode_request(struct bytes *out, const struct control_message *message);
void control_encode_reply(struct bytes *out, const struct control_answer *answer);

/* control_message_get() - the last value of key, NULL: none. control_message_add() - false when full. */
const char *control_message_get(const struct control_message *m, const char *key);
bool control_message_add(struct control_message *m, const char *key, const char *value);

#endif
