/* Help, completion and the manual's generated parts: three walks over the same tables. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "chimerad/config.h"
#include "utils/chimeractl/chimeractl.h"

static const char letters[] = "scoHphV";

/* Global options and -f have a letter, which is their key. */
static bool has_letter(const struct ctl_option *o)
{
	return o->key[0] && !o->key[1] && (strchr(letters, o->key[0]) || o->key[0] == 'f');
}

static void print_option(void *arg, const struct ctl_option *o)
{
	char left[96];
	if (has_letter(o))
		snprintf(left, sizeof(left), "-%s, --%s %s", o->key, o->name, o->metavar ? o->metavar : "");
	else
		snprintf(left, sizeof(left), "    --%s %s", o->name, o->metavar ? o->metavar : "");
	printf("  %-30s %s\n", left, o->help);
}

static void print_usage(const struct ctl_noun *noun, const struct ctl_verb *verb)
{
	printf("  chimeractl %s%s%s", noun->name, *verb->name ? " " : "", verb->name);
	for (int i = 0; i < 2 && verb->operands[i]; i++)
		printf(" %s", verb->operands[i]);
	printf("%s\n      %s\n", verb->takes_fields || verb->n_options ? " [OPTION...]" : "", verb->help);
}

static void print_nouns(void)
{
	printf("usage: chimeractl [OPTION...] NOUN [VERB] [NAME] [OPTION...]\n\nNouns:\n");
	for (uint32_t i = 0; i < ctl_n_nouns; i++)
		printf("  %-15s %s\n", ctl_nouns[i].name, ctl_nouns[i].help);
}

void ctl_help(const struct ctl_noun *noun, const struct ctl_verb *verb)
{
	if (!noun) {
		print_nouns();
	} else {
		printf("usage:\n");
		for (uint32_t i = 0; i < noun->n_verbs; i++)
			if (!verb || verb == &noun->verbs[i])
				print_usage(noun, &noun->verbs[i]);
		if (verb && (verb->takes_fields || verb->n_options)) {
			printf("\nOptions:\n");
			ctl_verb_options(noun, verb, print_option, NULL);
		}
	}
	printf("\nGlobal options:\n");
	for (uint32_t i = 0; i < ctl_n_global_options; i++)
		print_option(NULL, &ctl_global_options[i]);
	printf("\nSee %s%s(1)%s.\n", noun ? "chimeractl-" : "chimeractl", noun ? noun->name : "",
	       noun ? "" : ", and \"chimeractl NOUN --help\"");
}

/* ---- manual ---- */

/* A leading dash or dot would be a macro, a backslash an escape. */
static void man_text(const char *text)
{
	for (const char *p = text; *p; p++) {
		if (*p == '\\')
			fputs("\\e", stdout);
		else if (*p == '.' && p[1] == ' ')
			fputs(".\n", stdout), p++;
		else
			putchar(*p);
	}
	putchar('\n');
}

static void man_option(void *arg, const struct ctl_option *o)
{
	printf(".It ");
	if (has_letter(o))
		printf("Fl %s , ", o->key);
	printf("Fl \\-%s", o->name);
	if (o->metavar)
		printf(" Ar %s", o->metavar);
	putchar('\n');
	man_text(o->help);
}

static void man_synopsis(const struct ctl_noun *noun)
{
	for (uint32_t i = 0; i < noun->n_verbs; i++) {
		const struct ctl_verb *v = &noun->verbs[i];
		printf(".Nm chimeractl\n.Op Ar global options\n.Cm %s%s%s\n", noun->name, *v->name ? " " : "", v->name);
		for (int k = 0; k < 2 && v->operands[k]; k++)
			printf(".Ar %s\n", v->operands[k]);
		if (v->takes_fields || v->n_options)
			printf(".Op Ar options\n");
	}
}

static void man_verb(const struct ctl_noun *noun, const struct ctl_verb *v)
{
	printf(".It Cm %s%s%s", noun->name, *v->name ? " " : "", v->name);
	for (int k = 0; k < 2 && v->operands[k]; k++)
		printf(" Ar %s", v->operands[k]);
	putchar('\n');
	man_text(v->help);
	if (!v->takes_fields && !v->n_options)
		return;
	printf(".Bl -tag -width Ds\n");
	ctl_verb_options(noun, v, man_option, NULL);
	printf(".El\n");
}

static void man_noun(const struct ctl_noun *noun)
{
	printf(".Sh SYNOPSIS\n");
	man_synopsis(noun);
	printf(".Sh DESCRIPTION\n.Bl -tag -width Ds\n");
	for (uint32_t i = 0; i < noun->n_verbs; i++)
		man_verb(noun, &noun->verbs[i]);
	printf(".El\n.Pp\nThe global options are those of\n.Xr chimeractl 1 .\n");
}

static void man_main(void)
{
	printf(".Bl -tag -width Ds\n");
	for (uint32_t i = 0; i < ctl_n_global_options; i++)
		man_option(NULL, &ctl_global_options[i]);
	printf(".El\n.Sh NOUNS\n.Bl -tag -width export-config\n");
	for (uint32_t i = 0; i < ctl_n_nouns; i++) {
		printf(".It Cm %s\n", ctl_nouns[i].name);
		man_text(ctl_nouns[i].help);
	}
	printf(".El\n");
}

static void man_config(void)
{
	for (uint32_t s = 0; s < config_n_sections; s++) {
		printf(".Ss [%s]\n", config_sections[s].name);
		man_text(config_sections[s].help);
		printf(".Bl -tag -width Ds\n");
		for (uint32_t i = 0; i < config_n_options; i++) {
			const struct config_option *o = &config_options[i];
			if (strcmp(o->section, config_sections[s].name) != 0)
				continue;
			printf(".It Ic %s\n", o->key);
			man_text(o->help);
			if (o->type == CONFIG_CHOICE || o->type == CONFIG_CHOICES)
				printf("%s: %s.\n", o->type == CONFIG_CHOICE ? "One of" : "Any of", o->arg);
			else if (o->type == CONFIG_NUMBER)
				printf("A number, %s.\n", o->arg);
			printf("%s%s%s", *o->otherwise ? "The default is\n.Ql " : "There is no default", o->otherwise, *o->otherwise ? " .\n" : ".\n");
		}
		printf(".El\n");
	}
}

int ctl_dump_man(const char *page)
{
	const struct ctl_noun *noun = ctl_find_noun(page);
	if (strcmp(page, "chimeractl") == 0)
		man_main();
	else if (strcmp(page, "chimera.conf") == 0)
		man_config();
	else if (noun)
		man_noun(noun);
	else
		return CTL_NOT_FOUND;
	return CTL_DONE;
}
