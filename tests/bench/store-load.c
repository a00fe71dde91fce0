/*
 * Runs rows of tests/bench/store against one store and prints a line of tab-separated values for each: row, operations,
 * wall seconds, CPU seconds of the processes that serve and call, latencies of one step in microseconds (50, 99, 99.9 %),
 * bytes that the device was told to write until everything was in place, bytes of memory that were added, the longest latency.
 *
 *	store-load [OPTION]... TARGET DIR ROW[:IN-FLIGHT[:NAME]]...
 *
 * Opening is the first row. Device counters are those of the whole device: nobody else should write to it meanwhile.
 */
#include <err.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/bench/store-load.h"

enum { NAME_SIZE = 48, LIST_ENTRIES = 1000, SECTOR = 512, FILE_LEVELS = 3 };
#define SCATTER 2654435761ULL /* a prime: i * SCATTER % n visits everything once */

static struct store_options opt = {
	.n_loops = 1, .n_files = 20000, .file_size = 256 << 20, .hot_size = 64 << 20, .seconds = 1};
static const struct target *target;
uint8_t store_payload[STORE_IO_MAX];
static struct worker workers[STORE_WORKERS_MAX];
static const char *row_name; /* of its directory, or large file */
static uint64_t n_created; /* by the last "create", from n_files on */

/* Places in the large directory that "readdir" has passed. */
static struct {
	uint64_t *list;
	size_t n, max;
} cookies;

static struct {
	uint64_t at;
	bool attributes;
} listing;

static void make_payload(void)
{
	for (size_t at = 0; at < STORE_IO_MAX; at += 256)
		if (getrandom(store_payload + at, 256, 0) != 256)
			err(1, "getrandom");
}

void worker_body(struct worker *w)
{
	struct job *job = w->job;
	uint64_t now = bench_now_ns(), i;

	while (now < job->until_ns && (i = job->next++) < job->end) {
		uint64_t start = now;
		w->n_ops += job->step(w, i);
		now = bench_now_ns();
		latency_add(&w->latencies, now - start);
	}
}

/* xorshift */
static uint64_t draw(struct worker *w, uint64_t below)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random % below;
}

/* One-to-one, and in no order: the end of MurmurHash3. */
static uint64_t scattered(uint64_t i)
{
	i = (i ^ i >> 33) * 0xff51afd7ed558ccdULL;
	i = (i ^ i >> 33) * 0xc4ceb9fe1a85ec53ULL;
	return i ^ i >> 33;
}

static const char *name_of(uint64_t i, char name[NAME_SIZE])
{
	if (opt.scattered)
		snprintf(name, NAME_SIZE, "%016llx", (unsigned long long)scattered(i));
	else
		snprintf(name, NAME_SIZE, "file%09llu", (unsigned long long)i);
	return name;
}

/* ---- steps --------------------------------------------------------------------------------- */

static uint64_t step_enter(struct worker *w, uint64_t i)
{
	target->enter(w, row_name);
	return 1;
}

static uint64_t step_open_file(struct worker *w, uint64_t i)
{
	target->open_file(w, row_name);
	return 1;
}

static uint64_t step_sync(struct worker *w, uint64_t i)
{
	target->sync(w);
	return 1;
}

static uint64_t step_commit(struct worker *w, uint64_t i)
{
	target->commit(w);
	return 1;
}

static uint64_t step_add(struct worker *w, uint64_t i)
{
	char name[NAME_SIZE];
	target->add(w, name_of(i, name));
	return 1;
}

static uint64_t step_create(struct worker *w, uint64_t i)
{
	char name[NAME_SIZE];
	target->create(w, name_of(i, name));
	return 1;
}

static uint64_t step_remove(struct worker *w, uint64_t i)
{
	char name[NAME_SIZE];
	target->remove(w, name_of(i, name));
	return 1;
}

