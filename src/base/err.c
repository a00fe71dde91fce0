/* Names, sentences and errno conversions, all from the one table in err.h. */
#include "base/err.h"


#include "base/compiler.h"

struct err_entry {
	int err;
	int sys;
	const char *name;
	const char *text;
};

static const struct err_entry err_table[] = {
#define ERR(name, number, sys, text) {ERR_##name, sys, #name, text},
	ERR_TABLE(ERR)
#undef ERR
};

static const struct err_entry *find_err(int err)
{
	for (size_t i = 0; i < ARRAY_SIZE(err_table); i++)
		if (err_table[i].err == err)
			return &err_table[i];
	return NULL;
}

const char *err_name(int err)
{
	const struct err_entry *e = find_err(err);
	return err == 0 ? "OK" : e ? e->name : "UNKNOWN";
}

const char *err_text(int err)
{
	const struct err_entry *e = find_err(err);
	return err == 0 ? "success" : e ? e->text : "unknown error";
}

int err_from_errno(int sys)
{
	for (size_t i = 0; i < ARRAY_SIZE(err_table); i++)
		if (sys != 0 && err_table[i].sys == sys)
			return err_table[i].err;
	return sys == 0 ? 0 : ERR_IO;
}

int err_to_errno(int err)
{
	const struct err_entry *e = find_err(err);
	return err == 0 ? 0 : e && e->sys ? e->sys : EIO;
}
