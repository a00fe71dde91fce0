/* Keys of the table of folded names. */
#include <string.h>

#include "backends/cairn/cairn.h"
#include "base/hash.h"
#include "base/utf8.h"

#define KEY_HEAD 16u /* directory and hash, before the name */

bool cairn_fold_key_of(const uint8_t uuid[16], uint64_t dir, const struct vfs_name *name, struct meta_key *key)
{
	uint8_t folded[UTF8_FOLD_ROOM(OP_NAME_MAX)];
	uint32_t size = utf8_fold_name(name->bytes, name->size, folded);
	*key = meta_key_pair(dir, hash_sip24(uuid, folded, size));
	memcpy(key->bytes + KEY_HEAD, name->bytes, name->size);
	key->size += name->size;
	return size != name->size || memcmp(folded, name->bytes, size) != 0;
}
