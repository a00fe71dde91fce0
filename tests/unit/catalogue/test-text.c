/* Shows that the catalogue's INI text reads back as it was printed, that apply changes only what differs, and prunes. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/err.h"
#include "catalogue/catalogue.h"
#include "tests/unit/catalogue/in-loop.h"

static struct catalogue *cat;
static struct catalogue_error error;

static int apply(const char *text, bool prune)
{
	struct catalogue_txn *t;
	cr_assert_eq(catalogue_begin(cat, &t, &error), 0);
	int err = catalogue_edit(t, text, strlen(text), prune);
	if (err)
		catalogue_abort(&t);
	else
		err = catalogue_commit(&t);
	return err;
}

static void printed(struct bytes *out)
{
	struct catalogue_view *v = catalogue_view(cat);
	bytes_init(out, 0);
	catalogue_print(v, out);
	catalogue_view_put(v);
}

static void refuses(const char *text, const char *why)
{
	cr_assert_neq(apply(text, false), 0, "%s", text);
	cr_assert_str_eq(error.text, why);
}

#define SITE                                                                                            \
	"[mount m]\nbackend = memfs\ncapacity = 4G\n\n[mount n]\nbackend = null\nread_only = yes\n\n" \
	"[export /data]\nmount = m\nclients = 10.0.0.0/8:rw\n\t*:ro\n"

static void round_trip(const char *dir)
{
	struct bytes text;
	cr_assert_eq(catalogue_open(&cat, dir, &error), 0);
	cr_assert_eq(apply(SITE, false), 0, "%s", error.text);
	printed(&text);
	cr_assert_str_eq(bytes_str(&text), SITE);
	bytes_fini(&text);
	cr_assert_eq(apply(SITE, true), 0);
	struct catalogue_view *v = catalogue_view(cat);
	cr_assert_eq(catalogue_generation(v), 1, "nothing differs");
	catalogue_view_put(v);
	catalogue_close(cat);
}

Test(text, round_trip)
{
	in_loop(round_trip);
}

static void apply_and_prune(const char *dir)
{
	struct bytes text;
	cr_assert_eq(catalogue_open(&cat, dir, &error), 0);
	cr_assert_eq(apply(SITE, false), 0);
	cr_assert_eq(apply("[mount m]\nbackend=memfs\n", false), 0, "%s", error.text);
	printed(&text);
	cr_assert_null(strstr(bytes_str(&text), "capacity"), "what is not said goes back to its default");
	cr_assert_not_null(strstr(bytes_str(&text), "[mount n]"));
	bytes_fini(&text);
	cr_assert_eq(apply("[mount m]\nbackend=memfs\n", true), 0);
	printed(&text);
	cr_assert_str_eq(bytes_str(&text), "[mount m]\nbackend = memfs\n");
	bytes_fini(&text);
	catalogue_close(cat);
}

Test(text, apply_and_prune)
{
	in_loop(apply_and_prune);
}

static void mistakes(const char *dir)
{
	cr_assert_eq(catalogue_open(&cat, dir, &error), 0);
	refuses("[mount m]\nbackend=memfs\n[muont n]\nbackend=memfs\n",
	        "line 3: unknown kind of object \"muont\"; nearest is \"mount\"");
	refuses("[mount]\nbackend=memfs\n", "line 1: a section is named [KIND NAME], such as [mount scratch]");
	refuses("\n[mount m]\nread_only=yes\n", "line 2: mount m: \"backend\" is missing");
	refuses("[mount m]\nbackend=memfs\nbackend=null\n", "line 3: backend is set twice");
	refuses("[mount m]\nbackend=memfs\n[mount m]\nbackend=memfs\n", "line 3: mount m is there twice");
	refuses("backend=memfs\n", "line 1: backend stands before the first section");
	refuses("[mount m]\nbackend\n", "line 2: expected KEY = VALUE");
	struct catalogue_view *v = catalogue_view(cat);
	cr_assert_null(catalogue_next(v, NULL, NULL), "nothing was applied");
	catalogue_view_put(v);
	catalogue_close(cat);
}

Test(text, mistakes)
{
	in_loop(mistakes);
}
