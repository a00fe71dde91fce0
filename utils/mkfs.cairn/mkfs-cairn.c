/* mkfs.cairn: makes a cairn store in an empty directory. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cairn/cairn-super.h"
#include "base/err.h"
#include "base/str.h"
#include "loop/loop.h"
#include <config.h>

enum { EXIT_USAGE = 2 };

static const struct cli_option {
	const char *name;
	int letter;
	const char *argument;
	const char *help;
} cli_options[] = {
	{"label", 'L', "TEXT", "at most 64 bytes that tell people what it is"},
	{"capacity", 'c', "SIZE", "bytes of file data at most; without it as much as the host has"},
	{"tables", 't', "SIZE", "bytes of names and attributes at most (1T)"},
	{"journal", 'j', "SIZE", "bytes of the journal (a sixteenth of the capacity, 128M at most)"},
	{"quiet", 'q', NULL, "print nothing if all is well"},
	{"help", 'h', NULL, "print this and exit"},
	{"version", 'V', NULL, "print the version and exit"},
};

struct making {
	struct loop *loop;
	const char *path;
	struct cairn_store_options options;
	bool quiet;
	char *why;
	int err;
};

static void print_help(void)
{
	printf("Usage: mkfs.cairn [OPTION]... DIRECTORY\nMakes a cairn store in a directory that is empty or does not exist.\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(cli_options); i++) {
		const struct cli_option *o = &cli_options[i];
		char left[48];
		snprintf(left, sizeof(left), "-%c, --%s%s%s", o->letter, o->name, o->argument ? "=" : "",
		         o->argument ? o->argument : "");
		printf("  %-24s %s\n", left, o->help);
	}
	printf("\nSee mkfs.cairn(8), cairn(5).\n");
}

static int refuse_size(const char *text)
{
	fprintf(stderr, "mkfs.cairn: '%s' is not a size\n", text);
	return EXIT_USAGE;
}

/* -1: go on, else the status to exit with. */
static int take_option(struct making *m, int letter)
{
	switch (letter) {
	case 'L': m->options.label = optarg; return -1;
	case 'c': return str_parse_size(optarg, &m->options.capacity) ? refuse_size(optarg) : -1;
	case 't': return str_parse_size(optarg, &m->options.meta_size) ? refuse_size(optarg) : -1;
	case 'j': return str_parse_size(optarg, &m->options.journal_size) ? refuse_size(optarg) : -1;
	case 'q': m->quiet = true; return -1;
	case 'h': print_help(); return EXIT_SUCCESS;
	case 'V': printf("mkfs.cairn (%s) %s\n", PACKAGE_NAME, PACKAGE_VERSION); return EXIT_SUCCESS;
	default: fprintf(stderr, "Try 'mkfs.cairn --help'.\n"); return EXIT_USAGE;
	}
}

static int parse(struct making *m, int argc, char **argv)
{
	struct option longs[ARRAY_SIZE(cli_options) + 1] = {0};
	char shorts[2 * ARRAY_SIZE(cli_options) + 1] = "";
	int letter, status = -1;
	for (size_t i = 0, at = 0; i < ARRAY_SIZE(cli_options); i++) {
		longs[i] = (struct option){cli_options[i].name, cli_options[i].argument != NULL, NULL, cli_options[i].letter};
		shorts[at++] = (char)cli_options[i].letter;
		if (cli_options[i].argument)
			shorts[at++] = ':';
	}
	while (status < 0 && (letter = getopt_long(argc, argv, shorts, longs, NULL)) != -1)
		status = take_option(m, letter);
	if (status < 0 && optind + 1 != argc) {
		fprintf(stderr, "mkfs.cairn: one directory is wanted\nTry 'mkfs.cairn --help'.\n");
		status = EXIT_USAGE;
	}
	m->path = argv[optind];
	return status;
}

static void make(void *arg)
{
	struct making *m = arg;
	m->err = cairn_store_create(m->path, &m->options, &m->why);
	loop_stop(m->loop);
}

int main(int argc, char **argv)
{
	struct making m = {.quiet = false};
	int status = parse(&m, argc, argv);
	if (status >= 0)
		return status;
	m.err = loop_create(&m.loop, &(struct loop_config){.engine = LOOP_EPOLL});
	if (!m.err)
		m.err = fiber_start(m.loop, make, &m);
	if (!m.err) {
		loop_run(m.loop);
		loop_destroy(m.loop);
	}
	if (m.err)
		fprintf(stderr, "mkfs.cairn: %s\n", m.why ? m.why : err_text(m.err));
	else if (!m.quiet)
		printf("%s is a cairn store, format %d\n", m.path, CAIRN_FORMAT);
	free(m.why);
	return m.err ? EXIT_FAILURE : EXIT_SUCCESS;
}
