// SPDX-License-Identifier: GPL-2.0-only
/*
 * The store's messages.  The guest may send anything: each message has a bound, and none is read while the
 * answers to earlier ones wait, so what the guest does not take costs no more than that.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "device/state.h"
#include "lib/libgondola.h"
#include "vm/vm.h"
#include "store.h"
#include "tree.h"

#define RING		1024u	/* bytes in each direction */
#define PAYLOAD_MAX	4096u
#define MAX_WATCHES	128u
#define MAX_TOKEN	256u	/* with its end */
#define MAX_CHANGES	64u	/* of a transaction */
#define MAX_TRANSACTIONS 4u
#define BUSY		8192u	/* bytes of answers that wait: no message is read meanwhile */
#define OUT_MAX		(1u << 20)

enum type {
	CONTROL, DIRECTORY, READ, GET_PERMS, WATCH, UNWATCH, TRANSACTION_START, TRANSACTION_END,
	INTRODUCE, RELEASE, GET_DOMAIN_PATH, WRITE, MKDIR, RM, SET_PERMS, WATCH_EVENT, ERROR,
};

struct header {
	uint32_t type;
	uint32_t request;
	uint32_t transaction;
	uint32_t bytes;
};

/* The layout is ABI: xenstore_domain_interface in Xen's public/io/xs_wire.h. */
struct ring {
	char in[RING];
	char out[RING];
	uint32_t in_read;
	uint32_t in_written;
	uint32_t out_read;
	uint32_t out_written;
};

struct watch {
	char path[TREE_MAX_PATH];
	char token[MAX_TOKEN];
	bool relative;
};

/**
 * struct transaction - a copy of the tree, with which a transaction works
 * @id: 0: there is none
 * @begun: the store's @changes when it began
 * @paths: what it changed; @removed: that was removed
 */
struct transaction {
	uint32_t id;
	uint64_t begun;
	struct tree tree;
	unsigned int count;
	char paths[MAX_CHANGES][TREE_MAX_PATH];
	bool removed[MAX_CHANGES];
};

/**
 * struct store - see above
 * @changes: counts the changes of @tree
 * @in, @in_bytes: the message that comes
 * @out, @out_bytes: what the ring has no room for yet
 * @broken: the guest wrote nonsense into the ring: it is not read any more
 */
struct store {
	struct vm *vm;
	struct ring *ring;
	uint64_t gpa;
	uint32_t port;
	void (*changed)(void *argument, const char *path);
	void *argument;
	struct tree tree;
	uint64_t changes;
	struct watch *watches[MAX_WATCHES];
	struct transaction *transactions[MAX_TRANSACTIONS];
	uint32_t last_transaction;
	char in[sizeof(struct header) + PAYLOAD_MAX + 1];
	size_t in_bytes;
	char *out;
	size_t out_bytes;
	bool broken;
};

/* ---- to the guest ------------------------------------------------------------------------------ */

/* True: something was moved. */
static bool fill_ring(struct store *store)
{
	struct ring *ring = store->ring;
	uint32_t at, used;
	size_t bytes;

	/* The guest's memory may be on its way, either way. */
	if (!ring || devices_frozen())
		return false;
	at = ring->out_written;
	used = at - __atomic_load_n(&ring->out_read, __ATOMIC_ACQUIRE);
	bytes = used < RING ? RING - used : 0;
	if (bytes > store->out_bytes)
		bytes = store->out_bytes;
	for (size_t i = 0; i < bytes; i++)
		ring->out[at++ % RING] = store->out[i];
	store->out_bytes -= bytes;
	memmove(store->out, store->out + bytes, store->out_bytes);
	__atomic_store_n(&ring->out_written, at, __ATOMIC_RELEASE);
	return bytes;
}

static void notify(struct store *store)
{
	memory_mark_dirty(&store->vm->memory, 0, store->gpa, sizeof(*store->ring));
	__gondola_xen_raise(store->vm->fd, store->port);
}

static void put(struct store *store, const void *data, size_t bytes)
{
	memcpy(store->out + store->out_bytes, data, bytes);
	store->out_bytes += bytes;
}

