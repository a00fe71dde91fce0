/* The nouns, their verbs and options, and the columns of their listings. */
#include <stdio.h>
#include <string.h>

#include "utils/chimeractl/chimeractl.h"

#define COUNT(a) a, ARRAY_SIZE(a)

const struct ctl_option ctl_global_options[] = {
	{"socket", "PATH", "s", "Ask the server on this control socket. Default: $CHIMERA_SOCKET, or what chimera.conf says."},
	{"config", "FILE", "c", "Read this chimera.conf. Default: $CHIMERA_CONF, or the installed one."},
	{"output", "FORMAT", "o", "How to print: table, wide, json, jsonl (an object per line) or name."},
	{"no-header", NULL, "H", "Print no column titles."},
	{"exact", NULL, "p", "Print sizes and times as exact numbers: bytes and nanoseconds."},
	{"watch", "[SECONDS]", "", "Print anew every so many seconds (2), until interrupted."},
	{"help", NULL, "h", "Print help, of the noun and verb if they are given."},
	{"version", NULL, "V", "Print the version."},
};
const uint32_t ctl_n_global_options = ARRAY_SIZE(ctl_global_options);

static const struct ctl_option create_options[] = {
	{"if-not-exists", NULL, "if-not-exists", "Succeed, changing nothing, when it exists already."},
};
static const struct ctl_option existing_options[] = {
	{"if-exists", NULL, "if-exists", "Succeed, changing nothing, when there is none."},
};
static const struct ctl_option diff_options[] = {
	{"file", "FILE", "f", "The INI text; - is standard input. Required."},
	{"prune", NULL, "prune", "Count objects that the text does not name as to be deleted."},
};
static const struct ctl_option apply_options[] = {
	{"file", "FILE", "f", "The INI text; - is standard input. Required."},
	{"prune", NULL, "prune", "Delete objects that the text does not name."},
	{"dry-run", NULL, "dry-run", "Show what would change, and change nothing."},
};
static const struct ctl_option show_config_options[] = {
	{"origin", NULL, "origin", "Say of each value where it came from: default, file, environment or command line."},
};

static const struct ctl_option scrub_options[] = {
	{"rate", "SIZE", "rate", "Read at most so many bytes of data a second. Default: as fast as the disk."},
	{"status", NULL, "status", "Start nothing, only show how far it is."},
	{"pause", NULL, "pause", "Pause it; it goes on from there when it is started again."},
	{"stop", NULL, "stop", "Give it up."},
	{"wait", NULL, "wait", "Wait until it has ended; fail if anything is damaged."},
};
static const struct ctl_option grow_options[] = {
	{"capacity", "SIZE", "capacity", "Bytes of file data at most; not less than is used; 0: as much as the host has. Required."},
};

static const struct ctl_option quota_list_options[] = {
	{"kind", "KIND", "kind", "Only those of users, groups or projects: user, group or project."},
};
static const struct ctl_option quota_options[] = {
	{"soft", "SIZE", "soft", "Bytes that may be exceeded until the grace is over; 0: no such limit."},
	{"hard", "SIZE", "hard", "Bytes that are never exceeded; 0: no such limit."},
	{"grace", "TIME", "grace", "How long soft may be exceeded, as 12h or 7d. Default: 7d."},
	{"soft-inodes", "NUMBER", "soft-inodes", "As --soft, of files and directories."},
	{"hard-inodes", "NUMBER", "hard-inodes", "As --hard, of files and directories."},
	{"inode-grace", "TIME", "inode-grace", "As --grace, of files and directories."},
	{"path", "DIRECTORY", "path", "A directory of the mount that becomes the project's: what is made there counts for it."},
};

#define OBJECT_VERBS(thing)                                                                              \
	{.name = "list", .shape = SHAPE_LIST, .help = "List every " thing "."},                          \
		{.name = "show", .operands = {"NAME"}, .operand_keys = {"name"}, .shape = SHAPE_OBJECT,  \
	         .help = "Show one " thing "."},                                                         \
		{.name = "create", .operands = {"NAME"}, .operand_keys = {"name"}, .shape = SHAPE_OBJECT, \
	         .takes_fields = true, COUNT_AS(create_options),                                         \
	         .help = "Create a " thing ". It is in use when the command returns."},                  \
		{.name = "set", .operands = {"NAME"}, .operand_keys = {"name"}, .shape = SHAPE_OBJECT,   \
	         .takes_fields = true, COUNT_AS(existing_options),                                       \
	         .help = "Change the given fields; an empty value takes a field back to its default."}, \
		{.name = "delete", .operands = {"NAME"}, .operand_keys = {"name"}, .shape = SHAPE_NOTHING, \
	         COUNT_AS(existing_options), .help = "Delete the " thing ". It acts at once."}
