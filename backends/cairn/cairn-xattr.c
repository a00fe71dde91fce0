/* Extended attributes: a record each, in order of names. */
#include <string.h>

#include "backends/cairn/cairn.h"

int cairn_commit_with(struct cairn_node *n, struct meta_txn *txn)
{
	struct cairn_inode inode = cairn_inode_stored(n);
	if (n->n_dirty) {
		int err = cairn_flush(n, NULL);
		if (err) {
			meta_abandon(txn);
			return err;
		}
		inode = cairn_inode_stored(n);
	}
	cairn_touch(&inode, false);
	cairn_put_inode(txn, cairn_ino(n), &inode);
	int err = cairn_submit(n, txn);
	if (!err)
		n->inode = inode;
	return err;
}

int cairn_get_xattr(struct vfs_node *node, const struct vfs_name *name, void *value, uint32_t *size)
{
	struct meta_key key = meta_key_name(cairn_ino(cairn_node(node)), name->bytes, name->size);
	int err = meta_get(cairn_of(cairn_node(node))->meta, META_XATTRS, &key, value, size);
	return err == ERR_NOENT ? ERR_NODATA : err;
}

int cairn_set_xattr(struct vfs_node *node, const struct vfs_name *name, const void *value, uint32_t size, uint32_t flags)
{
	struct cairn_node *n = cairn_node(node);
	struct meta_key key = meta_key_name(cairn_ino(cairn_node(node)), name->bytes, name->size);
	struct meta_txn txn;
	uint32_t none = 0;
	int err = meta_get(cairn_of(n)->meta, META_XATTRS, &key, NULL, &none);
	bool there = err == 0 || err == ERR_TOOSMALL;
	if (!there && err != ERR_NOENT)
		return err;
	if (there && (flags & XATTR_SET_CREATE))
		return ERR_EXIST;
	if (!there && (flags & XATTR_SET_REPLACE))
		return ERR_NODATA;
	meta_begin(&txn);
	meta_put(&txn, META_XATTRS, &key, value, size);
	return cairn_commit_with(n, &txn);
}

int cairn_remove_xattr(struct vfs_node *node, const struct vfs_name *name)
{
	struct cairn_node *n = cairn_node(node);
	struct meta_key key = meta_key_name(cairn_ino(cairn_node(node)), name->bytes, name->size);
	struct meta_txn txn;
	uint32_t none = 0;
	int err = meta_get(cairn_of(n)->meta, META_XATTRS, &key, NULL, &none);
	if (err && err != ERR_TOOSMALL)
		return err == ERR_NOENT ? ERR_NODATA : err;
	meta_begin(&txn);
	txn.frees = true;
	meta_delete(&txn, META_XATTRS, &key);
	return cairn_commit_with(n, &txn);
}

struct lister {
	uint64_t ino;
	char *names;
	uint32_t room;
	uint32_t full;
};

static bool list_one(void *arg, const struct meta_record *r)
{
	struct lister *l = arg;
	if (meta_key_first(r->key) != l->ino)
		return false;
	uint32_t size = r->key->size - 8;
	if (l->full + size + 1 <= l->room) {
		memcpy(l->names + l->full, r->key->bytes + 8, size);
		l->names[l->full + size] = '\0';
	}
	l->full += size + 1;
	return true;
}

int cairn_list_xattr(struct vfs_node *node, char *names, uint32_t *size)
{
	struct cairn_node *n = cairn_node(node);
	struct lister l = {cairn_ino(n), names, *size, 0};
	struct meta_key key = meta_key_name(l.ino, "", 0);
	int err = meta_scan(cairn_of(n)->meta, META_XATTRS, &key, META_FROM, list_one, &l);
	*size = l.full;
	return err ? err : l.full > l.room ? ERR_TOOSMALL : 0;
}
