/* Shows the control protocol end to end over a socket, and that malformed messages are refused. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "catalogue/control.h"
#include "loop/loop.h"
#include "tests/unit/catalogue/in-loop.h"

static struct catalogue *cat;
static struct control *ctl;
static struct stream *client;
static struct bytes wire;
static struct control_answer answer;

static void read_exactly(void *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		struct iovec iov = {(char *)data + done, size - done};
		ssize_t n = stream_readv(client, &iov, 1);
		cr_assert_gt(n, 0);
		done += (size_t)n;
	}
}

/* NULL-terminated keys and values. */
static int ask(const char *const *pairs)
{
	struct control_message m = {.n_pairs = 0};
	uint8_t head[4];
	for (; *pairs; pairs += 2)
		cr_assert(control_message_add(&m, pairs[0], pairs[1]));
	bytes_clear(&wire);
	control_encode_request(&wire, &m);
	struct iovec iov = {wire.data, wire.size};
	cr_assert_eq(stream_writev(client, &iov, 1), (ssize_t)wire.size);
	read_exactly(head, 4);
	size_t size = (size_t)(head[0] | head[1] << 8 | head[2] << 16);
	bytes_clear(&wire);
	read_exactly(bytes_reserve(&wire, size), size);
	cr_assert_eq(control_decode_reply(wire.data, size, &answer), 0);
	return answer.status;
}

#define ASK(...) ask((const char *const[]){__VA_ARGS__, NULL})

static void begin(const char *dir)
{
	static struct catalogue_error error;
	static char path[128];
	struct control_config cfg = {path, (gid_t)-1};
	char text[160];
	struct net_addr addr;
	snprintf(path, sizeof(path), "%s/control.sock", dir);
	snprintf(text, sizeof(text), "unix:%s", path);
	bytes_init(&wire, 0);
	cr_assert_eq(catalogue_open(&cat, dir, &error), 0);
	cr_assert_eq(control_create(&ctl), 0);
	cr_assert_eq(control_register_catalogue(ctl, cat), 0);
	cr_assert_eq(control_start(ctl, &cfg), 0);
	cr_assert_eq(net_addr_parse(text, &addr), 0);
	cr_assert_eq(stream_connect(&client, &addr, NS_PER_SEC), 0);
}

static void end(void)
{
	stream_close(client);
	control_stop(ctl);
	control_destroy(ctl);
	catalogue_close(cat);
	bytes_fini(&wire);
}

static void objects(const char *dir)
{
	begin(dir);
	cr_assert_eq(ASK("noun", "mount", "verb", "create", "name", "m", "backend", "memfs", "capacity", "4G"), 0, "%s",
	             answer.error);
	cr_assert_str_eq(answer.body, "{\"name\":\"m\",\"id\":1,\"backend\":\"memfs\",\"read_only\":false,"
	                              "\"options\":{\"capacity\":\"4G\"}}");
	cr_assert_eq(ASK("noun", "export", "verb", "create", "name", "/d", "mount", "m", "clients", "10.0.0.0/8:rw",
	                 "clients", "*:ro"), 0, "%s", answer.error);
	cr_assert_eq(ASK("noun", "export", "verb", "list"), 0);
	cr_assert_str_eq(answer.body, "[{\"name\":\"/d\",\"id\":2,\"mount\":\"m\",\"path\":\"/\","
	                              "\"clients\":[\"10.0.0.0/8:rw\",\"*:ro\"]}]");
	cr_assert_eq(ASK("noun", "mount", "verb", "create", "name", "m", "backend", "memfs"), ERR_EXIST);
	cr_assert_str_eq(answer.error, "mount m exists already");
	cr_assert_eq(ASK("noun", "mount", "verb", "create", "name", "m", "backend", "memfs", "if-not-exists", "yes"), 0);
	cr_assert_eq(ASK("noun", "mount", "verb", "delete", "name", "m"), ERR_BUSY);
	cr_assert_eq(ASK("noun", "mount", "verb", "delete", "name", "x", "if-exists", "yes"), 0);
	cr_assert_eq(ASK("noun", "mount", "verb", "set", "name", "m", "capacity", ""), 0);
	cr_assert_str_eq(answer.body, "{\"name\":\"m\",\"id\":1,\"backend\":\"memfs\",\"read_only\":false,\"options\":{}}");
	cr_assert_eq(ASK("noun", "mount", "verb", "show"), ERR_INVAL);
	cr_assert_eq(ASK("noun", "bucket", "verb", "list"), ERR_NOTSUPP);
	cr_assert_str_eq(answer.error, "this server does not know \"bucket list\"");
	end();
}

