/*
 * Shows that damage of a cairn store is found and repaired: cairn-damage DIR alter | flip FILE SAMPLES SEED | crashed FILE SAMPLES SEED.
 *
 * A store is made once in DIR and copied for each trial. alter: each change of records is found as what it is; flip: one
 * bit of one of its files (superblock, tables, journal, data) is flipped, at random places or with SAMPLES 0 in each byte that means
 * something, and in all others some at a time, FROM and TO in pages; crashed: the same in a store that was not closed, whose journal
 * counts. Then: a check finds it if the byte means something, and only then (cairn-damage-map.c); who opens the store without a check
 * refuses it or serves what was written; a repair leaves a clean store; and no file has ever other bytes than those that were written.
 */
#include "tests/system/cairn-damage.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/cairn/cairn-check.h"
#include "base/hash.h"
#include "base/log.h"

#define FLIP_MAX 64u

static struct {
	const char *self, *mode;
	char template[200], store[200];
	const char *file;
	const struct image *image;  /* that file's */
	uint64_t n_samples, seed, from, to;
	uint64_t digest;
	bool fresh; /* the store is as the template */
	uint32_t n_trials, n_found, n_failed;
} trial;

static void fail(const char *what, const char *detail)
{
	fprintf(stderr, "%s: %s\n", what, detail);
	trial.n_failed++;
}

/* What only the journal has may be lost with it. */
static bool is_crashed(void)
{
	return strcmp(trial.mode, "crashed") == 0;
}

/* ---- checks */

static int check(enum check_repair repair, struct check_report *r)
{
	struct check_options o = {.path = trial.store, .repair = repair, .data = true};
	char *why;
	int err = cairn_check(&o, r, &why);
	if (err)
		fprintf(stderr, "check: %s\n", why ? why : err_text(err));
	free(why);
	return err;
}

static bool has_finding(const struct check_report *r, const char *what)
{
	for (uint32_t i = 0; i < r->n_kept; i++)
		if (strcmp(r->findings[i].what, what) == 0)
			return true;
	return false;
}

static void print_findings(const struct check_report *r)
{
	for (uint32_t i = 0; i < r->n_kept; i++)
		fprintf(stderr, "\t%s %s %s inode %llu %s\n", r->findings[i].what, r->findings[i].table ? r->findings[i].table : "-",
		        r->findings[i].key ? r->findings[i].key : "-", (unsigned long long)r->findings[i].ino,
		        r->findings[i].where ? r->findings[i].where : "");
}

/* A repair, after which there is nothing to be found. */
static void repair(const char *name)
{
	struct check_report r;
	if (check(CHECK_ALL, &r))
		fail(name, "cannot be repaired");
	check_report_fini(&r);
	if (check(CHECK_ONLY, &r)) {
		fail(name, "cannot be checked after the repair");
	} else if (r.n_found) {
		fail(name, "is found again after the repair");
		print_findings(&r);
	}
	check_report_fini(&r);
}

static void look(const char *name, uint32_t may_lose)
{
	struct state st;
	char text[128];
	if (store_look(trial.store, &st)) {
		fail(name, "the store cannot be opened");
		return;
	}
	snprintf(text, sizeof(text), "%u files are missing, %u unreadable, %u older, %u with holes, %u wrong", st.n_missing, st.n_unreadable,
	         st.n_older, st.n_holes, st.n_wrong);
	if (st.n_wrong || st.n_holes || (st.n_older && !is_crashed()) || st.n_missing + st.n_unreadable > may_lose)
		fail(name, text);
}

/* ---- alterations */

static void try_alteration(const struct alteration *a)
{
	struct check_report r;
	store_copy(trial.template, trial.store);
	int err = store_alter(trial.store, a);
	if (!err)
		err = check(CHECK_ONLY, &r);
	if (err) {
		fail(a->name, err_text(err));
		return;
	}
	trial.n_trials++;
	if (!has_finding(&r, a->finds)) {
		fail(a->name, "is not found");
		print_findings(&r);
	}
	trial.n_found += r.n_found != 0;
	check_report_fini(&r);
	repair(a->name);
	look(a->name, a->loses);
}

/* ---- bits */

static int read_whole(const char *dir, const char *file, uint8_t **bytes, uint64_t *size)
{
	char path[512];
	struct stat st;
	snprintf(path, sizeof(path), "%s/%s", dir, file);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return -1;
	*size = (uint64_t)st.st_size;
	*bytes = malloc(*size + 1);
	bool whole = *bytes && read(fd, *bytes, *size) == (ssize_t)*size;
	close(fd);
	return whole ? 0 : -1;
}

