/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A saved state from which many VMs go on.  It is read once: its memory goes to a file without a name, of which
 * each VM maps a private copy, and the rest is kept for each to load.
 */
#ifndef MIGRATE_TEMPLATE_H
#define MIGRATE_TEMPLATE_H

#include "suspend.h"

/**
 * struct template - see template_read()
 * @resume: the saved state; with @remove false
 * @fd: the file with the memory
 */
struct template {
	struct resume *resume;
	int fd;
	/* template.c's own */
	struct stream_record *records;
	unsigned int count;
	uint64_t kept;
};

/** template_read() - read all of @template->resume, whose VM has @bytes of memory; false with @error */
bool template_read(struct template *template, uint64_t bytes, struct error *error);
/** template_begin() - for struct launch, in a process that template_read() is above; @argument is the struct template */
bool template_begin(struct vm *vm, void *argument, struct error *error);

#endif
