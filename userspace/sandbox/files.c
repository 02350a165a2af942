// SPDX-License-Identifier: GPL-2.0-only
/* Landlock: open files stay open, and no other can be opened. */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

#define RIGHTS_1	0x1fffull	/* rights to files, since the first version of Landlock */
#define REFER		(1ull << 13)	/* version 2 */
#define TRUNCATE	(1ull << 14)	/* 3 */
#define IOCTL_DEV	(1ull << 15)	/* 5 */
#define CONNECTIONS	3ull		/* 4: bind and connect of TCP */
#define OUTSIDE		1ull		/* 6: abstract sockets of others */

/* Has the size of the newest version used here; an older kernel needs zeroes, or a smaller size. */
struct rules {
	uint64_t files;
	uint64_t net;
	uint64_t scoped;
};

static struct rules all(int version, bool net)
{
	struct rules rules = { .files = RIGHTS_1 };

	if (version >= 2)
		rules.files |= REFER;
	if (version >= 3)
		rules.files |= TRUNCATE;
	if (version >= 4 && !net)
		rules.net = CONNECTIONS;
	if (version >= 5)
		rules.files |= IOCTL_DEV;
	if (version >= 6)
		rules.scoped = OUTSIDE;
	return rules;
}

/* A file that does not exist needs no rule. */
static void let(int ruleset, const char *path, uint64_t access)
{
	struct landlock_path_beneath_attr rule = {
		.allowed_access = access, .parent_fd = open(path, O_PATH | O_CLOEXEC),
	};

	if (rule.parent_fd < 0)
		return;
	syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	close(rule.parent_fd);
}

int leave_files(bool net)
{
	int version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct rules rules = all(version, net);
	int ruleset, ret;

	if (version < 0)
		return -errno;
	ruleset = syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);
	if (ruleset < 0)
		return -errno;
	if (net)
		let(ruleset, "/etc/resolv.conf", LANDLOCK_ACCESS_FS_READ_FILE);
	ret = syscall(SYS_landlock_restrict_self, ruleset, 0) ? -errno : 0;
	close(ruleset);
	return ret;
}

int leave_files_but(const char *file, bool write)
{
	/* Of /etc only this: it has files that not everybody may read. */
	static const char *const programs[] = {
		"/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache",
	};
	const uint64_t read = LANDLOCK_ACCESS_FS_READ_FILE;
	int version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct rules rules = all(version, false);
	uint64_t device = rules.files & IOCTL_DEV;
	int ruleset, ret;

	if (version < 0)
		return -errno;
	ruleset = syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);
	if (ruleset < 0)
		return -errno;
	for (unsigned int i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		let(ruleset, programs[i], read | LANDLOCK_ACCESS_FS_EXECUTE);
	let(ruleset, "/dev/null", read | LANDLOCK_ACCESS_FS_WRITE_FILE | device);
	let(ruleset, file, read | device |
	    (write ? LANDLOCK_ACCESS_FS_WRITE_FILE | (rules.files & TRUNCATE) : 0));
	ret = syscall(SYS_landlock_restrict_self, ruleset, 0) ? -errno : 0;
	close(ruleset);
	return ret;
}
