/* A store opened by this process itself, with no daemon: "BACKEND:[PATH][,KEY=VALUE]...". */
#include "fuse/mnt.h"

#include <stdlib.h>
#include <string.h>

#include "backends/builtin.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "vfs/vfs.h"

#define OPTIONS_MAX 16

/* Cuts spec in place. A first piece without '=' is the path; an empty one is none. */
static int parse_spec(char *spec, struct vfs_option *options, const char *snapshot)
{
	char *piece = str_next(&spec, ',');
	int n = 0;
	if (piece && !*piece)
		piece = str_next(&spec, ',');
	for (; piece; piece = str_next(&spec, ',')) {
		char *value = strchr(piece, '=');
		if (n == OPTIONS_MAX || (!value && n > 0))
			return ERR_INVAL;
		if (value)
			*value++ = 0;
		options[n++] = value ? (struct vfs_option){piece, value} : (struct vfs_option){"path", piece};
	}
	if (snapshot)
		options[n++] = (struct vfs_option){"snapshot", snapshot};
	options[n] = (struct vfs_option){NULL, NULL};
	return 0;
}

int mnt_store_open(struct mnt *m, char **why)
{
	const struct vfs_config cfg = {.cache_size = m->opt.cache_size};
	struct vfs_option options[OPTIONS_MAX + 2];
	CLEANUP_FREE char *spec = strdup(m->opt.source);
	char *colon = spec ? strchr(spec, ':') : NULL;
	if (!colon || parse_spec(colon + 1, options, m->opt.snapshot)) {
		*why = strdup("a store is BACKEND:[PATH][,KEY=VALUE]...");
		return ERR_INVAL;
	}
	*colon = 0;
	backends_register();
	struct vfs_mount_spec mount = {
		.id = 1, .name = "store", .backend = spec, .read_only = m->opt.read_only, .options = options,
	};
	int err = vfs_create(&m->vfs, &cfg, why);
	if (!err)
		err = vfs_mount(m->vfs, &mount, why);
	return err;
}

void mnt_store_close(struct mnt *m)
{
	if (m->vfs)
		vfs_destroy(TAKE(m->vfs));
}
