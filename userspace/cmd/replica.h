/* SPDX-License-Identifier: GPL-2.0-only */
/* VMs like another one, with disks of their own, for "clone" and "resume --clones". */
#ifndef CMD_REPLICA_H
#define CMD_REPLICA_H

#include "launch.h"

/**
 * struct replica_disk - a disk of the new VM
 * @from, @to: the files
 * @fd: the new one
 * @shared: the file system shares the blocks of both
 * @named: it has its name
 * @state: it is no disk, but the saved state
 */
struct replica_disk {
	char *from;
	char *to;
	int fd;
	bool shared;
	bool named;
	bool state;
};

/**
 * struct replica - a new VM
 * @name: its name
 * @run: its options, since replica_make()
 * @disks, @count: its disks
 * @lock: the registry's, until replica_done(), or -1
 * @saved: it has a configuration
 */
struct replica {
	const char *name;
	struct run_options run;
	struct replica_disk disks[VIRTIO_MAX_DEVICES + 1];
	unsigned int count;
	int lock;
	bool saved;
};

/**
 * replica_claim() - take the names of @all for this process, or fail(): once in a process
 *
 * Until replica_done(), the end of the process takes away all that was made.
 */
void replica_claim(const char *name, struct replica *all, unsigned int count);
/** replica_make() - copy disks, and make options of those of VM @name of replica_claim(); fail()s */
void replica_make(struct replica *one, const struct run_options *from);
/** replica_add_state() - open the file that becomes its saved state @to; fail()s */
int replica_add_state(struct replica *one, const char *from, const char *to);
/** replica_save() - give the disks their names, and save the configuration; fail()s */
void replica_save(struct replica *one);
/** replica_done() - from now on they are VMs like others */
void replica_done(void);
/** replica_remove() - after that: it could not be started, so nothing of it is to stay */
void replica_remove(struct replica *one);

#endif