static void write_at(const char *file, const uint8_t *bytes, uint64_t n, uint64_t at, bool cut)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", trial.store, file);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || pwrite(fd, bytes, n, (off_t)at) != (ssize_t)n || (cut && ftruncate(fd, (off_t)(at + n))))
		abort();
	close(fd);
}

/* The files of a store; what else is in it does not outlive a trial. */
static struct image {
	const char *name;
	uint8_t *bytes;
	uint64_t size;
} images[] = {{"superblock", NULL, 0}, {"journal", NULL, 0}, {"meta/data.mdb", NULL, 0}, {"data/00000000", NULL, 0}};

static void restore(void)
{
	static const char *const others[] = {"scrub", "superblock.new", "meta/data.new", "meta/data.salvaged", "data/00000001"};
	char path[512];
	if (trial.fresh)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(images); i++)
		write_at(images[i].name, images[i].bytes, images[i].size, 0, true);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		snprintf(path, sizeof(path), "%s/%s", trial.store, others[i]);
		unlink(path);
	}
	trial.fresh = true;
}

/* A bit each of n bytes, which are close to each other. */
struct flip {
	uint64_t at, n;
	enum meaning means;
	char name[256];
};

static void flip_bits(const struct flip *f)
{
	uint8_t bytes[FLIP_MAX];
	for (uint64_t i = 0; i < f->n; i++)
		bytes[i] = trial.image->bytes[f->at + i] ^ (uint8_t)(1u << hash_u64(f->at + i + trial.seed) % 8);
	restore();
	write_at(trial.file, bytes, f->n, f->at, false);
}

static void flip_back(const struct flip *f)
{
	if (trial.fresh)
		write_at(trial.file, trial.image->bytes + f->at, f->n, f->at, false);
}

/* Whether the check finds it is as what the byte means tells. What is not found changes nothing of what the tables tell. */
static bool judge(const struct flip *f, const struct check_report *r)
{
	bool found = r->n_found != 0;
	if (!found && f->means >= MEANS_RECORD)
		fail(f->name, "means something and is not found");
	if (found && f->means == MEANS_NOTHING) {
		fail(f->name, "means nothing and is found");
		print_findings(r);
	}
	/* The journal's end looks as if it were cut off when its last batch is damaged. */
	bool ends = is_crashed() && f->means == MEANS_LITTLE;
	if (!found && !ends && store_digest(trial.store) != trial.digest)
		fail(f->name, "changes records and is not found");
	return found;
}

/* As the server opens it, without a check before, in a process of its own: it may refuse, and never dies. */
static void open_and_look(const struct flip *f)
{
	const char *mode = is_crashed() ? "look-older" : f->means == MEANS_KEY ? "look-holes" : "look";
	char *const argv[] = {(char *)trial.self, trial.store, (char *)mode, NULL};
	int status;
	pid_t pid;
	if (posix_spawn(&pid, trial.self, NULL, NULL, argv, environ) || waitpid(pid, &status, 0) != pid)
		abort();
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		fail(f->name, WIFSIGNALED(status) ? "kills who opens the store" : "is served");
	trial.fresh = false;
	flip_bits(f);
}

static uint32_t every(enum meaning means)
{
	static const uint32_t n[] = {[MEANS_NOTHING] = 4, [MEANS_LITTLE] = 1, [MEANS_RECORD] = 8, [MEANS_KEY] = 4, [MEANS_STRUCTURE] = 1, [MEANS_DATA] = 16};
	return n[means];
}

static void try_flip(struct flip *f)
{
	struct check_report r;
	bool more = trial.n_trials++ % every(f->means) == 0;
	snprintf(f->name, sizeof(f->name), "%s, byte %llu of page %llu, seed %llu", trial.file, (unsigned long long)f->at % 4096,
	         (unsigned long long)f->at / 4096, (unsigned long long)trial.seed);
	flip_bits(f);
	if (check(CHECK_ONLY, &r)) {
		fail(f->name, "the store cannot be checked");
		trial.fresh = false;
		return;
	}
	bool found = judge(f, &r);
	check_report_fini(&r);
	trial.n_found += found;
	if (more)
		open_and_look(f);
	if (more && found) {
		trial.fresh = false;
		repair(f->name);
		look(f->name, store_n_files());
	}
	flip_back(f);
}

/* ---- which */

/* Bytes without a meaning go together, as do those of data in a block but for the first ones. */
static uint64_t run_of(const uint8_t *means, uint64_t at, uint64_t size)
{
	uint64_t n = 1;
	while (means[at] == MEANS_NOTHING && n < FLIP_MAX && at + n < size && means[at + n] == MEANS_NOTHING)
		n++;
	return n;
}

