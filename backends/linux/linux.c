/* The store: what a mount option says, what the host's file system can do, and the table of operations. */
#include "backends/linux/linux.h"

#include <linux/capability.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "backends/linux/backend.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"

LOG_MODULE("linux");

#define FDS_WANTED (1u << 20)
#define FDS_SPARE 1024u /* for sockets and whatever else the process opens */
#define IDLE_NODES_MAX 100000u

static const struct backend_option options[] = {
	{"path", "path", NULL, "the directory to share"},
	{"sync", "bool", "yes", "make every change of names and attributes durable before it is answered"},
	{NULL},
};

/* Local file systems, whose cached inodes, names and pages are answered without waiting. */
static const struct {
	uint32_t magic;
	bool in_memory;
} local_file_systems[] = {
	{EXT4_SUPER_MAGIC, false}, {XFS_SUPER_MAGIC, false}, {BTRFS_SUPER_MAGIC, false},
	{F2FS_SUPER_MAGIC, false}, {0x2fc12fc1 /* ZFS */, false}, {0xca451a4e /* bcachefs */, false},
	{TMPFS_MAGIC, true}, {RAMFS_MAGIC, true},
};

static bool has_capability(unsigned cap)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	return syscall(SYS_capget, &head, data) == 0 && data[cap / 32].effective & 1u << cap % 32;
}

/* As many descriptors as the system allows; half of them for idle nodes, which may have two each. */
static uint32_t idle_nodes(void)
{
	struct rlimit lim, more = {FDS_WANTED, FDS_WANTED};
	if (setrlimit(RLIMIT_NOFILE, &more) && getrlimit(RLIMIT_NOFILE, &lim) == 0) {
		more = (struct rlimit){lim.rlim_max, lim.rlim_max};
		setrlimit(RLIMIT_NOFILE, &more);
	}
	if (getrlimit(RLIMIT_NOFILE, &lim))
		return NODE_CACHE_SHARDS;
	uint64_t n = MIN(lim.rlim_cur, (rlim_t)FDS_WANTED);
	n = n > 2 * FDS_SPARE ? n - FDS_SPARE : n / 2;
	return (uint32_t)MIN(n / 4, IDLE_NODES_MAX);
}

static uint64_t store_verifier(const struct linux_store *s)
{
	char boot_id[64] = "";
	uint64_t words[3] = {0, s->root_ino, (uint64_t)s->dev_major << 32 | s->dev_minor};
	CLEANUP_FD int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, boot_id, sizeof(boot_id)) < 0)
		loop_random(words, sizeof(words[0]));
	words[0] ^= hash_bytes(boot_id, sizeof(boot_id));
	return hash_bytes(words, sizeof(words));
}

struct mount_job {
	struct linux_store *store;
	const char *path;
	const char *what; /* what failed */
};

