/* `backend scrub --wait`: asks how far it is until it has ended, with a line of progress on a terminal. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "utils/chimeractl/chimeractl.h"

#define FIRST_PAUSE_NS 20000000L
#define PAUSE_NS 500000000L

static uint64_t number(const struct json_value *v, const char *key)
{
	uint64_t n;
	return str_parse_u64(json_text(v, key, "0"), 0, UINT64_MAX, &n) ? 0 : n;
}

static uint64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Records count as a kibibyte each. */
static uint64_t done_of(const struct json_value *v, const char *bytes, const char *records)
{
	return number(v, bytes) + 1024 * number(v, records);
}

static void show(const struct json_value *v, uint64_t began_ms, uint64_t before)
{
	uint64_t done = done_of(v, "done_bytes", "done_records"), total = done_of(v, "total_bytes", "total_records");
	double rate = (double)(done - MIN(before, done)) * 1000 / (double)MAX(now_ms() - began_ms, (uint64_t)1);
	char text[STR_SIZE_SIZE];
	str_format_size(text, sizeof(text), (uint64_t)rate);
	fprintf(stderr, "\r%3.0f %%, %s/s, %.0f s left\033[K", total ? 100.0 * (double)MIN(done, total) / (double)total : 0, text,
	        rate > 0 ? (double)(total - MIN(done, total)) / rate : 0);
}

static int code_of(const struct json_value *v)
{
	bool damaged = number(v, "bad_records") || number(v, "bad_bytes");
	return strcmp(json_text(v, "state", ""), "done") == 0 && !damaged ? CTL_DONE : CTL_FAILED;
}

int ctl_wait(struct ctl_command *cmd, const struct json_value *body)
{
	struct timespec pause = {0, FIRST_PAUSE_NS};
	uint64_t began_ms = now_ms(), before = done_of(body, "done_bytes", "done_records");
	int code = CTL_DONE;
	struct json_value *now = (struct json_value *)body;
	control_message_add(&cmd->message, "status", "yes");
	while (code == CTL_DONE && strcmp(json_text(now, "state", ""), "running") == 0) {
		struct control_answer answer;
		if (isatty(STDERR_FILENO))
			show(now, began_ms, before);
		nanosleep(&pause, NULL);
		pause.tv_nsec = MIN(2 * pause.tv_nsec, PAUSE_NS);
		code = ctl_call(cmd, &answer);
		if (code == CTL_DONE && json_parse(&cmd->arena, answer.body, answer.body_size, &now))
			code = CTL_FAILED;
	}
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	if (code != CTL_DONE)
		return code;
	ctl_output(cmd, now);
	return code_of(now);
}
