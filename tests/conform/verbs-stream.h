/* Verbs that system calls on a mounted directory cannot express: streams, and names in order or regardless of case. */
#ifndef CONFORM_VERBS_STREAM_H
#define CONFORM_VERBS_STREAM_H

#include "tests/conform/driver-client.h"

/* fs_stream() - opens, without leaving it open; disposition: OPEN_*, flags: ANY_CASE, OPEN_TRUNCATE. */
int fs_stream(struct test *t, const struct obj *base, const char *name, uint32_t disposition, uint32_t flags, struct obj *out);
/* fs_open_stream() - the open is t->ans.open_id. */
int fs_open_stream(struct test *t, const struct obj *base, struct str name, const struct open_how *how, struct obj *out);
/* fs_list_streams() - after that name; s->want, max_entries and room count. */
int fs_list_streams(struct test *t, const struct obj *base, const char *after, struct scan *s);
int fs_remove_stream(struct test *t, const struct obj *base, const char *name, uint32_t flags);
int fs_rename_stream(struct test *t, const struct obj *base, const char *name, const char *to, uint32_t flags);
/* a_stream() - a new stream with that text. stream_names() - all names, each followed by a space, and sizes: "a=1 b=0 ". */
struct obj a_stream(struct test *t, const struct obj *base, const char *name, const char *text);
char *stream_names(struct test *t, const struct obj *base);

/* fs_lookup_ci() - stored: OP_NAME_MAX + 1 bytes, terminated. */
int fs_lookup_ci(struct test *t, const struct obj *dir, const char *name, char *stored, struct obj *out);
/* fs_open_any_case() - open with ANY_CASE; stored as above. */
int fs_open_any_case(struct test *t, const struct obj *dir, const char *name, uint32_t disposition, char *stored, struct obj *out);
/* fs_readdir_from() - READDIR_BY_NAME. */
int fs_readdir_from(struct test *t, const struct obj *dir, const char *after, struct scan *s);

#endif
