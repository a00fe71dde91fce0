/*
 * The command line: our own options, those of -o that are ours, and the rest of -o, which goes to libfuse and
 * the kernel. Called as mount.fuse.chimera by mount(8) it goes to the background once the mount is there.
 */
#include "fuse/mnt.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/str.h"
#include "chimerad/config.h"
#include "config.h"

static const char usage[] =
	"Usage: chimera-fuse [OPTION]... MOUNT[/PATH] DIR\n"
	"       chimera-fuse [OPTION]... --store BACKEND:[PATH][,KEY=VALUE]... DIR\n"
	"Mounts a directory of a running chimerad, or a store with no daemon, on DIR.\n"
	"\n"
	"  -c, --config FILE   chimera.conf, which says where chimerad is reached\n"
	"  -s, --socket PATH   chimerad's attach socket\n"
	"      --store SPEC    open this store here, such as memfs: or linux:/srv/data\n"
	"      --snapshot NAME show the store, or the mount, as it was then\n"
	"  -o OPTION[,...]     ro, allow_other, attr_timeout=SECONDS, writeback ...: see chimera-fuse(8)\n"
	"  -f, --foreground    stay in the foreground (the default)\n"
	"  -d, --detach        go to the background when the mount is there\n"
	"  -h, --help          this text\n"
	"  -V, --version       the version\n";

/* ---- -o */

struct choice {
	const char *name;
	void (*set)(struct mnt_options *opt, const char *value);
	bool takes_value;
};

static void pass_on(struct mnt_options *opt, const char *piece)
{
	char *joined;
	if (asprintf(&joined, "%s%s%s", opt->fuse_opts ? opt->fuse_opts : "", opt->fuse_opts ? "," : "", piece) < 0)
		return;
	free(opt->fuse_opts);
	opt->fuse_opts = joined;
}

static void set_ro(struct mnt_options *opt, const char *value)
{
	opt->read_only = true;
}

static void set_rw(struct mnt_options *opt, const char *value)
{
	opt->read_only = false;
}

static void set_writeback(struct mnt_options *opt, const char *value)
{
	opt->writeback = true;
}

static void set_direct_io(struct mnt_options *opt, const char *value)
{
	opt->direct_io = true;
}

static void set_lazy(struct mnt_options *opt, const char *value)
{
	opt->lazy = true;
}

/* It is the kernel's: it opens every file for synchronous writing. */
static void set_sync(struct mnt_options *opt, const char *value)
{
	opt->lazy = false;
	pass_on(opt, "sync");
}

static void set_server_permissions(struct mnt_options *opt, const char *value)
{
	opt->default_permissions = false;
}

static void set_attr_timeout(struct mnt_options *opt, const char *value)
{
	opt->attr_timeout = atof(value);
}

static void set_entry_timeout(struct mnt_options *opt, const char *value)
{
	opt->entry_timeout = atof(value);
}

static void set_reconnect(struct mnt_options *opt, const char *value)
{
	opt->reconnect_ms = (uint32_t)MIN(strtoul(value, NULL, 10), 4000000ul) * 1000;
}

static void set_cache(struct mnt_options *opt, const char *value)
{
	if (str_parse_size(value, &opt->cache_size))
		fprintf(stderr, "chimera-fuse: cache=%s is not a size\n", value);
}

static void set_text(char **text, const char *value)
{
	free(*text);
	*text = strdup(value);
}

static void set_socket(struct mnt_options *opt, const char *value)
{
	set_text(&opt->socket, value);
}

static void set_config(struct mnt_options *opt, const char *value)
{
	set_text(&opt->config, value);
}

static void set_snapshot(struct mnt_options *opt, const char *value)
{
	set_text(&opt->snapshot, value);
	opt->read_only = true;
}

static void ignore(struct mnt_options *opt, const char *value)
{
}

static const struct choice choices[] = {
	{"ro", set_ro, false},
	{"rw", set_rw, false},
	{"writeback", set_writeback, false},
	{"direct_io", set_direct_io, false},
	{"cache", set_cache, true},
	{"lazy", set_lazy, false},
	{"sync", set_sync, false},
	{"server_permissions", set_server_permissions, false},
	{"default_permissions", ignore, false},
	{"attr_timeout", set_attr_timeout, true},
	{"entry_timeout", set_entry_timeout, true},
	{"reconnect", set_reconnect, true},
	{"socket", set_socket, true},
	{"config", set_config, true},
	{"snapshot", set_snapshot, true},
	/* What fstab has for mount(8) and systemd. */
	{"defaults", ignore, false},
	{"_netdev", ignore, false},
	{"auto", ignore, false},
	{"noauto", ignore, false},
	{"nofail", ignore, false},
	{"user", ignore, false},
	{"nouser", ignore, false},
	{"users", ignore, false},
};

