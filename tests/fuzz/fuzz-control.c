/* The control socket's decoders: the first byte picks request, reply, the catalogue's file, INI text or JSON. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/ini.h"
#include "base/json.h"
#include "catalogue/catalogue-impl.h"
#include "catalogue/control-wire.h"
#include "catalogue/export-rule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_request(const uint8_t *data, size_t size)
{
	struct control_message m, back;
	struct bytes again;
	if (control_decode_request(data, size, &m))
		return;
	bytes_init(&again, 0);
	control_encode_request(&again, &m);
	assert(again.size == size + 4 && memcmp(again.data + 4, data, size) == 0);
	assert(control_decode_request(again.data + 4, size, &back) == 0 && back.n_pairs == m.n_pairs);
	control_message_get(&m, "noun");
	bytes_fini(&again);
}

static void try_reply(const uint8_t *data, size_t size)
{
	struct control_answer a;
	struct bytes again;
	if (control_decode_reply(data, size, &a))
		return;
	bytes_init(&again, 0);
	control_encode_reply(&again, &a);
	assert(again.size == size + 4 && memcmp(again.data + 4, data, size) == 0);
	bytes_fini(&again);
}

static void try_store(char *text, size_t size)
{
	struct catalogue_error error;
	struct catalogue_view *v;
	if (catalogue_store_decode(text, size, &v, &error) == 0)
		catalogue_view_put(v);
}

static int ignore_line(void *arg, const struct ini_line *at)
{
	return 0;
}

static void try_texts(const char *text, size_t size)
{
	struct export_rules rules;
	struct ini_error error;
	struct json_value *v;
	struct arena a;
	char why[128];
	ini_parse_text(text, size, ignore_line, NULL, &error);
	export_rules_parse(text, &rules, why, sizeof(why));
	arena_init(&a, NULL, 0, 64 << 20);
	json_parse(&a, text, size, &v);
	arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	char *copy = malloc(size);
	if (!copy)
		return 0;
	memcpy(copy, data + 1, size - 1);
	copy[size - 1] = '\0';
	switch (data[0] % 4) {
	case 0:
		try_request(data + 1, size - 1);
		break;
	case 1:
		try_reply(data + 1, size - 1);
		break;
	case 2:
		try_store(copy, size - 1);
		break;
	default:
		try_texts(copy, size - 1);
		break;
	}
	free(copy);
	return 0;
}