#define COUNT_AS(a) .options = a, .n_options = ARRAY_SIZE(a)

static const struct ctl_verb status_verbs[] = {
	{.name = "", .wire_verb = "show", .shape = SHAPE_OBJECT, .help = "Show whether the server runs, and how."},
};
static const struct ctl_column usage_columns[] = {
	{"NAME", "name", CELL_TEXT, false},
	{"BACKEND", "backend", CELL_TEXT, false},
	{"SIZE", "total_bytes", CELL_SIZE, false},
	{"FREE", "free_bytes", CELL_SIZE, false},
	{"AVAILABLE", "available_bytes", CELL_SIZE, false},
	{"FILES", "total_files", CELL_TEXT, true},
	{"FREE FILES", "free_files", CELL_TEXT, true},
	{"FSID", "fsid", CELL_TEXT, true},
};
static const struct ctl_verb mount_verbs[] = {
	OBJECT_VERBS("mount"),
	{.name = "usage", .shape = SHAPE_LIST, .columns = usage_columns, .n_columns = ARRAY_SIZE(usage_columns),
	 .help = "List the open mounts with their size and what is free."},
};
static const struct ctl_column scrub_columns[] = {
	{"NAME", "name", CELL_TEXT, false},
	{"STATE", "state", CELL_TEXT, false},
	{"DONE", "done_bytes", CELL_SIZE, false},
	{"OF", "total_bytes", CELL_SIZE, false},
	{"RECORDS", "done_records", CELL_TEXT, false},
	{"OF", "total_records", CELL_TEXT, false},
	{"BAD RECORDS", "bad_records", CELL_TEXT, false},
	{"BAD BYTES", "bad_bytes", CELL_SIZE, false},
	{"STARTED", "started", CELL_TIME, true},
	{"ENDED", "ended", CELL_TIME, true},
	{"LAST BAD", "last_bad", CELL_TEXT, false},
};
static const struct ctl_column stats_columns[] = {
	{"NAME", "name", CELL_TEXT, false},
	{"BACKEND", "backend", CELL_TEXT, false},
	{"SIZE", "total_bytes", CELL_SIZE, false},
	{"USED", "used_bytes", CELL_SIZE, false},
	{"FILES", "files", CELL_TEXT, false},
	{"NUMBERS", "numbers", CELL_PAIRS, false},
	{"SCRUB", "scrub", CELL_PAIRS, false},
};
static const struct ctl_verb backend_verbs[] = {
	{.name = "list", .shape = SHAPE_LIST, .help = "List the stores of the open mounts."},
	{.name = "stats", .operands = {"MOUNT"}, .operand_keys = {"name"}, .shape = SHAPE_OBJECT, .columns = stats_columns,
	 .n_columns = ARRAY_SIZE(stats_columns), .help = "Show all numbers that a mount's store tells of itself."},
	{.name = "scrub", .operands = {"MOUNT"}, .operand_keys = {"name"}, .shape = SHAPE_OBJECT, COUNT_AS(scrub_options),
	 .columns = scrub_columns, .n_columns = ARRAY_SIZE(scrub_columns),
	 .help = "Verify every record and every block of data of a mount's store, in the background."},
	{.name = "grow", .operands = {"MOUNT"}, .operand_keys = {"name"}, .shape = SHAPE_OBJECT, COUNT_AS(grow_options),
	 .help = "Change the capacity of a mount's store, at once and for good."},
};
static const struct ctl_verb quota_verbs[] = {
	{.name = "list", .operands = {"MOUNT"}, .operand_keys = {"name"}, .shape = SHAPE_LIST, COUNT_AS(quota_list_options),
	 .help = "List all who have anything in a mount's store, or limits there."},
	{.name = "show", .operands = {"MOUNT", "WHO"}, .operand_keys = {"name", "who"}, .shape = SHAPE_OBJECT,
	 .prepare = ctl_quota_who, .help = "Show usage and limits of a user, group or project."},
	{.name = "set", .operands = {"MOUNT", "WHO"}, .operand_keys = {"name", "who"}, .shape = SHAPE_OBJECT, COUNT_AS(quota_options),
	 .prepare = ctl_quota_who, .help = "Set limits, at once and for good; those that are not given stay as they are."},
	{.name = "delete", .operands = {"MOUNT", "WHO"}, .operand_keys = {"name", "who"}, .shape = SHAPE_NOTHING,
	 .prepare = ctl_quota_who, .help = "Take all limits of a user, group or project away."},
};
static const struct ctl_option delete_snapshot_options[] = {
	{"if-exists", NULL, "if-exists", "Succeed, changing nothing, when there is none."},
	{"wait", NULL, "wait", "Wait until its room was given back, with a line of progress on a terminal."},
};
#define ONE_SNAPSHOT .operands = {"MOUNT", "NAME"}, .operand_keys = {"mount", "name"}
static const struct ctl_verb snapshot_verbs[] = {
	{.name = "list", .operands = {"MOUNT"}, .operand_keys = {"mount"}, .shape = SHAPE_LIST,
	 .help = "List the snapshots of a mount's store, oldest first."},
	{.name = "show", ONE_SNAPSHOT, .shape = SHAPE_OBJECT, .help = "Show one snapshot."},
	{.name = "create", ONE_SNAPSHOT, .shape = SHAPE_OBJECT, COUNT_AS(create_options),
	 .help = "Keep the store as it is now under a name."},
	{.name = "rollback", ONE_SNAPSHOT, .shape = SHAPE_OBJECT,
	 .help = "Make the store what it was then. What was written since is lost, unless a later snapshot has it."},
	{.name = "delete", ONE_SNAPSHOT, .shape = SHAPE_NOTHING, COUNT_AS(delete_snapshot_options),
	 .help = "Delete the snapshot. Its room is given back in the background."},
};
static const struct ctl_column snapshot_columns[] = {
	{"NAME", "name", CELL_TEXT, false},
	{"CREATED", "created", CELL_TIME, false},
	{"STATE", "state", CELL_TEXT, false},
	{"DONE", "done_records", CELL_TEXT, true},
	{"OF", "total_records", CELL_TEXT, true},
	{"MOUNT", "mount", CELL_TEXT, true},
	{"ID", "id", CELL_TEXT, true},
};
static const struct ctl_verb export_verbs[] = {OBJECT_VERBS("export")};
static const struct ctl_verb client_verbs[] = {
	{.name = "list", .shape = SHAPE_LIST, .help = "List the clients that protocol daemons serve now."},
};
static const struct ctl_verb ring_verbs[] = {
	{.name = "list", .shape = SHAPE_LIST, .help = "List the attached threads of protocol daemons."},
};
static const struct ctl_verb config_verbs[] = {
	{.name = "show", .shape = SHAPE_LIST, COUNT_AS(show_config_options), .help = "Show the running server's options."},
	{.name = "check", .shape = SHAPE_NOTHING, .prepare = ctl_config_check, .local = true,
	 .help = "Read chimera.conf as a daemon would, and report every mistake in it. No server is asked."},
};
static const struct ctl_verb log_verbs[] = {
	{.name = "list", .shape = SHAPE_LIST, .help = "List the modules that log, with their levels."},
	{.name = "set", .operands = {"MODULE", "LEVEL"}, .operand_keys = {"name", "level"}, .shape = SHAPE_NOTHING,
	 .help = "Set a module's level, or with * that of all, until the server stops: error, warn, notice, info, debug or "
	         "trace."},
};
static const struct ctl_verb metric_verbs[] = {
	{.name = "list", .shape = SHAPE_LIST, .help = "List counters and latency histograms."},
	{.name = "show", .shape = SHAPE_TEXT, .help = "Print every metric as Prometheus reads it."},
};
static const struct ctl_verb apply_verbs[] = {
	{.name = "", .wire_noun = "catalogue", .wire_verb = "apply", .shape = SHAPE_CHANGES, COUNT_AS(apply_options),
	 .prepare = ctl_read_file,
	 .help = "Make the catalogue as an INI text says, all of it or nothing, and print what changed."},
};
static const struct ctl_verb diff_verbs[] = {
	{.name = "", .wire_noun = "catalogue", .wire_verb = "diff", .shape = SHAPE_CHANGES, COUNT_AS(diff_options),
	 .prepare = ctl_read_file, .help = "Print what apply would change."},
};
static const struct ctl_verb export_config_verbs[] = {
	{.name = "", .wire_noun = "catalogue", .wire_verb = "export", .shape = SHAPE_TEXT,
	 .help = "Print the catalogue as the INI text that apply reads."},
};
static const struct ctl_verb completion_verbs[] = {
	{.name = "", .operands = {"SHELL"}, .operand_keys = {"name"}, .shape = SHAPE_NOTHING, .prepare = ctl_completion,
	 .local = true, .help = "Print the completion script for bash, zsh or fish."},
};

