/* What needs no server: reading files, checking the configuration, finding the socket, completion scripts. */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/ini.h"
#include "base/str.h"
#include "chimerad/config.h"
#include "utils/chimeractl/chimeractl.h"

static bool read_stream(FILE *f, struct bytes *out)
{
	char *room;
	while ((room = bytes_reserve(out, 65536))) {
		size_t n = fread(room, 1, 65536, f);
		out->size += n;
		if (n == 0)
			break;
	}
	bytes_terminate(out);
	return !ferror(f) && !bytes_failed(out);
}

/* The number of a name that is one, or that this system knows; -1: neither. */
static int64_t id_of(const char *kind, size_t size, const char *name)
{
	uint64_t id;
	if (str_parse_u64(name, 0, UINT32_MAX, &id) == 0)
		return (int64_t)id;
	const struct passwd *user = size == 4 && memcmp(kind, "user", 4) == 0 ? getpwnam(name) : NULL;
	const struct group *group = size == 5 && memcmp(kind, "group", 5) == 0 ? getgrnam(name) : NULL;
	return user ? (int64_t)user->pw_uid : group ? (int64_t)group->gr_gid : -1;
}

int ctl_quota_who(struct ctl_command *cmd)
{
	const char *who = control_message_get(&cmd->message, "who"), *colon = who ? strchr(who, ':') : NULL;
	size_t size = colon ? (size_t)(colon - who) : 0;
	int64_t id = colon ? id_of(who, size, colon + 1) : -1;
	if (id < 0) {
		fprintf(stderr, "chimeractl: %s: no such user, group or project; user:NAME, group:NAME or project:NUMBER is wanted\n", who);
		return CTL_USAGE;
	}
	char *text = arena_printf(&cmd->arena, "%.*s:%lld", (int)size, who, (long long)id);
	return text && control_message_add(&cmd->message, "id", text) ? CTL_DONE : CTL_FAILED;
}

int ctl_read_file(struct ctl_command *cmd)
{
	struct bytes text;
	if (!cmd->file) {
		fprintf(stderr, "chimeractl: %s needs -f FILE\n", cmd->noun->name);
		return CTL_USAGE;
	}
	bool is_stdin = strcmp(cmd->file, "-") == 0;
	FILE *f = is_stdin ? stdin : fopen(cmd->file, "re");
	if (!f) {
		fprintf(stderr, "chimeractl: %s: %s\n", cmd->file, strerror(errno));
		return CTL_FAILED;
	}
	bytes_init(&text, INI_TEXT_MAX);
	bool ok = read_stream(f, &text);
	if (!is_stdin)
		fclose(f);
	if (ok && memchr(bytes_str(&text), '\0', text.size))
		ok = false;
	const char *copy = ok ? arena_strndup(&cmd->arena, bytes_str(&text), SIZE_MAX) : NULL;
	bytes_fini(&text);
	if (copy && control_message_add(&cmd->message, "text", copy))
		return CTL_DONE;
	fprintf(stderr, "chimeractl: %s can't be read, is too large, or is not text\n", cmd->file);
	return CTL_FAILED;
}

static int load_config(struct ctl_command *cmd, struct config **cfg)
{
	struct config_source source = {.file = cmd->config_file, .environment = environ};
	struct bytes errors;
	bytes_init(&errors, 0);
	int err = config_load(cfg, &source, &errors);
	fputs(bytes_str(&errors), stderr);
	bytes_fini(&errors);
	return err;
}

int ctl_config_check(struct ctl_command *cmd)
{
	struct config *cfg;
	int err = load_config(cmd, &cfg);
	if (err)
		return ctl_exit_code(err);
	config_free(cfg);
	return CTL_DONE;
}

const char *ctl_socket(struct ctl_command *cmd)
{
	struct config *cfg;
	const char *path = cmd->socket ? cmd->socket : getenv("CHIMERA_SOCKET");
	if (path && *path)
		return path;
	if (load_config(cmd, &cfg))
		return NULL;
	cmd->socket = arena_strndup(&cmd->arena, config_text(cfg, "server", "control_socket"), SIZE_MAX);
	config_free(cfg);
	return cmd->socket;
}

/* The scripts only hand the words over: what completes them is the table. */
static const struct {
	const char *shell;
	const char *script;
} scripts[] = {
	{"bash",
	 "_chimeractl()\n"
	 "{\n"
	 "\tlocal IFS=$'\\n'\n"
	 "\tCOMPREPLY=($(compgen -W \"$(chimeractl --complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\" -- "
	 "\"${COMP_WORDS[COMP_CWORD]}\"))\n"
	 "}\n"
	 "complete -o default -F _chimeractl chimeractl\n"},
	{"zsh",
	 "#compdef chimeractl\n"
	 "_chimeractl()\n"
	 "{\n"
	 "\tlocal -a candidates\n"
	 "\tcandidates=(${(f)\"$(chimeractl --complete ${words[2,CURRENT]} 2>/dev/null)\"})\n"
	 "\tcompadd -a candidates || _files\n"
	 "}\n"
	 "compdef _chimeractl chimeractl\n"},
	{"fish",
	 "complete -c chimeractl -f -a '(chimeractl --complete (commandline -opc)[2..-1] (commandline -ct) "
	 "2>/dev/null)'\n"},
};

int ctl_completion(struct ctl_command *cmd)
{
	const char *shell = control_message_get(&cmd->message, "name");
	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
		if (strcmp(scripts[i].shell, shell) != 0)
			continue;
		fputs(scripts[i].script, stdout);
		return CTL_DONE;
	}
	fprintf(stderr, "chimeractl: no completion for \"%s\"; there is one for bash, zsh and fish\n", shell);
	return CTL_USAGE;
}
