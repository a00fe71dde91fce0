/* Shows that each backend's manual page names each of its options, and what is said of options that are wrong. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/builtin.h"
#include "base/cleanup.h"
#include "vfs/backend.h"

/* Beside the backend's code, or with the other pages. */
static FILE *open_page(const char *backend)
{
	const char *top = getenv("srcdir");
	char path[256];
	snprintf(path, sizeof(path), "%s/backends/%s/chimera-%s.7", top ? top : ".", backend, backend);
	FILE *f = fopen(path, "r");
	if (f)
		return f;
	snprintf(path, sizeof(path), "%s/man/chimera-%s.7", top ? top : ".", backend);
	return fopen(path, "r");
}

static void read_page(const char *backend, char *text, size_t size)
{
	CLEANUP_FILE FILE *f = open_page(backend);
	cr_assert_not_null(f, "chimera-%s(7) is missing", backend);
	text[fread(text, 1, size - 1, f)] = '\0';
}

Test(options, the_manual_has_them)
{
	static char page[65536];
	backends_register();
	for (const struct backend_ops *b = backend_next(NULL); b; b = backend_next(b)) {
		read_page(b->name, page, sizeof(page));
		for (const struct backend_option *o = b->options; o && o->key; o++) {
			char item[64];
			snprintf(item, sizeof(item), " %s=", o->key);
			cr_expect_not_null(strstr(page, item), "chimera-%s(7) lacks %s", b->name, item);
		}
	}
}

static void refused(const char *backend, const char *key, const char *value, const char *text)
{
	const struct vfs_option options[] = {{key, value}, {NULL, NULL}};
	CLEANUP_FREE char *why = NULL;
	cr_expect_eq(backend_check_options(backend_find(backend), options, &why), ERR_INVAL);
	cr_expect(why && strstr(why, text), "%s", why ? why : "nothing was said");
}

Test(options, what_is_wrong_is_named_with_the_nearest)
{
	CLEANUP_FREE char *why = NULL, *far = NULL;
	backends_register();
	refused("memfs", "capacty", "1G", "nearest is 'capacity'");
	refused("memfs", "capacity", "much", "it takes a size");
	refused("linux", "sync", "perhaps", "it takes yes or no");
	refused("linux", "sync", "yes", "'path' is missing");
	refused("cairn", "frobnicate", "1", "has no option 'frobnicate'; see chimera-cairn(7)");
	refused("null", "files", "-1", "it takes a number");
	cr_expect_eq(backend_unknown("carn", &why), ERR_NODEV);
	cr_expect(strstr(why, "nearest is cairn"), "%s", why);
	cr_expect_eq(backend_unknown("zfs-of-old", &far), ERR_NODEV);
	cr_expect(strstr(far, "there are ") && strstr(far, "memfs"), "%s", far);
}