static int open_root(struct mount_job *job)
{
	struct linux_store *s = job->store;
	struct statx stx;
	job->what = "can't be opened";
	s->root_fd = open(job->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->root_fd < 0 || linux_stat(s->root_fd, &stx))
		return linux_error();
	s->dev_major = stx.stx_dev_major;
	s->dev_minor = stx.stx_dev_minor;
	s->root_ino = stx.stx_ino;
	job->what = "is served by another process, or mounted twice";
	if (flock(s->root_fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? ERR_BUSY : linux_error();
	job->what = "needs /proc to be mounted";
	s->proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return s->proc_fd < 0 ? linux_error() : 0;
}

static void probe_file_system(struct linux_store *s)
{
	struct statfs st;
	if (fstatfs(s->root_fd, &st))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(local_file_systems); i++) {
		if ((uint32_t)st.f_type != local_file_systems[i].magic)
			continue;
		s->local = true;
		s->in_memory = local_file_systems[i].in_memory;
	}
}

/* No call tells it, but a file's offset cannot be set past it: found by halving. */
static uint64_t probe_max_size(const struct linux_store *s)
{
	uint64_t fits = 0, fails = (uint64_t)INT64_MAX + 1;
	CLEANUP_FD int fd = openat(s->root_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 || lseek(fd, INT64_MAX, SEEK_SET) >= 0)
		return INT64_MAX;
	while (fails - fits > 1) {
		uint64_t middle = fits + (fails - fits) / 2;
		*(lseek(fd, (off_t)middle, SEEK_SET) >= 0 ? &fits : &fails) = middle;
	}
	return fits ? fits : INT64_MAX;
}

static void probe_handles(struct linux_store *s)
{
	union {
		struct file_handle head;
		uint8_t room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} fh = {.head.handle_bytes = OP_HANDLE_BACKEND_MAX - 10};
	int mount_id;
	s->kernel_idents = name_to_handle_at(s->root_fd, "", &fh.head, &mount_id, AT_EMPTY_PATH) == 0;
	if (!s->kernel_idents)
		return;
	CLEANUP_FD int fd = open_by_handle_at(s->root_fd, &fh.head, O_PATH | O_CLOEXEC);
	s->by_handle = fd >= 0;
}

static int mount_job(void *arg)
{
	struct mount_job *job = arg;
	struct linux_store *s = job->store;
	struct linux_node *root;
	int err = open_root(job);
	if (err)
		return err;
	job->what = "can't be used";
	umask(0); /* modes are the VFS's to decide */
	s->uid = geteuid();
	s->gid = getegid();
	s->privileged = has_capability(CAP_CHOWN) && has_capability(CAP_FOWNER);
	probe_file_system(s);
	s->size_max = probe_max_size(s);
	probe_handles(s);
	linux_journal_open(s);
	linux_meta_probe(s, has_capability(CAP_SYS_ADMIN));
	if (!s->by_handle && (err = linux_find_create(s)))
		return err;
	node_cache_init(&s->nodes, idle_nodes(), linux_node_destroy);
	node_cache_init(&s->streams, 0, linux_stream_destroy);
	int fd = linux_open(s, s->root_fd, ".", O_PATH, 0);
	err = fd < 0 ? fd : linux_adopt(s, &fd, &root);
	if (err) {
		node_cache_fini(&s->nodes);
		return err;
	}
	s->mount->root = &root->cached.node;
	s->mount->verifier = store_verifier(s);
	return 0;
}

static void store_free(struct linux_store *s)
{
	linux_find_destroy(s);
	for (size_t i = 0; i < LINUX_LISTINGS; i++)
		free(atomic_load(&s->listings[i]));
	if (s->proc_fd >= 0)
		close(s->proc_fd);
	if (s->journal_fd >= 0)
		close(s->journal_fd);
	if (s->root_fd >= 0)
		close(s->root_fd);
	free(s->hints);
	free(s);
}

/* *path is borrowed from the options. */
static void parse_options(struct linux_store *s, const struct vfs_option *opt, const char **path)
{
	s->sync = true;
	for (; opt->key; opt++) {
		if (strcmp(opt->key, "path") == 0)
			*path = opt->value;
		else
			str_parse_bool(opt->value, &s->sync);
	}
}

static int mount_store(struct vfs_mount *m, const struct vfs_option *opt, char **why)
{
	struct mount_job job = {.store = calloc(1, sizeof(struct linux_store))};
	if (!job.store)
		return ERR_NOMEM;
	job.store->mount = m;
	job.store->root_fd = job.store->proc_fd = job.store->journal_fd = -1;
	parse_options(job.store, opt, &job.path);
	m->store = job.store;
	job.store->hints = calloc(LINUX_HINTS, sizeof(*job.store->hints));
	int err = job.store->hints ? 0 : ERR_NOMEM;
	if (!err) {
		err = loop_block(mount_job, &job);
		if (err && job.what && asprintf(why, "%s %s: %s", job.path, job.what, err_text(err)) < 0)
			*why = NULL;
	}
	if (err) {
		store_free(job.store);
		return err;
	}
	log_info("%s: handles %s, %s, sync=%s", job.path, job.store->by_handle ? "by the kernel" : "by search",
	         job.store->local ? "local" : "not local", job.store->sync ? "yes" : "no");
	return 0;
}

static int sync_job(void *arg)
{
	struct linux_store *s = arg;
	return syncfs(s->root_fd) ? linux_error() : 0;
}

static int sync_store(struct vfs_mount *m)
{
	return loop_block(sync_job, linux_store(m));
}

static void unmount_store(struct vfs_mount *m)
{
	struct linux_store *s = linux_store(m);
	if (sync_store(m))
		log_error("%s: not everything could be written", m->name);
	node_cache_fini(&s->streams);
	node_cache_fini(&s->nodes);
	store_free(s);
}

struct statfs_job {
	struct linux_store *store;
	struct statfs st;
};

static int statfs_job(void *arg)
{
	struct statfs_job *job = arg;
	return fstatfs(job->store->root_fd, &job->st) ? linux_error() : 0;
}

static int statfs_store(struct vfs_mount *m, struct op_statfs *out)
{
	struct statfs_job job = {.store = linux_store(m)};
	int err = linux_inline(job.store, statfs_job, &job);
	if (err)
		return err;
	uint64_t unit = (uint64_t)(job.st.f_frsize ? job.st.f_frsize : job.st.f_bsize);
	*out = (struct op_statfs){
		.total_bytes = job.st.f_blocks * unit,
		.free_bytes = job.st.f_bfree * unit,
		.avail_bytes = job.st.f_bavail * unit,
		.total_files = job.st.f_files,
		.free_files = job.st.f_ffree,
		.avail_files = job.st.f_ffree,
		.max_file_size = job.store->size_max,
		.name_max = (uint32_t)MIN(job.st.f_namelen, OP_NAME_MAX),
		.link_max = 32000,
		.read_only = job.st.f_flags & MS_RDONLY ? 1 : 0,
		.time_delta_ns = 1,
	};
	return 0;
}

const struct backend_ops linux_backend = {
	.abi = VFS_BACKEND_ABI,
	.caps = VFS_CAP_PERSISTENT | VFS_CAP_SPARSE | VFS_CAP_XATTR | VFS_CAP_ACL | VFS_CAP_SHARED,
	.name = "linux",
	.summary = "a directory of the host",
	.options = options,
	.mount = mount_store,
	.unmount = unmount_store,
	.statfs = statfs_store,
	.sync = sync_store,
	.settle = linux_settle,
	.node_handle = linux_node_handle,
	.node_get = linux_node_get,
	.node_release = linux_node_release,
	.getattr = linux_getattr,
	.setattr = linux_setattr,
	.readlink = linux_readlink,
	.lookup = linux_lookup,
	.parent = linux_parent,
	.readdir = linux_readdir,
	.create = linux_create,
	.create_unlinked = linux_create_unlinked,
	.verifier = linux_verifier,
	.link = linux_link,
	.remove = linux_remove,
	.rename = linux_rename,
	.read = linux_read,
	.write = linux_write,
	.commit = linux_commit,
	.allocate = linux_allocate,
	.deallocate = linux_deallocate,
	.zero = linux_zero,
	.seek = linux_seek,
	.clone = linux_clone,
	.copy = linux_copy,
	.get_xattr = linux_get_xattr,
	.set_xattr = linux_set_xattr,
	.list_xattr = linux_list_xattr,
	.remove_xattr = linux_remove_xattr,
	.find_stream = linux_find_stream,
	.create_stream = linux_create_stream,
	.list_streams = linux_list_streams,
	.remove_stream = linux_remove_stream,
	.rename_stream = linux_rename_stream,
	.set_acl = linux_set_acl,
};
