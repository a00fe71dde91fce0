/* Addresses as text: "127.0.0.1:2049", "[::1]:2049", "unix:/path". */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/err.h"
#include "loop/loop.h"

static int parse_unix(const char *path, struct net_addr *addr)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&addr->storage;
	size_t size = strlen(path);

	if (size == 0 || size >= sizeof(un->sun_path))
		return ERR_INVAL;
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, size + 1);
	addr->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + 1);
	return 0;
}

static int parse_port(const char *text, in_port_t *port)
{
	unsigned long n = 0;
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 5 || text[digits] != '\0')
		return ERR_INVAL;
	n = strtoul(text, NULL, 10);
	if (n > UINT16_MAX)
		return ERR_INVAL;
	*port = htons((uint16_t)n);
	return 0;
}

static int parse_in6(const char *text, struct net_addr *addr)
{
	char host[INET6_ADDRSTRLEN];
	const char *end = strchr(text, ']');
	size_t size = end ? (size_t)(end - text) : sizeof(host);

	if (size >= sizeof(host) || end[1] != ':')
		return ERR_INVAL;
	memcpy(host, text, size);
	host[size] = '\0';
	addr->in6.sin6_family = AF_INET6;
	addr->size = sizeof(addr->in6);
	if (inet_pton(AF_INET6, host, &addr->in6.sin6_addr) != 1)
		return ERR_INVAL;
	return parse_port(end + 2, &addr->in6.sin6_port);
}

static int parse_in(const char *text, struct net_addr *addr)
{
	char host[INET_ADDRSTRLEN];
	const char *end = strchr(text, ':');
	size_t size = end ? (size_t)(end - text) : sizeof(host);

	if (size >= sizeof(host))
		return ERR_INVAL;
	memcpy(host, text, size);
	host[size] = '\0';
	addr->in.sin_family = AF_INET;
	addr->size = sizeof(addr->in);
	if (inet_pton(AF_INET, host, &addr->in.sin_addr) != 1)
		return ERR_INVAL;
	return parse_port(end + 1, &addr->in.sin_port);
}

int net_addr_parse(const char *text, struct net_addr *addr)
{
	memset(addr, 0, sizeof(*addr));
	if (strncmp(text, "unix:", 5) == 0)
		return parse_unix(text + 5, addr);
	if (text[0] == '[')
		return parse_in6(text + 1, addr);
	return parse_in(text, addr);
}

void net_addr_format(const struct net_addr *addr, char *out, size_t size)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)&addr->storage;
	int path_size = (int)addr->size - (int)offsetof(struct sockaddr_un, sun_path);
	char host[INET6_ADDRSTRLEN];

	if (size == 0)
		return;
	out[0] = '\0';
	if (addr->sa.sa_family == AF_INET && inet_ntop(AF_INET, &addr->in.sin_addr, host, sizeof(host)))
		snprintf(out, size, "%s:%u", host, ntohs(addr->in.sin_port));
	else if (addr->sa.sa_family == AF_INET6 && inet_ntop(AF_INET6, &addr->in6.sin6_addr, host, sizeof(host)))
		snprintf(out, size, "[%s]:%u", host, ntohs(addr->in6.sin6_port));
	else if (addr->sa.sa_family == AF_UNIX)
		snprintf(out, size, "unix:%.*s", MAX(path_size, 0), un->sun_path);
}

uint16_t net_addr_port(const struct net_addr *addr)
{
	if (addr->sa.sa_family == AF_INET)
		return ntohs(addr->in.sin_port);
	return addr->sa.sa_family == AF_INET6 ? ntohs(addr->in6.sin6_port) : 0;
}