static uint64_t step_stat(struct worker *w, uint64_t i)
{
	char name[NAME_SIZE];
	target->stat(w, name_of(i * SCATTER % opt.n_files, name));
	return 1;
}

static uint64_t step_lookup(struct worker *w, uint64_t i)
{
	char name[NAME_SIZE];
	target->stat(w, name_of(draw(w, opt.n_files), name));
	return 1;
}

static uint64_t step_list(struct worker *w, uint64_t i)
{
	if (cookies.n == cookies.max) {
		cookies.max = MAX(2 * cookies.max, (size_t)1024);
		cookies.list = realloc(cookies.list, cookies.max * sizeof(*cookies.list));
		if (!cookies.list)
			err(1, "no memory");
	}
	cookies.list[cookies.n++] = listing.at;
	unsigned n = target->list(w, &listing.at, LIST_ENTRIES, listing.attributes);
	if (n == 0)
		w->job->until_ns = 0;
	return n;
}

static uint64_t step_page(struct worker *w, uint64_t i)
{
	/* The last place is the end, the one before it may have fewer entries behind it. */
	uint64_t at = cookies.list[draw(w, MAX(cookies.n, (size_t)3) - 2)];
	target->list(w, &at, STORE_PAGE, false);
	return 1;
}

static uint64_t step_page_from(struct worker *w, uint64_t i)
{
	char name[NAME_SIZE];
	target->list_from(w, name_of(draw(w, opt.n_files), name), STORE_PAGE);
	return 1;
}

static uint64_t step_write_large(struct worker *w, uint64_t i)
{
	target->write(w, i * STORE_IO_MAX, STORE_IO_MAX, false);
	return 1;
}

static uint64_t step_read_large(struct worker *w, uint64_t i)
{
	target->read(w, i * STORE_IO_MAX, STORE_IO_MAX);
	return 1;
}

static uint64_t step_overwrite(struct worker *w, uint64_t i)
{
	target->write(w, draw(w, opt.file_size / STORE_BLOCK) * STORE_BLOCK, STORE_BLOCK, true);
	return 1;
}

static uint64_t step_read_small(struct worker *w, uint64_t i)
{
	uint64_t n = MIN(opt.hot_size, opt.file_size) / STORE_BLOCK;
	target->read(w, draw(w, n) * STORE_BLOCK, STORE_BLOCK);
	return 1;
}

/* ---- rows ---------------------------------------------------------------------------------- */

enum row_flags {
	ROW_FILE = 1,    /* about the large file, else about the directory */
	ROW_TIMED = 2,   /* ends with the time given, too */
	ROW_COMMITS = 4, /* what it wrote becomes durable at its end, which counts */
	ROW_SYNCS = 8,   /* everything becomes durable at its end, which counts */
	ROW_NAMES = 16,  /* changes names */
};

static uint64_t no_end(void) { return UINT64_MAX; }
static uint64_t all_files(void) { return opt.n_files; }
static uint64_t large_blocks(void) { return opt.file_size / STORE_IO_MAX; }
static uint64_t created(void) { return opt.n_files + n_created; }
static uint64_t last_new(void) { return opt.n_ops ? opt.n_files + opt.n_ops : no_end(); }
static uint64_t from_start(void) { return 0; }
static uint64_t from_first(void) { return opt.first_file; }
static uint64_t from_last(void) { return opt.n_files; }

static uint64_t list_names(void)
{
	listing.at = cookies.n = 0;
	listing.attributes = false;
	return 0;
}

static uint64_t list_attributes(void)
{
	list_names();
	listing.attributes = true;
	return 0;
}

static uint64_t need_cookies(void)
{
	if (cookies.n < 2)
		errx(2, "\"page\" needs \"readdir\" before it");
	return 0;
}

static uint64_t need_names(void)
{
	if (!target->list_from)
		errx(2, "\"pagefrom\": %s does not list in the order of names", target->name);
	return 0;
}

