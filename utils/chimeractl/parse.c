/*
 * The command line: global options anywhere, a noun, its verb, operands, and the verb's options. What an
 * option means is looked up in the tables; what is mistyped is answered with the nearest known word.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "utils/chimeractl/chimeractl.h"

#define USAGE_HINT "try \"chimeractl --help\""

struct parser {
	struct ctl_command *cmd;
	char **argv; /* NULL-terminated */
	int at;
	uint32_t n_operands;
	bool help;
	bool only_operands; /* after -- */
};

static PRINTF_LIKE(1, 2) int usage(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("chimeractl: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	return CTL_USAGE;
}

static int unknown(const char *what, const char *word, const void *rows, size_t n, size_t stride)
{
	const char *nearest = str_nearest(word, rows, n, stride);
	if (nearest)
		return usage("unknown %s \"%s\"; nearest is \"%s\"", what, word, nearest);
	return usage("unknown %s \"%s\"; " USAGE_HINT, what, word);
}

struct lookup {
	const char *name; /* or the one letter */
	struct ctl_option found;
	char found_name[64];
	const char *names[64];
	char name_texts[64][32];
	uint32_t n_names;
};

static void consider(void *arg, const struct ctl_option *o)
{
	struct lookup *l = arg;
	if (l->n_names < ARRAY_SIZE(l->names)) {
		str_copy(l->name_texts[l->n_names], sizeof(l->name_texts[0]), o->name);
		l->names[l->n_names] = l->name_texts[l->n_names];
		l->n_names++;
	}
	bool letter = l->name[1] == '\0' && strcmp(l->name, o->key) == 0;
	if (strcmp(l->name, o->name) != 0 && !letter)
		return;
	l->found = *o;
	str_copy(l->found_name, sizeof(l->found_name), o->name);
	l->found.name = l->found_name;
}

static int set_format(struct ctl_command *cmd, const char *text)
{
	static const char *const names[] = {"table", "wide", "json", "jsonl", "name"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(names[i], text) == 0) {
			cmd->format = (enum ctl_format)i;
			return CTL_DONE;
		}
	}
	return unknown("output format", text, names, ARRAY_SIZE(names), sizeof(names[0]));
}

static int set_watch(struct parser *p, const char *value)
{
	const char *next = p->argv[p->at];
	p->cmd->watch_ns = 2000000000ULL;
	if (value)
		return str_parse_duration(value, &p->cmd->watch_ns) || !p->cmd->watch_ns
		               ? usage("--watch takes a number of seconds") : CTL_DONE;
	if (next && str_parse_duration(next, &p->cmd->watch_ns) == 0)
		p->at++;
	return p->cmd->watch_ns ? CTL_DONE : usage("--watch takes a number of seconds");
}

static int set_global(struct parser *p, const struct ctl_option *o, const char *value)
{
	if (strcmp(o->name, "watch") == 0)
		return set_watch(p, value);
	if (o->metavar && !value)
		value = p->argv[p->at] ? p->argv[p->at++] : NULL;
	if (o->metavar && !value)
		return usage("--%s takes a value: %s", o->name, o->metavar);
	switch (*o->key) {
	case 's':
		p->cmd->socket = value;
		return CTL_DONE;
	case 'c':
		p->cmd->config_file = value;
		return CTL_DONE;
	case 'o':
		return set_format(p->cmd, value);
	case 'H':
		p->cmd->no_header = true;
		return CTL_DONE;
	case 'p':
		p->cmd->exact = true;
		return CTL_DONE;
	case 'h':
		p->help = true;
		return CTL_DONE;
	}
	printf("chimeractl %s\n", PACKAGE_VERSION);
	return -1;
}

static int add_pair(struct parser *p, const char *key, const char *value)
{
	key = arena_strndup(&p->cmd->arena, key, SIZE_MAX);
	return key && control_message_add(&p->cmd->message, key, value) ? CTL_DONE : usage("too many options");
}

/* --option KEY=VALUE stands for a field named KEY. */
static int add_key_value(struct parser *p, const char *value)
{
	const char *sign = strchr(value, '=');
	if (!sign || sign == value)
		return usage("--option takes KEY=VALUE, not \"%s\"", value);
	return add_pair(p, arena_strndup(&p->cmd->arena, value, (size_t)(sign - value)), sign + 1);
}

