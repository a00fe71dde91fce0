/* [nfs] of chimera.conf as the server takes it. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "chimerad/config.h"
#include "protocols/nfs/nfs-server.h"

LOG_MODULE("nfs");

#define LISTEN_MAX 1024

/* An address alone; the port is another option's. */
static int parse_address(const char *text, struct net_addr *addr)
{
	char with_port[128];
	bool bare6 = *text != '[' && strchr(text, ':');
	int n = snprintf(with_port, sizeof(with_port), bare6 ? "[%s]:0" : "%s:0", text);
	return n < 0 || (size_t)n >= sizeof(with_port) ? ERR_INVAL : net_addr_parse(with_port, addr);
}

static int read_addresses(const char *listen, struct nfs_config *cfg, struct net_addr addrs[NFS_ADDRS_MAX])
{
	char text[LISTEN_MAX], *rest = text, *word;
	if (str_copy(text, sizeof(text), listen) != 0)
		return ERR_INVAL;
	cfg->addrs = addrs;
	cfg->n_addrs = 0;
	while ((word = str_next(&rest, ' '))) {
		if (*word == '\0')
			continue;
		if (cfg->n_addrs == NFS_ADDRS_MAX || parse_address(word, &addrs[cfg->n_addrs]) != 0) {
			log_error("[nfs] listen: \"%s\" is no address, or one too many", word);
			return ERR_INVAL;
		}
		cfg->n_addrs++;
	}
	return 0;
}

int nfs_config_read(const struct config *config, struct nfs_config *cfg, struct net_addr addrs[NFS_ADDRS_MAX])
{
	*cfg = (struct nfs_config){
		.port = (uint16_t)config_number(config, "nfs", "port"),
		.mount_port = (uint16_t)config_number(config, "nfs", "mount_port"),
		.portmap_port = (uint16_t)config_number(config, "nfs", "portmap_port"),
		.portmap = config_bool(config, "nfs", "portmap"),
		.tcp = config_has(config, "nfs", "transports", "tcp"),
		.udp = config_has(config, "nfs", "transports", "udp"),
		.max_io = (uint32_t)MIN(config_number(config, "nfs", "max_io"), (uint64_t)OP_IO_MAX),
		.udp_max_io = (uint32_t)MIN(config_number(config, "nfs", "udp_max_io"), (uint64_t)OP_IO_MAX),
		.idle_ms = (uint32_t)MIN(config_number(config, "nfs", "idle_timeout") / NS_PER_MS, (uint64_t)UINT32_MAX),
		.max_connections = (uint32_t)config_number(config, "nfs", "max_connections"),
	};
	if (cfg->idle_ms == 0)
		cfg->idle_ms = UINT32_MAX;
	return read_addresses(config_text(config, "nfs", "listen"), cfg, addrs);
}
