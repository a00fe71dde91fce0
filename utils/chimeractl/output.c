/*
 * Printing what the server answered: tables by the noun's columns, or JSON rewritten from the parsed tree
 * inside a versioned envelope. Control characters never reach the terminal.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "utils/chimeractl/chimeractl.h"

#define COLUMNS_MAX 24
#define JSON_VERSION 1

static void write_value(struct json *j, const char *key, const struct json_value *v)
{
	switch (v->type) {
	case JSON_STRING:
		json_strn(j, key, v->text, v->text_size);
		return;
	case JSON_ARRAY:
	case JSON_OBJECT:
		if (v->type == JSON_ARRAY)
			json_array(j, key);
		else
			json_object(j, key);
		for (const struct json_value *m = v->child; m; m = m->next)
			write_value(j, m->key, m);
		json_end(j);
		return;
	default:
		json_raw(j, key, v->text);
		return;
	}
}

static void print_bytes(struct bytes *b)
{
	printf("%s\n", bytes_str(b));
	bytes_fini(b);
}

static void print_json(const struct ctl_command *cmd, const struct json_value *body)
{
	static const char *const keys[] = {"item", "items", "item", "changes", "item"};
	struct bytes out;
	struct json j;
	bytes_init(&out, 0);
	json_init(&j, &out);
	json_object(&j, NULL);
	json_u64(&j, "version", JSON_VERSION);
	json_str(&j, "noun", cmd->noun->name);
	write_value(&j, keys[cmd->verb->shape], body);
	json_end(&j);
	print_bytes(&out);
}

static void print_jsonl(const struct json_value *item)
{
	struct bytes out;
	struct json j;
	bytes_init(&out, 0);
	json_init(&j, &out);
	write_value(&j, NULL, item);
	print_bytes(&out);
}

static void append_text(struct bytes *out, const char *text)
{
	for (; *text; text++)
		bytes_putc(out, (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
}

static void append_members(struct bytes *out, const struct json_value *v, bool named)
{
	for (const struct json_value *m = v->child; m; m = m->next) {
		if (m != v->child)
			bytes_putc(out, ' ');
		if (named)
			bytes_printf(out, "%s=", m->key);
		append_text(out, m->text ? m->text : "");
	}
}

static void append_number(struct bytes *out, const char *text, void (*format)(char *, size_t, uint64_t))
{
	char human[STR_DURATION_SIZE + STR_SIZE_SIZE];
	uint64_t n;
	if (str_parse_u64(text, 0, UINT64_MAX, &n)) {
		append_text(out, text);
		return;
	}
	format(human, sizeof(human), n);
	bytes_puts(out, human);
}

static void append_cell(const struct ctl_command *cmd, const struct ctl_column *c, const struct json_value *v,
                        struct bytes *out)
{
	if (!v || v->type == JSON_NULL || (!v->text && !v->child))
		bytes_putc(out, '-');
	else if (v->type == JSON_ARRAY || v->type == JSON_OBJECT)
		append_members(out, v, v->type == JSON_OBJECT);
	else if (v->type == JSON_BOOL)
		bytes_puts(out, strcmp(v->text, "true") == 0 ? "yes" : "no");
	else if (c->cell == CELL_SIZE && !cmd->exact)
		append_number(out, v->text, str_format_size);
	else if (c->cell == CELL_DURATION && !cmd->exact)
		append_number(out, v->text, str_format_duration);
	else if (c->cell == CELL_TIME && !cmd->exact && v->text_size > 20)
		bytes_printf(out, "%.19sZ", v->text);
	else
		append_text(out, *v->text ? v->text : "-");
}

static const struct json_value *member(const struct json_value *item, const char *key)
{
	char outer[64];
	const char *dot = strchr(key, '.');
	if (!dot || (size_t)(dot - key) >= sizeof(outer))
		return json_get(item, key);
	memcpy(outer, key, (size_t)(dot - key));
	outer[dot - key] = '\0';
	return json_get(json_get(item, outer), dot + 1);
}

static const struct ctl_column *columns_of(const struct ctl_command *cmd, uint32_t *n)
{
	*n = cmd->verb->columns ? cmd->verb->n_columns : cmd->noun->n_columns;
	return cmd->verb->columns ? cmd->verb->columns : cmd->noun->columns;
}

static char *cell(const struct ctl_command *cmd, const struct ctl_column *c, const struct json_value *item)
{
	struct bytes out;
	bytes_init(&out, 0);
	append_cell(cmd, c, member(item, c->key), &out);
	return out.data ? out.data : strdup("-");
}

static bool is_shown(const struct ctl_command *cmd, const struct ctl_column *c)
{
	return !c->wide || cmd->format == FORMAT_WIDE || control_message_get(&cmd->message, c->key);
}

/* Widths of the shown columns, over titles and items. */
static void measure(const struct ctl_command *cmd, const struct json_value *items, size_t *widths)
{
	uint32_t n;
	const struct ctl_column *columns = columns_of(cmd, &n);
	for (uint32_t i = 0; i < n; i++) {
		const struct ctl_column *c = &columns[i];
		widths[i] = cmd->no_header ? 0 : strlen(c->title);
		for (const struct json_value *item = items->child; item; item = item->next) {
			char *text = cell(cmd, c, item);
			widths[i] = text ? MAX(widths[i], strlen(text)) : widths[i];
			free(text);
		}
	}
}

