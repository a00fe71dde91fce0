/*
 * Writing and reading JSON (RFC 8259).
 *
 * The writer streams into a growing buffer and keeps commas and nesting right; its errors are those of
 * the buffer. Every call takes the member's key, NULL inside arrays and at the top. Strings may hold
 * any bytes: what is not UTF-8 becomes U+FFFD.
 *
 * The reader makes a tree in an arena: bounded in depth, for replies and requests, not for streams.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/arena.h"
#include "base/bytes.h"

#define JSON_DEPTH_MAX 32

struct json {
	struct bytes *out;
	uint32_t depth;
	uint32_t started;  /* bit d: the container at depth d has a member already */
	uint32_t is_array; /* bit d: it is an array */
};

void json_init(struct json *j, struct bytes *out);
void json_object(struct json *j, const char *key);
void json_array(struct json *j, const char *key);
/* json_end() - closes the innermost object or array. */
void json_end(struct json *j);

void json_str(struct json *j, const char *key, const char *value); /* null for NULL */
void json_strn(struct json *j, const char *key, const void *value, size_t size);
void json_u64(struct json *j, const char *key, uint64_t value);
void json_i64(struct json *j, const char *key, int64_t value);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);
/* json_time() - RFC 3339 with nanoseconds, in UTC. */
void json_time(struct json *j, const char *key, uint64_t wall_ns);
/* json_raw() - value is JSON already. */
void json_raw(struct json *j, const char *key, const char *value);

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_value {
	enum json_type type;
	const char *key;          /* its name when in an object, else NULL */
	const char *text;         /* the string; the number or word as written; NULL for containers */
	size_t text_size;         /* strings may hold NULs */
	struct json_value *child; /* first member of a container */
	struct json_value *next;  /* next member of the same container */
};

/* json_parse() - ERR_PROTO when text is not JSON or nests deeper than JSON_DEPTH_MAX, ERR_NOMEM. */
int json_parse(struct arena *a, const char *text, size_t size, struct json_value **root);
/* json_get() - the member of an object, NULL if there is none or v is no object or NULL. */
const struct json_value *json_get(const struct json_value *v, const char *key);
/* json_text() - text of json_get(), or otherwise when there is none. */
const char *json_text(const struct json_value *v, const char *key, const char *otherwise);

#endif