Test(control, objects)
{
	in_loop(objects);
}

static void text(const char *dir)
{
	begin(dir);
	cr_assert_eq(ASK("noun", "catalogue", "verb", "diff", "text", "[mount m]\nbackend=memfs\n"), 0, "%s", answer.error);
	cr_assert_str_eq(answer.body, "[{\"action\":\"create\",\"kind\":\"mount\",\"name\":\"m\",\"fields\":[{\"field\":"
	                              "\"backend\",\"from\":null,\"to\":\"memfs\"}]}]");
	cr_assert_eq(ASK("noun", "mount", "verb", "show", "name", "m"), ERR_NOENT, "diff changes nothing");
	cr_assert_eq(ASK("noun", "catalogue", "verb", "apply", "dry-run", "yes", "text", "[mount m]\nbackend=memfs\n"), 0);
	cr_assert_eq(ASK("noun", "mount", "verb", "show", "name", "m"), ERR_NOENT, "nor does a dry run");
	cr_assert_eq(ASK("noun", "catalogue", "verb", "apply", "text", "[mount m]\nbackend=memfs\n"), 0);
	cr_assert_eq(ASK("noun", "catalogue", "verb", "export"), 0);
	cr_assert_str_eq(answer.body, "{\"generation\":1,\"text\":\"[mount m]\\nbackend = memfs\\n\"}");
	cr_assert_eq(ASK("noun", "catalogue", "verb", "apply", "text", "", "prune", "yes"), 0);
	cr_assert_eq(ASK("noun", "mount", "verb", "list"), 0);
	cr_assert_str_eq(answer.body, "[]");
	end();
}

Test(control, text)
{
	in_loop(text);
}

static void rubbish(const char *dir)
{
	char reply[4];
	struct iovec out = {"\xff\xff\xff\x7f rubbish", 12}, in = {reply, sizeof(reply)};
	begin(dir);
	cr_assert_eq(stream_writev(client, &out, 1), 12);
	cr_assert_leq(stream_readv(client, &in, 1), 0, "the connection is dropped");
	end();
}

Test(control, rubbish)
{
	in_loop(rubbish);
}

static void second_server(const char *dir)
{
	struct control *other;
	char path[128];
	begin(dir);
	snprintf(path, sizeof(path), "%s/control.sock", dir);
	struct control_config cfg = {path, (gid_t)-1};
	cr_assert_eq(control_create(&other), 0);
	cr_assert_eq(control_start(other, &cfg), ERR_ADDRINUSE);
	control_destroy(other);
	end();
}

Test(control, second_server)
{
	in_loop(second_server);
}

Test(control, wire_refuses)
{
	struct control_message m = {.n_pairs = 0}, back;
	struct bytes b;
	bytes_init(&b, 0);
	control_message_add(&m, "noun", "status");
	control_message_add(&m, "x", "");
	control_encode_request(&b, &m);
	cr_assert_eq(control_decode_request(b.data + 4, b.size - 4, &back), 0);
	cr_assert_str_eq(control_message_get(&back, "noun"), "status");
	cr_assert_str_eq(control_message_get(&back, "x"), "");
	cr_assert_null(control_message_get(&back, "y"));
	for (size_t n = 0; n < b.size - 4; n++)
		cr_assert_eq(control_decode_request(b.data + 4, n, &back), ERR_PROTO, "cut at %zu", n);
	b.data[4 + 8 + 4 + 1] = '\0';
	cr_assert_eq(control_decode_request(b.data + 4, b.size - 4, &back), ERR_PROTO, "a NUL inside");
	bytes_fini(&b);
}
