/* What the load generator is told to do. */
#ifndef BENCH_NFS3_LOAD_H
#define BENCH_NFS3_LOAD_H

#include <netinet/in.h>
#include <sys/types.h>

#include "base/compiler.h"

enum { LOAD_PIDS_MAX = 16 };

struct load_options {
	struct sockaddr_in server;
	uint16_t mount_port;
	const char *export_path;
	uint32_t fake_fh_size; /* 0: a real server */
	double seconds;        /* of each mix */
	int n_large;           /* files of each connection that calls of 1 MiB go to: 1 to 16 */
	const char *mixes;     /* separated by commas; NULL: all */
	/* The server's processes, whose CPU time counts. */
	pid_t pids[LOAD_PIDS_MAX];
	int n_pids;
};

/*
 * load_options_parse() - exits when the options are wrong. Ports that are not given are asked of the port mapper; the
 * calling thread is bound to the CPU that was asked for.
 */
void load_options_parse(struct load_options *opt, int argc, char **argv);

#endif
