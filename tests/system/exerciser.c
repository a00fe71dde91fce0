/*
 * Picks operations by weight until the count or the time is reached, then verifies everything once more - through another
 * directory too, when one is given: a second mount of the same store. On the first thing that is not as the model
 * says, the latest operations are printed, and the seed, which repeats the run.
 */
#include "exerciser.h"

#include <err.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LOG_LINES = 64, LOG_LINE_MAX = 256 };

struct ex_op ex_ops[] = {
	{"write", 12, do_write},
	{"append", 3, do_append},
	{"read", 12, do_read},
	{"truncate", 4, do_truncate},
	{"mmap-write", 3, do_mmap_write},
	{"mmap-read", 3, do_mmap_read},
	{"punch", 3, do_punch},
	{"zero", 2, do_zero},
	{"allocate", 2, do_allocate},
	{"copy", 3, do_copy},
	{"seek", 3, do_seek},
	{"sync", 1, do_sync},
	{"forget", 3, do_forget},
	{"direct-read", 2, do_direct_read},
	{"direct-write", 2, do_direct_write},
	{"xattr", 2, do_xattr},
	{"stat", 4, do_stat},
	{"chmod", 2, do_chmod},
	{"utimes", 2, do_utimes},
	{"create", 5, do_create},
	{"close", 4, do_close},
	{"unlink", 3, do_unlink},
	{"link", 3, do_link},
	{"rename", 5, do_rename},
	{"exchange", 1, do_exchange},
	{"noreplace", 1, do_noreplace},
	{"symlink", 2, do_symlink},
	{"readlink", 2, do_readlink},
	{"rename-dir", 1, do_rename_dir},
	{"subdir", 1, do_subdir},
	{"readdir", 2, do_readdir},
};
const int n_ex_ops = ARRAY_SIZE(ex_ops);

static char log_lines[LOG_LINES][LOG_LINE_MAX];
static uint64_t n_logged;
static unsigned long long seed = 1;
static struct ex_op *current;

uint32_t ex_random(struct ex *x, uint32_t below)
{
	x->rng += 0x9e3779b97f4a7c15U;
	uint64_t z = x->rng;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return (uint32_t)((z ^ (z >> 31)) % below);
}

void ex_log(struct ex *x, const char *fmt, ...)
{
	char *line = log_lines[n_logged++ % LOG_LINES];
	int n = snprintf(line, LOG_LINE_MAX, "%8llu %-12s ", (unsigned long long)x->op_index, current ? current->name : "");
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line + n, (size_t)(LOG_LINE_MAX - n), fmt, ap);
	va_end(ap);
}

void ex_fail(struct ex *x, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	fprintf(stderr, "exerciser: the latest operations:\n");
	for (uint64_t i = n_logged > LOG_LINES ? n_logged - LOG_LINES : 0; i < n_logged; i++)
		fprintf(stderr, "  %s\n", log_lines[i % LOG_LINES]);
	fprintf(stderr, "exerciser: FAILED at operation %llu, seed %llu: ", (unsigned long long)x->op_index, seed);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, " (errno: %s)\n", strerror(saved));
	exit(1);
}

bool ex_refused(struct ex *x, int64_t result, const char *what)
{
	if (result >= 0)
		return false;
	if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL || errno == EXDEV || errno == ENOTTY) {
		current->off = true;
		return true;
	}
	ex_fail(x, "%s failed", what);
}

static void run_one(struct ex *x)
{
	uint32_t total = 0;

	for (int i = 0; i < n_ex_ops; i++)
		total += ex_ops[i].weight;
	uint32_t at = ex_random(x, total);
	for (current = ex_ops; at >= current->weight; current++)
		at -= current->weight;
	x->op_index++;
	if (current->off)
		return;
	current->run(x);
	current->n_done++;
}

static void run_all(struct ex *x, uint64_t n_ops, unsigned n_seconds)
{
	time_t end = time(NULL) + n_seconds;

	while (n_ops ? x->op_index < n_ops : time(NULL) < end)
		run_one(x);
	current = NULL;
}

static void report(const struct ex *x)
{
	printf("exerciser: seed %llu, %llu operations, everything verified\n ", seed, (unsigned long long)x->op_index);
	for (int i = 0; i < n_ex_ops; i++)
		printf(" %s %llu%s", ex_ops[i].name, (unsigned long long)ex_ops[i].n_done, ex_ops[i].off ? " (refused)" : "");
	printf("\n");
}

static void switch_off(char *list)
{
	for (char *name = strtok(list, ","); name; name = strtok(NULL, ",")) {
		int i = 0;
		while (i < n_ex_ops && strcmp(ex_ops[i].name, name) != 0)
			i++;
		if (i == n_ex_ops)
			errx(2, "no operation is called %s", name);
		ex_ops[i].off = true;
	}
}

static _Noreturn void usage(void)
{
	errx(2, "usage: exerciser [-s SEED] [-n OPERATIONS | -t SECONDS] [-f FILES] [-S MAX_SIZE] [-x OPERATION,...] "
	        "[-V OTHER_DIR] [-k] DIR\n"
	        "DIR must be empty; -V: verify through another mount at the end; -k: keep the files");
}

static void verify_through(struct ex *x, const char *other)
{
	const char *root = x->root;

	for (int i = 0; i < x->n_files; i++)
		if (x->files[i].fd >= 0)
			ex_close(x, i);
	ex_verify_all(x);
	if (!other)
		return;
	x->root = other;
	ex_verify_all(x);
	x->root = root;
}

static void remove_all(struct ex *x)
{
	char path[EX_PATH_MAX];

	for (int d = 0; d < x->n_dirs; d++) {
		for (int n = 0; n < x->n_names; n++) {
			ex_name_path(x, d, n, path);
			if (x->names[d][n].file != NO_FILE && unlink(path) != 0)
				ex_fail(x, "unlink %s", path);
		}
		ex_dir_path(x, d, path);
		if (rmdir(path) != 0)
			ex_fail(x, "rmdir %s", path);
	}
}

int main(int argc, char **argv)
{
	struct ex x = {.max_size = 256 << 10, .n_files = 48};
	const char *other = NULL;
	uint64_t n_ops = 0;
	unsigned n_seconds = 10;
	bool keep = false;
	int o;

	while ((o = getopt(argc, argv, "s:n:t:f:S:x:V:k")) != -1) {
		switch (o) {
		case 's': seed = strtoull(optarg, NULL, 0); break;
		case 'n': n_ops = strtoull(optarg, NULL, 0); break;
		case 't': n_seconds = (unsigned)atoi(optarg); break;
		case 'f': x.n_files = atoi(optarg); break;
		case 'S': x.max_size = (uint32_t)strtoul(optarg, NULL, 0); break;
		case 'x': switch_off(optarg); break;
		case 'V': other = optarg; break;
		case 'k': keep = true; break;
		default: usage();
		}
	}
	if (optind + 1 != argc || x.n_files < 1 || x.max_size < 16384)
		usage();
	x.root = argv[optind];
	x.max_size = ALIGN_DOWN(x.max_size, 4096U);
	x.rng = seed;
	ex_init(&x);
	run_all(&x, n_ops, n_seconds);
	verify_through(&x, other);
	report(&x);
	if (!keep)
		remove_all(&x);
	return 0;
}
