/* Verbs that need nothing but base: levels of logging, counters and latencies. */
#include <stdio.h>
#include <string.h>

#include "base/counter.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "catalogue/control.h"

LOG_MODULE("control");

/* Several files share a module's name, and its level. */
static bool seen_before(const struct log_module *m)
{
	const struct log_module *o = log_modules();
	while (o != m && strcmp(o->name, m->name) != 0)
		o = o->next;
	return o != m;
}

static int log_list(void *arg, const struct control_request *rq, struct control_reply *reply)
{
	json_array(&reply->json, NULL);
	for (const struct log_module *m = log_modules(); m; m = m->next) {
		if (seen_before(m))
			continue;
		json_object(&reply->json, NULL);
		json_str(&reply->json, "name", m->name);
		json_str(&reply->json, "level", log_level_name((enum log_level)m->level));
		json_end(&reply->json);
	}
	json_end(&reply->json);
	return 0;
}

static const char *nearest_module(const char *name)
{
	const char *names[128];
	size_t n = 0;
	for (const struct log_module *m = log_modules(); m && n < ARRAY_SIZE(names); m = m->next)
		names[n++] = m->name;
	return str_nearest(name, names, n, sizeof(names[0]));
}

/* Of the process, as the levels themselves. */
static struct {
	control_level_fn *set;
	void *arg;
} listener;

static int log_set(void *arg, const struct control_request *rq, struct control_reply *reply)
{
	const char *text = control_arg(rq, "level"), *nearest;
	enum log_level level;
	if (!rq->name || !text || log_level_parse(text, &level)) {
		catalogue_error_set(&reply->error, "\"%.40s\" is no level: they are error, warn, notice, info, debug and trace",
		                    text ? text : "");
		return ERR_INVAL;
	}
	if (log_set_level(rq->name, level)) {
		nearest = nearest_module(rq->name);
		catalogue_error_set(&reply->error, "no module logs as \"%.40s\"%s%s%s", rq->name,
		                    nearest ? "; nearest is \"" : "", nearest ? nearest : "", nearest ? "\"" : "");
		return ERR_NOENT;
	}
	log_notice("log level of %s set to %s", rq->name, text);
	if (listener.set)
		listener.set(listener.arg, rq->name, level);
	json_null(&reply->json, NULL);
	return 0;
}

static void write_histogram(struct json *j, const struct counter_table *t, uint32_t i)
{
	struct histogram h;
	counter_read_histogram(t, i, &h);
	json_u64(j, "value", h.count);
	json_u64(j, "mean_ns", h.count ? h.sum / h.count : 0);
	json_u64(j, "p50_ns", histogram_quantile(&h, 500));
	json_u64(j, "p99_ns", histogram_quantile(&h, 990));
	json_u64(j, "p999_ns", histogram_quantile(&h, 999));
}

static int metric_list(void *arg, const struct control_request *rq, struct control_reply *reply)
{
	json_array(&reply->json, NULL);
	for (const struct counter_table *t = counter_tables(); t; t = t->next) {
		for (uint32_t i = 0; i < t->n_names; i++) {
			char name[128];
			if (!t->names[i])
				continue;
			snprintf(name, sizeof(name), "%s.%s", t->name, t->names[i]);
			json_object(&reply->json, NULL);
			json_str(&reply->json, "name", name);
			if (t->kind == COUNTER_SUM)
				json_u64(&reply->json, "value", counter_read(t, i));
			else
				write_histogram(&reply->json, t, i);
			json_end(&reply->json);
		}
	}
	json_end(&reply->json);
	return 0;
}

static const struct control_verb verbs[] = {
	{"log", "list", log_list},
	{"log", "set", log_set},
	{"metric", "list", metric_list},
};

int control_register_log(struct control *ctl, control_level_fn *set, void *arg)
{
	listener.set = set;
	listener.arg = arg;
	return control_register(ctl, verbs, ARRAY_SIZE(verbs), NULL);
}
