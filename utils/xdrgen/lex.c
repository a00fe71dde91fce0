/* The tokens of the XDR language: names, numbers and single characters; comments are skipped. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "utils/xdrgen/xdrgen.h"

void lexer_fail(const struct lexer *lx, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fprintf(stderr, "%s:%d: ", lx->file, lx->line);
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, " (at '%s')\n", lx->text);
	va_end(ap);
	exit(1);
}

static void skip_comment(struct lexer *lx)
{
	for (lx->pos += 2; *lx->pos; lx->pos++) {
		if (*lx->pos == '\n')
			lx->line++;
		if (lx->pos[0] == '*' && lx->pos[1] == '/') {
			lx->pos += 2;
			return;
		}
	}
	lexer_fail(lx, "comment does not end");
}

static void skip_space(struct lexer *lx)
{
	for (;;) {
		if (isspace((unsigned char)*lx->pos))
			lx->line += *lx->pos++ == '\n';
		else if (lx->pos[0] == '/' && lx->pos[1] == '*')
			skip_comment(lx);
		else
			return;
	}
}

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static void take_text(struct lexer *lx, size_t size)
{
	if (size >= sizeof(lx->text))
		lexer_fail(lx, "token is too long");
	memcpy(lx->text, lx->pos, size);
	lx->text[size] = '\0';
	lx->pos += size;
}

static void take_word(struct lexer *lx)
{
	size_t size = 0;
	while (is_name(lx->pos[size]) || (size == 0 && lx->pos[size] == '-'))
		size++;
	take_text(lx, size);
}

void lexer_next(struct lexer *lx)
{
	skip_space(lx);
	char c = *lx->pos;
	if (c == '\0') {
		lx->kind = TOK_END;
		take_text(lx, 0);
	} else if (isdigit((unsigned char)c) || c == '-') {
		char *end;
		take_word(lx);
		lx->kind = TOK_NUMBER;
		lx->number = c == '-' ? (uint64_t)strtoll(lx->text, &end, 0) : strtoull(lx->text, &end, 0);
		if (*end)
			lexer_fail(lx, "not a number");
	} else if (is_name(c)) {
		take_word(lx);
		lx->kind = TOK_NAME;
	} else {
		take_text(lx, 1);
		lx->kind = TOK_PUNCT;
	}
}

void lexer_start(struct lexer *lx, const char *file, const char *text)
{
	*lx = (struct lexer){.file = file, .pos = text, .line = 1};
	lexer_next(lx);
}
