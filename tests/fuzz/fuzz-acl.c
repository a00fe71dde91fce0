/*
 * ACLs from outside: what parses is walked, judged and turned into modes without fault, builds again to the same bytes, and a
 * chmod of it gives that mode.
 */
#include <stdlib.h>
#include <string.h>

#include "op/acl-nfs4.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_rebuilt(const struct acl *acl)
{
	struct acl_walk w = acl_walk(acl);
	struct acl_builder b;
	struct acl *again;
	struct ace ace;
	acl_begin(&b, acl_flags(acl));
	while (acl_next(&w, &ace))
		acl_add(&b, &ace);
	if (acl_end(&b, &again) || again->size != acl->size || memcmp(again->bytes, acl->bytes, acl->size) != 0)
		abort();
	free(again);
}

static void check_chmod(const struct acl *acl, uint32_t mode, bool dir)
{
	struct acl *out;
	/* It may become too large. */
	if (acl_chmod(acl, mode, dir, &out))
		return;
	if (acl_mode(out) != (mode & 0777))
		abort();
	free(out);
}

static void judge(const struct acl *acl, uint32_t uid, uint32_t owner)
{
	struct op_cred cred = {.uid = uid, .gid = 7, .n_groups = 1, .groups = {8}};
	struct acl_subject s = {&cred, owner, 8};
	struct acl_verdict v = acl_judge(acl, &s, ACE_MASK_ALL);
	if ((v.allowed & v.denied) || ((v.allowed | v.denied) & ~ACE_MASK_ALL))
		abort();
}

/* The attribute's form: what is understood comes out as something that is understood to be the same. */
static void check_nfs4(const uint8_t *data, size_t size)
{
	struct acl *acl, *again;
	struct bytes out;
	if (acl_from_nfs4(data, size, &acl))
		return;
	bytes_init(&out, 0);
	acl_to_nfs4(acl, &out);
	if (out.err || acl_from_nfs4(out.data, out.size, &again) || again->size != acl->size ||
	    memcmp(again->bytes, acl->bytes, acl->size) != 0)
		abort();
	free(again);
	free(acl);
	bytes_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct acl *acl, *heir = NULL;
	check_nfs4(data, size);
	if (acl_parse(data, size, &acl))
		return 0;
	check_rebuilt(acl);
	judge(acl, 5, 5);
	judge(acl, 5, 6);
	for (uint32_t mode = 0; mode <= 0777; mode += 0111 + 0013)
		check_chmod(acl, mode, mode & 1);
	acl_is_canonical(acl);
	for (int dir = 0; dir < 2; dir++)
		if (acl_inherit(acl, dir, &heir) == 0)
			free(TAKE(heir));
	free(acl);
	return 0;
}
