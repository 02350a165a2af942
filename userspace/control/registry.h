/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The registry of VMs.  There is no daemon.  One directory has a configuration (JSON) for each VM,
 * and the saved states; another has a lock and sockets for each VM with a process.  The lock shows
 * whether the process lives, since the kernel releases it at any end of the process.  The next
 * command that finds other files of a dead process removes them.
 */
#ifndef VM_REGISTRY_H
#define VM_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <json-c/json.h>
#include "base/error.h"
#include "vm/states.h"

#define REGISTRY_FORMAT		1	/* of configurations */
#define REGISTRY_PATH_MAX	4096

/**
 * enum registry_file - the files of a VM
 * @REGISTRY_CONFIG: its configuration, while it exists
 * @REGISTRY_SAVED: its state, while it is suspended
 * @REGISTRY_AWAY: the address to which it moved, until it comes back
 * @REGISTRY_LOCK: the lock that its process holds
 * @REGISTRY_CONTROL: the control socket of its process
 * @REGISTRY_CONSOLE: likewise its console, if it runs detached
 * @REGISTRY_LOG: its process' messages, if it runs detached
 */
enum registry_file {
	REGISTRY_CONFIG,
	REGISTRY_SAVED,
	REGISTRY_AWAY,
	REGISTRY_LOCK,
	REGISTRY_CONTROL,
	REGISTRY_CONSOLE,
	REGISTRY_LOG,
};

/**
 * registry_init() - find and create the directories
 *
 * They are $GONDOLA_HOME, else /var/lib/gondola (root) or $XDG_STATE_HOME/gondola; for sockets and
 * locks its "run", or /run/gondola (root), or $XDG_RUNTIME_DIR/gondola.  False with @error.
 */
bool registry_init(struct error *error);
/** registry_path() - get the path of a file of @name; valid for the next eight calls */
const char *registry_path(enum registry_file file, const char *name);
/**
 * registry_name_is_good() - has @name 1 to 31 letters, digits, ".", "_" and "-", without "." or "-"
 * at the start?
 */
bool registry_name_is_good(const char *name);

/**
 * struct registry_vm - a VM as it was found
 * @pid: of its process, or 0
 * @answers: its process answered: @status is what "status" said
 * @told: what it said to the further command of registry_find_all(), or NULL
 * @moved_to: the address, while it is away
 * @config: its configuration; NULL for a VM of "gondola run", or a damaged file
 */
struct registry_vm {
	char name[32];
	enum vm_state state;
	pid_t pid;
	bool answers;
	char moved_to[256];
	struct json_object *status;
	struct json_object *told;
	struct json_object *config;
};

/**
 * registry_find_all() - find all of @names, which ends with NULL; free the result, and
 * registry_put() each
 *
 * @also: a command that each is asked besides "status", or NULL
 *
 * One that does not answer keeps the others from nothing: all have the same deadline.  One that
 * has gone meanwhile has no name.
 */
struct registry_vm *registry_find_all(char *const *names, const char *also);
/** registry_find() - 0; -ENOENT: there is none of this name.  Takes away what a dead process left. */
int registry_find(const char *name, struct registry_vm *vm);
void registry_put(struct registry_vm *vm);
/**
 * registry_at_rest() - likewise by its files only, for the holder of the lock of @name
 *
 * A state that was read before taking the lock may be out of date.
 */
int registry_at_rest(const char *name, struct registry_vm *vm);
/** registry_is_active() - has it a process?  Checks the lock, and does not ask the process */
bool registry_is_active(const char *name);
/**
 * registry_open_process() - get the process of @name as a pidfd, or -ESRCH
 *
 * This is the peer of its control socket; without a socket, the process in its lock file, if that
 * one holds the lock.
 */
int registry_open_process(const char *name);
/** registry_starting() - get words if the process of @vm does not listen yet, else NULL */
const char *registry_starting(const struct registry_vm *vm);
/**
 * registry_list() - get the names of all VMs, sorted, with NULL at the end; free by
 * registry_free_list()
 */
char **registry_list(void);
void registry_free_list(char **names);

/**
 * registry_lock() - become the process of @name
 *
 * Returns a descriptor to keep open (close-on-exec), -EBUSY if there is another process, or -errno;
 * with @error. The lock ends with the descriptor, or with the process.
 */
int registry_lock(const char *name, struct error *error);
/**
 * registry_waits() - the holder of @lock waits for a VM (VM_STATE_WAITING), or does so no longer
 *
 * Until then it has no control socket that could be asked.
 */
void registry_waits(int lock, bool waits);
/** registry_unlock() - this process is done with @name: its files in "run" go, but for the log */
void registry_unlock(const char *name, int lock);

/**
 * registry_remove_dead() - if no process holds the lock of @name, its files in "run" go
 *
 * True if there is none any more.
 */
bool registry_remove_dead(const char *name);

/**
 * registry_save_config() - atomically, and on stable storage
 *
 * @exclusive: there must be none yet (-EEXIST).  Returns 0, or @error.
 */
int registry_save_config(const char *name, struct json_object *config, bool exclusive,
			 struct error *error);

/* The parts of a VM at rest that are to be forgotten. */
enum registry_part {
	REGISTRY_PART_ALL,
	REGISTRY_PART_SAVED,	/* its saved state */
	REGISTRY_PART_AWAY,	/* that it moved */
};

/** registry_forget() - remove its configuration, on stable storage; the caller has the lock of @name */
bool registry_forget(const char *name, enum registry_part part, struct error *error);
/** registry_load_config() - NULL with @error: not there, not JSON, another format */
struct json_object *registry_load_config(const char *name, struct error *error);

#endif
