/* Shows that datagrams find their way with both addresses known, and that addresses survive text. */
#include <arpa/inet.h>
#include <string.h>

#include "tests/unit/loop/rig.h"

static void check_text(const char *text, bool good)
{
	struct net_addr addr;
	char back[160];

	cr_assert_eq(net_addr_parse(text, &addr), good ? 0 : ERR_INVAL, "%s", text);
	if (!good)
		return;
	net_addr_format(&addr, back, sizeof(back));
	cr_assert_str_eq(back, text);
}

Test(net, addresses_as_text)
{
	static const char *const good[] = {"127.0.0.1:2049", "0.0.0.0:0", "[::1]:65535", "[2001:db8::7]:111",
	                                   "unix:/run/x"};
	static const char *const bad[] = {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:1x", "host:1",
	                                  "[::1]", "[::1:1", "[::g]:1", "unix:", "1.2.3.4.5.6.7.8.9:1", ":1"};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		check_text(good[i], true);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		check_text(bad[i], false);
}

static struct dgram *server;
static struct fiber_join served;

static void answer(void *arg)
{
	struct net_addr from, to;
	char buf[2000];
	ssize_t n;

	while ((n = dgram_recv(server, buf, sizeof(buf), &from, &to)) >= 0) {
		struct iovec iov[2] = {{"re: ", 4}, {buf, (size_t)n}};
		cr_assert_eq(dgram_sendv(server, iov, 2, &from, &to), 0);
	}
	cr_assert_eq(n, ERR_CANCELED);
	fiber_join_done(&served);
}

static void ask(int family, const char *any)
{
	struct net_addr where, mine = rig_addr(family), from, to;
	struct dgram *client;
	struct iovec iov = {"ping", 4};
	char buf[100];

	cr_assert_eq(net_addr_parse(any, &where), 0);
	cr_assert_eq(dgram_open(&server, &where), 0);
	dgram_addr(server, &where);
	fiber_join_add(&served, 1);
	fiber_spawn(answer, NULL);
	cr_assert_eq(dgram_open(&client, &mine), 0);
	if (family == AF_INET)
		where.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		where.in6.sin6_addr = in6addr_loopback;
	cr_assert_eq(dgram_sendv(client, &iov, 1, &where, NULL), 0);
	cr_assert_eq(dgram_recv(client, buf, sizeof(buf), &from, &to), 8);
	cr_assert(memcmp(buf, "re: ping", 8) == 0);
	cr_assert_eq(net_addr_port(&from), net_addr_port(&where));
	dgram_addr(client, &mine);
	cr_assert_eq(net_addr_port(&to), net_addr_port(&mine));
	dgram_cancel(server);
	fiber_join_wait(&served);
	dgram_close(server);
	dgram_close(client);
	rig_done();
}

static void ask4(void *arg)
{
	ask(AF_INET, "0.0.0.0:0");
}

static void ask6(void *arg)
{
	ask(AF_INET6, "[::]:0");
}

EACH_TEST(net, datagrams_in, ask4)
EACH_TEST(net, datagrams_in6, ask6)
