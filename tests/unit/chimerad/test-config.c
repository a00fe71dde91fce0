/* Shows which source of a setting wins, and that each mistake is named with file, line and the nearest name. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "chimerad/config.h"

static char file[64];
static struct bytes errors;

static int load(struct config **cfg, const char *text, char **environment, const char *override)
{
	struct config_source source = {.file = file, .environment = environment};
	int fd;
	strcpy(file, "/tmp/test-config-XXXXXX");
	fd = mkstemp(file);
	cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	if (override) {
		source.overrides = &override;
		source.n_overrides = 1;
	}
	bytes_init(&errors, 0);
	int err = config_load(cfg, &source, &errors);
	unlink(file);
	return err;
}

static void refuses(const char *text, const char *expect)
{
	struct config *cfg;
	char whole[512];
	cr_assert_eq(load(&cfg, text, NULL, NULL), ERR_INVAL, "%s", text);
	snprintf(whole, sizeof(whole), "%s:%s\n", file, expect);
	cr_assert_str_eq(bytes_str(&errors), whole);
	bytes_fini(&errors);
}

Test(config, defaults)
{
	struct config *cfg;
	cr_assert_eq(load(&cfg, "", NULL, NULL), 0);
	cr_assert_eq(config_number(cfg, "nfs", "port"), 2049);
	cr_assert_eq(config_number(cfg, "server", "spin"), 50000);
	cr_assert_eq(config_number(cfg, "ring", "buffers"), 32 << 20);
	cr_assert(config_bool(cfg, "nfs", "enable"));
	cr_assert(config_has(cfg, "nfs", "transports", "udp"));
	cr_assert(!config_has(cfg, "nfs", "transports", "ud"));
	cr_assert_eq(config_origin(cfg, "nfs", "port"), CONFIG_DEFAULT);
	config_free(cfg);
}

Test(config, every_default_is_valid)
{
	struct bytes text;
	struct config *cfg, *again;
	cr_assert_eq(load(&cfg, "", NULL, NULL), 0);
	bytes_init(&text, 0);
	config_print(cfg, true, &text);
	cr_assert_eq(load(&again, bytes_str(&text), NULL, NULL), 0, "%s", bytes_str(&errors));
	config_free(cfg);
	config_free(again);
	bytes_fini(&text);
}

Test(config, later_sources_win)
{
	char *environment[] = {"CHIMERA_NFS_PORT=3000", "CHIMERA_NFS_MOUNT_PORT=3001", NULL};
	struct config *cfg;
	cr_assert_eq(load(&cfg, "[nfs]\nport=1000\nmount_port=1001\nportmap_port=1002\n", environment, "nfs.port=4000"), 0);
	cr_assert_eq(config_number(cfg, "nfs", "port"), 4000);
	cr_assert_eq(config_origin(cfg, "nfs", "port"), CONFIG_COMMAND_LINE);
	cr_assert_eq(config_number(cfg, "nfs", "mount_port"), 3001);
	cr_assert_eq(config_origin(cfg, "nfs", "mount_port"), CONFIG_ENVIRONMENT);
	cr_assert_eq(config_number(cfg, "nfs", "portmap_port"), 1002);
	cr_assert_eq(config_origin(cfg, "nfs", "portmap_port"), CONFIG_FILE);
	config_free(cfg);
}

Test(config, directories_in_paths)
{
	struct config *cfg;
	cr_assert_eq(load(&cfg, "[server]\nrun_dir=/r\n", NULL, "server.attach_socket=${state_dir}/a"), 0);
	cr_assert_str_eq(config_text(cfg, "server", "control_socket"), "/r/control.sock");
	cr_assert_str_eq(config_text(cfg, "server", "attach_socket"), PKGSTATEDIR "/a");
	config_free(cfg);
}

Test(config, mistakes_are_named)
{
	refuses("[nfs]\n\nprot = 1\n", "3: unknown key \"prot\" in [nfs]; nearest is \"port\"");
	refuses("[nsf]\nport = 1\n", "1: unknown section [nsf]; nearest is [nfs]");
	refuses("[nfs]\nport = x\n", "2: port = \"x\" in [nfs]: it has to be a number from 0 to 65535");
	refuses("[nfs]\nport = 65536\n", "2: port = \"65536\" in [nfs]: it has to be a number from 0 to 65535");
	refuses("[nfs]\nhost = both\n", "2: host = \"both\" in [nfs]: it has to be one of: daemon inline");
	refuses("[nfs]\nport = 1\nport = 2\n", "3: \"port\" in [nfs] was set in line 2 already");
	refuses("port = 1\n", "1: \"port\" stands before the first section");
	refuses("[nfs]\nport\n", "2: expected KEY = VALUE");
	refuses("[log]\nlevels = vfs=loud\n", "2: levels = \"vfs=loud\" in [log]: it has to be MODULE=LEVEL items, a level "
	                                     "being error, warn, notice, info, debug or trace");
}

Test(config, all_mistakes_at_once)
{
	struct config *cfg;
	cr_assert_eq(load(&cfg, "[nfs]\nprot=1\nport=x\n", NULL, "nfs.threads"), ERR_INVAL);
	size_t n = 0;
	for (const char *p = bytes_str(&errors); (p = strchr(p, '\n')); p++)
		n++;
	cr_assert_eq(n, 3, "%s", bytes_str(&errors));
}

Test(config, a_named_file_has_to_be_there)
{
	struct config_source source = {.file = "/nonexistent/chimera.conf"};
	struct config *cfg;
	bytes_init(&errors, 0);
	cr_assert_eq(config_load(&cfg, &source, &errors), ERR_NOENT);
	cr_assert_str_eq(bytes_str(&errors), "/nonexistent/chimera.conf: no such file or directory\n");
}
