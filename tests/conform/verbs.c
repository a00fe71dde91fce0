/* The verbs as cases write them: C strings for names, the common argument alone. */
#include "tests/conform/conform.h"

struct str str(const char *s)
{
	return (struct str){s, strlen(s)};
}

static struct op_attr mode_attr(uint32_t mode)
{
	return (struct op_attr){.mask = ATTR_MODE, .mode = mode};
}

int fs_lookup(struct test *t, const struct obj *dir, const char *name, struct obj *out)
{
	return t->drv->lookup(t, dir, str(name), out);
}

int fs_path(struct test *t, const struct obj *dir, const char *path, struct obj *out)
{
	return t->drv->lookup_path(t, dir, str(path), out);
}

int fs_parent(struct test *t, const struct obj *o, struct obj *out)
{
	return t->drv->parent(t, o, out);
}

int fs_readlink(struct test *t, const struct obj *o, char *target, uint32_t size)
{
	return t->drv->readlink(t, o, target, size);
}

int fs_readdir(struct test *t, const struct obj *dir, struct scan *s)
{
	return t->drv->readdir(t, dir, s);
}

int fs_create(struct test *t, const struct obj *dir, const char *name, uint32_t mode, struct obj *out)
{
	struct open_how how = {.disposition = OPEN_GUARDED, .flags = OPEN_NO_STATE, .attr = mode_attr(mode)};

	return t->drv->open(t, dir, str(name), &how, out);
}

int fs_open(struct test *t, const struct obj *dir, const char *name, const struct open_how *how, struct obj *out)
{
	return t->drv->open(t, dir, str(name), how, out);
}

int fs_open_obj(struct test *t, const struct obj *o, uint32_t access)
{
	struct open_how how = {.disposition = OPEN_EXISTING, .access = access};
	struct obj same;

	return t->drv->open(t, o, str(""), &how, &same);
}

int fs_close(struct test *t, uint64_t open_id)
{
	return t->drv->close(t, open_id);
}

int fs_create_unlinked(struct test *t, const struct obj *dir, uint32_t mode, struct obj *out)
{
	struct open_how how = {.access = OPEN_READ | OPEN_WRITE, .attr = mode_attr(mode)};

	return t->drv->create_unlinked(t, dir, &how, out);
}

int fs_mkdir(struct test *t, const struct obj *dir, const char *name, uint32_t mode, struct obj *out)
{
	struct op_attr attr = mode_attr(mode);

	return t->drv->mkdir(t, dir, str(name), &attr, out);
}

int fs_mknod(struct test *t, const struct obj *dir, const char *name, const struct op_attr *attr, struct obj *out)
{
	return t->drv->mknod(t, dir, str(name), attr, out);
}

int fs_symlink(struct test *t, const struct obj *dir, const char *name, const char *target, struct obj *out)
{
	return t->drv->symlink(t, dir, str(name), str(target), out);
}

int fs_link(struct test *t, const struct obj *o, const struct obj *dir, const char *name)
{
	return t->drv->link(t, o, dir, str(name));
}

int fs_rename(struct test *t, const struct obj *from, const char *name, const struct obj *to, const char *to_name)
{
	return t->drv->rename(t, from, str(name), to, str(to_name), RENAME_REPLACE);
}

int fs_rename_flags(struct test *t, const struct obj *from, const char *name, const struct obj *to, const char *to_name,
                    uint32_t flags)
{
	return t->drv->rename(t, from, str(name), to, str(to_name), flags);
}

int fs_unlink(struct test *t, const struct obj *dir, const char *name)
{
	return t->drv->remove(t, dir, str(name), REMOVE_FILE);
}

int fs_rmdir(struct test *t, const struct obj *dir, const char *name)
{
	return t->drv->remove(t, dir, str(name), REMOVE_DIR);
}

int fs_getattr(struct test *t, const struct obj *o)
{
	return t->drv->getattr(t, o);
}

int fs_setattr(struct test *t, const struct obj *o, const struct op_attr *attr)
{
	return t->drv->setattr(t, o, attr, 0);
}

int fs_chmod(struct test *t, const struct obj *o, uint32_t mode)
{
	struct op_attr attr = mode_attr(mode);

	return t->drv->setattr(t, o, &attr, 0);
}

int fs_chown(struct test *t, const struct obj *o, uint32_t uid, uint32_t gid)
{
	struct op_attr attr = {.uid = uid, .gid = gid};

	attr.mask = (uid == UINT32_MAX ? 0 : ATTR_UID) | (gid == UINT32_MAX ? 0 : ATTR_GID);
	return t->drv->setattr(t, o, &attr, 0);
}