static void send(struct store *store, const struct header *to, uint32_t type, const void *data, size_t bytes)
{
	const struct header header = { type, to->request, to->transaction, (uint32_t)bytes };

	if (sizeof(header) + bytes > OUT_MAX - store->out_bytes) {
		say("the guest takes no messages of its store: one is lost");
		return;
	}
	put(store, &header, sizeof(header));
	put(store, data, bytes);
}

static void answer_error(struct store *store, const struct header *to, int error)
{
	static const struct { int number; const char *name; } names[] = {
		{ EINVAL, "EINVAL" }, { EACCES, "EACCES" }, { EEXIST, "EEXIST" }, { ENOENT, "ENOENT" },
		{ ENOMEM, "ENOMEM" }, { ENOSPC, "ENOSPC" }, { ENOSYS, "ENOSYS" }, { EAGAIN, "EAGAIN" },
		{ E2BIG, "E2BIG" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].number == -error)
			send(store, to, ERROR, names[i].name, strlen(names[i].name) + 1);
}

static void send_event(struct store *store, const struct watch *watch, const char *path)
{
	const struct header header = { 0 };
	char words[TREE_MAX_PATH + MAX_TOKEN];
	size_t bytes;

	if (watch->relative && tree_is_below(path, STORE_HOME))
		path += strlen(STORE_HOME) + 1;
	bytes = strlen(path) + 1;
	memcpy(words, path, bytes);
	strcpy(words + bytes, watch->token);
	send(store, &header, WATCH_EVENT, words, bytes + strlen(watch->token) + 1);
}

/* Tell it who watches the node or one above it; one that is gone takes those below along. */
static void fire(struct store *store, const char *path, bool removed)
{
	for (unsigned int i = 0; i < MAX_WATCHES; i++) {
		const struct watch *watch = store->watches[i];

		if (!watch)
			continue;
		if (tree_is_below(path, watch->path))
			send_event(store, watch, path);
		else if (removed && tree_is_below(watch->path, path))
			send_event(store, watch, watch->path);
	}
}

/* ---- requests ---------------------------------------------------------------------------------- */

static bool is_good(const char *path)
{
	size_t length = strlen(path);

	for (size_t i = 0; i < length; i++)
		if (path[i] <= ' ' || path[i] > '~' || (path[i] == '/' && path[i + 1] == '/'))
			return false;
	return length && (length == 1 || path[length - 1] != '/');
}

/* The path at the beginning of a payload, made absolute: 0 or -EINVAL. */
static int take_path(const char *data, size_t bytes, char *path, bool *relative)
{
	int length;

	*relative = data[0] != '/' && data[0] != '@';
	if (strnlen(data, bytes) == bytes)
		return -EINVAL;
	length = snprintf(path, TREE_MAX_PATH, "%s%s%s", *relative ? STORE_HOME : "", *relative && data[0] ? "/" : "",
			  data);
	return length < (int)TREE_MAX_PATH && is_good(path) ? 0 : -EINVAL;
}

static struct transaction **slot_of(struct store *store, uint32_t id)
{
	for (unsigned int i = 0; i < MAX_TRANSACTIONS; i++)
		if ((store->transactions[i] ? store->transactions[i]->id : 0) == id)
			return &store->transactions[i];
	return NULL;
}

static void forget(struct transaction **slot)
{
	tree_free(&(*slot)->tree);
	free(*slot);
	*slot = NULL;
}

/* The guest has changed a node: now, or when its transaction ends. */
static int changed(struct store *store, struct transaction *transaction, const char *path, bool removed)
{
	if (!transaction) {
		store->changes++;
		fire(store, path, removed);
		store->changed(store->argument, path);
		return 0;
	}
	if (transaction->count == MAX_CHANGES)
		return -ENOSPC;
	strcpy(transaction->paths[transaction->count], path);
	transaction->removed[transaction->count++] = removed;
	return 0;
}

