/* The load generator's command line. */
#include <arpa/inet.h>
#include <err.h>
#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "nfs3-load.h"
#include "nfs3-rpc.h"

static _Noreturn void usage(void)
{
	errx(2, "usage: nfs3-load [-a ADDR] [-P NFS_PORT] [-M MOUNT_PORT] [-e EXPORT] [-p PID]... [-s SECONDS] "
	        "[-m MIX,...] [-w FILES] [-c CPU] [-F HANDLE_SIZE]\n"
	        "ports not given are asked of the portmapper; -F: no files, for the floor");
}

static bool pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) == 0;
}

static bool parse_option(struct load_options *opt, int o)
{
	switch (o) {
	case 'a':
		return inet_pton(AF_INET, optarg, &opt->server.sin_addr) == 1;
	case 'P':
		opt->server.sin_port = htons((uint16_t)atoi(optarg));
		return true;
	case 'M':
		opt->mount_port = (uint16_t)atoi(optarg);
		return true;
	case 'e':
		opt->export_path = optarg;
		return true;
	case 'p':
		opt->pids[MIN(opt->n_pids++, LOAD_PIDS_MAX - 1)] = atoi(optarg);
		return opt->n_pids <= LOAD_PIDS_MAX;
	case 's':
		opt->seconds = atof(optarg);
		return opt->seconds > 0;
	case 'm':
		opt->mixes = optarg;
		return true;
	case 'w':
		opt->n_large = atoi(optarg);
		return opt->n_large >= 1 && opt->n_large <= 16;
	case 'c':
		return pin(atoi(optarg));
	case 'F':
		opt->fake_fh_size = (uint32_t)atoi(optarg);
		return opt->fake_fh_size > 0 && opt->fake_fh_size <= NFS3_FHSIZE;
	default:
		return false;
	}
}

static void ask_ports(struct load_options *opt)
{
	struct sockaddr_in at = opt->server;

	if (opt->fake_fh_size || (opt->server.sin_port && opt->mount_port))
		return;
	at.sin_port = htons(111);
	int fd = rpc_connect(&at);
	opt->server.sin_port = htons(portmap_getport(fd, RPC_PROG_NFS, 3, IPPROTO_TCP));
	opt->mount_port = portmap_getport(fd, RPC_PROG_MOUNT, 3, IPPROTO_TCP);
	close(fd);
	if (opt->server.sin_port == 0 || opt->mount_port == 0)
		errx(1, "the portmapper knows no NFSv3 or MOUNT v3 over TCP");
}

void load_options_parse(struct load_options *opt, int argc, char **argv)
{
	int o;

	*opt = (struct load_options){.seconds = 2, .n_large = 1, .export_path = "/"};
	opt->server = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	while ((o = getopt(argc, argv, "a:P:M:e:p:s:m:w:c:F:")) != -1)
		if (!parse_option(opt, o))
			usage();
	if (optind != argc)
		usage();
	ask_ports(opt);
}
