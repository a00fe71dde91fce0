/*
 * chimera.conf: what a process needs to start. One table (config-options.c) names every option with its
 * type, default and help; the file, CHIMERA_SECTION_KEY in the environment and -o section.key=value
 * on the command line fill it, later ones winning. chimerad and every daemon read the same file through this.
 */
#ifndef CHIMERAD_CONFIG_H
#define CHIMERAD_CONFIG_H

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/json.h"

enum config_type {
	CONFIG_TEXT,
	CONFIG_PATH,     /* ${run_dir} and ${state_dir} in it are those of [server] */
	CONFIG_BOOL,
	CONFIG_NUMBER,   /* arg: "MIN-MAX" */
	CONFIG_SIZE,     /* bytes */
	CONFIG_DURATION, /* nanoseconds */
	CONFIG_CHOICE,   /* arg: the words, separated by blanks */
	CONFIG_CHOICES,  /* several of them, separated by blanks */
	CONFIG_LEVELS,   /* MODULE=LEVEL, separated by blanks */
};

struct config_option {
	const char *section;
	const char *key;
	enum config_type type;
	const char *otherwise; /* the default */
	const char *arg;
	const char *help;      /* sentences for --help and the manual */
};

extern const struct config_option config_options[];
extern const uint32_t config_n_options;

struct config_section {
	const char *name;
	const char *help;
};

extern const struct config_section config_sections[];
extern const uint32_t config_n_sections;

enum config_origin { CONFIG_DEFAULT, CONFIG_FILE, CONFIG_ENVIRONMENT, CONFIG_COMMAND_LINE };

struct config;

struct config_source {
	const char *file;             /* NULL: CHIMERA_CONF, or chimera.conf in sysconfdir/chimera if that exists */
	const char *const *overrides; /* "section.key=value", from -o */
	uint32_t n_overrides;
	char **environment;           /* NULL: none; usually environ */
};

#define CONFIG_OVERRIDES_MAX 64u

/* A daemon's command line. */
struct config_arguments {
	const char *overrides[CONFIG_OVERRIDES_MAX];
	struct config_source source; /* points to those */
	bool check;                  /* the configuration, and exit */
};

/* config_arguments() - of the daemon of that name; about and more are for its help. -1, or the status to exit with. */
int config_arguments(struct config_arguments *a, const char *name, const char *about, const char *more, int argc, char **argv);

/*
 * config_load() - ERR_INVAL: errors holds a line per mistake, "FILE:LINE: what" with the nearest known
 * name; ERR_NOENT: the named file is not there. Does not park: called before the loop runs.
 */
int config_load(struct config **cfg, const struct config_source *source, struct bytes *errors);
void config_free(struct config *cfg);

/* Getters; section and key must be in the table with a type that fits: anything else is a bug and asserts. */
const char *config_text(const struct config *cfg, const char *section, const char *key);
uint64_t config_number(const struct config *cfg, const char *section, const char *key); /* NUMBER, SIZE, DURATION */
bool config_bool(const struct config *cfg, const char *section, const char *key);
/* config_has() - whether the list of words (CONFIG_CHOICE, CONFIG_CHOICES) has word. */
bool config_has(const struct config *cfg, const char *section, const char *key, const char *word);
enum config_origin config_origin(const struct config *cfg, const char *section, const char *key);

/* config_apply_log() - opens the log and sets levels as [log] says. */
void config_apply_log(const struct config *cfg, const char *program);

/* config_print() - every option as INI, with the origin of each in a comment; config_json() - one array of objects. */
void config_print(const struct config *cfg, bool with_origin, struct bytes *out);
void config_json(const struct config *cfg, struct json *j, const char *key);

#endif
