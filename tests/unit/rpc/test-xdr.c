/* Generated code round-trips every form, stops at every truncation and every broken bound. */
#include <criterion/criterion.h>

#include "tests/unit/rpc/sample-xdr.h"

static struct node nodes[2] = {
	{.id = 7, .text = {(const uint8_t *)"one", 3}, .next = &nodes[1]},
	{.id = 8, .text = {(const uint8_t *)"", 0}},
};
static uint32_t numbers[3] = {1, 0xffffffff, 3};
static struct xdr_bytes names[2] = {{(const uint8_t *)"abcde", 5}, {(const uint8_t *)"12345678", 8}};

static const struct sample full = {
	.flag = true,
	.tint = BLUE,
	.number = 0x0102030405060708,
	.corners = {{-1, -2}, {3, 1LL << 40}},
	.sum = {1, 2, 3, 4, 5},
	.name = {(const uint8_t *)"name", 4},
	.has_origin = true,
	.origin = {9, 10},
	.numbers = {numbers, 3},
	.names = {names, 2},
	.figure = {.kind = GREEN, .name = {(const uint8_t *)"g", 1}},
	.extra = {.which = 1, .value = 77},
	.nodes = nodes,
	.last = 0xcafe,
};

static size_t encode(uint8_t *out, size_t size, const struct sample *v)
{
	struct xdr_out x;
	xdr_out_init(&x, out, size);
	sample_encode(&x, v);
	return x.err ? 0 : xdr_out_size(&x);
}

static int decode(const void *data, size_t size, struct sample *v, struct arena *arena)
{
	struct xdr_in x;
	xdr_in_init(&x, data, size);
	x.arena = arena;
	sample_decode(&x, v);
	return x.err ? x.err : x.pos == x.end ? 0 : ERR_EOF;
}

Test(xdr, round_trip_gives_the_same_bytes)
{
	uint8_t first[512], second[512];
	struct arena arena;
	struct sample v;
	arena_init(&arena, NULL, 0, 0);
	size_t size = encode(first, sizeof(first), &full);
	cr_assert_gt(size, 0);
	cr_assert_eq(decode(first, size, &v, &arena), 0);
	cr_assert_eq(v.tint, BLUE);
	cr_assert_eq(v.corners[1].y, 1LL << 40);
	cr_assert(v.has_origin && v.origin.y == 10);
	cr_assert_eq(v.names.n_items, 2);
	cr_assert_eq(v.nodes->next->id, 8);
	cr_assert_eq(encode(second, sizeof(second), &v), size);
	cr_assert_arr_eq(first, second, size);
	arena_fini(&arena);
}

Test(xdr, known_bytes_of_a_point)
{
	static const uint8_t expect[] = {0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 0, 0, 0, 0, 5};
	uint8_t out[12];
	struct xdr_out x;
	xdr_out_init(&x, out, sizeof(out));
	point_encode(&x, &(struct point){-2, 5});
	cr_assert_eq(xdr_out_size(&x), 12);
	cr_assert_arr_eq(out, expect, 12);
}

Test(xdr, every_truncation_fails_both_ways)
{
	uint8_t whole[512];
	struct sample v;
	size_t size = encode(whole, sizeof(whole), &full);
	for (size_t n = 0; n < size; n++) {
		uint8_t *part = malloc(n + 1);
		struct arena arena;
		arena_init(&arena, NULL, 0, 0);
		memcpy(part, whole, n);
		cr_assert_eq(decode(part, n, &v, &arena), ERR_PROTO, "decoding %zu of %zu bytes", n, size);
		cr_assert_eq(encode(part, n, &full), 0, "encoding into %zu of %zu bytes", n, size);
		arena_fini(&arena);
		free(part);
	}
}

Test(xdr, bounds_are_checked_on_both_sides)
{
	uint8_t out[512];
	struct sample v = full;
	v.name.size = 9;
	v.name.data = (const uint8_t *)"123456789";
	cr_assert_eq(encode(out, sizeof(out), &v), 0);
	v = full;
	v.numbers.n_items = 9;
	cr_assert_eq(encode(out, sizeof(out), &v), 0);

	size_t size = encode(out, sizeof(out), &full);
	struct arena arena;
	arena_init(&arena, NULL, 0, 0);
	uint8_t *name_size = out + 4 + 4 + 8 + 24 + 8;
	cr_assert_eq(xdr_be32(name_size), 4);
	xdr_set32(name_size, 9);
	cr_assert_eq(decode(out, size, &v, &arena), ERR_PROTO);
	xdr_set32(name_size, 0xffffffff);
	cr_assert_eq(decode(out, size, &v, &arena), ERR_PROTO);
	arena_fini(&arena);
}

