/* fsck.cairn: checks a cairn store that nobody uses, and repairs it. */
#include "utils/fsck.cairn/fsck-cairn.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "loop/loop.h"
#include <config.h>

static const struct cli_option {
	const char *name;
	int letter;
	const char *argument;
	const char *help;
} cli_options[] = {
	{"check", 'n', NULL, "repair nothing, write nothing"},
	{"yes", 'y', NULL, "repair everything"},
	{"preen", 'p', NULL, "repair what loses nothing, unless there is worse"},
	{"data", 'd', NULL, "read all data too and verify its checksums"},
	{"output", 'o', "FORMAT", "text or json"},
	{"progress", 'P', NULL, "show progress, also when the standard error is not a terminal"},
	{"help", 'h', NULL, "print this and exit"},
	{"version", 'V', NULL, "print the version and exit"},
};

struct run {
	struct loop *loop;
	struct check_options options;
	struct check_report report;
	bool chosen; /* whether to repair */
	bool json;
	bool progress;
	char *why;
	int err;
};

static void print_help(void)
{
	printf("Usage: fsck.cairn [OPTION]... STORE\nChecks a cairn store that nobody uses, and repairs it.\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(cli_options); i++) {
		const struct cli_option *o = &cli_options[i];
		char left[48];
		snprintf(left, sizeof(left), "-%c, --%s%s%s", o->letter, o->name, o->argument ? "=" : "",
		         o->argument ? o->argument : "");
		printf("  %-24s %s\n", left, o->help);
	}
	printf("\nWithout -n, -p or -y it asks, on a terminal.\nSee fsck.cairn(8), cairn(5).\n");
}

static int choose(struct run *r, enum check_repair repair)
{
	if (r->chosen && r->options.repair != repair) {
		fprintf(stderr, "fsck.cairn: only one of -n, -p and -y can be given\n");
		return EXIT_USAGE;
	}
	r->chosen = true;
	r->options.repair = repair;
	return -1;
}

static int choose_format(struct run *r, const char *text)
{
	r->json = strcmp(text, "json") == 0;
	if (r->json || strcmp(text, "text") == 0)
		return -1;
	fprintf(stderr, "fsck.cairn: '%s' is no format: text or json\n", text);
	return EXIT_USAGE;
}

/* -1: go on, else the status to exit with. */
static int take_option(struct run *r, int letter)
{
	switch (letter) {
	case 'n': return choose(r, CHECK_ONLY);
	case 'y': return choose(r, CHECK_ALL);
	case 'p': return choose(r, CHECK_SAFE);
	case 'd': r->options.data = true; return -1;
	case 'o': return choose_format(r, optarg);
	case 'P': r->progress = true; return -1;
	case 'h': print_help(); return EXIT_CLEAN;
	case 'V': printf("fsck.cairn (%s) %s\n", PACKAGE_NAME, PACKAGE_VERSION); return EXIT_CLEAN;
	default: fprintf(stderr, "Try 'fsck.cairn --help'.\n"); return EXIT_USAGE;
	}
}

static int check_choice(const struct run *r, int n_operands)
{
	const char *what = n_operands != 1 ? "one store is wanted" : NULL;
	if (!what && !r->chosen && (r->json || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)))
		what = "nobody can be asked here whether to repair: -n, -p or -y is wanted";
	if (what)
		fprintf(stderr, "fsck.cairn: %s\nTry 'fsck.cairn --help'.\n", what);
	return what ? EXIT_USAGE : -1;
}

static int parse(struct run *r, int argc, char **argv)
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
		status = take_option(r, letter);
	if (status < 0)
		status = check_choice(r, argc - optind);
	r->options.path = argv[optind];
	if (r->progress || isatty(STDERR_FILENO))
		r->options.progress = progress_show;
	return status;
}

/* ---- running */

static void check(void *arg)
{
	struct run *r = arg;
	r->err = cairn_check(&r->options, &r->report, &r->why);
	loop_stop(r->loop);
}

static int run_check(struct run *r)
{
	int err = loop_create(&r->loop, &(struct loop_config){.engine = LOOP_EPOLL});
	if (!err)
		err = fiber_start(r->loop, check, r);
	if (!err) {
		loop_run(r->loop);
		loop_destroy(r->loop);
		err = r->err;
	}
	progress_end();
	return err;
}

static int status_of(const struct run *r)
{
	if (r->err)
		return EXIT_OPERATION;
	if (r->report.n_found > r->report.n_repaired)
		return EXIT_LEFT;
	return r->report.n_found ? EXIT_REPAIRED : EXIT_CLEAN;
}

static int check_once(struct run *r)
{
	r->err = run_check(r);
	int status = status_of(r);
	if (r->json)
		report_json(&r->options, &r->report, status);
	else if (!r->err || r->report.n_found)
		report_text(&r->options, &r->report);
	if (r->err)
		fprintf(stderr, "fsck.cairn: %s\n", r->why ? r->why : err_text(r->err));
	free(TAKE(r->why));
	check_report_fini(&r->report);
	return status;
}

static bool ask(void)
{
	char line[16];
	printf("Repair? [y/N] ");
	fflush(stdout);
	return fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y');
}

int main(int argc, char **argv)
{
	struct run r = {.options.repair = CHECK_ONLY};
	int status = parse(&r, argc, argv);
	if (status >= 0)
		return status;
	status = check_once(&r);
	if (r.chosen || status != EXIT_LEFT || !ask())
		return status;
	r.options.repair = CHECK_ALL;
	return check_once(&r);
}