static int change(struct store *store, struct transaction *transaction, const struct header *header,
		  const char *path, const char *data, size_t bytes)
{
	struct tree *tree = transaction ? &transaction->tree : &store->tree;
	size_t skip = strlen(data) + 1;
	int ret;

	/* What it is told of its devices, it cannot change. */
	if (!tree_is_below(path, STORE_HOME) || !strcmp(path, STORE_HOME))
		return -EACCES;
	if (transaction && transaction->count == MAX_CHANGES)
		return -ENOSPC;
	if (header->type == RM) {
		if (!tree_find(tree, path))
			return -ENOENT;
		tree_remove(tree, path);
	} else if (header->type == WRITE) {
		if (bytes - skip > TREE_MAX_VALUE)
			return -ENOSPC;
		ret = tree_set(tree, path, data + skip, bytes - skip);
		if (ret)
			return ret;
	} else if (!tree_find(tree, path)) {
		ret = tree_set(tree, path, "", 0);
		if (ret)
			return ret;
	}
	ret = changed(store, transaction, path, header->type == RM);
	if (!ret)
		send(store, header, header->type, "OK", 3);
	return ret;
}

static int read_node(struct store *store, const struct tree *tree, const struct header *header, const char *path)
{
	const struct tree_node *node = tree_find(tree, path);
	char names[PAYLOAD_MAX];
	int bytes;

	if (!node && strcmp(path, "/"))
		return -ENOENT;
	switch (header->type) {
	case DIRECTORY:
		bytes = tree_list(tree, path, names, sizeof(names));
		if (bytes < 0)
			return bytes;
		send(store, header, DIRECTORY, names, bytes);
		break;
	case READ:
		send(store, header, READ, node ? node->value : "", node ? node->bytes : 0);
		break;
	case GET_PERMS:
		send(store, header, GET_PERMS, "n1", 3);
		break;
	default:
		send(store, header, header->type, "OK", 3);
	}
	return 0;
}

static int watch(struct store *store, const struct header *header, const char *path, bool relative,
		 const char *data, size_t bytes)
{
	const char *token = data + strlen(data) + 1;
	struct watch **slot = NULL;

	if (token >= data + bytes || strnlen(token, data + bytes - token) == (size_t)(data + bytes - token) ||
	    strlen(token) >= MAX_TOKEN)
		return -EINVAL;
	for (unsigned int i = 0; i < MAX_WATCHES; i++) {
		struct watch *one = store->watches[i];

		if (one && !strcmp(one->path, path) && !strcmp(one->token, token)) {
			if (header->type == WATCH)
				return -EEXIST;
			free(one);
			store->watches[i] = NULL;
			send(store, header, UNWATCH, "OK", 3);
			return 0;
		}
		if (!one && !slot)
			slot = &store->watches[i];
	}
	if (header->type == UNWATCH)
		return -ENOENT;
	if (!slot)
		return -ENOSPC;
	*slot = calloc(1, sizeof(**slot));
	if (!*slot)
		return -ENOMEM;
	strcpy((*slot)->path, path);
	strcpy((*slot)->token, token);
	(*slot)->relative = relative;
	send(store, header, WATCH, "OK", 3);
	/* Each watch begins with an event. */
	send_event(store, *slot, path);
	return 0;
}

static int begin(struct store *store, const struct header *header)
{
	struct transaction **slot = slot_of(store, 0);
	char words[16];
	int ret;

	if (!slot)
		return -ENOSPC;
	*slot = calloc(1, sizeof(**slot));
	if (!*slot)
		return -ENOMEM;
	ret = tree_copy(&(*slot)->tree, &store->tree);
	if (ret) {
		forget(slot);
		return ret;
	}
	/* 0 means none, also when the number begins anew. */
	while (!++store->last_transaction || slot_of(store, store->last_transaction))
		;
	(*slot)->id = store->last_transaction;
	(*slot)->begun = store->changes;
	snprintf(words, sizeof(words), "%u", (*slot)->id);
	send(store, header, TRANSACTION_START, words, strlen(words) + 1);
	return 0;
}