static const struct ctl_column status_columns[] = {
	{"VERSION", "version", CELL_TEXT, false},
	{"PID", "pid", CELL_TEXT, false},
	{"STARTED", "started", CELL_TIME, false},
	{"UPTIME", "uptime_ns", CELL_DURATION, false},
	{"ENGINE", "engine", CELL_TEXT, false},
	{"THREADS", "threads", CELL_TEXT, false},
	{"STATE DIR", "state_dir", CELL_TEXT, false},
	{"GENERATION", "catalogue_generation", CELL_TEXT, false},
	{"MOUNTS", "mounts", CELL_TEXT, false},
	{"EXPORTS", "exports", CELL_TEXT, false},
	{"RINGS", "attachments", CELL_TEXT, false},
	{"CLIENTS", "clients", CELL_TEXT, false},
	{"RUNNING", "running", CELL_TEXT, false},
	{"OPERATIONS", "operations", CELL_TEXT, false},
	{"ARENA USED", "memory.arena_used", CELL_SIZE, false},
	{"CACHE USED", "memory.cache_used", CELL_SIZE, false},
};
static const struct ctl_column mount_columns[] = {
	{"NAME", "name", CELL_TEXT, false},
	{"BACKEND", "backend", CELL_TEXT, false},
	{"READ-ONLY", "read_only", CELL_BOOL, false},
	{"OPTIONS", "options", CELL_PAIRS, false},
	{"ID", "id", CELL_TEXT, true},
};
static const struct ctl_column backend_columns[] = {
	{"NAME", "name", CELL_TEXT, false},       {"BACKEND", "backend", CELL_TEXT, false}, {"SIZE", "total_bytes", CELL_SIZE, false},
	{"USED", "used_bytes", CELL_SIZE, false}, {"FILES", "files", CELL_TEXT, false},     {"SCRUB", "scrub", CELL_TEXT, false},
	{"DAMAGED", "damaged", CELL_TEXT, false}, {"READ-ONLY", "read_only", CELL_BOOL, true},
};
static const struct ctl_column quota_columns[] = {
	{"WHO", "name", CELL_TEXT, false},
	{"USED", "bytes.used", CELL_SIZE, false},
	{"SOFT", "bytes.soft", CELL_SIZE, false},
	{"HARD", "bytes.hard", CELL_SIZE, false},
	{"GRACE", "bytes.grace_ns", CELL_DURATION, true},
	{"UNTIL", "bytes.until", CELL_TIME, false},
	{"INODES", "inodes.used", CELL_TEXT, false},
	{"SOFT", "inodes.soft", CELL_TEXT, false},
	{"HARD", "inodes.hard", CELL_TEXT, false},
	{"GRACE", "inodes.grace_ns", CELL_DURATION, true},
	{"UNTIL", "inodes.until", CELL_TIME, false},
};
static const struct ctl_column export_columns[] = {
	{"NAME", "name", CELL_TEXT, false},   {"MOUNT", "mount", CELL_TEXT, false}, {"PATH", "path", CELL_TEXT, false},
	{"CLIENTS", "clients", CELL_LIST, false}, {"ID", "id", CELL_TEXT, true},
};
static const struct ctl_column client_columns[] = {
	{"CLIENT", "name", CELL_TEXT, false},       {"PROTOCOL", "protocol", CELL_TEXT, false},
	{"VERSION", "version", CELL_TEXT, false},     {"EXPORT", "export", CELL_TEXT, false},
	{"SINCE", "since", CELL_TIME, true},        {"OPERATIONS", "operations", CELL_TEXT, true},
};
static const struct ctl_column ring_columns[] = {
	{"DAEMON", "name", CELL_TEXT, false},
	{"ROLE", "role", CELL_TEXT, false},
	{"PID", "pid", CELL_TEXT, false},
	{"THREAD", "thread", CELL_TEXT, false},
	{"SLOTS", "slots", CELL_TEXT, false},
	{"RUNNING", "running", CELL_TEXT, false},
	{"OPERATIONS", "operations", CELL_TEXT, false},
	{"BATCHES", "batches", CELL_TEXT, true},
	{"WAKEUPS", "wakeups", CELL_TEXT, true},
	{"EVENTS", "events", CELL_TEXT, true},
	{"LOST", "events_lost", CELL_TEXT, true},
	{"BUFFERS", "arena_size", CELL_SIZE, true},
	{"ISOLATED", "isolated", CELL_BOOL, true},
};
static const struct ctl_column config_columns[] = {
	{"SECTION", "section", CELL_TEXT, false},
	{"KEY", "key", CELL_TEXT, false},
	{"VALUE", "value", CELL_TEXT, false},
	{"ORIGIN", "origin", CELL_TEXT, true},
};
static const struct ctl_column log_columns[] = {
	{"MODULE", "name", CELL_TEXT, false},
	{"LEVEL", "level", CELL_TEXT, false},
};
static const struct ctl_column metric_columns[] = {
	{"NAME", "name", CELL_TEXT, false},         {"VALUE", "value", CELL_TEXT, false},
	{"MEAN", "mean_ns", CELL_DURATION, false},  {"P50", "p50_ns", CELL_DURATION, false},
	{"P99", "p99_ns", CELL_DURATION, false},    {"P99.9", "p999_ns", CELL_DURATION, true},
};

