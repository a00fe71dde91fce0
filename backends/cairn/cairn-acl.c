/* ACLs: a record each, of inodes that say that they have one. In memory they are their nodes'. */
#include <stdlib.h>

#include "backends/cairn/cairn.h"
#include "base/cleanup.h"

int cairn_load_acl(struct cairn *fs, uint64_t ino, struct acl **acl)
{
	struct meta_key key = meta_key_number(ino);
	uint32_t size = OP_ACL_MAX;
	CLEANUP_FREE uint8_t *bytes = malloc(size);
	int err = bytes ? meta_get(fs->meta, META_ACLS, &key, bytes, &size) : ERR_NOMEM;
	if (!err)
		err = acl_parse(bytes, size, acl);
	/* An inode without the ACL that it should have is for nobody. */
	return err == ERR_NOMEM || err == 0 ? err : ERR_IO;
}

void cairn_put_acl(struct meta_txn *txn, uint64_t ino, const struct acl *acl)
{
	struct meta_key key = meta_key_number(ino);
	meta_put(txn, META_ACLS, &key, acl->bytes, acl->size);
}

static void put_or_delete(struct meta_txn *txn, uint64_t ino, const struct acl *acl, struct cairn_inode *inode)
{
	struct meta_key key = meta_key_number(ino);
	inode->flags &= ~(uint32_t)CAIRN_HAS_ACL;
	if (acl) {
		inode->flags |= CAIRN_HAS_ACL;
		cairn_put_acl(txn, ino, acl);
	} else {
		txn->frees = true;
		meta_delete(txn, META_ACLS, &key);
	}
}

int cairn_set_acl(struct vfs_node *node, const struct acl *acl, uint32_t mode)
{
	struct cairn_node *n = cairn_node(node);
	CLEANUP_FREE struct acl *copy = acl ? acl_copy(acl) : NULL;
	struct meta_txn txn;
	int err = acl && !copy ? ERR_NOMEM : n->n_dirty ? cairn_flush(n, NULL) : 0;
	if (err)
		return err;
	struct cairn_inode inode = cairn_inode_stored(n);
	meta_begin(&txn);
	put_or_delete(&txn, cairn_ino(n), acl, &inode);
	inode.attr.mode = mode;
	cairn_touch(&inode, false);
	cairn_put_inode(&txn, cairn_ino(n), &inode);
	err = cairn_submit(n, &txn);
	if (err)
		return err;
	n->inode = inode;
	free(node->acl);
	node->acl = TAKE(copy);
	return 0;
}
