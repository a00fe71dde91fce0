/*
 * Metrics for Prometheus (text format 0.0.4), over the smallest HTTP that its scraper speaks. What a counter
 * table counts is named chimera_TABLE_total{name="..."}; histograms give _bucket, _sum and _count in seconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/counter.h"
#include "base/log.h"
#include "chimerad/chimerad.h"
#include "vfs/block-cache.h"

LOG_MODULE("chimerad");

#define REQUEST_MAX 4096
#define REQUEST_NS (5 * NS_PER_SEC)
#define SCRAPERS_MAX 8

struct chimerad_metrics {
	struct chimerad *d;
	struct listener *listener;
	uint32_t n_fibers;
	bool stopping;
};

/* ---- the page -------------------------------------------------------------------------------- */

static void gauge(struct bytes *out, const char *name, const char *help, uint64_t value)
{
	bytes_printf(out, "# HELP chimera_%s %s\n# TYPE chimera_%s gauge\nchimera_%s %llu\n", name, help, name, name,
	             (unsigned long long)value);
}

static void total(struct bytes *out, const char *name, const char *help, uint64_t value)
{
	bytes_printf(out, "# HELP chimera_%s_total %s\n# TYPE chimera_%s_total counter\nchimera_%s_total %llu\n", name, help, name,
	             name, (unsigned long long)value);
}

static void print_cache(struct chimerad *d, struct bytes *out)
{
	struct block_cache_stats st;

	block_cache_stats(vfs_block_cache(d->vfs), &st);
	gauge(out, "cache_size_bytes", "What the block cache may fill.", st.size);
	gauge(out, "cache_used_bytes", "What it fills.", st.used);
	gauge(out, "cache_held_bytes", "Of that, what is being written or waits for it.", st.held);
	total(out, "cache_hits", "Reads of pages that were there.", st.hits);
	total(out, "cache_misses", "Reads of pages that were not, or not whole.", st.misses);
	total(out, "cache_evictions", "Pages that gave way.", st.evictions);
}

static void print_sums(struct bytes *out, const struct counter_table *t)
{
	bytes_printf(out, "# TYPE chimera_%s_total counter\n", t->name);
	for (uint32_t i = 0; i < t->n_names; i++)
		if (t->names[i])
			bytes_printf(out, "chimera_%s_total{name=\"%s\"} %llu\n", t->name, t->names[i],
			             (unsigned long long)counter_read(t, i));
}

/* "op_latency_ns" counts nanoseconds, the page has seconds. */
static int stem_size(const char *name)
{
	size_t n = strlen(name);
	return (int)(n > 3 && strcmp(name + n - 3, "_ns") == 0 ? n - 3 : n);
}

static void print_histogram(struct bytes *out, const struct counter_table *t, uint32_t i)
{
	const int stem = stem_size(t->name);
	struct histogram h;
	uint64_t n = 0;

	counter_read_histogram(t, i, &h);
	if (h.count == 0)
		return;
	/* Bucket b ends below 2^b nanoseconds: from 1 microsecond to 8 seconds is what people look at. */
	for (uint32_t b = 0; b < COUNTER_BUCKETS; b++) {
		n += h.buckets[b];
		if (b >= 10 && b <= 33)
			bytes_printf(out, "chimera_%.*s_seconds_bucket{name=\"%s\",le=\"%.9g\"} %llu\n", stem, t->name,
			             t->names[i], (double)(1ULL << b) / 1e9, (unsigned long long)n);
	}
	bytes_printf(out, "chimera_%.*s_seconds_bucket{name=\"%s\",le=\"+Inf\"} %llu\n", stem, t->name, t->names[i],
	             (unsigned long long)h.count);
	bytes_printf(out, "chimera_%.*s_seconds_sum{name=\"%s\"} %.9g\n", stem, t->name, t->names[i], (double)h.sum / 1e9);
	bytes_printf(out, "chimera_%.*s_seconds_count{name=\"%s\"} %llu\n", stem, t->name, t->names[i],
	             (unsigned long long)h.count);
}