static int set_verb_option(struct parser *p, const struct ctl_option *o, const char *value)
{
	if (o->metavar && !value)
		value = p->argv[p->at] ? p->argv[p->at++] : NULL;
	if (o->metavar && !value)
		return usage("--%s takes a value: %s", o->name, o->metavar);
	if (!o->metavar && value)
		return usage("--%s takes no value", o->name);
	if (*o->key == '\0')
		return add_key_value(p, value);
	if (strcmp(o->key, "f") == 0) {
		p->cmd->file = value;
		return CTL_DONE;
	}
	return add_pair(p, o->key, o->metavar ? value : "yes");
}

/* name without dashes; value: what followed "=". */
static int take_option(struct parser *p, const char *name, const char *value)
{
	struct lookup l = {.name = name};
	for (uint32_t i = 0; i < ctl_n_global_options; i++)
		consider(&l, &ctl_global_options[i]);
	if (l.found.name)
		return set_global(p, &l.found, value);
	if (p->cmd->verb)
		ctl_verb_options(p->cmd->noun, p->cmd->verb, consider, &l);
	if (!l.found.name)
		return unknown("option", name, l.names, l.n_names, sizeof(l.names[0]));
	return set_verb_option(p, &l.found, value);
}

static int take_long(struct parser *p, char *word)
{
	char name[64];
	char *sign = strchr(word, '=');
	size_t n = sign ? (size_t)(sign - word) : strlen(word);
	if (n >= sizeof(name))
		return usage("unknown option \"--%s\"", word);
	memcpy(name, word, n);
	name[n] = '\0';
	for (char *c = name; *c; c++)
		if (*c == '_')
			*c = '-';
	return take_option(p, name, sign ? sign + 1 : NULL);
}

/* -o json, -ojson; letters are not bundled. */
static int take_short(struct parser *p, char *word)
{
	char name[2] = {word[0], '\0'};
	return take_option(p, name, word[1] ? word + 1 : NULL);
}

static int take_operand(struct parser *p, const char *word)
{
	struct ctl_command *cmd = p->cmd;
	if (!cmd->noun) {
		cmd->noun = ctl_find_noun(word);
		if (!cmd->noun)
			return unknown("noun", word, ctl_nouns, ctl_n_nouns, sizeof(ctl_nouns[0]));
		cmd->verb = ctl_find_verb(cmd->noun, NULL);
		return CTL_DONE;
	}
	if (!cmd->verb) {
		cmd->verb = ctl_find_verb(cmd->noun, word);
		return cmd->verb ? CTL_DONE
		                 : unknown("verb", word, cmd->noun->verbs, cmd->noun->n_verbs, sizeof(cmd->noun->verbs[0]));
	}
	if (p->n_operands == 2 || !cmd->verb->operands[p->n_operands])
		return usage("\"%s\" is one word too many", word);
	return add_pair(p, cmd->verb->operand_keys[p->n_operands++], word);
}

static int take_word(struct parser *p)
{
	char *word = p->argv[p->at++];
	if (p->only_operands || word[0] != '-' || word[1] == '\0')
		return take_operand(p, word);
	if (strcmp(word, "--") == 0) {
		p->only_operands = true;
		return CTL_DONE;
	}
	return word[1] == '-' ? take_long(p, word + 2) : take_short(p, word + 1);
}

static int check_complete(struct parser *p)
{
	const struct ctl_command *cmd = p->cmd;
	if (!cmd->noun)
		return usage("a noun is missing, such as status, mount or export; " USAGE_HINT);
	if (!cmd->verb)
		return usage("%s needs a verb; try \"chimeractl %s --help\"", cmd->noun->name, cmd->noun->name);
	if (p->n_operands < 2 && cmd->verb->operands[p->n_operands])
		return usage("%s %s needs %s", cmd->noun->name, cmd->verb->name, cmd->verb->operands[p->n_operands]);
	return CTL_DONE;
}

int ctl_parse(struct ctl_command *cmd, int argc, char **argv)
{
	struct parser p = {.cmd = cmd, .argv = argv, .at = 1};
	int code = CTL_DONE;
	while (code == CTL_DONE && p.at < argc)
		code = take_word(&p);
	if (code == CTL_DONE && p.help) {
		ctl_help(cmd->noun, cmd->verb);
		return -1;
	}
	if (code == CTL_DONE)
		code = check_complete(&p);
	if (code != CTL_DONE)
		return code;
	const struct ctl_verb *v = cmd->verb;
	add_pair(&p, "noun", v->wire_noun ? v->wire_noun : cmd->noun->name);
	return add_pair(&p, "verb", v->wire_verb ? v->wire_verb : v->name);
}
