/*
 * Exactly-once: an op that carries a replay key changes the store at most once, however often a client
 * sends it, also when chimerad was killed in between. The answers are kept in a file of fixed size in the state
 * directory, mapped into memory: it survives the process, not the machine.
 */
#ifndef VFS_REPLAY_H
#define VFS_REPLAY_H

struct replay;
struct replay_entry;
struct vfs_call;

/* replay_open() - makes or takes over state_dir/replay. *why as in vfs_create(). Parks. */
int replay_open(struct replay **r, const char *state_dir, char **why);
void replay_close(struct replay *r);

#define REPLAY_ANSWERED 1

/*
 * replay_begin() - before the op. 0: run it, then call replay_end() if *entry is set. REPLAY_ANSWERED: it ran before, *status
 * and c->op->out are its answer. Parks while the same op runs in another fiber.
 */
int replay_begin(struct replay *r, struct vfs_call *c, struct replay_entry **entry, int *status);

/*
 * replay_end() - keeps err and c->op->out as the answer. Gives err, or 0 where the failure shows that the op took effect
 * before chimerad was killed.
 */
int replay_end(struct vfs_call *c, struct replay_entry *entry, int err);

/* replay_again() - completes an answer that was kept: what the next op of the chain needs. */
int replay_again(struct vfs_call *c);

#endif
