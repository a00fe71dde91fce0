/*
 * Levels of logging that were set at run time hold in the daemons, too: each is an event to every attachment, and those
 * that attach later hear of them first. Only the first loop's fibers come here.
 */
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "chimerad/chimerad.h"

#define LEVELS_MAX 64

/* Modules that only daemons have: named here so that they can be listed and set. */
static struct log_module remote[] = {
	{.name = "nfsd", .level = LOG_NOTICE}, {.name = "fuse", .level = LOG_NOTICE}, {.name = "client", .level = LOG_NOTICE}};

struct level {
	char module[32];
	enum log_level level;
};

/* In order: one of all modules is the first, and forgets those before it. */
static struct level levels[LEVELS_MAX];
static uint32_t n_levels;

static struct level *find(const char *module)
{
	uint32_t i = 0;
	while (i < n_levels && strcmp(levels[i].module, module) != 0)
		i++;
	return i < n_levels ? &levels[i] : NULL;
}

static void remember(const struct level *set)
{
	if (strcmp(set->module, "*") == 0)
		n_levels = 0;
	struct level *l = find(set->module);
	if (!l && n_levels < LEVELS_MAX)
		l = &levels[n_levels++];
	if (l)
		*l = *set;
}

static struct op_event event_of(const struct level *l)
{
	struct op_event event = {.type = OP_EVENT_LOG, .value = l->level, .name_size = (uint32_t)strlen(l->module)};
	memcpy(event.name, l->module, event.name_size);
	return event;
}

static void on_set(void *arg, const char *module, enum log_level level)
{
	struct chimerad *d = arg;
	struct level now = {.level = level};
	str_copy(now.module, sizeof(now.module), module);
	remember(&now);
	const struct op_event event = event_of(&now);
	vfs_broadcast(d->vfs, &event);
}

void chimerad_levels_tell(struct ring_attachment *a)
{
	for (uint32_t i = 0; i < n_levels; i++) {
		const struct op_event event = event_of(&levels[i]);
		ring_attachment_event(a, &event);
	}
}

void chimerad_levels_forget(void)
{
	n_levels = 0;
}

void chimerad_levels_declare(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(remote); i++)
		log_register(&remote[i]);
}

int chimerad_levels_register(struct chimerad *d)
{
	return control_register_log(d->control, on_set, d);
}