static void print_row(const struct ctl_command *cmd, const struct json_value *item, const size_t *widths)
{
	uint32_t n;
	const struct ctl_column *columns = columns_of(cmd, &n);
	size_t pad = 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct ctl_column *c = &columns[i];
		if (!is_shown(cmd, c))
			continue;
		char *text = item ? cell(cmd, c, item) : strdup(c->title);
		size_t size = text ? strlen(text) : 0;
		printf("%*s%s", (int)pad, "", text ? text : "");
		pad = widths[i] - MIN(size, widths[i]) + 2;
		free(text);
	}
	putchar('\n');
}

static void print_table(const struct ctl_command *cmd, const struct json_value *items)
{
	size_t widths[COLUMNS_MAX];
	measure(cmd, items, widths);
	if (!cmd->no_header)
		print_row(cmd, NULL, widths);
	for (const struct json_value *item = items->child; item; item = item->next)
		print_row(cmd, item, widths);
}

static void print_object(const struct ctl_command *cmd, const struct json_value *item)
{
	uint32_t n;
	const struct ctl_column *columns = columns_of(cmd, &n);
	size_t width = 0;
	for (uint32_t i = 0; i < n; i++)
		width = MAX(width, strlen(columns[i].title));
	for (uint32_t i = 0; i < n; i++) {
		const struct ctl_column *c = &columns[i];
		char *text = cell(cmd, c, item);
		if (cmd->no_header)
			printf("%s\n", text ? text : "");
		else
			printf("%-*s  %s\n", (int)width, c->title, text ? text : "");
		free(text);
	}
}

static void print_change(const struct json_value *change)
{
	const char *action = json_text(change, "action", "?");
	const struct json_value *fields = json_get(change, "fields");
	char sign = strcmp(action, "create") == 0 ? '+' : strcmp(action, "delete") == 0 ? '-' : '~';
	printf("%c %s %s\n", sign, json_text(change, "kind", "?"), json_text(change, "name", "?"));
	for (const struct json_value *f = fields && sign != '-' ? fields->child : NULL; f; f = f->next) {
		const char *from = json_get(f, "from") && json_get(f, "from")->type == JSON_STRING ? json_text(f, "from", "") : NULL;
		const char *to = json_get(f, "to") && json_get(f, "to")->type == JSON_STRING ? json_text(f, "to", "") : "(default)";
		if (from)
			printf("      %s: %s -> %s\n", json_text(f, "field", "?"), from, to);
		else
			printf("      %s: %s\n", json_text(f, "field", "?"), to);
	}
}

static void print_changes(const struct json_value *changes)
{
	if (!changes->child)
		printf("no change\n");
	for (const struct json_value *c = changes->child; c; c = c->next)
		print_change(c);
}

static void print_name(const struct json_value *item)
{
	const char *name = json_text(item, "name", NULL);
	if (name)
		printf("%s\n", name);
	else if (json_get(item, "key"))
		printf("%s.%s\n", json_text(item, "section", ""), json_text(item, "key", ""));
}

static void print_each(const struct json_value *body, void (*print)(const struct json_value *item))
{
	if (body->type != JSON_ARRAY) {
		print(body);
		return;
	}
	for (const struct json_value *item = body->child; item; item = item->next)
		print(item);
}

static void print_for_people(const struct ctl_command *cmd, const struct json_value *body)
{
	bool asked = !cmd->verb->takes_fields;
	if (cmd->verb->shape == SHAPE_LIST)
		print_table(cmd, body);
	else if (cmd->verb->shape == SHAPE_OBJECT && asked)
		print_object(cmd, body);
	else if (cmd->verb->shape == SHAPE_CHANGES)
		print_changes(body);
	else if (cmd->verb->shape == SHAPE_TEXT)
		fputs(json_text(body, "text", ""), stdout);
}

void ctl_output(const struct ctl_command *cmd, const struct json_value *body)
{
	switch (cmd->format) {
	case FORMAT_JSON:
		print_json(cmd, body);
		break;
	case FORMAT_JSONL:
		print_each(body, print_jsonl);
		break;
	case FORMAT_NAME:
		print_each(body, print_name);
		break;
	case FORMAT_TABLE:
	case FORMAT_WIDE:
		print_for_people(cmd, body);
		break;
	}
	fflush(stdout);
}
