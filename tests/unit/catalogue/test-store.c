/* Shows that whatever is cut, flipped or left behind on disk, a whole generation is loaded or the loss is reported. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "catalogue/catalogue-impl.h"
#include "tests/unit/catalogue/in-loop.h"

static struct catalogue_error error;

static uint64_t commit_mount(const char *dir, const char *name)
{
	struct catalogue_value v[] = {{"backend", "memfs"}, {"note", "50% of \xc3\xa9 a  b"}, {"empty", ""}};
	struct catalogue *c;
	struct catalogue_txn *t;
	cr_assert_eq(catalogue_open(&c, dir, &error), 0);
	cr_assert_eq(catalogue_begin(c, &t, &error), 0);
	cr_assert_eq(catalogue_create(t, "mount", name, v, 3), 0, "%s", error.text);
	cr_assert_eq(catalogue_commit(&t), 0, "%s", error.text);
	struct catalogue_view *view = catalogue_view(c);
	uint64_t generation = catalogue_generation(view);
	cr_assert_str_eq(catalogue_get(catalogue_find(view, "mount", name), "note"), v[1].value);
	catalogue_view_put(view);
	catalogue_close(c);
	return generation;
}

/* The generation that a start finds; 0 with the error: none. */
static uint64_t reopen(const char *dir)
{
	struct catalogue *c;
	if (catalogue_open(&c, dir, &error))
		return 0;
	struct catalogue_view *view = catalogue_view(c);
	uint64_t generation = catalogue_generation(view);
	for (const struct catalogue_object *o = NULL; (o = catalogue_next(view, "mount", o));)
		cr_assert_str_eq(catalogue_get(o, "note"), "50% of \xc3\xa9 a  b");
	catalogue_view_put(view);
	catalogue_close(c);
	return generation;
}

static void path_of(char *out, size_t size, const char *dir, const char *name)
{
	snprintf(out, size, "%s/%s", dir, name);
}

static void truncation(const char *dir)
{
	char path[128];
	for (int i = 0; i < 4; i++) {
		char name[8];
		snprintf(name, sizeof(name), "m%d", i);
		cr_assert_eq(commit_mount(dir, name), (uint64_t)i + 1);
	}
	uint64_t errors = log_lines(LOG_ERROR);
	path_of(path, sizeof(path), dir, "catalogue.0");
	cr_assert_eq(truncate(path, 100), 0);
	cr_assert_eq(reopen(dir), 3, "the generation before the damaged one");
	cr_assert_eq(log_lines(LOG_ERROR), errors + 2, "and the log says so");
	cr_assert_eq(commit_mount(dir, "n"), 4);
	cr_assert_eq(reopen(dir), 4);
	path_of(path, sizeof(path), dir, "catalogue.1");
	cr_assert_eq(truncate(path, 0), 0);
	cr_assert_eq(reopen(dir), 4);
	path_of(path, sizeof(path), dir, "catalogue.0");
	cr_assert_eq(truncate(path, 30), 0);
	cr_assert_eq(reopen(dir), 0);
	cr_assert_str_eq(error.text, "no generation of the catalogue can be read: restore catalogue.0 or catalogue.1, or "
	                             "move them away to start empty");
}

Test(store, truncation)
{
	in_loop(truncation);
}

static void leftover_is_ignored(const char *dir)
{
	char path[128];
	commit_mount(dir, "m");
	path_of(path, sizeof(path), dir, "catalogue.new");
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	cr_assert(fd >= 0 && write(fd, "half", 4) == 4);
	close(fd);
	cr_assert_eq(reopen(dir), 1);
	cr_assert_eq(commit_mount(dir, "n"), 2);
}

Test(store, leftover_is_ignored)
{
	in_loop(leftover_is_ignored);
}

static struct bytes sample(void)
{
	struct catalogue_value v[] = {{"backend", "memfs"}};
	struct catalogue_object o = {catalogue_kind("mount"), 1, "m", v, 1};
	struct catalogue_slot slot = {&o, false};
	struct catalogue_view *view = catalogue_view_create(7, 2);
	struct bytes out;
	cr_assert_eq(catalogue_view_fill(view, &slot, 1), 0);
	bytes_init(&out, 0);
	catalogue_store_encode(view, &out);
	catalogue_view_put(view);
	return out;
}

static int decode(const char *data, size_t size)
{
	struct catalogue_view *v;
	char *copy = malloc(size + 1);
	memcpy(copy, data, size);
	int err = catalogue_store_decode(copy, size, &v, &error);
	if (!err)
		catalogue_view_put(v);
	free(copy);
	return err;
}

Test(store, every_cut_and_every_flip_is_noticed)
{
	struct bytes text = sample();
	cr_assert_eq(decode(text.data, text.size), 0);
	for (size_t n = 0; n < text.size; n++)
		cr_assert_eq(decode(text.data, n), ERR_IO, "cut at %zu", n);
	for (size_t bit = 0; bit < text.size * 8; bit++) {
		text.data[bit / 8] ^= (char)(1 << bit % 8);
		cr_assert_eq(decode(text.data, text.size), ERR_IO, "bit %zu", bit);
		text.data[bit / 8] ^= (char)(1 << bit % 8);
	}
	bytes_fini(&text);
}

static void missing_directory(const char *dir)
{
	char path[128];
	path_of(path, sizeof(path), dir, "none");
	cr_assert_eq(reopen(path), 0);
	cr_assert_not_null(strstr(error.text, "can't open the state directory"));
}

Test(store, missing_directory)
{
	in_loop(missing_directory);
}
