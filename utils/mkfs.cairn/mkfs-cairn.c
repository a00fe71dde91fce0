/* mkfs.cairn: makes a cairn store in an empty directory. */
#include <stdio.h>
#include <stdlib.h>

#include "backends/cairn/cairn-super.h"
#include "base/cli.h"
#include "base/err.h"
#include "base/str.h"
#include "loop/loop.h"

enum { EXIT_USAGE = 2 };

static const struct cli_option options[] = {
	{"label", 'L', "TEXT", "at most 64 bytes that tell people what it is"},
	{"capacity", 'c', "SIZE", "bytes of file data at most; without it as much as the host has"},
	{"tables", 't', "SIZE", "bytes of names and attributes at most (1T)"},
	{"journal", 'j', "SIZE", "bytes of the journal (a sixteenth of the capacity, 128M at most)"},
	{"quiet", 'q', NULL, "print nothing if all is well"},
};

static const struct cli_program program = {
	"mkfs.cairn", "DIRECTORY", "Makes a cairn store in a directory that is empty or does not exist.", "See mkfs.cairn(8), cairn(5).",
	options, ARRAY_SIZE(options), EXIT_USAGE};

struct making {
	struct loop *loop;
	const char *path;
	struct cairn_store_options options;
	bool quiet;
	char *why;
	int err;
};

static int take_size(const char *text, uint64_t *size)
{
	return str_parse_size(text, size) ? cli_refuse(&program, "'%s' is not a size", text) : CLI_GO_ON;
}

static int take_option(void *arg, int letter, const char *value)
{
	struct making *m = arg;
	switch (letter) {
	case 'L': m->options.label = value; return CLI_GO_ON;
	case 'c': return take_size(value, &m->options.capacity);
	case 't': return take_size(value, &m->options.meta_size);
	case 'j': return take_size(value, &m->options.journal_size);
	default: m->quiet = true; return CLI_GO_ON;
	}
}

static int parse(struct making *m, int argc, char **argv)
{
	int operand, status = cli_parse(&program, argc, argv, take_option, m, &operand);
	if (status == CLI_GO_ON && operand + 1 != argc)
		status = cli_refuse(&program, "one directory is wanted");
	m->path = argv[operand];
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
