/*
 * An NFSv3 client over UDP, because the kernels at hand are built without one: asks the port mapper, mounts, writes and
 * reads back in pieces of the size given, and sends a call twice, which must be done once. Prints test results.
 *
 * usage: udp-client ADDR PORTMAP_PORT EXPORT IO_SIZE LABEL
 */
#include <arpa/inet.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/nfs3-rpc.h"

enum { N_PIECES = 200, IO_MAX = 32 << 10, POST_OP_ATTR = 84, NFS3ERR_EXIST = 17 };

static const char *label;
static int n_cases, n_failed;

static void result(bool passed, const char *what)
{
	printf("%sok %d - %s: %s\n", passed ? "" : "not ", ++n_cases, label, what);
	n_failed += !passed;
}

static void fill(uint8_t *data, uint32_t size, uint32_t piece)
{
	for (uint32_t i = 0; i < size; i++)
		data[i] = (uint8_t)(piece * 31 + i * 7 + (i >> 8));
}

static void write_pieces(int fd, const struct nfs3_fh *file, uint32_t size)
{
	static uint8_t data[IO_MAX];
	struct rpc_call call;
	struct cursor reply;

	for (uint32_t piece = 0; piece < N_PIECES; piece++) {
		fill(data, size, piece);
		call_write(&call, file, (uint64_t)piece * size, size, WRITE3_UNSTABLE);
		rpc_transact(fd, &call, data, &reply);
		reply_status(&reply, "WRITE");
	}
}

static bool piece_is_right(struct cursor *reply, uint32_t size, uint32_t piece)
{
	static uint8_t expected[IO_MAX];

	fill(expected, size, piece);
	cursor_skip(reply, cursor_be32(reply) ? POST_OP_ATTR : 0);
	uint32_t count = cursor_be32(reply);
	uint32_t eof = cursor_be32(reply);
	const uint8_t *data = cursor_bytes(reply, cursor_be32(reply));
	return data && count == size && !eof == (piece != N_PIECES - 1) && memcmp(data, expected, size) == 0;
}

static bool read_pieces(int fd, const struct nfs3_fh *file, uint32_t size)
{
	struct rpc_call call;
	struct cursor reply;

	for (uint32_t piece = 0; piece < N_PIECES; piece++) {
		call_read(&call, file, (uint64_t)piece * size, size);
		rpc_transact(fd, &call, NULL, &reply);
		reply_status(&reply, "READ");
		if (!piece_is_right(&reply, size, piece))
			return false;
	}
	return true;
}

/* MKDIR again as a new call must fail, and again as a retransmission must be answered as it was the first time. */
static void repeat_call(int fd, const struct nfs3_fh *dir)
{
	struct rpc_call call;
	struct cursor reply;
	struct nfs3_fh first, second;

	call_mkdir(&call, dir, "once");
	rpc_transact(fd, &call, NULL, &reply);
	reply_status(&reply, "MKDIR");
	reply_new_fh(&reply, &first);
	rpc_repeat(fd, &call, NULL, &reply);
	bool same = cursor_be32(&reply) == 0;
	if (same)
		reply_new_fh(&reply, &second);
	result(same && first.size == second.size && memcmp(first.data, second.data, first.size) == 0,
	       "a call sent twice is done once");
	rpc_transact(fd, &call, NULL, &reply);
	result(cursor_be32(&reply) == NFS3ERR_EXIST, "a new call with the same arguments is a new call");
}

static int connect_to(struct sockaddr_in addr, int mapper, uint32_t prog)
{
	addr.sin_port = htons(portmap_getport(mapper, prog, 3, IPPROTO_UDP));
	if (addr.sin_port == 0)
		errx(1, "program %u is not registered over UDP", prog);
	return rpc_connect_udp(&addr);
}

int main(int argc, char **argv)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	struct nfs3_fh root, dir, file;
	struct rpc_call call;
	struct cursor reply;
	char name[32];

	if (argc != 6 || inet_pton(AF_INET, argv[1], &addr.sin_addr) != 1)
		errx(2, "usage: udp-client ADDR PORTMAP_PORT EXPORT IO_SIZE LABEL");
	addr.sin_port = htons((uint16_t)atoi(argv[2]));
	uint32_t size = (uint32_t)MIN(atoi(argv[4]), IO_MAX);
	label = argv[5];
	int mapper = rpc_connect_udp(&addr);
	mount_export(connect_to(addr, mapper, RPC_PROG_MOUNT), argv[3], &root);
	int fd = connect_to(addr, mapper, RPC_PROG_NFS);
	result(true, "the port mapper knows MOUNT and NFS, and the export can be mounted");
	snprintf(name, sizeof(name), "udp.%d", getpid());
	call_mkdir(&call, &root, name);
	rpc_transact(fd, &call, NULL, &reply);
	reply_status(&reply, "MKDIR");
	reply_new_fh(&reply, &dir);
	call_create(&call, &dir, "file");
	rpc_transact(fd, &call, NULL, &reply);
	reply_status(&reply, "CREATE");
	reply_new_fh(&reply, &file);
	write_pieces(fd, &file, size);
	result(read_pieces(fd, &file, size), "what was written is read back");
	repeat_call(fd, &dir);
	printf("1..%d\n", n_cases);
	return n_failed != 0;
}
