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

static void print_sums(struct bytes *out, const struct counter_table *t)
{
	bytes_printf(out, "# TYPE chimera_%s_total counter\n", t->name);
	for (uint32_t i = 0; i < t->n_names; i++)
		if (t->names[i])
			bytes_printf(out, "chimera_%s_total{name=\"%s\"} %llu\n", t->name, t->names[i],
			             (unsigned long long)counter_read(t, i));
}

static void print_histogram(struct bytes *out, const struct counter_table *t, uint32_t i)
{
	struct histogram h;
	uint64_t n = 0;

	counter_read_histogram(t, i, &h);
	if (h.count == 0)
		return;
	/* Bucket b ends below 2^b nanoseconds: from 1 microsecond to 8 seconds is what people look at. */
	for (uint32_t b = 0; b < COUNTER_BUCKETS; b++) {
		n += h.buckets[b];
		if (b >= 10 && b <= 33)
			bytes_printf(out, "chimera_%s_seconds_bucket{name=\"%s\",le=\"%.9g\"} %llu\n", t->name, t->names[i],
			             (double)(1ULL << b) / 1e9, (unsigned long long)n);
	}
	bytes_printf(out, "chimera_%s_seconds_bucket{name=\"%s\",le=\"+Inf\"} %llu\n", t->name, t->names[i],
	             (unsigned long long)h.count);
	bytes_printf(out, "chimera_%s_seconds_sum{name=\"%s\"} %.9g\nchimera_%s_seconds_count{name=\"%s\"} %llu\n", t->name,
	             t->names[i], (double)h.sum / 1e9, t->name, t->names[i], (unsigned long long)h.count);
}

static void print_histograms(struct bytes *out, const struct counter_table *t)
{
	bytes_printf(out, "# TYPE chimera_%s_seconds histogram\n", t->name);
	for (uint32_t i = 0; i < t->n_names; i++)
		if (t->names[i])
			print_histogram(out, t, i);
}

static bool print_ring(void *arg, const struct ring_status *st)
{
	struct bytes *out = arg;
	const char *role = chimerad_role_name(st->peer.role);
	unsigned long long id = st->id;

	bytes_printf(out, "chimera_ring_operations_total{role=\"%s\",attachment=\"%llu\"} %llu\n", role, id,
	             (unsigned long long)st->n_ops);
	bytes_printf(out, "chimera_ring_running{role=\"%s\",attachment=\"%llu\"} %u\n", role, id, st->n_running);
	bytes_printf(out, "chimera_ring_wakeups_total{role=\"%s\",attachment=\"%llu\"} %llu\n", role, id,
	             (unsigned long long)st->n_wakeups);
	return true;
}

static void print_label(struct bytes *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			bytes_putc(out, '\\');
		bytes_putc(out, *text == '\n' ? ' ' : *text);
	}
}

static void mount_value(struct bytes *out, const char *what, const char *mount, uint64_t value)
{
	bytes_printf(out, "chimera_mount_%s{mount=\"", what);
	print_label(out, mount);
	bytes_printf(out, "\"} %llu\n", (unsigned long long)value);
}

static bool print_mount(void *arg, struct vfs_mount *m, const struct op_statfs *st)
{
	mount_value(arg, "total_bytes", m->name, st->total_bytes);
	mount_value(arg, "free_bytes", m->name, st->free_bytes);
	mount_value(arg, "total_files", m->name, st->total_files);
	mount_value(arg, "free_files", m->name, st->free_files);
	return true;
}

void chimerad_metrics_print(struct chimerad *d, struct bytes *out)
{
	gauge(out, "start_time_seconds", "When chimerad was started.", d->started_ns / NS_PER_SEC);
	gauge(out, "arena_used_bytes", "Page arena in use.", pages_used(vfs_pages(d->vfs)));
	gauge(out, "clients", "Clients that daemons report.", chimerad_clients_count(d->clients));
	vfs_each_mount(d->vfs, print_mount, out);
	ring_server_each(d->ring, print_ring, out);
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
