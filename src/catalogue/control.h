/*
 * The control server: requests of chimeractl on a Unix socket. A request names a noun, a verb and often
 * an object, with further options; its answer is a status, an error sentence and a JSON body.
 * Verbs are rows of tables that components register; each request runs in a fiber.
 *
 * Who may ask is decided by SO_PEERCRED: root, the server's own user, and members (by primary group) of
 * the configured admin group.
 */
#ifndef CATALOGUE_CONTROL_H
#define CATALOGUE_CONTROL_H

#include <sys/types.h>

#include "base/bytes.h"
#include "base/json.h"
#include "base/log.h"
#include "catalogue/catalogue.h"
#include "catalogue/control-wire.h"

struct control;

struct control_request {
	const char *noun;
	const char *verb;
	const char *name; /* NULL: none given */
	const struct control_pair *args;
	uint32_t n_args;
	uid_t uid; /* of the asking process */
	pid_t pid;
};

/* control_arg() - the value of an option, NULL if it was not given. */
const char *control_arg(const struct control_request *rq, const char *key);

struct control_reply {
	struct json json;             /* where the verb writes its body: one value */
	struct bytes body;
	struct catalogue_error error; /* what went wrong, for people */
};

/* A verb gives 0 or ERR_*, with reply->error.text saying which object and why ("" : err_text() is enough). May park. */
struct control_verb {
	const char *noun;
	const char *verb;
	int (*run)(void *arg, const struct control_request *rq, struct control_reply *reply);
};

struct control_config {
	const char *path; /* of the socket; a stale one is replaced, a live one is ERR_ADDRINUSE */
	gid_t admin_gid;  /* (gid_t)-1: none */
};

/* control_create() - verbs can be registered; control_start() - listens on the current loop. Park. */
int control_create(struct control **ctl);
/* control_register() - the table must live on. arg is handed to each of its verbs. ERR_NOSPC: too many tables. */
int control_register(struct control *ctl, const struct control_verb *verbs, uint32_t n, void *arg);
int control_start(struct control *ctl, const struct control_config *cfg);
/* control_stop() - accepts no more, ends connections, waits for running verbs, removes the socket. Parks. */
void control_stop(struct control *ctl);
void control_destroy(struct control *ctl);

/* control_register_catalogue() - list, show, create, set, delete of each kind; config apply, diff, export. */
int control_register_catalogue(struct control *ctl, struct catalogue *catalogue);
/* control_register_log() - log list, log set, metric list. set: hears of each level set, of a module or "*"; NULL: nobody does. */
typedef void control_level_fn(void *arg, const char *module, enum log_level level);
int control_register_log(struct control *ctl, control_level_fn *set, void *arg);

#endif
