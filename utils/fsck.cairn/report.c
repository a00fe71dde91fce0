/* What was found, for people and for programs. */
#include <stdio.h>

#include "base/json.h"
#include "utils/fsck.cairn/fsck-cairn.h"

#define JSON_VERSION 1

static void print_place(const struct check_finding *f)
{
	if (f->ino)
		printf(": inode %llu", (unsigned long long)f->ino);
	if (f->where)
		printf("%s%s", f->ino ? ", " : ": ", f->where);
	if (f->size)
		printf(", bytes %llu to %llu", (unsigned long long)f->offset, (unsigned long long)(f->offset + f->size - 1));
	if (f->key)
		printf(" [%s %s]", f->table, f->key);
}

static void print_finding(const struct check_options *o, const struct check_finding *f)
{
	printf("%s: %s", f->what, f->text);
	print_place(f);
	if (f->done == CHECK_REPAIRED)
		printf(": %s", f->remedy);
	else if (o->repair != CHECK_ONLY)
		printf(": left as it is");
	putchar('\n');
}

static void print_rollback(const struct check_report *r)
{
	const char *name = *r->rollback_to ? r->rollback_to : "that is not known";
	if (r->rollback == CHECK_ROLLBACK_GOING_ON)
		printf("The store is being rolled back to snapshot %s: names, inodes and counts were not checked. "
		       "The next start ends that, as -p or -y does.\n", name);
	else if (r->rollback == CHECK_ROLLBACK_ENDED)
		printf("Rolling back to snapshot %s was ended.\n", name);
}

void report_text(const struct check_options *o, const struct check_report *r)
{
	for (uint32_t i = 0; i < r->n_kept; i++)
		print_finding(o, &r->findings[i]);
	if (r->n_found > r->n_kept)
		printf("and %llu more\n", (unsigned long long)(r->n_found - r->n_kept));
	print_rollback(r);
	printf("%s: %llu inodes, %llu of them directories, %llu blocks of data%s; ", o->path, (unsigned long long)r->n_inodes,
	       (unsigned long long)r->n_directories, (unsigned long long)r->n_blocks, o->data ? ", all read" : "");
	if (r->n_found == 0)
		printf("clean\n");
	else
		printf("%llu findings, %llu repaired\n", (unsigned long long)r->n_found, (unsigned long long)r->n_repaired);
}

static void put_finding(struct json *j, const struct check_finding *f)
{
	json_object(j, NULL);
	json_str(j, "what", f->what);
	json_str(j, "text", f->text);
	json_str(j, "done", f->done == CHECK_REPAIRED ? "repaired" : "left");
	json_str(j, "remedy", f->remedy);
	if (f->ino)
		json_u64(j, "inode", f->ino);
	if (f->where)
		json_str(j, "where", f->where);
	if (f->key) {
		json_str(j, "table", f->table);
		json_str(j, "key", f->key);
	}
	if (f->size) {
		json_u64(j, "offset", f->offset);
		json_u64(j, "size", f->size);
	}
	json_end(j);
}

static void put_rollback(struct json *j, const struct check_report *r)
{
	if (r->rollback == CHECK_ROLLBACK_NONE)
		return;
	json_object(j, "rollback");
	json_str(j, "snapshot", r->rollback_to);
	json_str(j, "state", r->rollback == CHECK_ROLLBACK_ENDED ? "ended" : "going on");
	json_end(j);
}

static void put_counts(struct json *j, const struct check_report *r)
{
	json_u64(j, "found", r->n_found);
	json_u64(j, "repaired", r->n_repaired);
	json_u64(j, "records", r->n_records);
	json_u64(j, "inodes", r->n_inodes);
	json_u64(j, "directories", r->n_directories);
	json_u64(j, "blocks", r->n_blocks);
	json_u64(j, "blocks_read", r->n_blocks_read);
}

void report_json(const struct check_options *o, const struct check_report *r, int status)
{
	static const char *const modes[] = {[CHECK_ONLY] = "check", [CHECK_SAFE] = "safe", [CHECK_ALL] = "repair"};
	struct bytes out;
	struct json j;
	bytes_init(&out, 0);
	json_init(&j, &out);
	json_object(&j, NULL);
	json_u64(&j, "version", JSON_VERSION);
	json_str(&j, "store", o->path);
	json_str(&j, "mode", modes[o->repair]);
	json_bool(&j, "data", o->data);
	json_i64(&j, "status", status);
	put_rollback(&j, r);
	put_counts(&j, r);
	json_array(&j, "findings");
	for (uint32_t i = 0; i < r->n_kept; i++)
		put_finding(&j, &r->findings[i]);
	json_end(&j);
	json_end(&j);
	puts(bytes_str(&out));
	bytes_fini(&out);
}
