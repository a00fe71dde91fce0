/*
 * Shows that damage of a cairn store is found and repaired: cairn-damage DIR alter | flip FILE SAMPLES SEED | crashed FILE SAMPLES SEED.
 *
 * A store is made once in DIR and copied for each trial. alter: each change of records is found as what it is; flip: one
 * bit of one of its files (superblock, tables, data) is flipped, at random places or with SAMPLES 0 in each byte; crashed: the same
 * in a store that was not closed, whose journal counts. Then: a check
 * finds something, or nothing that anybody could see has changed; a repair leaves a clean store; and no file has ever
 * other bytes than those that were written.
 */
#include "tests/system/cairn-damage.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/cairn/cairn-check.h"
#include "base/hash.h"
#include "base/log.h"

#define LOOK_EVERY 16

static struct {
	const char *mode;
	char template[200], store[200];
	const char *file;
	uint64_t n_samples, seed;
	uint64_t digest;
	bool fresh; /* the store is as the template */
	uint32_t n_trials, n_found, n_failed;
} trial;

static void fail(const char *what, const char *detail)
{
	fprintf(stderr, "%s: %s\n", what, detail);
	trial.n_failed++;
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
	snprintf(text, sizeof(text), "%u files are missing, %u unreadable, %u wrong", st.n_missing, st.n_unreadable, st.n_wrong);
	if (st.n_wrong || st.n_missing + st.n_unreadable > may_lose)
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

/* Up to the last byte that is not zero, and a little more: a journal has a long end of zeros. */
static uint64_t size_of_file(const char *path)
{
	uint64_t at = 0, size = 0;
	FILE *f = fopen(path, "re");
	for (int byte; f && (byte = getc(f)) != EOF; at++)
		size = byte ? at + 64 : size;
	if (f)
		fclose(f);
	return MIN(size, at);
}

static void flip_bit(const char *path, uint64_t at, uint32_t bit)
{
	uint8_t byte;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || pread(fd, &byte, 1, (off_t)at) != 1)
		abort();
	byte ^= (uint8_t)(1u << bit);
	if (pwrite(fd, &byte, 1, (off_t)at) != 1)
		abort();
	close(fd);
}

/* Whether the flip was in what is used: what was found tells; if nothing was, all has to be as before. */
static bool judge(const char *name, const struct check_report *r)
{
	struct state st;
	if (r->n_found)
		return true;
	/* The journal's end looks as if it were cut off when its last batch is damaged. */
	if (strcmp(trial.mode, "crashed") != 0 && store_digest(trial.store) != trial.digest)
		fail(name, "changes records and is not found");
	/* Looking opens the store for writing: with the same records and checksums of all data it is seldom worth a copy. */
	if (trial.n_trials % LOOK_EVERY)
		return false;
	if (store_look(trial.store, &st) || st.n_good != store_n_files() - st.n_missing)
		fail(name, "changes files and is not found");
	trial.fresh = false;
	return false;
}

static void try_flip(uint64_t at, uint32_t bit)
{
	char path[512], name[256];
	struct check_report r;
	snprintf(path, sizeof(path), "%s/%s", trial.store, trial.file);
	snprintf(name, sizeof(name), "%s, byte %llu, bit %u", trial.file, (unsigned long long)at, bit);
	if (!trial.fresh)
		store_copy(trial.template, trial.store);
	trial.fresh = true;
	flip_bit(path, at, bit);
	trial.n_trials++;
	if (check(CHECK_ONLY, &r)) {
		fail(name, "the store cannot be checked");
		return;
	}
	bool found = judge(name, &r);
	check_report_fini(&r);
	if (!found) {
		flip_bit(path, at, bit);
		return;
	}
	trial.n_found++;
	trial.fresh = false;
	repair(name);
	look(name, store_n_files());
}

static void flip_all(uint64_t size)
{
	for (uint64_t at = 0; at < size && trial.n_failed < 10; at++)
		try_flip(at, (uint32_t)(hash_u64(at + trial.seed) % 8));
}

static void flip_some(uint64_t size)
{
	for (uint64_t i = 0; i < trial.n_samples && trial.n_failed < 10; i++) {
		uint64_t h = hash_u64(trial.seed * 1000003 + i);
		try_flip(h % size, (uint32_t)(hash_u64(h) % 8));
	}
}

/* ---- */

static void run(void *arg)
{
	char path[512];
	bool crashed = strcmp(trial.mode, "crashed") == 0;
	if (store_make(crashed ? trial.store : trial.template, crashed ? trial.template : NULL)) {
		fail(trial.template, "cannot be made");
		return;
	}
	trial.digest = store_digest(trial.template);
	if (strcmp(trial.mode, "alter") == 0) {
		for (uint32_t i = 0; i < n_alterations; i++)
			try_alteration(&alterations[i]);
		return;
	}
	snprintf(path, sizeof(path), "%s/%s", trial.template, trial.file);
	if (trial.n_samples)
		flip_some(size_of_file(path));
	else
		flip_all(size_of_file(path));
}

int main(int argc, char **argv)
{
	if (argc != 3 && argc != 6) {
		fprintf(stderr, "Usage: cairn-damage DIR alter | flip FILE SAMPLES SEED | crashed FILE SAMPLES SEED\n");
		return 2;
	}
	trial.mode = argv[2];
	snprintf(trial.template, sizeof(trial.template), "%s/template", argv[1]);
	snprintf(trial.store, sizeof(trial.store), "%s/store", argv[1]);
	if (argc == 6) {
		trial.file = argv[3];
		trial.n_samples = strtoull(argv[4], NULL, 10);
		trial.seed = strtoull(argv[5], NULL, 10);
	}
	mkdir(argv[1], 0700);
	bench_remove_dir(trial.template);
	bench_remove_dir(trial.store);
	bench_in_loop(run, NULL);
	printf("%u trials, %u found, %u failed\n", trial.n_trials, trial.n_found, trial.n_failed);
	return trial.n_failed ? 1 : 0;
}
