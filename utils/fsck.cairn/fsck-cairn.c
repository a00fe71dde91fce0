/* fsck.cairn: checks a cairn store that nobody uses, and repairs it. */
#include "utils/fsck.cairn/fsck-cairn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/err.h"
#include "base/log.h"
#include "loop/loop.h"

static const struct cli_option options[] = {
	{"check", 'n', NULL, "repair nothing, write nothing"},
	{"yes", 'y', NULL, "repair everything"},
	{"preen", 'p', NULL, "repair what loses nothing, unless there is worse"},
	{"data", 'd', NULL, "read all data too and verify its checksums"},
	{"output", 'o', "FORMAT", "text or json"},
	{"progress", 'P', NULL, "show progress, also when the standard error is not a terminal"},
};

static const struct cli_program program = {
	"fsck.cairn", "STORE", "Checks a cairn store that nobody uses, and repairs it.",
	"Without -n, -p or -y it asks, on a terminal.\nSee fsck.cairn(8), cairn(5).", options, ARRAY_SIZE(options), EXIT_USAGE};

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

static int choose(struct run *r, enum check_repair repair)
{
	if (r->chosen && r->options.repair != repair)
		return cli_refuse(&program, "only one of -n, -p and -y can be given");
	r->chosen = true;
	r->options.repair = repair;
	return CLI_GO_ON;
}

static int choose_format(struct run *r, const char *text)
{
	r->json = strcmp(text, "json") == 0;
	return r->json || strcmp(text, "text") == 0 ? CLI_GO_ON : cli_refuse(&program, "'%s' is no format: text or json", text);
}

static int take_option(void *arg, int letter, const char *value)
{
	struct run *r = arg;
	switch (letter) {
	case 'n': return choose(r, CHECK_ONLY);
	case 'y': return choose(r, CHECK_ALL);
	case 'p': return choose(r, CHECK_SAFE);
	case 'o': return choose_format(r, value);
	case 'd': r->options.data = true; return CLI_GO_ON;
	default: r->progress = true; return CLI_GO_ON;
	}
}

static int parse(struct run *r, int argc, char **argv)
{
	int operand, status = cli_parse(&program, argc, argv, take_option, r, &operand);
	if (status == CLI_GO_ON && argc - operand != 1)
		status = cli_refuse(&program, "one store is wanted");
	else if (status == CLI_GO_ON && !r->chosen && (r->json || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)))
		status = cli_refuse(&program, "nobody can be asked here whether to repair: -n, -p or -y is wanted");
	r->options.path = argv[operand];
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