static const struct row {
	const char *name;
	uint64_t (*step)(struct worker *w, uint64_t i);
	uint64_t (*first)(void);
	uint64_t (*end)(void);
	unsigned flags;
} rows[] = {
	{"fill", step_add, from_first, all_files, ROW_SYNCS | ROW_NAMES},
	{"create", step_create, from_last, last_new, ROW_TIMED | ROW_NAMES},
	{"unlink", step_remove, from_last, created, ROW_NAMES},
	{"stat", step_stat, from_start, all_files, 0},
	{"lookup", step_lookup, from_start, no_end, ROW_TIMED},
	{"readdir", step_list, list_names, no_end, 0},
	{"readdir+", step_list, list_attributes, no_end, 0},
	{"page", step_page, need_cookies, no_end, ROW_TIMED},
	{"pagefrom", step_page_from, need_names, no_end, ROW_TIMED},
	{"write1m", step_write_large, from_start, large_blocks, ROW_FILE | ROW_COMMITS},
	{"read1m", step_read_large, from_start, large_blocks, ROW_FILE},
	{"overwrite4k", step_overwrite, from_start, no_end, ROW_FILE | ROW_TIMED},
	{"read4k", step_read_small, from_start, no_end, ROW_FILE | ROW_TIMED},
};

struct result {
	uint64_t n_ops;
	uint64_t wall_ns;
	uint64_t cpu_ns;
	uint64_t device_bytes;
	int64_t memory;
	struct latencies latencies;
};

/* Sectors that the device under the store has been told to write. */
static uint64_t device_bytes(void)
{
	struct stat st;
	char line[512];
	unsigned dev_major, dev_minor;
	unsigned long long sectors, written = 0;

	if (stat(opt.dir, &st) != 0)
		err(1, "%s", opt.dir);
	FILE *f = fopen("/proc/diskstats", "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%u %u %*s %*u %*u %*u %*u %*u %*u %llu", &dev_major, &dev_minor, &sectors) == 3 &&
		    makedev(dev_major, dev_minor) == st.st_dev)
			written = sectors;
	if (f)
		fclose(f);
	return written * SECTOR;
}

/* Each row draws other numbers than those before it. */
static void run_workers(struct job *job, unsigned n)
{
	static uint64_t n_seeds;
	for (unsigned i = 0; i < n; i++) {
		workers[i] = (struct worker){.job = job, .index = i, .random = scattered(++n_seeds)};
		latency_reset(&workers[i].latencies);
	}
	target->run(workers, n);
}

static void run_once(uint64_t (*step)(struct worker *w, uint64_t i))
{
	struct job job = {.target = target, .step = step, .end = 1, .until_ns = UINT64_MAX};
	run_workers(&job, 1);
}

static void run_measured(const struct row *row, unsigned depth, struct result *r)
{
	uint64_t limit = (uint64_t)(opt.seconds * 1e9), start = bench_now_ns();
	struct job job = {.target = target, .step = row->step, .next = row->first(), .end = row->end()};

	job.until_ns = row->flags & ROW_TIMED && job.end == UINT64_MAX ? start + limit : UINT64_MAX;
	run_workers(&job, depth);
	for (unsigned i = 0; i < depth; i++) {
		r->n_ops += workers[i].n_ops;
		r->latencies.n += workers[i].latencies.n;
		for (unsigned k = 0; k < HISTOGRAM_BUCKETS; k++)
			r->latencies.counts[k] += workers[i].latencies.counts[k];
	}
	if (row->flags & ROW_COMMITS)
		run_once(step_commit);
	if (row->flags & ROW_SYNCS)
		run_once(step_sync);
	r->wall_ns = bench_now_ns() - start;
}