static int end(struct store *store, const struct header *header, const char *data)
{
	struct transaction **slot = header->transaction ? slot_of(store, header->transaction) : NULL;
	struct transaction *of;
	struct tree before;

	if (!slot)
		return -ENOENT;
	if (strcmp(data, "T") && strcmp(data, "F"))
		return -EINVAL;
	of = *slot;
	/* Somebody has changed the tree meanwhile: the guest begins again. */
	if (data[0] == 'T' && of->count && of->begun != store->changes) {
		forget(slot);
		return -EAGAIN;
	}
	send(store, header, TRANSACTION_END, "OK", 3);
	if (data[0] == 'T' && of->count) {
		before = store->tree;
		store->tree = of->tree;
		of->tree = before;
		for (unsigned int i = 0; i < of->count; i++)
			changed(store, NULL, of->paths[i], of->removed[i]);
	}
	forget(slot);
	return 0;
}

static int of_path(struct store *store, const struct header *header, const char *data, size_t bytes)
{
	struct transaction **slot = NULL;
	char path[TREE_MAX_PATH];
	bool relative;
	int ret = take_path(data, bytes, path, &relative);

	if (header->transaction) {
		slot = slot_of(store, header->transaction);
		if (!slot)
			return -ENOENT;
	}
	if (ret)
		return ret;
	switch (header->type) {
	case WATCH:
	case UNWATCH:
		return watch(store, header, path, relative, data, bytes);
	case WRITE:
	case MKDIR:
	case RM:
		return change(store, slot ? *slot : NULL, header, path, data, bytes);
	}
	return read_node(store, slot ? &(*slot)->tree : &store->tree, header, path);
}

static int request(struct store *store, const struct header *header, const char *data)
{
	switch (header->type) {
	case DIRECTORY:
	case READ:
	case GET_PERMS:
	case SET_PERMS:
	case WATCH:
	case UNWATCH:
	case WRITE:
	case MKDIR:
	case RM:
		return of_path(store, header, data, header->bytes);
	case TRANSACTION_START:
		return begin(store, header);
	case TRANSACTION_END:
		return end(store, header, data);
	case GET_DOMAIN_PATH:
		if (strcmp(data, "1"))
			return -ENOENT;
		send(store, header, GET_DOMAIN_PATH, STORE_HOME, sizeof(STORE_HOME));
		return 0;
	}
	return -ENOSYS;
}

/* ---- the ring ------------------------------------------------------------------------------------ */

/* Take up to @bytes into the message; true: it has as many now. */
static bool collect(struct store *store, size_t bytes, bool *moved)
{
	struct ring *ring = store->ring;
	uint32_t at = ring->in_read, waiting = __atomic_load_n(&ring->in_written, __ATOMIC_ACQUIRE) - at;

	if (waiting > RING) {
		say("the guest has broken the ring of its store: it gets no answers any more");
		store->broken = true;
		return false;
	}
	for (; waiting && store->in_bytes < bytes; waiting--, *moved = true)
		store->in[store->in_bytes++] = ring->in[at++ % RING];
	__atomic_store_n(&ring->in_read, at, __ATOMIC_RELEASE);
	return store->in_bytes >= bytes;
}

/* One message, if all of it is there. */
static bool serve_one(struct store *store, bool *moved)
{
	struct header header;
	int ret;

	if (!collect(store, sizeof(header), moved))
		return false;
	memcpy(&header, store->in, sizeof(header));
	if (header.bytes > PAYLOAD_MAX) {
		say("the guest has sent its store a message of %u bytes: it gets no answers any more", header.bytes);
		store->broken = true;
		return false;
	}
	if (!collect(store, sizeof(header) + header.bytes, moved))
		return false;
	store->in[store->in_bytes] = 0;
	store->in_bytes = 0;
	ret = request(store, &header, store->in + sizeof(header));
	if (ret)
		answer_error(store, &header, ret);
	return true;
}

void store_serve(struct store *store)
{
	bool moved = false;

	if (store->broken)
		return;
	do {
		moved |= fill_ring(store);
	} while (store->out_bytes < BUSY && serve_one(store, &moved));
	moved |= fill_ring(store);
	if (moved)
		notify(store);
}

