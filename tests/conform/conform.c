/*
 * conform: one suite of file-system semantics, run against any backend by any driver.
 *
 * conform [--driver local|ring|mount] [--backend NAME] [--option K=V]... [--dir PATH] [--socket PATH]
 *         [--mount NAME] [--without FEATURE]... [--filter GLOB] [--seed N] [--read-only] [--list] [--tap]
 */
#include <fnmatch.h>
#include <getopt.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "tests/conform/verbs-stream.h"

#define OPTIONS_MAX 32

static const struct {
	const char *name;
	uint32_t bit;
} features[] = {
	{"ops", HAS_OPS},
	{"raw-names", HAS_RAW_NAMES},
	{"wcc", HAS_WCC},
	{"stale", HAS_STALE},
	{"users", HAS_USERS},
	{"xattr", HAS_XATTR},
	{"big", HAS_BIG},
	{"holes", HAS_HOLES},
	{"exchange", HAS_EXCHANGE},
	{"mknod", HAS_MKNOD},
	{"direct", HAS_DIRECT},
	{"unlinked", HAS_UNLINKED},
	{"create-defaults", HAS_CREATE_DEFAULTS},
	{"zero", HAS_ZERO},
	{"fine-change", HAS_FINE_CHANGE},
	{"own-space", HAS_OWN_SPACE},
	{"fault", HAS_FAULT},
	{"small", HAS_SMALL},
	{"streams", HAS_STREAMS},
	{"acl", HAS_ACL},
	{"quota", HAS_QUOTA},
	{"nfs4-acl", HAS_NFS4_ACL},
};

struct suite {
	const struct driver *drv;
	struct driver_config cfg;
	const char *options[OPTIONS_MAX + 1];
	unsigned n_options;
	const char *filter;
	uint64_t seed;
	uint32_t without;
	bool list, tap, verbose;
	bool complete; /* every case was to run: coverage counts */
	unsigned n_passed, n_failed, n_skipped, n_checks;
};

struct conform_case *conform_cases;

void conform_add(struct conform_case *c)
{
	struct conform_case **end = &conform_cases;

	while (*end)
		end = &(*end)->next;
	*end = c;
}

static const char *first_missing(uint32_t missing)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(features); i++)
		if (missing & features[i].bit)
			return features[i].name;
	return "?";
}

static void report(struct suite *s, const struct conform_case *c, const char *outcome, const char *why)
{
	unsigned n = s->n_passed + s->n_failed + s->n_skipped;

	if (s->tap)
		printf("%s %u - %s%s%s\n", outcome[0] == 'F' ? "not ok" : "ok", n, c->name, why ? " # SKIP " : "",
		       why ? why : "");
	else if (outcome[0] == 'F' || s->verbose)
		printf("%s %s: %s%s%s%s\n", outcome, c->name, c->shows, why ? " (" : "", why ? why : "", why ? ")" : "");
	fflush(stdout);
}

static void prepare_dir(struct test *t, const struct conform_case *c, const struct obj *root)
{
	snprintf(t->dir_name, sizeof(t->dir_name), "%s.%d", c->name, (int)getpid());
	as(t, &ROOT);
	t->dir = (struct obj){0};
	OK(fs_mkdir(t, root, t->dir_name, 0777, &t->dir));
}

static void drop_dir(struct test *t, const struct conform_case *c, const struct obj *root)
{
	char name[128];

	snprintf(name, sizeof(name), "%s.%d", c->name, (int)getpid());
	row(t, "clean-up");
	/* First what the case held: an NFS client keeps what is in use under another name. */
	t->drv->release(t);
	conform_release_memory(t);
	OK(fs_lookup(t, root, name, &t->dir));
	conform_clear_dir(t, &t->dir);
	conform_release_memory(t);
	OK(fs_rmdir(t, root, name));
	conform_release_memory(t);
}

static void run_case(struct suite *s, struct test *t, const struct conform_case *c)
{
	uint32_t missing = c->needs & ~t->features;
	bool writes = !s->cfg.read_only;

	if (missing) {
		s->n_skipped++;
		report(s, c, "SKIP", first_missing(missing));
		return;
	}
	*t->counts = (struct test_counts){.running = c};
	row(t, NULL);
	t->random_state = s->seed;
	if (writes)
		prepare_dir(t, c, &t->root);
	c->run(t);
	if (writes)
		drop_dir(t, c, &t->root);
	s->n_checks += t->counts->n_checks;
	*(t->counts->n_failed ? &s->n_failed : &s->n_passed) += 1;
	report(s, c, t->counts->n_failed ? "FAIL" : "PASS", NULL);
}

/* A case of read-only mounts runs there alone: the file system below cannot be prepared by the others. */
static bool chosen(const struct suite *s, const struct conform_case *c)
{
	if (s->filter && fnmatch(s->filter, c->name, 0))
		return false;
	return !strncmp(c->name, "readonly_", 9) == s->cfg.read_only;
}

static void check_coverage(struct suite *s, struct test *t)
{
	const struct op_info *info;
	unsigned code;

	for (code = 0; code < OP_N_CODES; code++) {
		info = op_info(code);
		if (!info->name || (info->flags & OP_I_RESERVED) || conform_op_calls[code])
			continue;
		printf("FAIL coverage: op %s is used by no case\n", info->name);
		s->n_failed++;
	}
}

static void probe_size(struct test *t)
{
	if (fs_statfs(t, &t->root) == 0 && t->ans.statfs.total_bytes < 64 << 20 && (t->features & HAS_OWN_SPACE))
		t->features |= HAS_SMALL;
}

