/*
 * Keeps the processes of one appliance running without systemd: starts them in order, starts those that end again after a
 * growing delay, passes signals on, and stops them in reverse order within a deadline. One thread that waits
 * for signals, which are blocked otherwise; everything else is a table of processes.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/compiler.h"
#include <config.h>

enum {
	MAX_PROCESSES = 32,
	DELAY_FIRST_MS = 100,
	DELAY_MAX_MS = 10000,
	SETTLED_MS = 2000,   /* a process that ran this long starts again at once, as if for the first time */
	POLL_MS = 20,
	WAIT_MS = 15000,     /* bound of waiting for the socket of -w */
};

struct process {
	const char *name;   /* last part of argv[0] */
	char **argv;
	pid_t pid;          /* 0: not running */
	uint64_t started_ms;
	uint64_t due_ms;    /* when it is to be started, while not running */
	uint32_t delay_ms;  /* before the next start */
	uint32_t n_early;   /* times in a row that it ended before it had settled */
	uint32_t n_starts;
};

static struct process processes[MAX_PROCESSES];
static int n_processes;
static int n_begun; /* processes started at least once: the first n_begun of the table */
static const char *pid_path, *state_path, *log_path, *wait_path;
static uint32_t stop_ms = 15000, give_up = 20;
static bool stop_other, detach;
static int ready_fd = -1;
static sigset_t signals;

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- the state file ----------------------------------------------------------------------- */

static void write_state(void)
{
	char *path CLEANUP_FREE = NULL;

	if (!state_path || asprintf(&path, "%s.new", state_path) < 0)
		return;
	FILE *f = fopen(path, "w");
	if (!f) {
		warn("%s", path);
		return;
	}
	for (int i = 0; i < n_processes; i++) {
		const struct process *p = &processes[i];
		fprintf(f, "%s %d %s %u\n", p->name, p->pid, p->pid ? "running" : "waiting", p->n_starts ? p->n_starts - 1 : 0);
	}
	if (fclose(f) != 0 || rename(path, state_path) != 0)
		warn("%s", state_path);
}

/* ---- processes ---------------------------------------------------------------------------- */

static _Noreturn void become(const struct process *p, pid_t parent)
{
	sigprocmask(SIG_UNBLOCK, &signals, NULL);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	execvp(p->argv[0], p->argv);
	warn("%s", p->argv[0]);
	_exit(127);
}

static void start_process(struct process *p)
{
	pid_t parent = getpid();

	p->pid = fork();
	if (p->pid == 0)
		become(p, parent);
	if (p->pid < 0) {
		warn("fork");
		p->pid = 0;
		p->due_ms = now_ms() + DELAY_MAX_MS;
		return;
	}
	p->started_ms = now_ms();
	p->n_starts++;
	write_state();
}

static void report_end(const struct process *p, pid_t pid, int status, const char *next)
{
	if (WIFSIGNALED(status))
		warnx("%s (%d) was ended by signal %d (%s)%s", p->name, pid, WTERMSIG(status), strsignal(WTERMSIG(status)), next);
	else
		warnx("%s (%d) exited with status %d%s", p->name, pid, WEXITSTATUS(status), next);
}

/* False when it is time to give up. */
static bool schedule_again(struct process *p, pid_t pid, int status)
{
	uint64_t now = now_ms();
	char next[64];

	if (now - p->started_ms >= SETTLED_MS) {
		p->n_early = 0;
		p->delay_ms = DELAY_FIRST_MS;
	}
	snprintf(next, sizeof(next), "; starting it again in %u ms", p->delay_ms);
	report_end(p, pid, status, next);
	p->due_ms = now + p->delay_ms;
	p->delay_ms = MIN(p->delay_ms * 2, (uint32_t)DELAY_MAX_MS);
	p->n_early++;
	if (!give_up || p->n_early < give_up)
		return true;
	warnx("%s ended %u times in a row: giving up", p->name, p->n_early);
	return false;
}

static struct process *find_process(pid_t pid)
{
	for (int i = 0; i < n_processes; i++)
		if (processes[i].pid == pid)
			return &processes[i];
	return NULL;
}

/* The signal that was sent may find a process that has just been started and takes no notice of signals yet. */
static bool stopped_well(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) == 0 : WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM;
}