/* ---- from this side ------------------------------------------------------------------------------- */

const char *store_get(const struct store *store, const char *path)
{
	const struct tree_node *node = tree_find(&store->tree, path);

	return node ? node->value : NULL;
}

void store_set(struct store *store, const char *path, const char *format, ...)
{
	const struct tree_node *before = tree_find(&store->tree, path);
	char value[TREE_MAX_VALUE];
	va_list args;

	va_start(args, format);
	vsnprintf(value, sizeof(value), format, args);
	va_end(args);
	if (before && !strcmp(before->value, value))
		return;
	if (tree_set(&store->tree, path, value, strlen(value))) {
		say("there is no room in the guest's store for %s", path);
		return;
	}
	store->changes++;
	fire(store, path, false);
	if (fill_ring(store))
		notify(store);
}

int store_watched(const struct store *store, const char *path)
{
	for (unsigned int i = 0; i < MAX_WATCHES; i++)
		if (store->watches[i] && !strcmp(store->watches[i]->path, path))
			return true;
	return false;
}

struct store *store_create(struct vm *vm, void (*changed_fn)(void *argument, const char *path), void *argument)
{
	struct store *store = calloc(1, sizeof(*store));

	if (!store)
		return NULL;
	store->out = malloc(OUT_MAX);
	if (!store->out) {
		free(store);
		return NULL;
	}
	store->vm = vm;
	store->changed = changed_fn;
	store->argument = argument;
	return store;
}

void store_place(struct store *store, void *ring, uint64_t gpa, uint32_t port)
{
	store->ring = ring;
	store->gpa = gpa;
	store->port = port;
}

void store_destroy(struct store *store)
{
	for (unsigned int i = 0; i < MAX_TRANSACTIONS; i++)
		if (store->transactions[i])
			forget(&store->transactions[i]);
	for (unsigned int i = 0; i < MAX_WATCHES; i++)
		free(store->watches[i]);
	tree_free(&store->tree);
	free(store->out);
	free(store);
}

/* ---- saved state ------------------------------------------------------------------------------------ */

static void save_tree(const struct tree *tree, struct state_writer *out)
{
	state_put(out, "nodes", 4, tree->count);
	for (unsigned int i = 0; i < tree->count; i++) {
		state_put_bytes(out, "path", tree->nodes[i].path, strlen(tree->nodes[i].path));
		state_put_bytes(out, "value", tree->nodes[i].value, tree->nodes[i].bytes);
	}
}

static void save_watches(const struct store *store, struct state_writer *out)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < MAX_WATCHES; i++)
		count += !!store->watches[i];
	state_put(out, "watches", 4, count);
	for (unsigned int i = 0; i < MAX_WATCHES; i++) {
		const struct watch *watch = store->watches[i];

		if (!watch)
			continue;
		state_put_bytes(out, "path", watch->path, strlen(watch->path));
		state_put_bytes(out, "token", watch->token, strlen(watch->token));
		state_put(out, "relative", 1, watch->relative);
	}
}

static void save_transaction(const struct transaction *of, struct state_writer *out)
{
	state_put(out, "transaction", 4, of ? of->id : 0);
	if (!of)
		return;
	state_put(out, "begun", 8, of->begun);
	save_tree(&of->tree, out);
	state_put(out, "changed", 4, of->count);
	for (unsigned int i = 0; i < of->count; i++) {
		state_put_bytes(out, "path", of->paths[i], strlen(of->paths[i]));
		state_put(out, "removed", 1, of->removed[i]);
	}
}

void store_save(const struct store *store, struct state_writer *out)
{
	save_tree(&store->tree, out);
	state_put(out, "changes", 8, store->changes);
	save_watches(store, out);
	state_put(out, "last_transaction", 4, store->last_transaction);
	for (unsigned int i = 0; i < MAX_TRANSACTIONS; i++)
		save_transaction(store->transactions[i], out);
	state_put_bytes(out, "in", store->in, store->in_bytes);
	state_put_bytes(out, "out", store->out, store->out_bytes);
	state_put(out, "broken", 1, store->broken);
}

