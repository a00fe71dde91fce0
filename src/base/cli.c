/* See cli.h. */
#include "base/cli.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"
#include <config.h>

#define LEFT_MIN 20

static const struct cli_option always[] = {
	{"help", 'h', NULL, "print this and exit"},
	{"version", 'V', NULL, "print the version and exit"},
};

static const struct cli_option *option_at(const struct cli_program *p, size_t i)
{
	return i < p->n_options ? &p->options[i] : &always[i - p->n_options];
}

static int format_left(const struct cli_option *o, char *text, size_t size)
{
	return snprintf(text, size, "-%c, --%s%s%s", o->letter, o->name, o->argument ? "=" : "", o->argument ? o->argument : "");
}

static void print_help(const struct cli_program *p)
{
	const size_t n = p->n_options + ARRAY_SIZE(always);
	int width = LEFT_MIN;
	printf("Usage: %s [OPTION]...%s%s\n%s\n\n", p->name, *p->operands ? " " : "", p->operands, p->about);
	for (size_t i = 0; i < n; i++)
		width = MAX(width, format_left(option_at(p, i), NULL, 0));
	for (size_t i = 0; i < n; i++) {
		char left[96];
		format_left(option_at(p, i), left, sizeof(left));
		printf("  %-*s %s\n", width, left, option_at(p, i)->help);
	}
	printf("\n%s\n", p->more);
}

static int take_always(const struct cli_program *p, int letter)
{
	if (letter == 'h') {
		print_help(p);
		return EXIT_SUCCESS;
	}
	if (letter == 'V') {
		printf("%s (%s) %s\n", p->name, PACKAGE_NAME, PACKAGE_VERSION);
		return EXIT_SUCCESS;
	}
	fprintf(stderr, "Try '%s --help'.\n", p->name);
	return p->usage_status;
}

static const struct cli_option *find(const struct cli_program *p, int letter)
{
	for (size_t i = 0; i < p->n_options; i++)
		if (p->options[i].letter == letter)
			return &p->options[i];
	return NULL;
}

int cli_parse(const struct cli_program *p, int argc, char **argv, cli_take_fn *take, void *arg, int *operand)
{
	const size_t n = p->n_options + ARRAY_SIZE(always);
	struct option longs[CLI_OPTIONS_MAX + ARRAY_SIZE(always) + 1] = {0};
	char shorts[2 * (CLI_OPTIONS_MAX + ARRAY_SIZE(always)) + 1] = "";
	int letter, status = CLI_GO_ON;
	for (size_t i = 0, at = 0; i < n; i++) {
		const struct cli_option *o = option_at(p, i);
		longs[i] = (struct option){o->name, o->argument ? required_argument : no_argument, NULL, o->letter};
		shorts[at++] = (char)o->letter;
		if (o->argument)
			shorts[at++] = ':';
	}
	while (status == CLI_GO_ON && (letter = getopt_long(argc, argv, shorts, longs, NULL)) != -1)
		status = find(p, letter) ? take(arg, letter, optarg) : take_always(p, letter);
	*operand = optind;
	return status;
}

int cli_refuse(const struct cli_program *p, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fprintf(stderr, "%s: ", p->name);
	vfprintf(stderr, format, args);
	fprintf(stderr, "\nTry '%s --help'.\n", p->name);
	va_end(args);
	return p->usage_status;
}
