// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/line_socket.h"
#include "notes.h"
#include "program.h"
#include "saved.h"

#define CONNECT_MS	1000	/* until a listener takes the connection */

/**
 * struct note - a note
 * @there: we created the file, and it is not removed
 * @device, @inode: the socket's, since another VM may have one at this path at the end
 * @program: the one that serves the file at @path
 */
static struct note {
	enum keeper_kind kind;
	bool there;
	dev_t device;
	ino_t inode;
	char *path;
	struct program program;
} notes[KEEPER_NOTES];
static int nr_notes;
static bool sealed;

int notes_add(enum keeper_kind kind, const char *path)
{
	struct note *note = &notes[nr_notes];

	if (sealed)
		return -EPERM;
	if (kind < KEEPER_SOCKET || kind > KEEPER_PEER)
		return -EINVAL;
	if (nr_notes == KEEPER_NOTES)
		return -ENOSPC;
	note->kind = kind;
	note->path = strdup(path);
	if (!note->path)
		return -ENOMEM;
	return nr_notes++;
}

void notes_seal(void)
{
	sealed = true;
}

static struct note *find(int number, enum keeper_kind kind)
{
	struct note *note = number >= 0 && number < nr_notes ? &notes[number] : NULL;

	return note && note->kind == kind ? note : NULL;
}

/* ---- sockets, tap interfaces ----------------------------------------------------------------- */

int notes_bind(int number)
{
	struct note *note = find(number, KEEPER_SOCKET);
	struct stat st;
	int fd;

	if (!note)
		return -EINVAL;
	fd = line_socket_bind(note->path);
	if (fd < 0 || lstat(note->path, &st))
		return fd;
	note->there = true;
	note->device = st.st_dev;
	note->inode = st.st_ino;
	return fd;
}

static int remove_socket(struct note *note)
{
	struct stat st;

	if (!note->there)
		return 0;
	note->there = false;
	if (lstat(note->path, &st) || st.st_dev != note->device || st.st_ino != note->inode)
		return 0;
	return unlink(note->path) ? -errno : 0;
}

int notes_remove(int number)
{
	struct note *note = find(number, KEEPER_SOCKET);

	if (note)
		return remove_socket(note);
	note = find(number, KEEPER_SAVED);
	return note ? saved_remove(note->path) : -EINVAL;
}

int notes_unbind(int fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNSPEC };
	socklen_t bytes = sizeof(address) - 1;
	struct stat st;

	if (getsockname(fd, (struct sockaddr *)&address, &bytes) ||
	    address.sun_family != AF_UNIX || address.sun_path[0] != '/' ||
	    lstat(address.sun_path, &st) || !S_ISSOCK(st.st_mode))
		return -EINVAL;
	return unlink(address.sun_path) ? -errno : 0;
}

int notes_tap(int number)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	struct note *note = find(number, KEEPER_TAP);
	int fd, ret;

	if (!note || strlen(note->path) >= sizeof(request.ifr_name))
		return -EINVAL;
	strcpy(request.ifr_name, note->path);
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (!ioctl(fd, TUNSETIFF, &request))
		return fd;
	ret = -errno;
	/* Of one with many queues each user gets a part of the frames, so none knows of another. */
	request.ifr_flags |= IFF_MULTI_QUEUE;
	if (ret == -EINVAL && !ioctl(fd, TUNSETIFF, &request))
		ret = -ENOTUNIQ;
	close(fd);
	return ret;
}

/* ---- the saved file -------------------------------------------------------------------------- */

int notes_create(int number)
{
	struct note *note = find(number, KEEPER_SAVED);
	int fd = note ? saved_create(note->path) : -EINVAL;

	if (fd >= 0)
		note->there = true;
	return fd;
}

int notes_commit(int number)
{
	struct note *note = find(number, KEEPER_SAVED);

	if (!note || !note->there)
		return -EINVAL;
	note->there = false;
	return saved_commit(note->path);
}

int notes_drop(int number)
{
	struct note *note = find(number, KEEPER_SAVED);

	if (!note || !note->there)
		return -EINVAL;
	note->there = false;
	return saved_drop(note->path);
}

/* ---- other programs -------------------------------------------------------------------------- */

static struct note *find_program(int number)
{
	return find(number, KEEPER_READER) ?: find(number, KEEPER_WRITER);
}

int notes_argument(int number, const char *word)
{
	struct note *note = find_program(number);

	if (sealed)
		return -EPERM;
	return note ? program_argument(&note->program, word) : -EINVAL;
}

int notes_connect(int number, bool confine)
{
	struct note *note = find(number, KEEPER_PEER);

	if (note)
		return line_socket_connect(note->path, CONNECT_MS);
	note = find_program(number);
	return note ? program_run(&note->program, note->path, note->kind == KEEPER_WRITER, confine) :
	       -EINVAL;
}

int notes_part(int number)
{
	struct note *note = find_program(number);

	if (note)
		program_end(&note->program);
	return note || find(number, KEEPER_PEER) ? 0 : -EINVAL;
}

int notes_words(int number)
{
	struct note *note = find_program(number);

	return note ? program_words(&note->program) : -EINVAL;
}

/* ---- the end --------------------------------------------------------------------------------- */

void notes_end(void)
{
	for (int i = 0; i < nr_notes; i++) {
		struct note *note = &notes[i];

		if (note->kind == KEEPER_SOCKET)
			remove_socket(note);
		else if (note->kind == KEEPER_SAVED && note->there)
			saved_drop(note->path);
		else if (find_program(i))
			program_end(&note->program);
		note->there = false;
	}
}
