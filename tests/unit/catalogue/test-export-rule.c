/* Shows how client rules are read and which rule a client gets. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>

#include "base/err.h"
#include "catalogue/export-rule.h"

static struct export_rules rules;
static char why[256];

static void parse(const char *text)
{
	cr_assert_eq(export_rules_parse(text, &rules, why, sizeof(why)), 0, "%s: %s", text, why);
}

static const struct export_rule *match(const char *address)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	if (inet_pton(AF_INET, address, &in.sin_addr) == 1)
		return export_rules_match(&rules, (struct sockaddr *)&in);
	cr_assert_eq(inet_pton(AF_INET6, address, &in6.sin6_addr), 1);
	return export_rules_match(&rules, (struct sockaddr *)&in6);
}

Test(export_rule, defaults)
{
	parse("*");
	const struct export_rule *r = match("1.2.3.4");
	cr_assert_eq(r, &rules.rules[0]);
	cr_assert(r->read_only && r->secure && r->squash == EXPORT_ROOT_SQUASH && r->sec == EXPORT_SEC_SYS);
	cr_assert(r->anonuid == 65534 && r->anongid == 65534);
}

Test(export_rule, options)
{
	parse(" 10.1.2.3/8:rw,no_root_squash,insecure,anonuid=7,anongid=8,sec=krb5:krb5p\t*:all_squash ");
	cr_assert_eq(rules.n_rules, 2);
	const struct export_rule *r = &rules.rules[0];
	cr_assert(!r->read_only && !r->secure && r->squash == EXPORT_NO_SQUASH);
	cr_assert(r->anonuid == 7 && r->anongid == 8 && r->sec == (EXPORT_SEC_KRB5 | EXPORT_SEC_KRB5P));
	cr_assert(r->prefix == 8 && memcmp(r->address, "\x0a\0\0\0", 4) == 0);
	cr_assert_eq(rules.rules[1].squash, EXPORT_ALL_SQUASH);
}

Test(export_rule, the_longest_prefix_wins)
{
	parse("*:ro 10.0.0.0/8:ro 10.1.2.3:rw 10.1.0.0/16:ro 10.1.2.3:ro");
	cr_assert_eq(match("10.1.2.3"), &rules.rules[2], "the first of equals");
	cr_assert_eq(match("10.1.9.9"), &rules.rules[3]);
	cr_assert_eq(match("10.2.0.1"), &rules.rules[1]);
	cr_assert_eq(match("::ffff:10.2.0.1"), &rules.rules[1], "IPv4-mapped");
	cr_assert_eq(match("11.0.0.1"), &rules.rules[0]);
	cr_assert_eq(match("2001:db8::1"), &rules.rules[0]);
}

Test(export_rule, ipv6)
{
	parse("2001:db8::/33:rw [2001:db8::5]:rw ::1 [fe80::]/10");
	cr_assert_eq(match("2001:db8:7fff::1"), &rules.rules[0]);
	cr_assert_eq(match("2001:db8::5"), &rules.rules[1]);
	cr_assert_eq(match("::1"), &rules.rules[2]);
	cr_assert_eq(match("febf::1"), &rules.rules[3]);
	cr_assert_null(match("fec0::1"));
	cr_assert_null(match("2001:db8:8000::1"));
	cr_assert_null(match("10.0.0.1"));
}

Test(export_rule, nobody_without_rules)
{
	parse("");
	cr_assert_null(match("127.0.0.1"));
}

Test(export_rule, mistakes)
{
	static const char *const bad[] = {"10.0.0.0/33", "10.0.0/8", "host.example:rw", "*:rx", "*:anonuid=x", "*:rw,",
	                                  "*:sec=", "*:sec=md5", "10.0.0.0/:rw", "[::1:rw", "*:anonuid=4294967295", ":rw"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cr_assert_eq(export_rules_parse(bad[i], &rules, why, sizeof(why)), ERR_INVAL, "%s", bad[i]);
		cr_assert_not_null(strstr(why, bad[i]), "%s", why);
	}
}

Test(export_rule, ports_and_text)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(1024)};
	char text[64];
	parse("10.0.0.0/8 *:insecure 1.2.3.4");
	cr_assert(!export_rule_port_ok(&rules.rules[0], (struct sockaddr *)&in));
	cr_assert(export_rule_port_ok(&rules.rules[1], (struct sockaddr *)&in));
	in.sin_port = htons(1023);
	cr_assert(export_rule_port_ok(&rules.rules[0], (struct sockaddr *)&in));
	export_rule_format(&rules.rules[0], text, sizeof(text));
	cr_assert_str_eq(text, "10.0.0.0/8");
	export_rule_format(&rules.rules[1], text, sizeof(text));
	cr_assert_str_eq(text, "*");
	export_rule_format(&rules.rules[2], text, sizeof(text));
	cr_assert_str_eq(text, "1.2.3.4");
}