static void print_result(const char *label, const struct result *r)
{
	printf("%s\t%llu\t%.6f\t%.6f\t%.1f\t%.1f\t%.1f\t%llu\t%lld\t%.1f\n", label, (unsigned long long)r->n_ops,
	       (double)r->wall_ns / 1e9, (double)r->cpu_ns / 1e9, (double)latency_quantile(&r->latencies, 0.5) / 1e3,
	       (double)latency_quantile(&r->latencies, 0.99) / 1e3, (double)latency_quantile(&r->latencies, 0.999) / 1e3,
	       (unsigned long long)r->device_bytes, (long long)r->memory, (double)latency_quantile(&r->latencies, 1) / 1e3);
	fflush(stdout);
}

/* What is acknowledged may be in its final place only later, and that is work of the row, too. */
static void run_counted(const struct row *row, unsigned depth, struct result *r)
{
	pid_t pids[2];
	int n_pids = target->pids(pids);
	bool closes = opt.closes && row->flags & ROW_NAMES;
	uint64_t cpu = bench_cpu_ns(pids, n_pids);

	run_measured(row, depth, r);
	if (closes)
		target->close();
	r->cpu_ns = bench_cpu_ns(pids, n_pids) - cpu;
	if (closes)
		target->open(&opt);
}

static void run_row(const struct row *row, const char *label, unsigned depth)
{
	struct result r = {0};

	run_once(row->flags & ROW_FILE ? step_open_file : step_enter);
	run_once(step_sync);
	uint64_t device = device_bytes(), memory = target->memory();
	run_counted(row, depth, &r);
	r.memory = (int64_t)(target->memory() - memory);
	run_once(step_sync);
	r.device_bytes = device_bytes() - device;
	if (row->step == step_create)
		n_created = r.n_ops;
	print_result(label, &r);
}

/* Takes a file's bytes out of the host's memory. */
static void forget_file(int fd)
{
	fdatasync(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

/* Brings them there. */
static void warm_file(int fd)
{
	static uint8_t bytes[STORE_IO_MAX];
	while (read(fd, bytes, sizeof(bytes)) > 0)
		;
}

static void (*each_file)(int fd);

static int visit_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
	int fd = type == FTW_F && at->level <= FILE_LEVELS ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		each_file(fd);
		close(fd);
	}
	return at->level > FILE_LEVELS ? FTW_SKIP_SIBLINGS : FTW_CONTINUE;
}

static void visit_files(void (*fn)(int fd))
{
	each_file = fn;
	nftw(opt.dir, visit_file, 16, FTW_PHYS | FTW_ACTIONRETVAL);
}

/* Piece by piece, for what is not mapped may be taken out again before long. */
static void map_file(const char *path, uint8_t *at, size_t size)
{
	static uint8_t bytes[STORE_IO_MAX];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	for (; fd >= 0 && size && (n = read(fd, bytes, MIN(size, sizeof(bytes)))) > 0; at += n, size -= (size_t)n)
		madvise(at, (size_t)n, MADV_POPULATE_READ);
	if (fd >= 0)
		close(fd);
}

/* What this process has mapped of the store's files is in its page tables, too. */
static void map_all(void)
{
	char line[8192], top[PATH_MAX];
	unsigned long begin, end;
	FILE *f = fopen("/proc/self/maps", "r");

	if (!realpath(opt.dir, top))
		err(1, "%s", opt.dir);
	while (f && fgets(line, sizeof(line), f)) {
		char *path = strchr(line, '/');
		if (path && strncmp(path, top, strlen(top)) == 0 && sscanf(line, "%lx-%lx", &begin, &end) == 2) {
			path[strcspn(path, "\n")] = '\0';
			map_file(path, (uint8_t *)begin, end - begin);
		}
	}
	if (f)
		fclose(f);
}

static bool run_aside(const char *spec)
{
	if (strcmp(spec, "kill") == 0)
		raise(SIGKILL);
	if (strcmp(spec, "forget") == 0) {
		visit_files(forget_file);
	} else if (strcmp(spec, "warm") == 0) {
		visit_files(warm_file);
		map_all();
	} else {
		return false;
	}
	return true;
}