static bool reap(bool restart)
{
	bool going = true;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct process *p = find_process(pid);
		if (!p)
			continue;
		p->pid = 0;
		if (restart)
			going = schedule_again(p, pid, status) && going;
		else if (!stopped_well(status))
			report_end(p, pid, status, " while stopping");
		write_state();
	}
	return going;
}

/* The first process answers on the socket of -w, or there is none to wait for. */
static bool is_first_ready(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	if (!wait_path)
		return true;
	if (now_ms() - processes[0].started_ms > WAIT_MS) {
		warnx("nothing answers on %s: going on without", wait_path);
		wait_path = NULL;
		return true;
	}
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", wait_path);
	int fd CLEANUP_FD = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0)
		return false;
	wait_path = NULL;
	return true;
}

/* True when all were started and the first one answers: only then is the caller of -d told. */
static bool begin_all(void)
{
	if (n_begun == 0)
		start_process(&processes[n_begun++]);
	if (!is_first_ready())
		return false;
	while (n_begun < n_processes)
		start_process(&processes[n_begun++]);
	if (ready_fd >= 0 && write(ready_fd, "r", 1) == 1)
		close(ready_fd);
	ready_fd = -1;
	return true;
}

/* Starts what is due; returns how long to wait for a signal before looking again. */
static uint64_t start_due(void)
{
	uint64_t next = begin_all() ? UINT64_MAX : POLL_MS;
	uint64_t now = now_ms();

	for (int i = 0; i < n_begun; i++) {
		struct process *p = &processes[i];
		if (p->pid == 0 && p->due_ms <= now)
			start_process(p);
		if (p->pid == 0)
			next = MIN(next, p->due_ms > now ? p->due_ms - now : 1);
	}
	return next;
}

/* ---- signals ------------------------------------------------------------------------------ */

static int wait_signal(uint64_t ms)
{
	struct timespec ts = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};

	return ms == UINT64_MAX ? sigwaitinfo(&signals, NULL) : sigtimedwait(&signals, NULL, &ts);
}

static void pass_on(int sig)
{
	for (int i = 0; i < n_processes; i++)
		if (processes[i].pid)
			kill(processes[i].pid, sig);
}

/* Last started first. Each may take its share of the time that is left and is killed then. */
static bool stop_all(void)
{
	uint64_t end = now_ms() + stop_ms;
	bool clean = true;

	for (int i = n_processes - 1; i >= 0; i--) {
		struct process *p = &processes[i];
		uint64_t now = now_ms(), deadline = now + (MAX(end, now) - now) / (uint64_t)(i + 1);
		if (p->pid)
			kill(p->pid, SIGTERM);
		while (p->pid && now_ms() < deadline) {
			wait_signal(POLL_MS);
			reap(false);
		}
		if (p->pid) {
			warnx("%s (%d) did not stop in time: killing it", p->name, p->pid);
			kill(p->pid, SIGKILL);
			waitpid(p->pid, NULL, 0);
			p->pid = 0;
			clean = false;
		}
	}
	return clean;
}

static bool supervise(void)
{
	for (;;) {
		int sig = wait_signal(start_due());
		if (sig == SIGTERM || sig == SIGINT)
			return stop_all();
		if (sig == SIGHUP || sig == SIGUSR1 || sig == SIGUSR2)
			pass_on(sig);
		if (!reap(true)) {
			stop_all();
			return false;
		}
	}
}

/* ---- the pid file, and stopping another supervisor ----------------------------------------- */

/* The process that holds the lock on the pid file, 0 for none: a number in the file alone could be anyone's by now. */
static pid_t lock_holder(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK)
		return 0;
	return lock.l_pid;
}

static void lock_pid_file(void)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (!pid_path)
		return;
	int fd = open(pid_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		err(1, "%s", pid_path);
	if (fcntl(fd, F_SETLK, &lock) != 0)
		errx(1, "%s: already running as process %d", pid_path, lock_holder(fd));
	if (ftruncate(fd, 0) != 0 || dprintf(fd, "%d\n", getpid()) < 0)
		err(1, "%s", pid_path);
}

static int stop_running(void)
{
	int fd CLEANUP_FD = open(pid_path, O_RDWR | O_CLOEXEC);
	pid_t pid = fd < 0 ? 0 : lock_holder(fd);
	uint64_t deadline = now_ms() + stop_ms + 5000;

	if (pid == 0) {
		warnx("%s: not running", pid_path);
		return 3;
	}
	if (kill(pid, SIGTERM) != 0)
		err(1, "process %d", pid);
	while (lock_holder(fd) == pid) {
		if (now_ms() > deadline)
			errx(1, "process %d does not stop", pid);
		wait_signal(POLL_MS);
	}
	return 0;
}

