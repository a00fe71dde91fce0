/* xdrgen SPEC.x HEADER SOURCE - HEADER's path as given is what SOURCE includes. */
#include "config.h"

#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#include "utils/xdrgen/xdrgen.h"

void fail(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fprintf(stderr, "xdrgen: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	exit(1);
}

void *alloc(size_t size)
{
	void *p = calloc(1, size);
	if (!p)
		fail("out of memory");
	return p;
}

char *format(const char *fmt, ...)
{
	char *text;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		fail("out of memory");
	va_end(ap);
	return text;
}

void emit(struct emitter *e, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	for (int i = 0; i < e->indent; i++)
		fputc('\t', e->out);
	vfprintf(e->out, fmt, ap);
	fputc('\n', e->out);
	va_end(ap);
}

static char *read_file(const char *path)
{
	const size_t limit = 1 << 20;
	char *text = alloc(limit);
	FILE *f = fopen(path, "r");
	if (!f)
		fail("cannot open %s", path);
	size_t size = fread(text, 1, limit, f);
	if (size == limit || ferror(f))
		fail("cannot read %s", path);
	fclose(f);
	return text;
}

static struct emitter open_output(const char *path)
{
	struct emitter e = {.out = fopen(path, "w")};
	if (!e.out)
		fail("cannot write %s", path);
	return e;
}

static void close_output(struct emitter *e, const char *path)
{
	if (ferror(e->out) || fclose(e->out) != 0)
		fail("cannot write %s", path);
}

int main(int argc, char **argv)
{
	if (argc != 4)
		fail("usage: xdrgen SPEC.x HEADER SOURCE");
	struct spec spec = {0};
	spec_parse(&spec, argv[1], read_file(argv[1]));

	struct emitter header = open_output(argv[2]);
	emit_header(&header, &spec, basename(format("%s", argv[2])));
	close_output(&header, argv[2]);

	struct emitter source = open_output(argv[3]);
	emit_source(&source, &spec, argv[2]);
	close_output(&source, argv[3]);
	return 0;
}
