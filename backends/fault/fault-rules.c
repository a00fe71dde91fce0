/* Rules: reading them, and counting calls against them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/fault/fault.h"
#include "base/cleanup.h"
#include "base/str.h"

static const char *const op_names[FAULT_N_OPS] = {
	[FAULT_any] = "any",
#define OP(name) [FAULT_##name] = #name,
	FAULT_OPS(OP)
#undef OP
};

static int parse_op(const char *text, struct fault_rule *r)
{
	for (uint32_t i = 0; i < FAULT_N_OPS; i++) {
		if (strcmp(op_names[i], text) == 0) {
			r->op = i;
			return 0;
		}
	}
	return ERR_INVAL;
}

static int parse_err(const char *text, struct fault_rule *r)
{
	static const struct {
		const char *name;
		int err;
	} errors[] = {
#define ERR(name, number, sys, sentence) {#name, ERR_##name},
		ERR_TABLE(ERR)
#undef ERR
	};
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		if (strcmp(errors[i].name, text) == 0) {
			r->err = errors[i].err;
			return 0;
		}
	}
	return ERR_INVAL;
}

static int parse_every(const char *text, struct fault_rule *r)
{
	return str_parse_u64(text, 1, UINT64_MAX, &r->every);
}

static int parse_after(const char *text, struct fault_rule *r)
{
	return str_parse_u64(text, 0, UINT64_MAX, &r->after);
}

static int parse_count(const char *text, struct fault_rule *r)
{
	return str_parse_u64(text, 0, UINT64_MAX, &r->count);
}

static int parse_delay(const char *text, struct fault_rule *r)
{
	return str_parse_duration(text, &r->delay_ns);
}

static int parse_torn(const char *text, struct fault_rule *r)
{
	return str_parse_size(text, &r->torn);
}

static const struct {
	const char *key;
	int (*parse)(const char *text, struct fault_rule *r);
} keys[] = {
	{"op", parse_op}, {"err", parse_err}, {"every", parse_every}, {"after", parse_after},
	{"count", parse_count}, {"delay", parse_delay}, {"torn", parse_torn},
};

static int parse_pair(char *pair, struct fault_rule *r)
{
	char *value = strchr(pair, '=');
	if (!value)
		return ERR_INVAL;
	*value++ = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strcmp(keys[i].key, pair) == 0)
			return keys[i].parse(value, r);
	return ERR_INVAL;
}

/* A torn write is a failed one: it needs an error to answer. */
static int finish(struct fault_rule *r)
{
	if (r->torn != UINT64_MAX && r->err == 0)
		r->err = ERR_IO;
	return r->err || r->delay_ns ? 0 : ERR_INVAL;
}

static int parse_rule(char *text, struct fault_rule *r)
{
	*r = (struct fault_rule){.every = 1, .torn = UINT64_MAX};
	int err = 0;
	for (char *pair; !err && (pair = str_next(&text, ','));)
		err = parse_pair(pair, r);
	return err || finish(r) ? ERR_INVAL : 0;
}

int fault_parse(const char *text, struct fault_rule rules[FAULT_RULES_MAX], uint32_t *n, char **why)
{
	CLEANUP_FREE char *copy = strdup(text);
	char *rest = copy;
	int err = copy ? 0 : ERR_NOMEM;
	while (!err && rest) {
		char *rule = str_next(&rest, ';');
		if (!rule || !*rule)
			continue;
		err = *n < FAULT_RULES_MAX ? parse_rule(rule, &rules[*n]) : ERR_NOSPC;
		(*n)++;
	}
	if (err && asprintf(why, "fault: rule '%s' is not valid", text) < 0)
		*why = NULL;
	return err;
}

/* Whether this call, which the rule's op matches, is one of those it means. */
static bool hit(struct fault_rule *r)
{
	uint64_t nth = ++r->seen;
	if (nth <= r->after || (nth - r->after) % r->every != 0 || (r->count && r->hits >= r->count))
		return false;
	r->hits++;
	return true;
}

struct fault_hit fault_match(struct fault *f, enum fault_op op)
{
	struct fault_hit all = {.torn = UINT64_MAX};
	spin_lock(&f->lock);
	for (uint32_t i = 0; i < f->n_rules; i++) {
		struct fault_rule *r = &f->rules[i];
		if ((r->op != FAULT_any && r->op != op) || !hit(r))
			continue;
		all.delay_ns += r->delay_ns;
		if (all.err)
			continue;
		all.err = r->err;
		all.torn = r->torn;
	}
	spin_unlock(&f->lock);
	return all;
}

