/* The server's directories, and the lock that keeps a second chimerad off the same state. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "chimerad/chimerad.h"

LOG_MODULE("chimerad");

#define LOCK_NAME "lock"

/* Makes path and what is missing above it. */
static int make_dirs(const char *path, mode_t mode)
{
	char part[1024];
	size_t n = strlen(path);

	if (n >= sizeof(part))
		return ERR_NAMETOOLONG;
	memcpy(part, path, n + 1);
	for (char *p = part + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return err_from_errno(errno);
		*p = '/';
	}
	return mkdir(part, mode) < 0 && errno != EEXIST ? err_from_errno(errno) : 0;
}

static int make_dir_of(const struct chimerad *d, const char *key, mode_t mode)
{
	const char *path = config_text(d->config, "server", key);
	int err = make_dirs(path, mode);
	if (err)
		log_error("cannot make the directory %s: %s; set [server] %s to one that this user may write", path,
		          err_text(err), key);
	return err;
}

static void say_who_holds(const char *dir, const char *path)
{
	FILE *f = fopen(path, "r");
	int pid = 0;
	if (f && fscanf(f, "%d", &pid) != 1)
		pid = 0;
	if (f)
		fclose(f);
	log_error("another chimerad (pid %d) uses %s: stop it, or set [server] state_dir to another directory", pid, dir);
}

static int lock_file(struct chimerad *d, const char *dir, const char *path)
{
	d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (d->lock_fd < 0) {
		int err = err_from_errno(errno);
		log_error("cannot open %s: %s", path, err_text(err));
		return err;
	}
	if (flock(d->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		say_who_holds(dir, path);
		return ERR_BUSY;
	}
	if (ftruncate(d->lock_fd, 0) == 0)
		dprintf(d->lock_fd, "%d\n", (int)getpid());
	return 0;
}

int chimerad_lock_state(struct chimerad *d)
{
	const char *dir = config_text(d->config, "server", "state_dir");
	char path[1100];

	int err = make_dir_of(d, "state_dir", 0700);
	if (!err)
		err = make_dir_of(d, "run_dir", 0755);
	if (err)
		return err;
	snprintf(path, sizeof(path), "%s/%s", dir, LOCK_NAME);
	return lock_file(d, dir, path);
}
