/* Shows that transactions are all or nothing, that the hook can veto, and that ids are never given twice. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/err.h"
#include "catalogue/catalogue.h"
#include "tests/unit/catalogue/in-loop.h"

static struct catalogue *cat;
static struct catalogue_error error;
static struct catalogue_txn *txn;
static char trace[1024];
static const char *veto; /* name of the object whose change is refused */
static uint64_t committed;

static int hook(void *arg, const struct catalogue_change *c, struct catalogue_error *why)
{
	const struct catalogue_object *o = c->after ? c->after : c->before;
	if (veto && c->after && strcmp(o->name, veto) == 0) {
		catalogue_error_set(why, "%s will not do", o->name);
		return ERR_NODEV;
	}
	strcat(trace, !c->before ? "+" : !c->after ? "-" : "=");
	strcat(trace, o->name);
	strcat(trace, " ");
	return 0;
}

static void note(void *arg, uint64_t generation)
{
	committed = generation;
}

static void begin(const char *dir)
{
	static const struct catalogue_hooks hooks = {hook, note, NULL};
	cr_assert_eq(catalogue_open(&cat, dir, &error), 0, "%s", error.text);
	catalogue_set_hooks(cat, &hooks);
	trace[0] = '\0';
	cr_assert_eq(catalogue_begin(cat, &txn, &error), 0);
}

static void again(void)
{
	trace[0] = '\0';
	cr_assert_eq(catalogue_begin(cat, &txn, &error), 0);
}

static int add_mount(const char *name)
{
	struct catalogue_value v[] = {{"backend", "memfs"}, {"capacity", "4G"}};
	return catalogue_create(txn, "mount", name, v, 2);
}

static int add_export(const char *name, const char *mount)
{
	struct catalogue_value v[] = {{"mount", mount}, {"clients", "*:rw"}};
	return catalogue_create(txn, "export", name, v, 2);
}

static void fails(int err, int expect, const char *text)
{
	cr_assert_eq(err, expect, "%d: %s", err, error.text);
	cr_assert_str_eq(error.text, text);
	catalogue_abort(&txn);
}

static void create_and_reload(const char *dir)
{
	begin(dir);
	cr_assert_eq(add_export("/data", "m"), 0);
	cr_assert_eq(add_mount("m"), 0);
	cr_assert_eq(catalogue_commit(&txn), 0, "%s", error.text);
	cr_assert_null(txn);
	cr_assert_str_eq(trace, "+m +/data ", "what is referred to comes first");
	cr_assert_eq(committed, 1);
	catalogue_close(cat);
	begin(dir);
	catalogue_abort(&txn);
	struct catalogue_view *v = catalogue_view(cat);
	const struct catalogue_object *o = catalogue_find(v, "export", "/data");
	cr_assert_not_null(o);
	cr_assert_str_eq(catalogue_get(o, "clients"), "*:rw");
	cr_assert_str_eq(catalogue_get(o, "path"), "/", "a default");
	cr_assert_null(catalogue_get(o, "nothing"));
	cr_assert_str_eq(catalogue_get(catalogue_find(v, "mount", "m"), "capacity"), "4G");
	cr_assert_eq(catalogue_next_id(v, "export", 0), o);
	cr_assert_null(catalogue_next_id(v, "export", o->id));
	cr_assert_eq(catalogue_next(v, NULL, catalogue_next(v, NULL, NULL)), o);
	cr_assert_null(catalogue_next(v, NULL, o));
	catalogue_view_put(v);
	catalogue_close(cat);
}

Test(catalogue, create_and_reload)
{
	in_loop(create_and_reload);
}

static void ids_are_not_reused(const char *dir)
{
	uint64_t last = 0;
	for (int i = 0; i < 3; i++) {
		begin(dir);
		cr_assert_eq(add_mount("m"), 0);
		cr_assert_eq(catalogue_commit(&txn), 0);
		struct catalogue_view *v = catalogue_view(cat);
		cr_assert_gt(catalogue_find(v, "mount", "m")->id, last);
		last = catalogue_find(v, "mount", "m")->id;
		catalogue_view_put(v);
		again();
		cr_assert_eq(catalogue_delete(txn, "mount", "m"), 0);
		cr_assert_eq(catalogue_commit(&txn), 0);
		catalogue_close(cat);
	}
}

Test(catalogue, ids_are_not_reused)
{
	in_loop(ids_are_not_reused);
}