static uint64_t step_of(const uint8_t *means, uint64_t at, uint64_t n)
{
	return means[at] == MEANS_DATA && at / CAIRN_BLOCK_SIZE ? CAIRN_BLOCK_SIZE : n;
}

static void flip_all(const uint8_t *means, uint64_t from, uint64_t to)
{
	for (uint64_t at = from, step; at < to && trial.n_failed < 10; at += step) {
		struct flip f = {.at = at, .n = run_of(means, at, to), .means = means[at]};
		step = step_of(means, at, f.n);
		/* Another byte of each block. */
		if (step == CAIRN_BLOCK_SIZE)
			f.at += hash_u64(at) % CAIRN_BLOCK_SIZE;
		try_flip(&f);
	}
}

/* Three of four in what means something. */
static void flip_some(const uint8_t *means, uint64_t size)
{
	for (uint64_t i = 0, tries = 0; i < trial.n_samples && trial.n_failed < 10; tries++) {
		uint64_t at = hash_u64(trial.seed * 1000003 + tries) % size;
		struct flip f = {.at = at, .n = 1, .means = means[at]};
		if (f.means == MEANS_NOTHING && i % 4)
			continue;
		try_flip(&f);
		i++;
	}
}

static void flip(void)
{
	store_copy(trial.template, trial.store);
	for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
		if (read_whole(trial.template, images[i].name, &images[i].bytes, &images[i].size))
			fail(images[i].name, "cannot be read");
		if (strcmp(images[i].name, trial.file) == 0)
			trial.image = &images[i];
	}
	uint8_t *means = trial.image && !trial.n_failed
	                         ? store_map(trial.store, trial.file, trial.image->bytes, trial.image->size) : NULL;
	if (!means) {
		fail(trial.file, "is no file that is known");
		return;
	}
	if (trial.n_samples)
		flip_some(means, trial.image->size);
	else
		flip_all(means, trial.from, MIN(trial.to, trial.image->size));
	free(means);
	for (size_t i = 0; i < ARRAY_SIZE(images); i++)
		free(TAKE(images[i].bytes));
}

/* ---- */

static void run(void *arg)
{
	if (store_make(is_crashed() ? trial.store : trial.template, is_crashed() ? trial.template : NULL)) {
		fail(trial.template, "cannot be made");
		return;
	}
	trial.digest = store_digest(trial.template);
	if (strcmp(trial.mode, "alter") == 0)
		for (uint32_t i = 0; i < n_alterations; i++)
			try_alteration(&alterations[i]);
	else
		flip();
}

/* Exit status 1: something else is served than what was written. */
static void look_only(void *arg)
{
	struct state st;
	if (store_look(arg, &st) == 0 && (st.n_wrong || (st.n_older && strcmp(trial.mode, "look-older") != 0) ||
	                                  (st.n_holes && strcmp(trial.mode, "look-holes") != 0)))
		trial.n_failed++;
}

static void take_arguments(int argc, char **argv)
{
	trial.self = argv[0];
	trial.mode = argv[2];
	snprintf(trial.template, sizeof(trial.template), "%s/template", argv[1]);
	snprintf(trial.store, sizeof(trial.store), "%s/store", argv[1]);
	trial.file = argc > 3 ? argv[3] : NULL;
	trial.n_samples = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
	trial.seed = argc > 5 ? strtoull(argv[5], NULL, 10) : 0;
	trial.from = argc > 6 ? strtoull(argv[6], NULL, 10) * 4096 : 0;
	trial.to = argc > 7 ? strtoull(argv[7], NULL, 10) * 4096 : UINT64_MAX;
}

int main(int argc, char **argv)
{
	if (argc != 3 && argc != 6 && argc != 8) {
		fprintf(stderr, "Usage: cairn-damage DIR alter | flip FILE SAMPLES SEED [FROM TO] | crashed FILE SAMPLES SEED [FROM TO]\n");
		return 2;
	}
	take_arguments(argc, argv);
	if (strncmp(trial.mode, "look", 4) == 0) {
		bench_in_loop(look_only, argv[1]);
		return trial.n_failed ? 1 : 0;
	}
	mkdir(argv[1], 0700);
	bench_remove_dir(trial.template);
	bench_remove_dir(trial.store);
	bench_in_loop(run, NULL);
	printf("%u trials, %u found, %u failed\n", trial.n_trials, trial.n_found, trial.n_failed);
	return trial.n_failed ? 1 : 0;
}