static void probe_streams(struct test *t)
{
	struct scan s = {.room = 4096};

	if ((t->features & HAS_OPS) && fs_list_streams(t, &t->root, "none", &s) != ERR_NOTSUPP)
		t->features |= HAS_STREAMS;
}

/* Whether the root takes what its mode says as an ACL; and whether there are quotas. */
static void probe_acl(struct test *t)
{
	struct op_quota q = {.kind = QUOTA_USER};
	char acl[1024];

	if (t->drv->get_acl && fs_get_acl(t, &t->root, acl, sizeof(acl)) == 0 &&
	    fs_set_acl(t, &t->root, acl, t->ans.size) == 0 && fs_set_acl(t, &t->root, NULL, 0) == 0)
		t->features |= HAS_ACL;
	if (!t->drv->get_acl && t->drv->get_xattr(t, &t->root, str("system.nfs4_acl"), NULL, 0) == 0)
		t->features |= HAS_NFS4_ACL;
	if (t->drv->get_quota && fs_get_quota(t, &t->root, &q, QUOTA_NEXT) != ERR_NOTSUPP)
		t->features |= HAS_QUOTA;
}

static void run_suite(void *arg)
{
	struct suite *s = arg;
	struct test_counts counts = {0};
	struct test_memory held = {.lock = PTHREAD_MUTEX_INITIALIZER};
	struct test t = {.drv = s->drv, .as = &ROOT, .counts = &counts, .memory = &held};
	const struct conform_case *c;

	t.features = s->drv->features;
	if (!check_err(&t, __FILE__, __LINE__, "the file system's root", s->drv->root(&t, &t.root), 0)) {
		s->n_failed++;
		return;
	}
	probe_streams(&t);
	probe_acl(&t);
	t.features &= ~s->without;
	probe_size(&t);
	for (c = conform_cases; c; c = c->next)
		if (chosen(s, c))
			run_case(s, &t, c);
	if (s->complete && (t.features & HAS_OPS))
		check_coverage(s, &t);
	conform_release_memory(&t);
	free(held.fds);
}

static uint32_t feature_bit(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(features); i++)
		if (!strcmp(name, features[i].name))
			return features[i].bit;
	fprintf(stderr, "conform: no feature %s\n", name);
	exit(2);
}

static const struct driver *driver_named(const char *name)
{
	static const struct driver *const drivers[] = {&driver_mount, &driver_local, &driver_ring};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(drivers); i++)
		if (!strcmp(name, drivers[i]->name))
			return drivers[i];
	fprintf(stderr, "conform: no driver %s\n", name);
	exit(2);
}

static void list_cases(void)
{
	const struct conform_case *c;

	for (c = conform_cases; c; c = c->next)
		printf("%-40s %s\n", c->name, c->shows);
}

static void take_option(struct suite *s, int opt)
{
	switch (opt) {
	case 'D': s->drv = driver_named(optarg); break;
	case 'b': s->cfg.backend = optarg; break;
	case 'd': s->cfg.dir = optarg; break;
	case 's': s->cfg.socket = optarg; break;
	case 'm': s->cfg.mount = optarg; break;
	case 'w': s->without |= feature_bit(optarg); break;
	case 'f': s->filter = optarg; break;
	case 'S': s->seed = strtoull(optarg, NULL, 0); break;
	case 'r': s->cfg.read_only = true; break;
	case 'l': s->list = true; break;
	case 't': s->tap = true; break;
	case 'v': s->verbose = true; break;
	case 'o':
		if (s->n_options < OPTIONS_MAX) {
			s->options[s->n_options++] = optarg;
			break;
		}
		/* fall through */
	default: exit(2);
	}
}

static void parse(struct suite *s, int argc, char **argv)
{
	static const struct option options[] = {
		{"driver", 1, NULL, 'D'},  {"backend", 1, NULL, 'b'}, {"option", 1, NULL, 'o'},
		{"dir", 1, NULL, 'd'},     {"socket", 1, NULL, 's'},  {"mount", 1, NULL, 'm'},
		{"without", 1, NULL, 'w'}, {"filter", 1, NULL, 'f'},  {"seed", 1, NULL, 'S'},
		{"read-only", 0, NULL, 'r'}, {"list", 0, NULL, 'l'},  {"tap", 0, NULL, 't'},
		{"verbose", 0, NULL, 'v'}, {0},
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1)
		take_option(s, opt);
	if (optind < argc) {
		fprintf(stderr, "conform: what is %s?\n", argv[optind]);
		exit(2);
	}
	s->cfg.options = s->options;
	s->complete = !s->filter && !s->without && !s->cfg.read_only;
}

int main(int argc, char **argv)
{
	struct suite s = {.drv = &driver_local, .cfg = {.backend = "memfs"}, .seed = 1};
	int err;

	parse(&s, argc, argv);
	if (s.list) {
		list_cases();
		return 0;
	}
	err = s.drv->run(&s.cfg, run_suite, &s);
	if (err) {
		printf("FAIL set-up: %s\n", err_text(err));
		s.n_failed++;
	}
	if (s.tap)
		printf("1..%u\n", s.n_passed + s.n_failed + s.n_skipped);
	printf("%u checks, driver %s, backend %s, seed %llu\n", s.n_checks, s.drv->name, s.cfg.backend,
	       (unsigned long long)s.seed);
	printf("%u passed, %u failed, %u skipped\n", s.n_passed, s.n_failed, s.n_skipped);
	return s.n_failed != 0;
}
