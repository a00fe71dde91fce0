/* Every section and option of chimera.conf. Help is the manual's text: whole sentences, the default said by the table. */
#include "chimerad/config.h"

const struct config_section config_sections[] = {
	{"server", "The VFS server itself."},
	{"memory", "What the server may keep in memory."},
	{"ring", "The shared memory between the server and each protocol daemon."},
	{"nfs", "The NFS server, as a daemon of its own or inside chimerad."},
	{"fuse", "Local mounts."},
	{"log", "What is logged, and how. It holds for every daemon."},
};

const uint32_t config_n_sections = ARRAY_SIZE(config_sections);

const struct config_option config_options[] = {
	{"server", "state_dir", CONFIG_PATH, PKGSTATEDIR, NULL,
	 "Directory of the catalogue, the handle key and what else has to survive a restart."},
	{"server", "run_dir", CONFIG_PATH, PKGRUNDIR, NULL, "Directory of sockets."},
	{"server", "control_socket", CONFIG_PATH, "${run_dir}/control.sock", NULL, "Where chimeractl asks."},
	{"server", "attach_socket", CONFIG_PATH, "${run_dir}/attach.sock", NULL, "Where protocol daemons attach."},
	{"server", "threads", CONFIG_NUMBER, "0", "0-256", "Threads that run operations; 0 is one per core, at most 4."},
	{"server", "engine", CONFIG_CHOICE, "auto", "auto io_uring epoll",
	 "How a thread waits for the kernel; auto takes io_uring where the kernel allows it."},
	{"server", "spin", CONFIG_DURATION, "50us", NULL,
	 "How long at most a thread looks for work before it sleeps; 0 never spins."},
	{"server", "workers", CONFIG_NUMBER, "0", "0-1024",
	 "Threads for system calls that block; 0 is one per core, at least 4."},
	{"server", "admin_group", CONFIG_TEXT, "", NULL,
	 "Group whose members (by primary group) may use chimeractl besides root and the server's own user."},
	{"server", "daemon_user", CONFIG_TEXT, "", NULL,
	 "User, besides root and the server's own, whose processes may attach as protocol daemons."},
	{"server", "metrics", CONFIG_TEXT, "", NULL,
	 "Where Prometheus may scrape: unix:/path or ADDRESS:PORT; empty for nowhere."},
	{"server", "sandbox", CONFIG_BOOL, "yes", NULL,
	 "Whether the server and its daemons give up what they never need: starting programs, mounting, and for chimera-nfsd writing files."},
	{"server", "stop_timeout", CONFIG_DURATION, "10s", NULL, "How long a stop waits for requests in flight."},
	{"memory", "arena_size", CONFIG_SIZE, "0", NULL, "Address space of the page arena; 0 is 64 GiB."},
	{"memory", "arena_limit", CONFIG_SIZE, "0", NULL,
	 "How much of the arena may be in use: the contents of memfs and the block cache; 0 is half of the memory."},
	{"memory", "cache", CONFIG_SIZE, "0", NULL,
	 "How much of the arena the block cache of persistent stores may fill, but for what waits to be written; 0 is half of "
	 "arena_limit, at most 8 GiB. It gives way when the arena is full."},
	{"ring", "slots", CONFIG_NUMBER, "256", "16-512", "Operations in flight per attached thread."},
	{"ring", "buffers", CONFIG_SIZE, "32M", NULL, "Buffer arena of each attached thread."},
	{"ring", "isolated", CONFIG_CHOICES, "", "nfs fuse",
	 "Daemons that map no shared pages and get copies: slower, but a daemon that was taken over sees only what it "
	 "may ask for."},
	{"nfs", "enable", CONFIG_BOOL, "yes", NULL, "Whether NFS is served."},
	{"nfs", "host", CONFIG_CHOICE, "daemon", "daemon inline",
	 "Where it runs: in chimera-nfsd, or inside chimerad without the ring."},
	{"nfs", "listen", CONFIG_TEXT, "0.0.0.0", NULL,
	 "Addresses to listen on, separated by blanks; IPv6 with or without brackets."},
	{"nfs", "port", CONFIG_NUMBER, "2049", "0-65535", "Port of NFS; 0 lets the kernel choose."},
	{"nfs", "mount_port", CONFIG_NUMBER, "20048", "0-65535", "Port of the MOUNT protocol; 0 lets the kernel choose."},
	{"nfs", "portmap", CONFIG_BOOL, "yes", NULL, "Whether the built-in port mapper runs."},
	{"nfs", "portmap_port", CONFIG_NUMBER, "111", "0-65535", "Port of the built-in port mapper."},
	{"nfs", "transports", CONFIG_CHOICES, "tcp udp", "tcp udp", "Transports to listen on."},
	{"nfs", "threads", CONFIG_NUMBER, "0", "0-256", "Threads that serve connections; 0 is one per core."},
	{"nfs", "max_io", CONFIG_SIZE, "1M", NULL, "Largest READ and WRITE that is offered to clients, at most 1 MiB."},
	{"nfs", "udp_max_io", CONFIG_SIZE, "32K", NULL, "The same over UDP."},
	{"nfs", "idle_timeout", CONFIG_DURATION, "6m", NULL, "A connection that sent nothing for so long is closed; 0 never."},
	{"nfs", "max_connections", CONFIG_NUMBER, "4096", "1-1000000", "Connections at once."},
	{"fuse", "threads", CONFIG_NUMBER, "0", "0-64", "Threads of one local mount; 0 is one per core, at most 8."},
	{"fuse", "attribute_timeout", CONFIG_DURATION, "1s", NULL, "How long the kernel may keep attributes."},
	{"fuse", "name_timeout", CONFIG_DURATION, "1s", NULL, "How long the kernel may keep names."},
	{"fuse", "writeback", CONFIG_BOOL, "no", NULL, "Whether the kernel may gather writes before it sends them."},
	{"log", "level", CONFIG_CHOICE, "notice", "error warn notice info debug trace", "What is logged, of every module."},
	{"log", "levels", CONFIG_LEVELS, "", NULL, "Levels of single modules, as in vfs=debug ring=info."},
	{"log", "format", CONFIG_CHOICE, "text", "text json journal",
	 "Lines for people, a JSON object per line, or lines that the journal reads."},
};

const uint32_t config_n_options = ARRAY_SIZE(config_options);