/* ROW[:IN-FLIGHT[:NAME]] */
static void run_spec(const char *spec)
{
	char text[64], *rest = text;

	if (run_aside(spec))
		return;
	if (strlen(spec) >= sizeof(text))
		errx(2, "too long: %s", spec);
	strcpy(text, spec);
	const char *name = strsep(&rest, ":"), *in_flight = strsep(&rest, ":");
	unsigned depth = in_flight ? (unsigned)atoi(in_flight) : 1;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		row_name = rest ? rest : rows[i].flags & ROW_FILE ? "big" : "many";
		if (strcmp(rows[i].name, name) == 0 && depth > 0 && depth <= STORE_WORKERS_MAX) {
			run_row(&rows[i], spec, depth);
			return;
		}
	}
	errx(2, "no such row: %s", spec);
}

static _Noreturn void usage(void)
{
	fprintf(stderr, "usage: store-load [-l LOOPS] [-r] [-n FILES] [-f FIRST] [-z FILE_SIZE] [-h HOT_SIZE] [-c CACHE_SIZE] [-s SECONDS] "
	                "[-k OPERATIONS] [-N NODES] [-x] [-a] TARGET DIR ROW[:IN-FLIGHT[:NAME]]...\n"
	                "targets: posix cairn memfs; -r: the store in a process of its own; -f: files that are there; "
	                "-x: names in no order; -a: CPU time until the store is closed, which reads nothing ahead\n"
	                "rows: forget warm kill");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		fprintf(stderr, " %s", rows[i].name);
	fprintf(stderr, "\n");
	exit(2);
}

static bool parse_option(int o)
{
	switch (o) {
	case 'l':
		opt.n_loops = (unsigned)atoi(optarg);
		return true;
	case 'r':
		return opt.ring = true;
	case 'n':
		opt.n_files = strtoull(optarg, NULL, 0);
		return opt.n_files > 0;
	case 'f':
		opt.first_file = strtoull(optarg, NULL, 0);
		return true;
	case 'z':
		opt.file_size = strtoull(optarg, NULL, 0);
		return opt.file_size >= STORE_IO_MAX;
	case 'h':
		opt.hot_size = strtoull(optarg, NULL, 0);
		return opt.hot_size >= STORE_BLOCK;
	case 'c':
		opt.cache_size = strtoull(optarg, NULL, 0);
		return true;
	case 's':
		opt.seconds = atof(optarg);
		return opt.seconds > 0;
	case 'k':
		opt.n_ops = strtoull(optarg, NULL, 0);
		return true;
	case 'x':
		return opt.scattered = true;
	case 'a':
		return opt.closes = true;
	case 'N':
		opt.n_nodes = strtoull(optarg, NULL, 0);
		return true;
	default:
		return false;
	}
}

static const struct target *find_target(const char *name)
{
	static const struct target *const all[] = {&posix_target, &cairn_target, &memfs_target};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (strcmp(all[i]->name, name) == 0)
			return all[i];
	usage();
}

int main(int argc, char **argv)
{
	struct result opening = {.n_ops = 1};
	int o;

	while ((o = getopt(argc, argv, "l:rn:f:z:h:c:s:k:N:xa")) != -1)
		if (!parse_option(o))
			usage();
	if (argc - optind < 2)
		usage();
	target = find_target(argv[optind++]);
	opt.dir = argv[optind++];
	make_payload();
	uint64_t start = bench_now_ns();
	target->open(&opt);
	opening.wall_ns = bench_now_ns() - start;
	print_result("open", &opening);
	for (; optind < argc; optind++)
		run_spec(argv[optind]);
	start = bench_now_ns();
	target->close();
	struct result closing = {.n_ops = 1, .wall_ns = bench_now_ns() - start};
	print_result("close", &closing);
}