static void print_histograms(struct bytes *out, const struct counter_table *t)
{
	bytes_printf(out, "# TYPE chimera_%.*s_seconds histogram\n", stem_size(t->name), t->name);
	for (uint32_t i = 0; i < t->n_names; i++)
		if (t->names[i])
			print_histogram(out, t, i);
}

static void print_label(struct bytes *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			bytes_putc(out, '\\');
		bytes_putc(out, *text == '\n' ? ' ' : *text);
	}
}

/* The lines of one metric have to stand together: one walk for each row. */
struct metric {
	const char *name;
	const char *type;
	size_t offset; /* in struct ring_status or struct op_statfs, of a uint64_t */
};

static const struct metric ring_metrics[] = {
	{"ring_operations_total", "counter", offsetof(struct ring_status, n_ops)},
	{"ring_batches_total", "counter", offsetof(struct ring_status, n_batches)},
	{"ring_wakeups_total", "counter", offsetof(struct ring_status, n_wakeups)},
	{"ring_events_total", "counter", offsetof(struct ring_status, n_events)},
	{"ring_events_lost_total", "counter", offsetof(struct ring_status, n_events_lost)},
};

static const struct metric mount_metrics[] = {
	{"mount_total_bytes", "gauge", offsetof(struct op_statfs, total_bytes)},
	{"mount_free_bytes", "gauge", offsetof(struct op_statfs, free_bytes)},
	{"mount_total_files", "gauge", offsetof(struct op_statfs, total_files)},
	{"mount_free_files", "gauge", offsetof(struct op_statfs, free_files)},
};

struct metric_walk {
	struct bytes *out;
	const struct metric *metric;
};

static unsigned long long value_of(const struct metric *m, const void *record)
{
	return *(const uint64_t *)((const char *)record + m->offset);
}

static bool print_ring(void *arg, const struct ring_status *st)
{
	const struct metric_walk *w = arg;

	bytes_printf(w->out, "chimera_%s{role=\"%s\",attachment=\"%llu\"} %llu\n", w->metric->name,
	             chimerad_role_name(st->peer.role), (unsigned long long)st->id, value_of(w->metric, st));
	return true;
}

static bool print_mount(void *arg, struct vfs_mount *m, const struct op_statfs *st)
{
	const struct metric_walk *w = arg;

	bytes_printf(w->out, "chimera_%s{mount=\"", w->metric->name);
	print_label(w->out, m->name);
	bytes_printf(w->out, "\"} %llu\n", value_of(w->metric, st));
	return true;
}

/* What a back end tells of itself: one metric, whose numbers have names. */
struct number_walk {
	struct bytes *out;
	const struct vfs_mount *mount;
};

static void print_number(void *arg, const char *name, uint64_t value)
{
	const struct number_walk *w = arg;

	bytes_puts(w->out, "chimera_backend{mount=\"");
	print_label(w->out, w->mount->name);
	bytes_printf(w->out, "\",name=\"%s\"} %llu\n", name, (unsigned long long)value);
}

static bool print_backend(void *arg, struct vfs_mount *m, const struct op_statfs *st)
{
	struct number_walk w = {arg, m};

	if (m->ops->stats)
		m->ops->stats(m, print_number, &w);
	return true;
}

static void print_rings(struct chimerad *d, struct bytes *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(ring_metrics); i++) {
		struct metric_walk w = {out, &ring_metrics[i]};
		bytes_printf(out, "# TYPE chimera_%s %s\n", w.metric->name, w.metric->type);
		ring_server_each(d->ring, print_ring, &w);
	}
}

static void print_mounts(struct chimerad *d, struct bytes *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(mount_metrics); i++) {
		struct metric_walk w = {out, &mount_metrics[i]};
		bytes_printf(out, "# TYPE chimera_%s %s\n", w.metric->name, w.metric->type);
		vfs_each_mount(d->vfs, print_mount, &w);
	}
	bytes_puts(out, "# TYPE chimera_backend gauge\n");
	vfs_each_mount(d->vfs, print_backend, out);
}

