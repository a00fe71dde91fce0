/*
 * nfs-host: an NFS server with nothing around it, for tests and measurements: one thread, one mount, exports from the
 * command line, the VFS in the same process. Prints "READY nfs=PORT mount=PORT portmap=PORT" and serves until
 * SIGTERM. SIGUSR1 replaces the exports by those after "--then".
 *
 * usage: nfs-host [-b BACKEND] [-o KEY=VALUE] [-s STATE_DIR] [-p PORT] [-e EPOLL|io_uring] NAME=RULES... [--then NAME=RULES...]
 */
#include <err.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "backends/builtin.h"
#include "base/err.h"
#include "base/str.h"
#include "protocols/nfs/nfs-server.h"
#include "vfs/vfs.h"

#define OPTIONS_MAX 8

struct host {
	struct loop *loop;
	struct vfs *vfs;
	struct nfs_server *server;
	const char *backend;
	const char *state_dir;
	uint16_t port;
	enum loop_engine engine;
	struct vfs_option options[OPTIONS_MAX + 1];
	int n_options;
	char **exports; /* NULL-terminated */
	char **then;
	uint64_t generation;
};

/* ---- the catalogue: exports from the command line ---------------------------------------- */

static uint32_t put_text(char *out, const char *text)
{
	return (uint32_t)(stpcpy(out, text) - out) + 1;
}

/* "/name[:/path]=rules" as an object. */
static uint32_t put_export(char *out, uint64_t id, const char *spec)
{
	struct op_object *o = (struct op_object *)out;
	char text[1024], *rest = text, *at = (char *)(o + 1);
	str_copy(text, sizeof(text), spec);
	const char *name = strsep(&rest, "="), *path = strchr(name, ':');
	if (path)
		*strchr(name, ':') = '\0';
	const char *pairs[][2] = {
		{"name", name}, {"mount", "data"}, {"path", path ? path + 1 : "/"}, {"clients", rest ? rest : ""}};
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		at += put_text(at, pairs[i][0]);
		at += put_text(at, pairs[i][1]);
	}
	*o = (struct op_object){(uint32_t)ALIGN_UP((size_t)(at - out), (size_t)8), ARRAY_SIZE(pairs), id};
	return o->record_size;
}

static int catalogue_scan(void *arg, const char *kind, uint64_t after, struct vfs_payload *room,
			  struct op_catalogue_scan_out *out)
{
	struct host *h = arg;
	_Alignas(8) char record[2048];
	out->generation = h->generation;
	out->eof = 1;
	for (uint64_t i = after; strcmp(kind, "export") == 0 && h->exports[i]; i++) {
		uint32_t size = put_export(record, i + 1, h->exports[i]);
		memcpy((char *)room->iov[0].iov_base + out->size, record, size);
		out->size += size;
		out->n_objects++;
	}
	return 0;
}

static int client_report(void *arg, struct vfs_session *s, const char *client, const char *text, uint32_t size)
{
	return 0;
}

static uint64_t catalogue_generation(void *arg)
{
	return ((struct host *)arg)->generation;
}

/* ---- life ---------------------------------------------------------------------------------- */

static int connect_local(void *arg, struct client **c, const struct client_config *cfg)
{
	return client_local(c, ((struct host *)arg)->vfs, cfg);
}

static void must(int e, const char *what, const char *why)
{
	if (e)
		errx(1, "%s: %s%s%s", what, err_text(e), why ? ": " : "", why ? why : "");
}

static void start(struct host *h)
{
	const struct vfs_hooks hooks = {catalogue_scan, client_report, catalogue_generation, h};
	const struct vfs_mount_spec spec = {1, "data", h->backend, false, h->options};
	struct net_addr addr;
	char *why = NULL;
	backends_register();
	must(vfs_create(&h->vfs, &(struct vfs_config){.state_dir = h->state_dir}, &why), "vfs", why);
	vfs_set_hooks(h->vfs, &hooks);
	must(vfs_mount(h->vfs, &spec, &why), "mount", why);
	net_addr_parse("127.0.0.1:0", &addr);
	const struct nfs_config cfg = {.name = "host", .addrs = &addr, .n_addrs = 1, .port = h->port, .portmap = true,
				       .tcp = true, .udp = true, .first = true};
	must(nfs_server_start(&h->server, &cfg, connect_local, h), "nfs", NULL);
}

static void change_exports(struct host *h)
{
	h->exports = h->then;
	h->generation++;
	vfs_broadcast(h->vfs, &(struct op_event){.type = OP_EVENT_CATALOGUE, .value = h->generation});
}

static int next_signal(struct stream *signals)
{
	struct signalfd_siginfo info;
	struct iovec iov = {&info, sizeof(info)};
	return stream_readv(signals, &iov, 1) == sizeof(info) ? (int)info.ssi_signo : SIGTERM;
}

static void run(void *arg)
{
	struct host *h = arg;
	struct stream *signals;
	struct nfs_ports ports;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	start(h);
	must(stream_adopt(&signals, signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)), "signals", NULL);
	nfs_server_ports(h->server, &ports);
	printf("READY nfs=%u mount=%u portmap=%u\n", ports.port, ports.mount_port, ports.portmap_port);
	fflush(stdout);
	while (next_signal(signals) == SIGUSR1)
		change_exports(h);
	stream_close(signals);
	nfs_server_stop(h->server);
	vfs_destroy(h->vfs);
	loop_stop(h->loop);
}

static void add_option(struct host *h, char *text)
{
	if (h->n_options == OPTIONS_MAX)
		errx(2, "too many options");
	h->options[h->n_options].key = strsep(&text, "=");
	h->options[h->n_options++].value = text ? text : "";
}

static void parse(struct host *h, int argc, char **argv)
{
	int o;
	while ((o = getopt(argc, argv, "+b:o:s:p:e:")) != -1) {
		switch (o) {
		case 'b':
			h->backend = optarg;
			break;
		case 'o':
			add_option(h, optarg);
			break;
		case 's':
			h->state_dir = optarg;
			break;
		case 'p':
			h->port = (uint16_t)atoi(optarg);
			break;
		case 'e':
			h->engine = strcmp(optarg, "epoll") == 0 ? LOOP_EPOLL : LOOP_IO_URING;
			break;
		default:
			errx(2, "usage: nfs-host [-b BACKEND] [-o KEY=VALUE] [-s DIR] [-p PORT] [-e ENGINE] EXPORT...");
		}
	}
	h->exports = h->then = argv + optind;
	for (char **a = argv + optind; *a; a++) {
		if (strcmp(*a, "--then") == 0) {
			*a = NULL;
			h->then = a + 1;
			break;
		}
	}
}

int main(int argc, char **argv)
{
	struct host h = {.backend = "memfs", .engine = LOOP_AUTO, .generation = 1};
	sigset_t set;
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	parse(&h, argc, argv);
	must(loop_create(&h.loop, &(struct loop_config){.engine = h.engine}), "loop", NULL);
	must(fiber_start(h.loop, run, &h), "fiber", NULL);
	loop_run(h.loop);
	loop_destroy(h.loop);
	return 0;
}
