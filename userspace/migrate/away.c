// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "away.h"
#include "base/fail.h"
#include "control/registry.h"
#include "sandbox/keeper.h"

/* A process has one VM. */
static struct {
	const char *path;
	int note;		/* see sandbox/keeper.h */
	bool named;		/* the VM has a configuration, so it could be started here */
	bool marked;
} here;

bool away_begin(const char *name, struct error *error)
{
	here.named = !access(registry_path(REGISTRY_CONFIG, name), F_OK);
	if (!here.named)
		return true;
	here.path = strdup(registry_path(REGISTRY_AWAY, name));
	if (!here.path)
		return error_set(error, EXIT_CODE_ERROR, "out of memory");
	here.marked = !access(here.path, F_OK);
	here.note = keeper_note(KEEPER_SAVED, here.path, error);
	return here.note >= 0;
}

static int write_mark(const char *address)
{
	int fd = keeper_create(here.note), ret = 0;

	if (fd < 0)
		return fd;
	errno = 0;
	if (write(fd, address, strlen(address)) != (ssize_t)strlen(address) || fsync(fd))
		ret = errno ? -errno : -EIO;
	close(fd);
	if (!ret)
		ret = keeper_commit(here.note);
	if (ret < 0)
		keeper_drop(here.note);
	return ret;
}

bool away_mark(const char *address, struct error *error)
{
	int ret;

	if (!here.named)
		return true;
	ret = write_mark(address);
	if (ret < 0)
		return error_set(error, EXIT_CODE_ERROR, "cannot write %.200s, by which it is known here that the VM moved: %s",
				 here.path, strerror(-ret));
	if (ret)
		say("%s may be lost if the host loses power now: do not start the VM here then",
		    here.path);
	here.marked = true;
	return true;
}

void away_unmark(void)
{
	int ret;

	if (!here.marked)
		return;
	ret = keeper_remove(here.note);
	here.marked = ret < 0;
	if (ret < 0)
		say("%s cannot be removed, though the VM is here: %s", here.path, strerror(-ret));
}
