/*
 * The verbs over client.h, shared by the drivers "local" and "ring", and the same ops written field by
 * field for cases that need HAS_OPS.
 */
#ifndef CONFORM_DRIVER_CLIENT_H
#define CONFORM_DRIVER_CLIENT_H

#include "client/client.h"
#include "tests/conform/run.h"

/* client_verbs - every verb; a driver adds its life around them. */
#define CLIENT_FEATURES (HAS_ALL)

/* ops_new() - an op on o as t->as; given back by ops_put(). o may be NULL. */
struct op *ops_new(struct test *t, enum op_code code, const struct obj *o);
void ops_str(struct op *op, struct op_str *field, const char *text);
/* ops_run(), ops_chain() - calls, counted for the coverage check. */
int ops_run(struct test *t, struct op *op);
int ops_chain(struct test *t, struct op **ops, unsigned n);
void ops_put(struct test *t, struct op *op);
/* ops_payload() - appends size bytes to the op's payload; the buffer lives until client_buf_put(). */
struct client_buf *ops_payload(struct test *t, struct op *op, const void *data, uint32_t size);
/* ops_data() - the payload that was answered, as one block; returns how many bytes of at most size. */
uint32_t ops_data(struct test *t, const struct op *op, void *data, uint32_t size);

void client_together(struct test *t, unsigned n, worker_fn *fn, void *arg);
void client_tick(struct test *t);
void client_release(struct test *t);

int client_verb_lookup(struct test *t, const struct obj *dir, struct str name, struct obj *out);
int client_verb_lookup_path(struct test *t, const struct obj *dir, struct str path, struct obj *out);

/* The members of struct driver that are the same for both. */
#define CLIENT_VERBS                                                                              \
	.tick = client_tick, .release = client_release,                                           \
	.lookup = client_verb_lookup, .lookup_path = client_verb_lookup_path,                     \
	.parent = client_verb_parent, .readlink = client_verb_readlink,                           \
	.readdir = client_verb_readdir, .open = client_verb_open,                                 \
	.create_unlinked = client_verb_create_unlinked, .mkdir = client_verb_mkdir,               \
	.mknod = client_verb_mknod, .symlink = client_verb_symlink, .link = client_verb_link,     \
	.rename = client_verb_rename, .remove = client_verb_remove, .getattr = client_verb_getattr, \
	.setattr = client_verb_setattr, .access = client_verb_access, .statfs = client_verb_statfs, \
	.get_xattr = client_verb_get_xattr, .set_xattr = client_verb_set_xattr,                   \
	.list_xattr = client_verb_list_xattr, .remove_xattr = client_verb_remove_xattr,           \
	.get_acl = client_verb_get_acl, .set_acl = client_verb_set_acl,                           \
	.get_quota = client_verb_get_quota, .set_quota = client_verb_set_quota,                   \
	.read = client_verb_read, .write = client_verb_write, .commit = client_verb_commit,       \
	.allocate = client_verb_allocate, .deallocate = client_verb_deallocate,                   \
	.zero = client_verb_zero, .seek = client_verb_seek, .copy = client_verb_copy, .clone = client_verb_clone,             \
	.close = client_verb_close, .sync = client_verb_sync

int client_verb_parent(struct test *t, const struct obj *o, struct obj *out);
int client_verb_readlink(struct test *t, const struct obj *o, char *target, uint32_t size);
int client_verb_readdir(struct test *t, const struct obj *dir, struct scan *s);
int client_verb_open(struct test *t, const struct obj *dir, struct str name, const struct open_how *how, struct obj *out);
int client_verb_create_unlinked(struct test *t, const struct obj *dir, const struct open_how *how, struct obj *out);
int client_verb_mkdir(struct test *t, const struct obj *dir, struct str name, const struct op_attr *attr, struct obj *out);
int client_verb_mknod(struct test *t, const struct obj *dir, struct str name, const struct op_attr *attr, struct obj *out);
int client_verb_symlink(struct test *t, const struct obj *dir, struct str name, struct str target, struct obj *out);
int client_verb_link(struct test *t, const struct obj *o, const struct obj *dir, struct str name);
int client_verb_rename(struct test *t, const struct obj *from, struct str name, const struct obj *to,
                       struct str to_name, uint32_t flags);
int client_verb_remove(struct test *t, const struct obj *dir, struct str name, uint32_t flags);
int client_verb_getattr(struct test *t, const struct obj *o);
int client_verb_setattr(struct test *t, const struct obj *o, const struct op_attr *attr, uint64_t open_id);
int client_verb_access(struct test *t, const struct obj *o, uint32_t want);
int client_verb_statfs(struct test *t, const struct obj *o);
int client_verb_get_xattr(struct test *t, const struct obj *o, struct str name, void *value, uint32_t size);
int client_verb_set_xattr(struct test *t, const struct obj *o, struct str name, struct str value, uint32_t flags);
int client_verb_list_xattr(struct test *t, const struct obj *o, char *names, uint32_t size);
int client_verb_remove_xattr(struct test *t, const struct obj *o, struct str name);
int client_verb_get_acl(struct test *t, const struct obj *o, void *acl, uint32_t size);
int client_verb_set_acl(struct test *t, const struct obj *o, struct str acl);
int client_verb_get_quota(struct test *t, const struct obj *o, struct op_quota *q, uint32_t flags);
int client_verb_set_quota(struct test *t, const struct obj *o, const struct op_quota *q);
int client_verb_read(struct test *t, const struct obj *o, const struct io *io);
int client_verb_write(struct test *t, const struct obj *o, const struct io *io);
int client_verb_commit(struct test *t, const struct obj *o, const struct range *r);
int client_verb_allocate(struct test *t, const struct obj *o, const struct range *r);
int client_verb_deallocate(struct test *t, const struct obj *o, const struct range *r);
int client_verb_zero(struct test *t, const struct obj *o, const struct range *r);
int client_verb_seek(struct test *t, const struct obj *o, uint64_t offset, uint32_t what);
int client_verb_clone(struct test *t, const struct obj *from, uint64_t offset, const struct obj *to, uint64_t to_offset,
                      uint64_t size);
int client_verb_copy(struct test *t, const struct obj *from, uint64_t offset, const struct obj *to, uint64_t to_offset,
                     uint64_t size);
int client_verb_close(struct test *t, uint64_t open_id);
int client_verb_sync(struct test *t, const struct obj *o);

#endif
