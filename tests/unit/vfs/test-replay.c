/* Shows that an op with a replay key runs once: asked again, across a restart, and across a kill in its middle. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/vfs/harness.h"
#include "vfs/replay-impl.h"
#include "vfs/replay.h"

static char state_dir[64], store_dir[80];

static void make_dirs(void)
{
	snprintf(state_dir, sizeof(state_dir), "/tmp/chimera-vfs-XXXXXX");
	cr_assert_not_null(mkdtemp(state_dir));
	snprintf(store_dir, sizeof(store_dir), "%s/store", state_dir);
	cr_assert_eq(mkdir(store_dir, 0755), 0);
}

static void remove_dirs(void)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", state_dir);
	cr_assert_eq(system(command), 0);
}

TestSuite(replay, .timeout = 30, .init = make_dirs, .fini = remove_dirs);

static int remove_with_key(struct bench *b, uint64_t key, const char *name)
{
	struct op *op = bench_op(b, OP_remove, &b->root);
	op_set_str(op, &op->in.remove.name, name, strlen(name));
	op->in.remove.flags = REMOVE_FILE;
	op->replay_client = 7;
	op->replay_key = key;
	return bench_go(b);
}

static int create_with_key(struct bench *b, uint64_t key, const char *name)
{
	struct op *op = bench_op(b, OP_open, &b->root);
	op_set_str(op, &op->in.open.name, name, strlen(name));
	op->in.open.disposition = OPEN_GUARDED;
	op->in.open.access = OPEN_WRITE;
	op->replay_client = 7;
	op->replay_key = key;
	return bench_go(b);
}

static void again(struct bench *b)
{
	cr_assert_eq(create_with_key(b, 1, "f"), 0);
	uint64_t id = b->op.out.open.open_id;
	cr_expect_eq(create_with_key(b, 1, "f"), 0);
	cr_expect_eq(b->op.out.open.open_id, id);
	cr_expect_eq(create_with_key(b, 2, "f"), ERR_EXIST);
	cr_assert_eq(remove_with_key(b, 3, "f"), 0);
	cr_expect_eq(remove_with_key(b, 3, "f"), 0);
	cr_expect_eq(remove_with_key(b, 4, "f"), ERR_NOENT);
	cr_expect_eq(remove_with_key(b, 4, "f"), ERR_NOENT);
}

Test(replay, an_answer_is_given_again)
{
	bench_run(&(struct bench_config){.state_dir = state_dir}, again);
}

static void restarted(struct bench *b)
{
	cr_assert_eq(create_with_key(b, 1, "f"), 0);
	uint64_t id = b->op.out.open.open_id;
	cr_assert_eq(create_with_key(b, 2, "g"), 0);
	cr_assert_eq(remove_with_key(b, 3, "g"), 0);
	bench_restart(b);
	cr_expect_eq(remove_with_key(b, 3, "g"), 0);
	cr_expect_eq(create_with_key(b, 1, "f"), 0);
	cr_expect_neq(b->op.out.open.open_id, id, "the open is a new one");
	cr_expect_eq(b->op.out.open.created, 1);
	struct op *op = bench_op(b, OP_close, NULL);
	op->in.close.open_id = id;
	cr_expect_eq(bench_go(b), ERR_BADHANDLE);
}

Test(replay, answers_survive_a_restart)
{
	const struct vfs_option options[] = {{"path", store_dir}, {NULL, NULL}};
	bench_run(&(struct bench_config){.backend = "linux", .state_dir = state_dir, .options = options}, restarted);
}

/* As a kill between the change and its answer leaves it: the intent is there, the change is made. */
static void begin_only(struct bench *b, enum op_code code, uint64_t key)
{
	struct replay_entry *entry;
	int status;
	op_reset(&b->op, code);
	b->op.replay_client = 7;
	b->op.replay_key = key;
	struct vfs_call c = {.vfs = b->vfs, .session = b->session, .op = &b->op};
	cr_assert_eq(replay_begin(b->vfs->replay, &c, &entry, &status), 0);
	cr_assert_not_null(entry);
}

static void killed(struct bench *b)
{
	struct op_handle f;
	cr_assert_eq(bench_create(b, &b->root, "old", 0644, NULL), 0);
	cr_assert_eq(bench_create(b, &b->root, "gone", 0644, NULL), 0);
	begin_only(b, OP_open, 11);
	cr_assert_eq(bench_create(b, &b->root, "f", 0644, &f), 0);
	begin_only(b, OP_remove, 12);
	cr_assert_eq(bench_remove(b, &b->root, "gone"), 0);
	begin_only(b, OP_remove, 13);
	bench_restart(b);
	cr_expect_eq(create_with_key(b, 11, "f"), 0);
	cr_expect_eq(b->op.out.open.created, 1);
	cr_expect_eq(remove_with_key(b, 12, "gone"), 0);
	cr_expect_eq(remove_with_key(b, 13, "old"), 0, "an intent that was never carried out is now");
	cr_expect_eq(bench_lookup(b, &b->root, "old", NULL), ERR_NOENT);
}

Test(replay, a_change_without_an_answer_is_recognised)
{
	const struct vfs_option options[] = {{"path", store_dir}, {NULL, NULL}};
	bench_run(&(struct bench_config){.backend = "linux", .state_dir = state_dir, .options = options}, killed);
}

static void bounded(struct bench *b)
{
	for (uint64_t key = 1; key <= 20000; key++)
		cr_assert_eq(remove_with_key(b, key, "none"), ERR_NOENT);
	cr_assert_eq(bench_create(b, &b->root, "none", 0644, NULL), 0);
	cr_expect_eq(remove_with_key(b, 20000, "none"), ERR_NOENT, "the latest are kept");
	cr_expect_eq(remove_with_key(b, 1, "none"), 0, "the oldest are not");
}

Test(replay, the_table_is_bounded)
{
	bench_run(&(struct bench_config){.state_dir = state_dir}, bounded);
}