const struct ctl_noun ctl_nouns[] = {
	{"status", "The server as a whole.", COUNT(status_verbs), COUNT(status_columns)},
	{"mount", "Stores that the server has opened.", COUNT(mount_verbs), COUNT(mount_columns)},
	{"backend", "The stores behind the mounts.", COUNT(backend_verbs), COUNT(backend_columns)},
	{"quota", "What users, groups and projects may take of a store.", COUNT(quota_verbs), COUNT(quota_columns)},
	{"snapshot", "Stores as they were.", COUNT(snapshot_verbs), COUNT(snapshot_columns)},
	{"export", "Directories that NFS clients may mount.", COUNT(export_verbs), COUNT(export_columns)},
	{"client", "Clients of the protocol daemons.", COUNT(client_verbs), COUNT(client_columns)},
	{"ring", "Attachments of the protocol daemons.", COUNT(ring_verbs), COUNT(ring_columns)},
	{"config", "What chimera.conf says.", COUNT(config_verbs), COUNT(config_columns)},
	{"log", "Levels of logging.", COUNT(log_verbs), COUNT(log_columns)},
	{"metric", "Counters and latencies.", COUNT(metric_verbs), COUNT(metric_columns)},
	{"apply", "Make the catalogue match a text.", COUNT(apply_verbs), NULL, 0},
	{"diff", "Compare the catalogue with a text.", COUNT(diff_verbs), NULL, 0},
	{"export-config", "The catalogue as a text.", COUNT(export_config_verbs), NULL, 0},
	{"completion", "Completion for the shell.", COUNT(completion_verbs), NULL, 0},
};
const uint32_t ctl_n_nouns = ARRAY_SIZE(ctl_nouns);

