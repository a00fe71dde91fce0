/*
 * chimeractl: one table of nouns and verbs (table.c) yields parsing, help, completion, man pages and
 * output. Everything runs once and blocks; memory comes from one arena and goes with the process.
 */
#ifndef UTILS_CHIMERACTL_H
#define UTILS_CHIMERACTL_H

#include "base/arena.h"
#include "base/json.h"
#include "catalogue/catalogue.h"
#include "catalogue/control-wire.h"

/* Exit codes. */
enum {
	CTL_DONE = 0,
	CTL_FAILED = 1,
	CTL_USAGE = 2,
	CTL_NOT_FOUND = 3,
	CTL_EXISTS = 4,
	CTL_DENIED = 5,
	CTL_UNREACHABLE = 6,
	CTL_CONFLICT = 7,
	CTL_PARTLY = 8,
};

enum ctl_format { FORMAT_TABLE, FORMAT_WIDE, FORMAT_JSON, FORMAT_JSONL, FORMAT_NAME };

/* How a JSON value becomes a cell. */
enum ctl_cell { CELL_TEXT, CELL_SIZE, CELL_BOOL, CELL_LIST, CELL_TIME, CELL_DURATION, CELL_PAIRS };

struct ctl_column {
	const char *title;
	const char *key; /* with a dot: a member of a member */
	enum ctl_cell cell;
	bool wide; /* only with -o wide */
};

struct ctl_option {
	const char *name;    /* without dashes */
	const char *metavar; /* NULL: takes no value */
	const char *key;     /* of the request; "" : VALUE is KEY=VALUE itself */
	const char *help;
};

enum ctl_shape { SHAPE_NOTHING, SHAPE_LIST, SHAPE_OBJECT, SHAPE_CHANGES, SHAPE_TEXT };

struct ctl_command;

struct ctl_verb {
	const char *name; /* "" for a noun that is a command itself */
	const char *operands[2];     /* metavars; NULL: none. All are required */
	const char *operand_keys[2]; /* in the request */
	const char *wire_noun;       /* NULL: the noun's name */
	const char *wire_verb;       /* NULL: the verb's name */
	enum ctl_shape shape;
	bool takes_fields; /* the options of the catalogue's kind too */
	const struct ctl_option *options;
	uint32_t n_options;
	/* Before the request; CTL_* other than CTL_DONE ends the command. NULL: nothing to do. */
	int (*prepare)(struct ctl_command *cmd);
	bool local; /* prepare does it all: nothing is asked */
	const struct ctl_column *columns; /* NULL: the noun's */
	uint32_t n_columns;
	const char *help;
};

struct ctl_noun {
	const char *name;
	const char *help;
	const struct ctl_verb *verbs;
	uint32_t n_verbs;
	const struct ctl_column *columns;
	uint32_t n_columns;
};

extern const struct ctl_noun ctl_nouns[];
extern const uint32_t ctl_n_nouns;
extern const struct ctl_option ctl_global_options[];
extern const uint32_t ctl_n_global_options;

struct ctl_command {
	const struct ctl_noun *noun;
	const struct ctl_verb *verb;
	struct control_message message;
	enum ctl_format format;
	bool no_header;
	bool exact;
	uint64_t watch_ns; /* 0: once */
	const char *socket;
	const char *config_file;
	const char *file; /* -f */
	struct arena arena;
};

/* -- table.c -- */
const struct ctl_noun *ctl_find_noun(const char *name);
/* ctl_find_verb() - the verb of that name; a noun's only unnamed verb for NULL or "". */
const struct ctl_verb *ctl_find_verb(const struct ctl_noun *noun, const char *name);
/* ctl_verb_options() - fn for each option a verb takes: its own, and those of the catalogue's fields. */
typedef void ctl_option_fn(void *arg, const struct ctl_option *option);
void ctl_verb_options(const struct ctl_noun *noun, const struct ctl_verb *verb, ctl_option_fn *fn, void *arg);

/* -- parse.c -- */
/* ctl_parse() - CTL_USAGE, having said what is wrong. -1: help or version was printed, all done. */
int ctl_parse(struct ctl_command *cmd, int argc, char **argv);

/* -- call.c -- */
/* ctl_call() - asks and answers; body points into memory of the command. CTL_*: errors were said. */
int ctl_call(struct ctl_command *cmd, struct control_answer *answer);
int ctl_exit_code(int status);

/* -- wait.c -- */
/* ctl_wait() - after body, the answer: asks with --status until its state is no longer running, and prints that. CTL_*. */
int ctl_wait(struct ctl_command *cmd, const struct json_value *body);

/* -- output.c -- */
void ctl_output(const struct ctl_command *cmd, const struct json_value *body);

/* -- local.c -- */
int ctl_read_file(struct ctl_command *cmd);
int ctl_config_check(struct ctl_command *cmd);
int ctl_completion(struct ctl_command *cmd);
/* ctl_quota_who() - the name in WHO as a number. */
int ctl_quota_who(struct ctl_command *cmd);
const char *ctl_socket(struct ctl_command *cmd);

/* -- help.c -- */
void ctl_help(const struct ctl_noun *noun, const struct ctl_verb *verb);
int ctl_dump_man(const char *page);

/* -- complete.c -- */
/* ctl_complete() - the words that may follow, a line each; the last of words is what is typed so far. */
void ctl_complete(struct ctl_command *cmd, char **words, int n_words);

#endif