Test(xdr, unknown_enum_bool_and_discriminant_are_refused)
{
	uint8_t out[512];
	struct sample v;
	struct arena arena;
	arena_init(&arena, NULL, 0, 0);
	size_t size = encode(out, sizeof(out), &full);
	xdr_set32(out, 2);
	cr_assert_eq(decode(out, size, &v, &arena), ERR_PROTO);
	xdr_set32(out, 1);
	xdr_set32(out + 4, 6);
	cr_assert_eq(decode(out, size, &v, &arena), ERR_PROTO);
	arena_fini(&arena);

	struct xdr_in x;
	struct shape s;
	uint8_t wrong[16] = {0, 0, 0, 9};
	xdr_in_init(&x, wrong, sizeof(wrong));
	shape_decode(&x, &s);
	cr_assert_eq(x.err, ERR_PROTO);
}

Test(xdr, an_array_allocates_no_more_than_the_record_can_hold)
{
	uint8_t out[512];
	struct sample v;
	size_t size = encode(out, sizeof(out), &full);
	cr_assert_eq(decode(out, size, &v, NULL), ERR_NOMEM);
}

Test(xdr, a_payload_is_referenced_and_spliced)
{
	uint8_t out[64];
	struct iovec iov[2] = {{"abc", 3}, {"de", 2}};
	struct carrier v = {.before = 1, .data = {.size = 5, .iov = iov, .n_iov = 2}, .after = 2};
	struct xdr_out x;
	xdr_out_init(&x, out, sizeof(out));
	carrier_encode(&x, &v);
	cr_assert_eq(x.err, 0);
	cr_assert_eq(x.n_splices, 1);
	cr_assert_eq(x.splices[0].offset, 8);
	cr_assert_eq(x.splices[0].size, 5);
	cr_assert_eq(xdr_out_size(&x), 4 + 4 + 3 + 4);

	static const uint8_t wire[] = {0, 0, 0, 1, 0, 0, 0, 5, 'a', 'b', 'c', 'd', 'e', 0, 0, 0, 0, 0, 0, 2};
	struct xdr_in in;
	xdr_in_init(&in, wire, sizeof(wire));
	carrier_decode(&in, &v);
	cr_assert_eq(in.err, 0);
	cr_assert_eq(v.data.offset, 8);
	cr_assert_eq(v.data.data, wire + 8);
	cr_assert_eq(v.after, 2);
}

Test(xdr, a_detached_payload_must_be_the_rest_of_the_record)
{
	static const uint8_t wire[] = {0, 0, 0, 1, 0, 0, 0, 5};
	struct carrier v;
	struct xdr_in in;
	xdr_in_init(&in, wire, sizeof(wire));
	in.detached_size = 8;
	carrier_decode(&in, &v);
	cr_assert_eq(in.err, ERR_PROTO, "a word follows the payload");
	cr_assert_eq(v.data.size, 5);
	cr_assert_null(v.data.data);

	xdr_in_init(&in, wire, sizeof(wire));
	in.detached_size = 12;
	carrier_decode(&in, &v);
	cr_assert_eq(in.err, ERR_PROTO);
	cr_assert_eq(v.data.size, 0);
}

Test(xdr, the_table_describes_each_procedure)
{
	const struct xdr_version *t = &SAMPLE_V2_table;
	cr_assert_eq(t->program, 0x20000001);
	cr_assert_eq(t->version, 2);
	cr_assert_eq(t->n_procs, 7);
	cr_assert_null(t->procs[1].name);
	cr_assert_str_eq(t->procs[2].name, "SAMPLE_ECHO");
	cr_assert_eq(t->procs[2].args.size, sizeof(struct sample));
	cr_assert_eq(t->procs[0].args.size, 0);
}

Test(xdr, printing_names_every_member_and_is_cut_off_safely)
{
	char line[1024], small[16];
	struct xdr_text t;
	xdr_text_init(&t, line, sizeof(line));
	SAMPLE_V2_table.procs[2].args.print(&t, &full);
	cr_assert_str_eq(line, "args={flag=true tint=BLUE number=72623859790382856 corners={x=-1 y=-2} "
			       "corners={x=3 y=1099511627776} sum=0102030405 name=\"name\" origin={x=9 y=10} "
			       "numbers=1 numbers=4294967295 numbers=3 names=\"abcde\" names=\"12345678\" "
			       "figure={kind=GREEN name=\"g\"} extra={which=1 value=77} nodes={id=7 text=\"one\"} "
			       "nodes={id=8 text=\"\"} last=51966}");
	xdr_text_init(&t, small, sizeof(small));
	SAMPLE_V2_table.procs[2].args.print(&t, &full);
	cr_assert_str_eq(small, "args={flag=true");
}