/* A string with its end: a path of a node, or if not @is_path a token. */
static void load_string(struct state_reader *in, const char *field, char *to, size_t room, bool is_path)
{
	size_t bytes;
	const void *from = state_take_some(in, field, room - 1, &bytes);

	memset(to, 0, room);
	if (bytes)
		memcpy(to, from, bytes);
	if (!state_failed(in) && (strlen(to) != bytes || (is_path && !is_good(to))))
		state_refuse(in, field, is_path ? "it is no path" : "it is no string");
}

/* A wrong field ends each of these loops. */
static void load_tree(struct tree *tree, struct state_reader *in)
{
	uint32_t count = state_take(in, "nodes", 4, TREE_MAX_NODES);

	for (uint32_t i = 0; i < count && !state_failed(in); i++) {
		char path[TREE_MAX_PATH];
		const void *value;
		size_t bytes;

		load_string(in, "path", path, sizeof(path), true);
		value = state_take_some(in, "value", TREE_MAX_VALUE, &bytes);
		if (!state_failed(in) && (path[0] != '/' || tree_set(tree, path, bytes ? value : "", bytes)))
			state_refuse(in, "path", "there is no room for it");
	}
}

static void load_watches(struct store *store, struct state_reader *in)
{
	uint32_t count = state_take(in, "watches", 4, MAX_WATCHES);

	for (uint32_t i = 0; i < count && !state_failed(in); i++) {
		struct watch *watch = calloc(1, sizeof(*watch));

		if (!watch) {
			state_refuse(in, "watches", "no memory for them");
			return;
		}
		store->watches[i] = watch;
		load_string(in, "path", watch->path, sizeof(watch->path), true);
		load_string(in, "token", watch->token, sizeof(watch->token), false);
		watch->relative = state_take(in, "relative", 1, 1);
	}
}

static void load_transaction(struct store *store, unsigned int slot, struct state_reader *in)
{
	uint32_t id = state_take(in, "transaction", 4, UINT32_MAX);
	struct transaction *of;

	if (!id)
		return;
	if (slot_of(store, id))
		state_refuse(in, "transaction", "there is another one of that number");
	of = calloc(1, sizeof(*of));
	if (!of) {
		state_refuse(in, "transaction", "no memory for it");
		return;
	}
	store->transactions[slot] = of;
	of->id = id;
	of->begun = state_take(in, "begun", 8, store->changes);
	load_tree(&of->tree, in);
	of->count = state_take(in, "changed", 4, MAX_CHANGES);
	for (unsigned int i = 0; i < of->count && !state_failed(in); i++) {
		load_string(in, "path", of->paths[i], sizeof(of->paths[i]), true);
		of->removed[i] = state_take(in, "removed", 1, 1);
	}
}

static void load_messages(struct store *store, struct state_reader *in)
{
	const void *data = state_take_some(in, "in", sizeof(store->in) - 1, &store->in_bytes);

	if (store->in_bytes)
		memcpy(store->in, data, store->in_bytes);
	data = state_take_some(in, "out", OUT_MAX, &store->out_bytes);
	if (store->out_bytes)
		memcpy(store->out, data, store->out_bytes);
	store->broken = state_take(in, "broken", 1, 1);
}

struct store *store_load(const struct store *like, struct state_reader *in)
{
	struct store *store = store_create(like->vm, like->changed, like->argument);

	if (!store) {
		state_refuse(in, "nodes", "no memory for them");
		return NULL;
	}
	load_tree(&store->tree, in);
	store->changes = state_take(in, "changes", 8, UINT64_MAX);
	load_watches(store, in);
	store->last_transaction = state_take(in, "last_transaction", 4, UINT32_MAX);
	for (unsigned int i = 0; i < MAX_TRANSACTIONS && !state_failed(in); i++)
		load_transaction(store, i, in);
	load_messages(store, in);
	if (!state_failed(in))
		return store;
	store_destroy(store);
	return NULL;
}