static void redirect_output(void)
{
	int in CLEANUP_FD = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int out CLEANUP_FD = log_path ? open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;

	if (in < 0 || dup2(in, STDIN_FILENO) < 0)
		err(1, "/dev/null");
	if (!log_path)
		return;
	if (out < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0)
		err(1, "%s", log_path);
}

/* The caller returns when everything was started, which the child tells through the pipe. */
static void go_to_background(void)
{
	int fds[2];
	char byte;

	if (pipe2(fds, O_CLOEXEC) != 0)
		err(1, "pipe");
	pid_t pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (pid > 0) {
		close(fds[1]);
		_exit(read(fds[0], &byte, 1) == 1 ? 0 : 1);
	}
	close(fds[0]);
	ready_fd = fds[1];
	setsid();
}

/* ---- options ------------------------------------------------------------------------------ */

static _Noreturn void usage(int status)
{
	fprintf(status ? stderr : stdout,
	        "usage: chimera-supervise [OPTION]... COMMAND [ARG]... [-- COMMAND [ARG]...]...\n"
	        "       chimera-supervise -k -p FILE\n"
	        "  -p FILE     lock FILE and write the process id to it\n"
	        "  -s FILE     keep a line per process in FILE: name, id, running or waiting, restarts\n"
	        "  -l FILE     append all output to FILE\n"
	        "  -w SOCKET   start all but the first command when something answers on the Unix socket\n"
	        "  -t SECONDS  deadline of a clean stop (15)\n"
	        "  -g N        give up when a process ends N times in a row within 2 s of its start (20; 0: never)\n"
	        "  -d          go to the background when everything was started\n"
	        "  -k          stop the supervisor that holds the lock on FILE, and wait for its end\n"
	        "  -h, --help     this text\n"
	        "  -V, --version  the version\n");
	exit(status);
}

static void add_process(char **argv)
{
	const char *slash = argv[0] ? strrchr(argv[0], '/') : NULL;

	if (!argv[0])
		errx(2, "a command is empty");
	if (n_processes == MAX_PROCESSES)
		errx(2, "more than %d commands", MAX_PROCESSES);
	processes[n_processes++] =
		(struct process){.name = slash ? slash + 1 : argv[0], .argv = argv, .delay_ms = DELAY_FIRST_MS};
}

/* argv is cut at each "--". */
static void parse_commands(char **argv)
{
	char **first = argv;

	for (; *argv; argv++) {
		if (strcmp(*argv, "--") == 0) {
			*argv = NULL;
			add_process(first);
			first = argv + 1;
		}
	}
	add_process(first);
}

static void parse_options(int argc, char **argv)
{
	static const struct option long_options[] = {{"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {NULL, 0, NULL, 0}};
	int o;

	while ((o = getopt_long(argc, argv, "+p:s:l:w:t:g:dkhV", long_options, NULL)) != -1) {
		switch (o) {
		case 'p': pid_path = optarg; break;
		case 's': state_path = optarg; break;
		case 'l': log_path = optarg; break;
		case 'w': wait_path = optarg; break;
		case 't': stop_ms = (uint32_t)(atof(optarg) * 1000); break;
		case 'g': give_up = (uint32_t)atoi(optarg); break;
		case 'd': detach = true; break;
		case 'k': stop_other = true; break;
		case 'h': usage(0);
		case 'V': printf("chimera-supervise (%s) %s\n", PACKAGE_NAME, PACKAGE_VERSION); exit(0);
		default: usage(2);
		}
	}
	if (stop_other ? !pid_path || argv[optind] : !argv[optind])
		usage(2);
}

static void block_signals(void)
{
	static const int list[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};

	sigemptyset(&signals);
	for (size_t i = 0; i < ARRAY_SIZE(list); i++)
		sigaddset(&signals, list[i]);
	sigprocmask(SIG_BLOCK, &signals, NULL);
}

int main(int argc, char **argv)
{
	parse_options(argc, argv);
	block_signals();
	if (stop_other)
		return stop_running();
	parse_commands(argv + optind);
	if (detach)
		go_to_background();
	lock_pid_file();
	redirect_output();
	bool clean = supervise();
	if (state_path)
		unlink(state_path);
	if (pid_path)
		unlink(pid_path);
	return clean ? 0 : 1;
}
