/* Rules are parsed from a copy, cut at blanks, the colon after the client, and commas. */
#include "catalogue/export-rule.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"

#define RULE_MAX 512
#define NOBODY 65534

enum option_field { READ_ONLY, SQUASH, SECURE, ANONUID, ANONGID, SEC };

static const struct {
	const char *name; /* with a value when it ends in = */
	enum option_field field;
	uint8_t value;
} options[] = {
	{"ro", READ_ONLY, true},
	{"rw", READ_ONLY, false},
	{"root_squash", SQUASH, EXPORT_ROOT_SQUASH},
	{"no_root_squash", SQUASH, EXPORT_NO_SQUASH},
	{"all_squash", SQUASH, EXPORT_ALL_SQUASH},
	{"secure", SECURE, true},
	{"insecure", SECURE, false},
	{"anonuid=", ANONUID, 0},
	{"anongid=", ANONGID, 0},
	{"sec=", SEC, 0},
};

static const struct {
	const char *name;
	uint8_t flavour;
} flavours[] = {
	{"sys", EXPORT_SEC_SYS},     {"none", EXPORT_SEC_NONE},   {"krb5", EXPORT_SEC_KRB5},
	{"krb5i", EXPORT_SEC_KRB5I}, {"krb5p", EXPORT_SEC_KRB5P},
};

static const char *parse_sec(char *value, struct export_rule *r)
{
	r->sec = 0;
	for (char *word; (word = str_next(&value, ':'));) {
		size_t i = 0;
		while (i < ARRAY_SIZE(flavours) && strcmp(flavours[i].name, word) != 0)
			i++;
		if (i == ARRAY_SIZE(flavours))
			return "unknown flavour after sec=: they are sys, none, krb5, krb5i, krb5p";
		r->sec |= flavours[i].flavour;
	}
	return NULL;
}

static const char *parse_id(const char *value, uint32_t *id)
{
	uint64_t n;
	if (str_parse_u64(value, 0, UINT32_MAX - 1, &n))
		return "anonuid and anongid take a number";
	*id = (uint32_t)n;
	return NULL;
}

static const char *set_option(struct export_rule *r, size_t i, char *value)
{
	switch (options[i].field) {
	case READ_ONLY:
		r->read_only = options[i].value;
		return NULL;
	case SQUASH:
		r->squash = options[i].value;
		return NULL;
	case SECURE:
		r->secure = options[i].value;
		return NULL;
	case ANONUID:
		return parse_id(value, &r->anonuid);
	case ANONGID:
		return parse_id(value, &r->anongid);
	case SEC:
		return parse_sec(value, r);
	}
	return NULL;
}

static const char *parse_option(char *word, struct export_rule *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		size_t n = strlen(options[i].name);
		bool valued = options[i].name[n - 1] == '=';
		if (valued ? strncmp(word, options[i].name, n) == 0 : strcmp(word, options[i].name) == 0)
			return set_option(r, i, word + n);
	}
	return "unknown option: they are ro, rw, root_squash, no_root_squash, all_squash, anonuid=, anongid=, secure, "
	       "insecure, sec=";
}

/*
 * Where the client ends: after "]" or the length; without either, an address with more than one colon is
 * IPv6 with no options.
 */
static char *client_end(char *rule)
{
	char *from = rule, *close = rule[0] == '[' ? strchr(rule, ']') : NULL;
	char *slash = strchr(close ? close : rule, '/');
	if (close)
		from = close;
	if (slash)
		from = slash;
	char *colon = strchr(from, ':');
	if (colon && !close && !slash && strchr(colon + 1, ':') && strspn(rule, "0123456789abcdefABCDEF:.") == strlen(rule))
		return NULL;
	return colon;
}

static void clear_host_bits(struct export_rule *r)
{
	for (uint32_t bit = r->prefix; bit < 128; bit++)
		r->address[bit / 8] &= (uint8_t)~(0x80 >> bit % 8);
}

static const char *parse_client(char *client, struct export_rule *r)
{
	char *length = strchr(client, '/');
	uint64_t prefix;
	if (strcmp(client, "*") == 0)
		return NULL;
	if (length)
		*length++ = '\0';
	size_t n = strlen(client);
	if (n && client[0] == '[' && client[n - 1] == ']') {
		client[n - 1] = '\0';
		client++;
	}
	if (inet_pton(AF_INET, client, r->address) == 1)
		r->family = AF_INET;
	else if (inet_pton(AF_INET6, client, r->address) == 1)
		r->family = AF_INET6;
	else
		return "the client has to be *, an address, or a network such as 10.0.0.0/8";
	uint64_t bits = r->family == AF_INET ? 32 : 128;
	prefix = bits;
	if (length && str_parse_u64(length, 0, bits, &prefix))
		return "the network's length is out of range";
	r->prefix = (uint8_t)prefix;
	clear_host_bits(r);
	return NULL;
}