int fs_truncate(struct test *t, const struct obj *o, uint64_t size)
{
	struct op_attr attr = {.mask = ATTR_SIZE, .size = size};

	return t->drv->setattr(t, o, &attr, 0);
}

int fs_utimes(struct test *t, const struct obj *o, struct op_time atime, struct op_time mtime)
{
	struct op_attr attr = {.mask = ATTR_ATIME | ATTR_MTIME, .atime = atime, .mtime = mtime};

	return t->drv->setattr(t, o, &attr, 0);
}

int fs_touch(struct test *t, const struct obj *o)
{
	struct op_attr attr = {.mask = ATTR_ATIME_NOW | ATTR_MTIME_NOW};

	return t->drv->setattr(t, o, &attr, 0);
}

int fs_access(struct test *t, const struct obj *o, uint32_t want)
{
	return t->drv->access(t, o, want);
}

int fs_statfs(struct test *t, const struct obj *o)
{
	return t->drv->statfs(t, o);
}

int fs_get_xattr(struct test *t, const struct obj *o, const char *name, void *value, uint32_t size)
{
	return t->drv->get_xattr(t, o, str(name), value, size);
}

int fs_set_xattr(struct test *t, const struct obj *o, const char *name, const char *value, uint32_t flags)
{
	return t->drv->set_xattr(t, o, str(name), str(value), flags);
}

int fs_list_xattr(struct test *t, const struct obj *o, char *names, uint32_t size)
{
	return t->drv->list_xattr(t, o, names, size);
}

int fs_remove_xattr(struct test *t, const struct obj *o, const char *name)
{
	return t->drv->remove_xattr(t, o, str(name));
}

int fs_get_acl(struct test *t, const struct obj *o, void *acl, uint32_t size)
{
	return t->drv->get_acl(t, o, acl, size);
}

int fs_set_acl(struct test *t, const struct obj *o, const void *acl, size_t size)
{
	return t->drv->set_acl(t, o, (struct str){acl, size});
}

int fs_get_quota(struct test *t, const struct obj *o, struct op_quota *q, uint32_t flags)
{
	return t->drv->get_quota(t, o, q, flags);
}

int fs_set_quota(struct test *t, const struct obj *o, const struct op_quota *q)
{
	return t->drv->set_quota(t, o, q);
}

int fs_io(struct test *t, const struct obj *o, const struct io *io, bool write)
{
	return write ? t->drv->write(t, o, io) : t->drv->read(t, o, io);
}

int fs_read(struct test *t, const struct obj *o, uint64_t offset, void *data, uint32_t size)
{
	return t->drv->read(t, o, &(struct io){.offset = offset, .data = data, .size = size});
}

int fs_write(struct test *t, const struct obj *o, uint64_t offset, const void *data, uint32_t size)
{
	return t->drv->write(t, o, &(struct io){.offset = offset, .data = (void *)data, .size = size});
}

int fs_write_text(struct test *t, const struct obj *o, uint64_t offset, const char *text)
{
	return fs_write(t, o, offset, text, (uint32_t)strlen(text));
}

int fs_append(struct test *t, const struct obj *o, const void *data, uint32_t size)
{
	return t->drv->write(t, o, &(struct io){.data = (void *)data, .size = size, .flags = WRITE_APPEND});
}

int fs_commit(struct test *t, const struct obj *o)
{
	return t->drv->commit(t, o, &(struct range){0});
}

int fs_allocate(struct test *t, const struct obj *o, uint64_t offset, uint64_t size, uint32_t flags)
{
	return t->drv->allocate(t, o, &(struct range){.offset = offset, .size = size, .flags = flags});
}

int fs_deallocate(struct test *t, const struct obj *o, uint64_t offset, uint64_t size)
{
	return t->drv->deallocate(t, o, &(struct range){.offset = offset, .size = size});
}

int fs_zero(struct test *t, const struct obj *o, uint64_t offset, uint64_t size, uint32_t flags)
{
	return t->drv->zero(t, o, &(struct range){.offset = offset, .size = size, .flags = flags});
}

int fs_seek(struct test *t, const struct obj *o, uint64_t offset, uint32_t what)
{
	return t->drv->seek(t, o, offset, what);
}

int fs_copy(struct test *t, const struct obj *from, uint64_t offset, const struct obj *to, uint64_t to_offset,
            uint64_t size)
{
	return t->drv->copy(t, from, offset, to, to_offset, size);
}

int fs_clone(struct test *t, const struct obj *from, uint64_t offset, const struct obj *to, uint64_t to_offset,
             uint64_t size)
{
	return t->drv->clone(t, from, offset, to, to_offset, size);
}
