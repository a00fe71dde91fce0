/* Completion: the words that may follow those typed, found in the same tables as everything else, and in the server's lists. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "utils/chimeractl/chimeractl.h"

/* What stands for a metavar: words, or the names that a noun lists. */
static const struct {
	const char *metavar;
	const char *words;
	const char *noun;
} values[] = {
	{"FORMAT", "table wide json jsonl name", NULL},
	{"BACKEND", "cairn linux memfs null fault", NULL},
	{"yes|no", "yes no", NULL},
	{"LEVEL", "error warn notice info debug trace", NULL},
	{"SHELL", "bash zsh fish", NULL},
	{"MOUNT", NULL, "mount"},
	{"MODULE", NULL, "log"},
};

struct typed {
	const struct ctl_noun *noun;
	const struct ctl_verb *verb;
	uint32_t n_operands;
	const char *metavar; /* the last word is the value of an option: of which kind; NULL: it is none */
};

static void offer_words(const char *words)
{
	for (const char *p = words; *p; p += strspn(p, " ")) {
		size_t n = strcspn(p, " ");
		printf("%.*s\n", (int)n, p);
		p += n;
	}
}

static void offer_objects(struct ctl_command *cmd, const char *noun)
{
	struct control_answer answer;
	struct json_value *body;
	control_message_add(&cmd->message, "noun", noun);
	control_message_add(&cmd->message, "verb", "list");
	if (ctl_call(cmd, &answer) || json_parse(&cmd->arena, answer.body, answer.body_size, &body))
		return;
	for (const struct json_value *o = body->child; o; o = o->next)
		printf("%s\n", json_text(o, "name", ""));
}

static void offer_value(struct ctl_command *cmd, const struct typed *t, const char *metavar)
{
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		if (strcmp(values[i].metavar, metavar) != 0)
			continue;
		if (values[i].words)
			offer_words(values[i].words);
		else
			offer_objects(cmd, values[i].noun);
		return;
	}
	if (strcmp(metavar, "NAME") == 0 && catalogue_kind(t->noun->name) && strcmp(t->verb->name, "create") != 0)
		offer_objects(cmd, t->noun->name);
}

/* ---- which option a word is ---------------------------------------------------------------- */

struct search {
	const char *word; /* as typed: "-o", "--backend" */
	const char *metavar;
};

static void consider(void *arg, const struct ctl_option *o)
{
	struct search *s = arg;
	bool is_long = s->word[1] == '-' && strcmp(s->word + 2, o->name) == 0;
	if (is_long || (s->word[1] != '-' && strcmp(s->word + 1, o->key) == 0))
		s->metavar = o->metavar;
}

/* What the option wants as its value, NULL: nothing, or it has it behind "=". */
static const char *wanted_by(const struct typed *t, const char *word)
{
	struct search s = {.word = word};
	for (uint32_t i = 0; i < ctl_n_global_options; i++)
		consider(&s, &ctl_global_options[i]);
	if (!s.metavar && t->verb)
		ctl_verb_options(t->noun, t->verb, consider, &s);
	return s.metavar && *s.metavar != '[' ? s.metavar : NULL;
}

static void take_word(struct typed *t, const char *word)
{
	const char *wanted = t->metavar;
	t->metavar = NULL;
	if (wanted)
		return;
	if (word[0] == '-') {
		t->metavar = wanted_by(t, word);
	} else if (!t->noun) {
		t->noun = ctl_find_noun(word);
		t->verb = t->noun ? ctl_find_verb(t->noun, NULL) : NULL;
	} else if (!t->verb) {
		t->verb = ctl_find_verb(t->noun, word);
	} else {
		t->n_operands++;
	}
}

/* ---- what is offered ------------------------------------------------------------------------ */

static void offer_option(void *arg, const struct ctl_option *o)
{
	printf("--%s\n", o->name);
}

static void offer_options(const struct typed *t)
{
	for (uint32_t i = 0; i < ctl_n_global_options; i++)
		offer_option(NULL, &ctl_global_options[i]);
	if (t->verb)
		ctl_verb_options(t->noun, t->verb, offer_option, NULL);
}

void ctl_complete(struct ctl_command *cmd, char **words, int n_words)
{
	struct typed t = {.noun = NULL};
	const char *last = n_words ? words[n_words - 1] : "";
	for (int i = 0; i + 1 < n_words; i++)
		take_word(&t, words[i]);
	if (t.metavar) {
		offer_value(cmd, &t, t.metavar);
	} else if (last[0] == '-') {
		offer_options(&t);
	} else if (!t.noun) {
		for (uint32_t i = 0; i < ctl_n_nouns; i++)
			printf("%s\n", ctl_nouns[i].name);
	} else if (!t.verb) {
		for (uint32_t i = 0; i < t.noun->n_verbs; i++)
			printf("%s\n", t.noun->verbs[i].name);
	} else if (t.n_operands < ARRAY_SIZE(t.verb->operands) && t.verb->operands[t.n_operands]) {
		offer_value(cmd, &t, t.verb->operands[t.n_operands]);
	}
}
