/* The VFS that the drivers "local" and "ring" test. */
#include "tests/conform/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/builtin.h"
#include "backends/fault/backend.h"
#include "backends/fault/fault.h"
#include "base/cleanup.h"
#include "tests/conform/driver-client.h"

#define OPTIONS_MAX 32

static struct vfs_mount *faulty;

static int mount_store(struct vfs *vfs, const struct driver_config *cfg, char **why)
{
	struct vfs_option options[OPTIONS_MAX + 1] = {0};
	struct vfs_mount_spec spec = {.id = 1, .name = SERVE_MOUNT, .backend = cfg->backend, .read_only = cfg->read_only,
	                              .options = options};
	char *copies[OPTIONS_MAX] = {0};
	unsigned i;
	int err;

	for (i = 0; cfg->options && cfg->options[i] && i < OPTIONS_MAX; i++) {
		copies[i] = strdup(cfg->options[i]);
		options[i].key = strsep(&copies[i], "=");
		options[i].value = copies[i] ? copies[i] : "yes";
	}
	err = vfs_mount(vfs, &spec, why);
	while (i-- > 0)
		free((char *)options[i].key);
	return err;
}

static bool find_mount(void *arg, struct vfs_mount *m, const struct op_statfs *st)
{
	*(struct vfs_mount **)arg = m;
	return false;
}

bool serve_faulty(void)
{
	return faulty;
}

void serve_fault(const char *rules)
{
	CLEANUP_FREE char *why = NULL;

	if (fault_set_rules(faulty, rules, &why)) {
		fprintf(stderr, "conform: %s\n", why);
		abort();
	}
}

uint64_t serve_fault_hits(void)
{
	return fault_of(faulty)->rules[0].hits;
}

int serve_open(struct served *s, const struct driver_config *cfg)
{
	struct vfs_config vfs_cfg = {.state_dir = s->state_dir};
	CLEANUP_FREE char *why = NULL;
	int err;

	*s = (struct served){.state_dir = "/tmp/conform-state-XXXXXX"};
	if (!mkdtemp(s->state_dir))
		return err_from_errno(errno);
	backends_register();
	err = vfs_create(&s->vfs, &vfs_cfg, &why);
	if (!err)
		err = mount_store(s->vfs, cfg, &why);
	if (!err && !strcmp(cfg->backend, "fault"))
		vfs_each_mount(s->vfs, find_mount, &faulty);
	if (err)
		fprintf(stderr, "conform: %s: %s\n", cfg->backend, why ? why : err_text(err));
	return err;
}

void serve_close(struct served *s)
{
	char command[128];

	if (s->vfs)
		vfs_destroy(s->vfs);
	s->vfs = NULL;
	snprintf(command, sizeof(command), "rm -rf '%s'", s->state_dir);
	if (system(command))
		fprintf(stderr, "conform: %s stays\n", s->state_dir);
}

int serve_root(struct test *t, const char *name, struct obj *root)
{
	return client_verb_lookup_path(t, &(struct obj){0}, str(name), root);
}
