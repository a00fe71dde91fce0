/* chimeractl: parse, ask, print; again with --watch. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "utils/chimeractl/chimeractl.h"

static int ask_once(struct ctl_command *cmd)
{
	struct control_answer answer;
	struct json_value *body;
	int code = ctl_call(cmd, &answer);
	if (code != CTL_DONE)
		return code;
	if (json_parse(&cmd->arena, answer.body, answer.body_size, &body)) {
		fprintf(stderr, "chimeractl: the server's answer is not JSON: are both of one version?\n");
		return CTL_FAILED;
	}
	if (control_message_get(&cmd->message, "wait"))
		return ctl_wait(cmd, body);
	ctl_output(cmd, body);
	return ferror(stdout) ? CTL_FAILED : CTL_DONE;
}

static int watch(struct ctl_command *cmd)
{
	struct timespec pause = {(time_t)(cmd->watch_ns / 1000000000ULL), (long)(cmd->watch_ns % 1000000000ULL)};
	struct ctl_command copy;
	int code;
	do {
		copy = *cmd;
		arena_init(&copy.arena, NULL, 0, 0);
		if (isatty(STDOUT_FILENO))
			fputs("\033[H\033[2J", stdout);
		code = ask_once(&copy);
		arena_fini(&copy.arena);
	} while (code == CTL_DONE && nanosleep(&pause, NULL) == 0);
	return code;
}

static int run(struct ctl_command *cmd, int argc, char **argv)
{
	int code = ctl_parse(cmd, argc, argv);
	if (code != CTL_DONE)
		return code < 0 ? CTL_DONE : code;
	code = cmd->verb->prepare ? cmd->verb->prepare(cmd) : CTL_DONE;
	if (code != CTL_DONE || cmd->verb->local)
		return code;
	return cmd->watch_ns ? watch(cmd) : ask_once(cmd);
}

int main(int argc, char **argv)
{
	static struct ctl_command cmd;
	int code = CTL_DONE;
	arena_init(&cmd.arena, NULL, 0, 0);
	if (argc > 2 && strcmp(argv[1], "--dump-man") == 0)
		code = ctl_dump_man(argv[2]);
	else if (argc > 1 && strcmp(argv[1], "--complete") == 0)
		ctl_complete(&cmd, argv + 2, argc - 2);
	else
		code = run(&cmd, argc, argv);
	arena_fini(&cmd.arena);
	return code;
}
