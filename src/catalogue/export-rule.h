/*
 * Client rules of an export: who may mount it and how. Text as an admin writes it, rules separated by blanks:
 *
 *	CLIENT[:OPTION,OPTION...]     CLIENT is *, ADDRESS or NETWORK/LENGTH; IPv6 may stand in brackets
 *
 * Options: ro (default), rw; root_squash (default), no_root_squash, all_squash; anonuid=N, anongid=N (65534);
 * secure (default: the client's port is below 1024), insecure; sec=FLAVOUR[:FLAVOUR...] of sys, none, krb5,
 * krb5i, krb5p (sys). Chimera's daemons share this parser; nothing here allocates, logs or parks.
 */
#ifndef CATALOGUE_EXPORT_RULE_H
#define CATALOGUE_EXPORT_RULE_H

#include <sys/socket.h>

#include "base/compiler.h"

#define EXPORT_RULES_MAX 64

enum export_squash { EXPORT_ROOT_SQUASH, EXPORT_NO_SQUASH, EXPORT_ALL_SQUASH };

enum export_sec {
	EXPORT_SEC_SYS = 1,
	EXPORT_SEC_NONE = 2,
	EXPORT_SEC_KRB5 = 4,
	EXPORT_SEC_KRB5I = 8,
	EXPORT_SEC_KRB5P = 16,
};

struct export_rule {
	int family;          /* AF_INET, AF_INET6; AF_UNSPEC: everyone */
	uint8_t address[16]; /* network byte order, 4 bytes of it for AF_INET; bits past prefix are 0 */
	uint8_t prefix;      /* bits that count */
	bool read_only;
	bool secure;
	uint8_t squash;      /* enum export_squash */
	uint8_t sec;         /* EXPORT_SEC_* allowed */
	uint32_t anonuid;
	uint32_t anongid;
};

struct export_rules {
	uint32_t n_rules;
	struct export_rule rules[EXPORT_RULES_MAX];
};

/*
 * export_rules_parse() - ERR_INVAL: why names the rule and what is wrong with it; ERR_NOSPC: more than
 * EXPORT_RULES_MAX. Empty text is no rules: nobody may mount.
 */
int export_rules_parse(const char *text, struct export_rules *out, char *why, size_t why_size);

/*
 * export_rules_match() - the rule for a client: the longest prefix that covers its address, the first of
 * equals; NULL: none. IPv4-mapped addresses count as IPv4. Ports are not looked at.
 */
const struct export_rule *export_rules_match(const struct export_rules *rules, const struct sockaddr *client);

/* export_rule_port_ok() - a secure rule wants a port below 1024. */
bool export_rule_port_ok(const struct export_rule *rule, const struct sockaddr *client);

/* export_rule_format() - CLIENT as text, "10.0.0.0/8", "*": for MOUNT's EXPORT list and tables. */
void export_rule_format(const struct export_rule *rule, char *out, size_t size);

#endif
