/* The options that all daemons have: where their configuration comes from. */
#include <unistd.h>

#include "base/cli.h"
#include "chimerad/config.h"

enum { EXIT_USAGE = 2 };

static const struct cli_option options[] = {
	{"config", 'c', "FILE", "read FILE instead of " PKGSYSCONFDIR "/chimera.conf"},
	{"option", 'o', "SECTION.KEY=VALUE", "set one option over the file's; can be given again"},
	{"check", 'C', NULL, "check the configuration and exit"},
};

struct taking {
	const struct cli_program *program;
	struct config_arguments *a;
};

static int take_option(void *arg, int letter, const char *value)
{
	struct taking *t = arg;
	struct config_arguments *a = t->a;
	if (letter == 'c')
		a->source.file = value;
	else if (letter == 'C')
		a->check = true;
	else if (a->source.n_overrides == CONFIG_OVERRIDES_MAX)
		return cli_refuse(t->program, "more than %u times -o", CONFIG_OVERRIDES_MAX);
	else
		a->overrides[a->source.n_overrides++] = value;
	return CLI_GO_ON;
}

int config_arguments(struct config_arguments *a, const char *name, const char *about, const char *more, int argc, char **argv)
{
	const struct cli_program program = {name, "", about, more, options, ARRAY_SIZE(options), EXIT_USAGE};
	struct taking t = {&program, a};
	int operand;
	*a = (struct config_arguments){.source = {.overrides = a->overrides, .environment = environ}};
	int status = cli_parse(&program, argc, argv, take_option, &t, &operand);
	if (status == CLI_GO_ON && operand < argc)
		status = cli_refuse(&program, "unexpected argument '%s'", argv[operand]);
	return status;
}