static int apply_piece(struct mnt_options *opt, char *piece)
{
	char *value = strchr(piece, '=');
	size_t size = value ? (size_t)(value - piece) : strlen(piece);
	if (str_starts(piece, "x-"))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(choices); i++) {
		const struct choice *c = &choices[i];
		if (strlen(c->name) != size || strncmp(c->name, piece, size))
			continue;
		if (c->takes_value != (value && value[1])) {
			fprintf(stderr, "chimera-fuse: -o %s %s\n", c->name, c->takes_value ? "needs a value" : "takes no value");
			return ERR_INVAL;
		}
		c->set(opt, value ? value + 1 : "");
		return 0;
	}
	pass_on(opt, piece);
	return 0;
}

static int apply_o(struct mnt_options *opt, char *list)
{
	char *piece;
	int err = 0;
	while (!err && (piece = str_next(&list, ',')))
		err = *piece ? apply_piece(opt, piece) : 0;
	return err;
}

/* ---- the command line */

enum { OPT_STORE = 256, OPT_SNAPSHOT };

static const struct option long_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"socket", required_argument, NULL, 's'},
	{"store", required_argument, NULL, OPT_STORE},
	{"snapshot", required_argument, NULL, OPT_SNAPSHOT},
	{"foreground", no_argument, NULL, 'f'},
	{"detach", no_argument, NULL, 'd'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

/* 0, or the exit code plus 1. */
static int apply_option(struct mnt_options *opt, int c)
{
	switch (c) {
	case 'c':
		set_text(&opt->config, optarg);
		return 0;
	case 's':
		set_text(&opt->socket, optarg);
		return 0;
	case OPT_STORE:
		set_text(&opt->source, optarg);
		opt->store = true;
		return 0;
	case OPT_SNAPSHOT:
		set_snapshot(opt, optarg);
		return 0;
	case 'o':
		return apply_o(opt, optarg) ? 3 : 0;
	case 'f':
		opt->detach = false;
		return 0;
	case 'd':
		opt->detach = true;
		return 0;
	case 'n': /* mount(8): don't write mtab; -s, too, but that letter is taken */
	case 'v':
		return 0;
	case 'h':
		fputs(usage, stdout);
		return 1;
	case 'V':
		puts("chimera-fuse " PACKAGE_VERSION);
		return 1;
	default:
		fputs("Try chimera-fuse --help.\n", stderr);
		return 3;
	}
}

/* MOUNT or a store, by form: a colon before any slash makes it a store. */
static void take_source(struct mnt_options *opt, const char *text)
{
	set_text(&opt->source, text);
	opt->store = strchr(text, ':') && (!strchr(text, '/') || strchr(text, ':') < strchr(text, '/'));
}

static int find_socket(struct mnt_options *opt)
{
	struct config_source source = {.file = opt->config, .environment = environ};
	struct config *cfg;
	struct bytes errors;
	if (opt->socket || opt->store)
		return 0;
	bytes_init(&errors, 0);
	int err = config_load(&cfg, &source, &errors);
	if (err)
		fprintf(stderr, "chimera-fuse: %s%s", bytes_str(&errors), errors.size ? "" : "chimera.conf can't be read\n");
	bytes_fini(&errors);
	if (err)
		return 2;
	set_socket(opt, config_text(cfg, "server", "attach_socket"));
	config_free(cfg);
	return 0;
}

int mnt_options_parse(struct mnt_options *opt, int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/');
	int c, done = 0;
	*opt = (struct mnt_options){.attr_timeout = 1, .entry_timeout = 1, .default_permissions = true};
	opt->detach = strcmp(name ? name + 1 : argv[0], "mount.fuse.chimera") == 0;
	while (!done && (c = getopt_long(argc, argv, "c:s:o:fdnvhV", long_options, NULL)) >= 0)
		done = apply_option(opt, c);
	if (done)
		return done;
	if (!opt->source && optind < argc)
		take_source(opt, argv[optind++]);
	if (!opt->source || argc - optind != 1) {
		fputs(usage, stderr);
		return 3;
	}
	set_text(&opt->dir, argv[optind]);
	/* Whatever other options say. */
	opt->read_only = opt->read_only || opt->snapshot;
	return find_socket(opt);
}

void mnt_options_free(struct mnt_options *opt)
{
	free(opt->source);
	free(opt->snapshot);
	free(opt->dir);
	free(opt->socket);
	free(opt->config);
	free(opt->fuse_opts);
}
