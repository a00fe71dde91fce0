/*
 * Command lines of programs that take options and operands: one table of options gives the parser and the help. --help
 * and --version are part of every program and need not be in the table.
 */
#ifndef BASE_CLI_H
#define BASE_CLI_H

#include <stddef.h>

struct cli_option {
	const char *name;
	int letter;
	const char *argument; /* what it is called in the help; NULL: the option has none */
	const char *help;
};

struct cli_program {
	const char *name;
	const char *operands; /* as the help shows them; "": there are none */
	const char *about;    /* a sentence */
	const char *more;     /* ends the help: where to read on */
	const struct cli_option *options;
	size_t n_options;     /* at most CLI_OPTIONS_MAX */
	int usage_status;     /* to exit with when the command line is not right */
};

#define CLI_OPTIONS_MAX 32u
#define CLI_GO_ON -1

/* One option, with its argument or NULL. CLI_GO_ON, or the status to exit with after a message of its own. */
typedef int cli_take_fn(void *arg, int letter, const char *value);

/*
 * cli_parse() - CLI_GO_ON, with *operand the index of the first operand, else the status to exit with: what there is to
 * be told has been. Options may follow operands, which are put behind them.
 */
int cli_parse(const struct cli_program *p, int argc, char **argv, cli_take_fn *take, void *arg, int *operand);
/* cli_refuse() - tells that the command line is not right, with a sentence; the status to exit with. */
int cli_refuse(const struct cli_program *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