static const char *parse_rule(char *text, struct export_rule *r)
{
	*r = (struct export_rule){
		.read_only = true, .secure = true, .sec = EXPORT_SEC_SYS, .anonuid = NOBODY, .anongid = NOBODY};
	char *list = client_end(text);
	if (list)
		*list++ = '\0';
	const char *what = parse_client(text, r);
	for (char *word; !what && (word = str_next(&list, ','));)
		what = parse_option(word, r);
	return what;
}

int export_rules_parse(const char *text, struct export_rules *out, char *why, size_t why_size)
{
	out->n_rules = 0;
	for (text += strspn(text, " \t"); *text; text += strspn(text, " \t")) {
		char rule[RULE_MAX];
		size_t n = strcspn(text, " \t");
		if (out->n_rules == EXPORT_RULES_MAX || n >= sizeof(rule)) {
			snprintf(why, why_size, "more than %d rules, or a rule of more than %d bytes", EXPORT_RULES_MAX,
			         RULE_MAX - 1);
			return ERR_NOSPC;
		}
		memcpy(rule, text, n);
		rule[n] = '\0';
		const char *what = parse_rule(rule, &out->rules[out->n_rules++]);
		if (what) {
			snprintf(why, why_size, "rule \"%.*s\": %s", (int)MIN(n, (size_t)100), text, what);
			return ERR_INVAL;
		}
		text += n;
	}
	return 0;
}

static bool covers(const struct export_rule *r, int family, const uint8_t *address)
{
	if (r->family == AF_UNSPEC)
		return true;
	if (r->family != family)
		return false;
	size_t whole = r->prefix / 8;
	if (memcmp(r->address, address, whole) != 0)
		return false;
	return r->prefix % 8 == 0 || (address[whole] >> (8 - r->prefix % 8)) == (r->address[whole] >> (8 - r->prefix % 8));
}

static int plain_address(const struct sockaddr *client, uint8_t address[16])
{
	if (client->sa_family == AF_INET) {
		memcpy(address, &((const struct sockaddr_in *)client)->sin_addr, 4);
		return AF_INET;
	}
	if (client->sa_family != AF_INET6)
		return AF_UNSPEC;
	const struct in6_addr *in6 = &((const struct sockaddr_in6 *)client)->sin6_addr;
	bool mapped = IN6_IS_ADDR_V4MAPPED(in6);
	memcpy(address, mapped ? in6->s6_addr + 12 : in6->s6_addr, mapped ? 4 : 16);
	return mapped ? AF_INET : AF_INET6;
}

const struct export_rule *export_rules_match(const struct export_rules *rules, const struct sockaddr *client)
{
	const struct export_rule *best = NULL;
	uint8_t address[16] = {0};
	int family = plain_address(client, address), best_score = -1;
	for (uint32_t i = 0; i < rules->n_rules; i++) {
		const struct export_rule *r = &rules->rules[i];
		int score = r->family == AF_UNSPEC ? 0 : 1 + r->prefix;
		if (score > best_score && covers(r, family, address)) {
			best = r;
			best_score = score;
		}
	}
	return best;
}

bool export_rule_port_ok(const struct export_rule *rule, const struct sockaddr *client)
{
	uint16_t port = client->sa_family == AF_INET6 ? ((const struct sockaddr_in6 *)client)->sin6_port
	                : client->sa_family == AF_INET ? ((const struct sockaddr_in *)client)->sin_port : 0;
	return !rule->secure || ntohs(port) < 1024;
}

void export_rule_format(const struct export_rule *rule, char *out, size_t size)
{
	char address[INET6_ADDRSTRLEN];
	if (rule->family == AF_UNSPEC) {
		str_copy(out, size, "*");
		return;
	}
	inet_ntop(rule->family, rule->address, address, sizeof(address));
	if (rule->prefix == (rule->family == AF_INET ? 32 : 128))
		str_copy(out, size, address);
	else
		snprintf(out, size, "%s/%u", address, rule->prefix);
}