void chimerad_metrics_print(struct chimerad *d, struct bytes *out)
{
	gauge(out, "start_time_seconds", "When chimerad was started.", d->started_ns / NS_PER_SEC);
	gauge(out, "arena_used_bytes", "Page arena in use.", pages_used(vfs_pages(d->vfs)));
	print_cache(d, out);
	gauge(out, "clients", "Clients that daemons report.", chimerad_clients_count(d->clients));
	print_mounts(d, out);
	print_rings(d, out);
	for (const struct counter_table *t = counter_tables(); t; t = t->next) {
		if (t->kind == COUNTER_HISTOGRAM)
			print_histograms(out, t);
		else
			print_sums(out, t);
	}
}

/* ---- HTTP -------------------------------------------------------------------------------------- */

/* Reads to the end of the head; what was asked for does not matter as long as it is a GET. */
static int read_request(struct stream *s)
{
	char head[REQUEST_MAX + 1];
	size_t got = 0;

	while (got < REQUEST_MAX) {
		struct iovec iov = {head + got, REQUEST_MAX - got};
		ssize_t n = stream_readv(s, &iov, 1);
		if (n <= 0)
			return n < 0 ? (int)n : ERR_EOF;
		got += (size_t)n;
		head[got] = '\0';
		if (strstr(head, "\r\n\r\n") || strstr(head, "\n\n"))
			return strncmp(head, "GET ", 4) == 0 ? 0 : ERR_NOTSUPP;
	}
	return ERR_PROTO;
}

static void answer(struct stream *s, const char *status, const struct bytes *body)
{
	char head[160];
	int n = snprintf(head, sizeof(head),
	                 "HTTP/1.1 %s\r\nContent-Type: text/plain; version=0.0.4\r\n"
	                 "Content-Length: %zu\r\nConnection: close\r\n\r\n",
	                 status, body->size);
	struct iovec iov[2] = {{head, (size_t)n}, {body->data, body->size}};
	stream_writev(s, iov, body->size ? 2 : 1);
}

struct scrape {
	struct chimerad_metrics *metrics;
	struct stream *stream;
};

static void leave(struct chimerad_metrics *m)
{
	if (--m->n_fibers == 0 && m->stopping)
		fiber_wake(m->d->main);
}

static void scrape(void *arg)
{
	struct scrape sc = *(struct scrape *)arg;
	struct bytes body;

	sc.metrics->n_fibers++;
	bytes_init(&body, 0);
	stream_set_timeout(sc.stream, REQUEST_NS);
	int err = read_request(sc.stream);
	if (!err) {
		chimerad_metrics_print(sc.metrics->d, &body);
		answer(sc.stream, bytes_failed(&body) ? "500 Internal Server Error" : "200 OK", &body);
	} else if (err == ERR_NOTSUPP) {
		answer(sc.stream, "405 Method Not Allowed", &body);
	}
	bytes_fini(&body);
	stream_close(sc.stream);
	leave(sc.metrics);
}

static void accept_scrapers(void *arg)
{
	struct chimerad_metrics *m = arg;
	struct scrape sc = {.metrics = m};

	m->n_fibers++;
	while (m->listener && listener_accept(m->listener, &sc.stream) == 0)
		if (m->n_fibers > SCRAPERS_MAX || fiber_spawn(scrape, &sc))
			stream_close(sc.stream);
	leave(m);
}

int chimerad_metrics_start(struct chimerad *d)
{
	const char *where = config_text(d->config, "server", "metrics");
	struct net_addr addr;

	if (!*where)
		return 0;
	d->metrics = calloc(1, sizeof(*d->metrics));
	if (!d->metrics)
		return ERR_NOMEM;
	d->metrics->d = d;
	int err = net_addr_parse(where, &addr);
	if (!err && addr.sa.sa_family == AF_UNIX)
		unlink(where + strlen("unix:"));
	if (!err)
		err = listener_open(&d->metrics->listener, &addr, false);
	if (!err)
		err = fiber_spawn(accept_scrapers, d->metrics);
	if (err)
		log_error("metrics cannot be served on \"%s\": %s; see [server] metrics", where, err_text(err));
	return err;
}

void chimerad_metrics_stop(struct chimerad *d)
{
	struct chimerad_metrics *m = TAKE(d->metrics);
	struct listener *l = m ? TAKE(m->listener) : NULL;

	if (!m)
		return;
	m->stopping = true;
	if (l)
		listener_close(l);
	while (m->n_fibers)
		fiber_park();
	free(m);
}
