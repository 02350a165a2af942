/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The store by which a paravirtualized guest and its devices find each other: a tree of nodes, which the
 * guest reads and writes by messages in a page of two rings, and watches.  Xen's docs/misc/xenstore.txt and
 * public/io/xs_wire.h describe it.  All is called with the VM's device lock held.
 */
#ifndef DEVICE_XEN_STORE_H
#define DEVICE_XEN_STORE_H

#include <stdint.h>

struct store;
struct state_reader;
struct state_writer;
struct vm;

#define STORE_HOME	"/local/domain/1"	/* the guest's own nodes */
#define STORE_RING	4096u			/* bytes of the page */

/**
 * store_create() - make the store, with no page yet; NULL without memory
 * @changed: the guest has changed the node @path, or one below it
 */
struct store *store_create(struct vm *vm, void (*changed)(void *argument, const char *path), void *argument);
void store_destroy(struct store *store);
/** store_place() - its page is there; until then the guest sees nothing of it */
void store_place(struct store *store, void *ring, uint64_t gpa, uint32_t port);
/** store_save() - append nodes, watches, transactions, and messages that are under way */
void store_save(const struct store *store, struct state_writer *out);
/** store_load() - take these; a new store, or NULL, with an error in @in or without memory */
struct store *store_load(const struct store *like, struct state_reader *in);
/** store_serve() - the guest has sent messages, or taken some */
void store_serve(struct store *store);
/** store_get() - read a node; NULL if there is none.  It may be gone after the next call. */
const char *store_get(const struct store *store, const char *path);
/** store_set() - write a node, and tell the guest if it watches it */
void store_set(struct store *store, const char *path, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/** store_watched() - does the guest watch the node? */
int store_watched(const struct store *store, const char *path);

#endif
