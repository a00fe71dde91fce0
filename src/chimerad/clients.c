/*
 * What daemons report of their clients, for `chimeractl client list`. A table by session and client, written
 * by fibers of any thread, bounded; it goes with the session that reported it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/hmap.h"
#include "chimerad/chimerad.h"

#define CLIENTS_MAX 65536u
#define TEXT_MAX_SIZE 4096u

struct client_entry {
	struct hmap_node node;
	const struct vfs_session *session;
	char *client;
	char *text; /* key NUL value NUL ... */
	uint32_t size;
};

struct chimerad_clients {
	struct fiber_mutex lock;
	struct hmap map;
};

int chimerad_clients_create(struct chimerad_clients **clients)
{
	struct chimerad_clients *c = calloc(1, sizeof(*c));
	if (!c)
		return ERR_NOMEM;
	hmap_init(&c->map);
	*clients = c;
	return 0;
}

static void free_entry(struct client_entry *e)
{
	if (!e)
		return;
	free(e->client);
	free(e->text);
	free(e);
}

void chimerad_clients_destroy(struct chimerad_clients *c)
{
	struct client_entry *e, *next;

	if (!c)
		return;
	HMAP_FOREACH_SAFE (e, next, &c->map, node) {
		hmap_remove(&c->map, &e->node);
		free_entry(e);
	}
	hmap_fini(&c->map);
	free(c);
}

static uint64_t hash_of(const struct vfs_session *session, const char *client)
{
	return hash_bytes(client, strlen(client)) ^ hash_u64((uint64_t)(uintptr_t)session);
}

static struct client_entry *find(struct chimerad_clients *c, const struct vfs_session *session, const char *client)
{
	struct client_entry *e;
	HMAP_FOREACH_HASH (e, &c->map, hash_of(session, client), node)
		if (e->session == session && strcmp(e->client, client) == 0)
			return e;
	return NULL;
}

static struct client_entry *make_entry(const struct vfs_session *session, const char *client, const char *text, uint32_t size)
{
	struct client_entry *e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	e->session = session;
	e->client = strdup(client);
	e->text = malloc(size);
	e->size = size;
	if (!e->client || !e->text) {
		free_entry(e);
		return NULL;
	}
	memcpy(e->text, text, size);
	return e;
}

/* Pairs of terminated strings, nothing else. */
static bool well_formed(const char *text, uint32_t size)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < size; i++)
		n += text[i] == '\0';
	return size <= TEXT_MAX_SIZE && n % 2 == 0 && text[size - 1] == '\0';
}

int chimerad_clients_report(struct chimerad_clients *c, const struct vfs_session *session, const char *client,
                            const char *text, uint32_t size)
{
	struct client_entry *fresh = NULL;
	int err = 0;

	if (size && !well_formed(text, size))
		return ERR_INVAL;
	if (size && !(fresh = make_entry(session, client, text, size)))
		return ERR_NOMEM;
	fiber_mutex_lock(&c->lock);
	struct client_entry *old = find(c, session, client);
	if (old)
		hmap_remove(&c->map, &old->node);
	if (fresh && c->map.n_nodes < CLIENTS_MAX)
		hmap_insert(&c->map, &TAKE(fresh)->node, hash_of(session, client));
	else if (fresh)
		err = ERR_NOSPC;
	fiber_mutex_unlock(&c->lock);
	free_entry(old);
	free_entry(fresh);
	return err;
}

void chimerad_clients_forget(struct chimerad_clients *c, const struct vfs_session *session)
{
	struct client_entry *e, *next, *dead = NULL;

	fiber_mutex_lock(&c->lock);
	HMAP_FOREACH_SAFE (e, next, &c->map, node) {
		if (e->session != session)
			continue;
		hmap_remove(&c->map, &e->node);
		e->node.next = dead ? &dead->node : NULL;
		dead = e;
	}
	fiber_mutex_unlock(&c->lock);
	while ((e = dead)) {
		dead = e->node.next ? container_of(e->node.next, struct client_entry, node) : NULL;
		free_entry(e);
	}
}

static void print_pairs(struct json *j, const char *text, uint32_t size)
{
	for (uint32_t at = 0; at < size;) {
		const char *key = text + at;
		const char *value = key + strlen(key) + 1;
		json_str(j, key, value);
		at = (uint32_t)(value + strlen(value) + 1 - text);
	}
}

void chimerad_clients_json(struct chimerad_clients *c, struct json *j, const char *key)
{
	struct client_entry *e;

	json_array(j, key);
	fiber_mutex_lock(&c->lock);
	HMAP_FOREACH (e, &c->map, node) {
		json_object(j, NULL);
		json_str(j, "name", e->client);
		print_pairs(j, e->text, e->size);
		json_end(j);
	}
	fiber_mutex_unlock(&c->lock);
	json_end(j);
}

uint32_t chimerad_clients_count(struct chimerad_clients *c)
{
	return (uint32_t)c->map.n_nodes;
}
