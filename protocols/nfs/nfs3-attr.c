/* Attributes between the VFS and RFC 1813 section 2.5 and 2.6. */
#include "protocols/nfs/nfs3-impl.h"

#define MODE_MASK 07777u
#define ATTR_WANTED (ATTR_TYPE | ATTR_MODE | ATTR_SIZE | ATTR_FILEID)

static const uint8_t types[] = {
	[OP_TYPE_NONE] = NF3REG,      [OP_TYPE_FILE] = NF3REG,  [OP_TYPE_DIR] = NF3DIR,   [OP_TYPE_SYMLINK] = NF3LNK,
	[OP_TYPE_BLOCK] = NF3BLK,     [OP_TYPE_CHAR] = NF3CHR,  [OP_TYPE_FIFO] = NF3FIFO, [OP_TYPE_SOCKET] = NF3SOCK,
};

/* Seconds are unsigned and 32 bits wide here: what lies outside is moved to the nearest that can be said. */
static struct nfstime3 to_time3(const struct op_time *t)
{
	if (unlikely(t->sec < 0))
		return (struct nfstime3){0, 0};
	if (unlikely(t->sec > UINT32_MAX))
		return (struct nfstime3){UINT32_MAX, 999999999};
	return (struct nfstime3){(uint32_t)t->sec, t->nsec};
}

static struct op_time from_time3(const struct nfstime3 *t)
{
	return (struct op_time){.sec = t->seconds, .nsec = t->nseconds};
}

void nfs3_fattr(const struct op_attr *a, struct fattr3 *out)
{
	out->type = (enum ftype3)(a->type < ARRAY_SIZE(types) ? types[a->type] : NF3REG);
	out->mode = a->mode & MODE_MASK;
	out->nlink = a->nlink;
	out->uid = a->uid;
	out->gid = a->gid;
	out->size = a->size;
	out->used = a->space;
	out->rdev = (struct specdata3){a->rdev_major, a->rdev_minor};
	out->fsid = a->fsid;
	out->fileid = a->fileid;
	out->atime = to_time3(&a->atime);
	out->mtime = to_time3(&a->mtime);
	out->ctime = to_time3(&a->ctime);
}

void nfs3_post(const struct op_attr *a, struct post_op_attr *out)
{
	out->attributes_follow = (a->mask & ATTR_WANTED) == ATTR_WANTED;
	if (out->attributes_follow)
		nfs3_fattr(a, &out->attributes);
}

void nfs3_wcc(const struct op_wcc *w, struct wcc_data *out)
{
	out->before.attributes_follow = w->pre.valid;
	if (w->pre.valid) {
		out->before.attributes.size = w->pre.size;
		out->before.attributes.mtime = to_time3(&w->pre.mtime);
		out->before.attributes.ctime = to_time3(&w->pre.ctime);
	}
	nfs3_post(&w->post, &out->after);
}

static void set_atime(const struct set_time *in, struct op_attr *a)
{
	if (in->set_it == SET_TO_SERVER_TIME)
		a->mask |= ATTR_ATIME_NOW;
	if (in->set_it == SET_TO_CLIENT_TIME) {
		a->mask |= ATTR_ATIME;
		a->atime = from_time3(&in->time);
	}
}

static void set_mtime(const struct set_time *in, struct op_attr *a)
{
	if (in->set_it == SET_TO_SERVER_TIME)
		a->mask |= ATTR_MTIME_NOW;
	if (in->set_it == SET_TO_CLIENT_TIME) {
		a->mask |= ATTR_MTIME;
		a->mtime = from_time3(&in->time);
	}
}

void nfs3_sattr(const struct sattr3 *in, struct op_attr *a)
{
	a->mask = (in->has_mode ? ATTR_MODE : 0) | (in->has_uid ? ATTR_UID : 0) | (in->has_gid ? ATTR_GID : 0) |
		  (in->has_size ? ATTR_SIZE : 0);
	if (in->has_mode)
		a->mode = in->mode & MODE_MASK;
	if (in->has_uid)
		a->uid = in->uid;
	if (in->has_gid)
		a->gid = in->gid;
	if (in->has_size)
		a->size = in->size;
	set_atime(&in->atime, a);
	set_mtime(&in->mtime, a);
}

struct xdr_bytes nfs3_fh(const struct op_handle *h)
{
	return (struct xdr_bytes){h->bytes, h->size};
}
