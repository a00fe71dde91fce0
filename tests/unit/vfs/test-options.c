/* Shows that each backend's manual page names each of its options, and its default. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/builtin.h"
#include "base/cleanup.h"
#include "vfs/backend.h"

/* false: the backend comes without a page of its own. */
static bool read_page(const char *backend, char *text, size_t size)
{
	const char *top = getenv("srcdir");
	char path[256];
	snprintf(path, sizeof(path), "%s/backends/%s/chimera-%s.7", top ? top : ".", backend, backend);
	CLEANUP_FILE FILE *f = fopen(path, "r");
	text[f ? fread(text, 1, size - 1, f) : 0] = '\0';
	return f != NULL;
}

Test(options, the_manual_has_them)
{
	static char page[65536];
	backends_register();
	for (const struct backend_ops *b = backend_next(NULL); b; b = backend_next(b)) {
		if (!read_page(b->name, page, sizeof(page)))
			continue;
		for (const struct backend_option *o = b->options; o && o->key; o++) {
			char item[64];
			snprintf(item, sizeof(item), " %s=", o->key);
			cr_expect_not_null(strstr(page, item), "chimera-%s(7) lacks %s", b->name, item);
		}
	}
}