static void mistakes(const char *dir)
{
	struct catalogue_value bad_bool[] = {{"backend", "memfs"}, {"read_only", "maybe"}};
	struct catalogue_value no_backend[] = {{"capacity", "4G"}};
	struct catalogue_value typo[] = {{"mounts", "m"}};
	begin(dir);
	fails(catalogue_create(txn, "mount", "a/b", no_backend, 1), ERR_INVAL,
	      "\"a/b\" can't name a mount: it has to be letters, digits, \"-\", \"_\" and \".\", 255 bytes at most");
	again();
	fails(catalogue_create(txn, "mount", "m", no_backend, 1), ERR_INVAL, "mount m: \"backend\" is missing");
	again();
	fails(catalogue_create(txn, "mount", "m", bad_bool, 2), ERR_INVAL,
	      "mount m: read_only = \"maybe\": it has to be yes or no");
	again();
	fails(catalogue_create(txn, "export", "/a/../b", typo, 1), ERR_INVAL,
	      "\"/a/../b\" can't name an export: it has to be an absolute path without \".\", \"..\" or \"//\", 960 bytes at most");
	again();
	fails(catalogue_create(txn, "export", "/a", typo, 1), ERR_INVAL,
	      "export /a: unknown field \"mounts\"; nearest is \"mount\"");
	again();
	fails(catalogue_delete(txn, "export", "/a"), ERR_NOENT, "there is no export named \"/a\"");
	again();
	cr_assert_eq(add_mount("m"), 0);
	fails(add_mount("m"), ERR_EXIST, "mount m exists already");
	again();
	cr_assert_eq(add_export("/a", "nowhere"), 0);
	fails(catalogue_commit(&txn), ERR_NOENT, "export /a: there is no mount named \"nowhere\"");
	cr_assert_str_eq(trace, "");
	catalogue_close(cat);
}

Test(catalogue, mistakes)
{
	in_loop(mistakes);
}

static void in_use_and_fixed(const char *dir)
{
	struct catalogue_value backend[] = {{"backend", "linux"}}, ro[] = {{"read_only", "true"}};
	begin(dir);
	cr_assert_eq(add_mount("m"), 0);
	cr_assert_eq(add_export("/data", "m"), 0);
	cr_assert_eq(catalogue_commit(&txn), 0);
	again();
	cr_assert_eq(catalogue_delete(txn, "mount", "m"), 0);
	fails(catalogue_commit(&txn), ERR_BUSY, "mount m is in use: export /data refers to it; delete that first");
	again();
	fails(catalogue_set(txn, "mount", "m", backend, 1), ERR_INVAL,
	      "mount m: backend can't be changed; delete the mount and create it anew");
	again();
	cr_assert_eq(catalogue_set(txn, "mount", "m", ro, 1), 0);
	cr_assert_eq(catalogue_commit(&txn), 0);
	cr_assert_str_eq(trace, "=m ");
	again();
	cr_assert_eq(catalogue_delete(txn, "mount", "m"), 0);
	cr_assert_eq(catalogue_delete(txn, "export", "/data"), 0);
	cr_assert_eq(catalogue_commit(&txn), 0);
	cr_assert_str_eq(trace, "-/data -m ", "users go before what they use");
	catalogue_close(cat);
}

Test(catalogue, in_use_and_fixed)
{
	in_loop(in_use_and_fixed);
}

static void veto_undoes(const char *dir)
{
	begin(dir);
	cr_assert_eq(add_mount("a"), 0);
	cr_assert_eq(add_mount("b"), 0);
	cr_assert_eq(add_mount("c"), 0);
	veto = "c";
	fails(catalogue_commit(&txn), ERR_NODEV, "c will not do");
	veto = NULL;
	cr_assert_str_eq(trace, "+a +b -b -a ");
	struct catalogue_view *v = catalogue_view(cat);
	cr_assert_null(catalogue_next(v, NULL, NULL));
	cr_assert_eq(catalogue_generation(v), 0);
	catalogue_view_put(v);
	catalogue_close(cat);
}

Test(catalogue, veto_undoes)
{
	in_loop(veto_undoes);
}

static void no_change_is_no_generation(const char *dir)
{
	struct catalogue_value same[] = {{"capacity", "4G"}};
	begin(dir);
	cr_assert_eq(add_mount("m"), 0);
	cr_assert_eq(catalogue_commit(&txn), 0);
	again();
	cr_assert_eq(catalogue_set(txn, "mount", "m", same, 1), 0);
	cr_assert_eq(catalogue_commit(&txn), 0);
	struct catalogue_view *v = catalogue_view(cat);
	cr_assert_eq(catalogue_generation(v), 1);
	catalogue_view_put(v);
	catalogue_close(cat);
}

Test(catalogue, no_change_is_no_generation)
{
	in_loop(no_change_is_no_generation);
}