const struct ctl_noun *ctl_find_noun(const char *name)
{
	for (uint32_t i = 0; i < ctl_n_nouns; i++)
		if (strcmp(ctl_nouns[i].name, name) == 0)
			return &ctl_nouns[i];
	return NULL;
}

const struct ctl_verb *ctl_find_verb(const struct ctl_noun *noun, const char *name)
{
	for (uint32_t i = 0; i < noun->n_verbs; i++)
		if (strcmp(noun->verbs[i].name, name ? name : "") == 0)
			return &noun->verbs[i];
	return NULL;
}

static void field_option(const struct catalogue_field *f, ctl_option_fn *fn, void *arg)
{
	char name[64];
	snprintf(name, sizeof(name), "%s", f->option ? f->option : f->name);
	struct ctl_option o = {name, f->metavar, f->name, f->help};
	fn(arg, &o);
}

void ctl_verb_options(const struct ctl_noun *noun, const struct ctl_verb *verb, ctl_option_fn *fn, void *arg)
{
	static const struct ctl_option pair = {"option", "KEY=VALUE", "", "An option of the back end. May be given again."};
	const struct catalogue_kind *kind = verb->takes_fields ? catalogue_kind(noun->name) : NULL;
	for (uint32_t i = 0; kind && i < kind->n_fields; i++)
		field_option(&kind->fields[i], fn, arg);
	if (kind && kind->has_options)
		fn(arg, &pair);
	for (uint32_t i = 0; i < verb->n_options; i++)
		fn(arg, &verb->options[i]);
}
