// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"
#include "cgroup_find.h"
#include "scope.h"

#define SCOPE		".scope"
#define PERIOD_US	100000u		/* of a cap */
#define CPUS_MAX	8192u
#define SETTINGS	3u		/* but for the processors */
#define CPUS_TEXT	4096		/* of a list of them */
#define STEP_MS		10		/* between looks at a group */
#define PATIENCE_MS	2000		/* for the group of a VM that has ended */
#define END_MS		30000		/* for a launcher that frees its memory */
/* Where systemd runs, it owns the control groups. */
#define ADVICE	"(with systemd: systemd-run --scope -p Delegate=yes gondola ...)"
/* Delegation cannot give what version 2 does not have. */
#define ADVICE_HYBRID	"(version 1 has it: boot with systemd.unified_cgroup_hierarchy=1)"

/* The group of this process's VM, and its parent; the process that was moved along, or 0. */
static char above[PATH_MAX / 2], own[PATH_MAX];
static pid_t came_along;

bool cgroup_wanted(const struct cgroup_limits *limits)
{
	return limits->weight || limits->cap || limits->memory || limits->cpus;
}

/* ---- files ---------------------------------------------------------------------------------- */

static int put(const char *directory, const char *file, const char *text)
{
	char path[PATH_MAX];
	int fd, ret = 0;

	if (snprintf(path, sizeof(path), "%s/%s", directory, file) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/* The first @room - 1 bytes of a file, without its last newline; "": it cannot be read. */
static void get(const char *directory, const char *file, char *text, size_t room)
{
	char path[PATH_MAX];
	ssize_t count;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	count = fd < 0 ? 0 : read(fd, text, room - 1);
	if (fd >= 0)
		close(fd);
	text[count < 0 ? 0 : count] = 0;
	while (count > 0 && text[count - 1] == '\n')
		text[--count] = 0;
}

/* The directory of @pid's control group. */
static bool find_group(pid_t pid, char *directory, size_t room, struct error *error)
{
	char path[64];
	FILE *groups, *mounts;
	bool found;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	groups = fopen(path, "re");
	mounts = fopen("/proc/self/mountinfo", "re");
	found = cgroup_find(groups, mounts, directory, room, error);
	if (groups)
		fclose(groups);
	if (mounts)
		fclose(mounts);
	return found;
}

/* ---- values --------------------------------------------------------------------------------- */

/* Makes a set of a list such as 0-3,8; false: it is none. */
static bool parse_cpus(const char *text, cpu_set_t *set, size_t bytes)
{
	CPU_ZERO_S(bytes, set);
	while (*text) {
		char *end;
		unsigned long first, last;

		if (*text < '0' || *text > '9')
			return false;
		first = strtoul(text, &end, 10);
		last = first;
		if (*end == '-' && end[1] >= '0' && end[1] <= '9')
			last = strtoul(end + 1, &end, 10);
		if (last < first || last >= CPUS_MAX || (*end && *end != ','))
			return false;
		if (*end == ',' && !end[1])
			return false;
		for (; first <= last; first++)
			CPU_SET_S(first, bytes, set);
		text = *end ? end + 1 : end;
	}
	return true;
}

bool cgroup_check(const struct cgroup_limits *limits, uint64_t memory, struct error *error)
{
	unsigned int online = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t *set = CPU_ALLOC(CPUS_MAX);
	bool list = !limits->cpus || (set && parse_cpus(limits->cpus, set, CPU_ALLOC_SIZE(CPUS_MAX)));

	CPU_FREE(set);
	if (!list)
		return error_set(error, EXIT_CODE_USAGE,
				 "--cpus-pinned: \"%s\" is not a list of processors, like 0-3,8",
				 limits->cpus);
	if (limits->cap != CGROUP_NO_CAP && limits->cap > 100 * online)
		return error_set(error, EXIT_CODE_USAGE,
				 "--cpu-cap: %u percent are more than the host's %u processors have (%u)",
				 limits->cap, online, 100 * online);
	if (limits->memory && limits->memory < memory)
		return error_set(error, EXIT_CODE_USAGE,
				 "--memory-limit: the guest alone has %lluM: it would be killed",
				 (unsigned long long)(memory >> 20));
	return true;
}

static bool apply(const char *directory, const char *file, const char *value, struct error *error)
{
	int ret = put(directory, file, value);

	return !ret || error_set(error, EXIT_CODE_ERROR, "cannot write \"%s\" to %s/%s: %s", value,
				 directory, file, strerror(-ret));
}

/* The group may run on @cpus, and on no others. */
static bool runs_on(const char *directory, const char *cpus, char *text, size_t room)
{
	size_t bytes = CPU_ALLOC_SIZE(CPUS_MAX);
	cpu_set_t *wanted = CPU_ALLOC(CPUS_MAX), *got = CPU_ALLOC(CPUS_MAX);
	bool same;

	get(directory, "cpuset.cpus.effective", text, room);
	same = wanted && got && parse_cpus(cpus, wanted, bytes) && parse_cpus(text, got, bytes) &&
	       CPU_EQUAL_S(bytes, wanted, got);
	CPU_FREE(wanted);
	CPU_FREE(got);
	return same;
}

/* Some kernels accept processors that do not exist, and then use others; some refuse them. */
static bool apply_cpus(const char *directory, const char *cpus, struct error *error)
{
	char before[CPUS_TEXT], there[CPUS_TEXT];
	int ret;

	get(directory, "cpuset.cpus", before, sizeof(before));
	ret = put(directory, "cpuset.cpus", *cpus ? cpus : "\n");
	if (ret && ret != -ERANGE)
		return error_set(error, EXIT_CODE_ERROR, "cannot write \"%s\" to %s/cpuset.cpus: %s",
				 cpus, directory, strerror(-ret));
	if (!*cpus || runs_on(directory, cpus, there, sizeof(there)))
		return true;
	put(directory, "cpuset.cpus", before[0] ? before : "\n");
	return error_set(error, EXIT_CODE_USAGE, "--cpus-pinned: of the processors %s there are %s here",
			 cpus, there);
}

struct setting {
	const char *file;
	bool wanted;
	char value[48], before[64];
};

/* Memory is given by pages. */
static void make_settings(struct setting all[SETTINGS], const struct cgroup_limits *limits)
{
	all[0] = (struct setting){ .file = "cpu.weight", .wanted = limits->weight };
	all[1] = (struct setting){ .file = "cpu.max", .wanted = limits->cap, .value = "max" };
	all[2] = (struct setting){ .file = "memory.max", .wanted = limits->memory, .value = "max" };
	snprintf(all[0].value, sizeof(all[0].value), "%u", limits->weight);
	if (limits->cap != CGROUP_NO_CAP)
		snprintf(all[1].value, sizeof(all[1].value), "%llu %u",
			 (unsigned long long)limits->cap * (PERIOD_US / 100), PERIOD_US);
	if (limits->memory != CGROUP_NO_LIMIT)
		snprintf(all[2].value, sizeof(all[2].value), "%llu",
			 (unsigned long long)(limits->memory & -(uint64_t)sysconf(_SC_PAGESIZE)));
}

/* One after the other; if one is refused, those before it are as they were. */
static bool apply_all(const char *directory, const struct cgroup_limits *limits,
		      struct error *error)
{
	struct setting all[SETTINGS];
	char cpus[CPUS_TEXT];
	unsigned int done;

	make_settings(all, limits);
	get(directory, "cpuset.cpus", cpus, sizeof(cpus));
	if (limits->cpus && !apply_cpus(directory, limits->cpus, error))
		return false;
	for (done = 0; done < SETTINGS; done++) {
		get(directory, all[done].file, all[done].before, sizeof(all[done].before));
		if (all[done].wanted && !apply(directory, all[done].file, all[done].value, error))
			break;
	}
	if (done == SETTINGS)
		return true;
	while (done--)
		if (all[done].wanted)
			put(directory, all[done].file, all[done].before);
	if (limits->cpus)
		put(directory, "cpuset.cpus", cpus[0] ? cpus : "\n");
	return false;
}

/* ---- groups --------------------------------------------------------------------------------- */

static bool has_word(const char *text, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at++)
		if ((at == text || at[-1] == ' ') && (!at[length] || at[length] == ' '))
			return true;
	return false;
}

static bool is_denial(int ret)
{
	return ret == -EACCES || ret == -EPERM || ret == -EROFS;
}

static bool error_not_delegated(const char *directory, int ret, struct error *error)
{
	return error_set(error, EXIT_CODE_ERROR,
			 "the control group %s is not delegated to this user: %s " ADVICE, directory,
			 strerror(-ret));
}

/* Has a hierarchy of version 1 the controller? */
static bool is_of_version_1(const char *controller)
{
	FILE *all = fopen("/proc/cgroups", "re");
	char line[256], name[64];
	unsigned int hierarchy;
	bool found = false;

	while (all && !found && fgets(line, sizeof(line), all))
		found = sscanf(line, "%63s %u", name, &hierarchy) == 2 && hierarchy &&
			!strcmp(name, controller);
	if (all)
		fclose(all);
	return found;
}

/* Enables the controllers that @limits need for the groups below @directory. */
static bool hand_on(const char *directory, const struct cgroup_limits *limits, struct error *error)
{
	const struct {
		const char *name;
		bool wanted;
	} all[] = {
		{ "cpu", limits->weight || limits->cap },
		{ "memory", limits->memory },
		{ "cpuset", limits->cpus },
	};
	char there[512], handed[512], text[16];

	get(directory, "cgroup.controllers", there, sizeof(there));
	get(directory, "cgroup.subtree_control", handed, sizeof(handed));
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		int ret;

		if (!all[i].wanted || has_word(handed, all[i].name))
			continue;
		if (!has_word(there, all[i].name))
			return error_set(error, EXIT_CODE_ERROR,
					 "the control group %s has no controller \"%s\" %s",
					 directory, all[i].name,
					 is_of_version_1(all[i].name) ? ADVICE_HYBRID : ADVICE);
		snprintf(text, sizeof(text), "+%s", all[i].name);
		ret = put(directory, "cgroup.subtree_control", text);
		if (ret == -EBUSY)
			return error_set(error, EXIT_CODE_ERROR,
					 "the control group %s has processes of its own, so that none below it can have a share "
					 ADVICE, directory);
		if (ret && !is_denial(ret))
			return error_set(error, EXIT_CODE_ERROR,
					 "the control group %s does not hand on its controller \"%s\": %s",
					 directory, all[i].name, strerror(-ret));
		if (ret)
			return error_not_delegated(directory, ret, error);
	}
	return true;
}

/*
 * Makes the group and goes there.  One that was left behind, or that its last keeper is about to
 * remove, has another VM's limits: only a new one is good.  @remains: why it is there still.
 */
static int join(int *remains)
{
	int ret;

	for (int ms = 0; ms < PATIENCE_MS; ms += STEP_MS) {
		*remains = rmdir(own) ? errno : 0;
		ret = mkdir(own, 0755) ? -errno : put(own, "cgroup.procs", "0");
		if (ret != -EEXIST && ret != -ENOENT)
			break;
		usleep(STEP_MS * 1000);
	}
	return ret;
}

/*
 * Goes back.  But for the root, a group that hands on controllers takes no process, and one that has
 * a process hands on none: so @above handed on none before, and all of them are ours.
 */
static void leave(void)
{
	char text[32], parent[24];

	get(above, "cgroup.stat", text, sizeof(text));
	if (put(above, "cgroup.procs", "0") == -EBUSY && !strncmp(text, "nr_descendants 1\n", 17)) {
		put(above, "cgroup.subtree_control", "-cpu");
		put(above, "cgroup.subtree_control", "-memory");
		put(above, "cgroup.subtree_control", "-cpuset");
		put(above, "cgroup.procs", "0");
	}
	/* Its number belongs to no other process while this one is its child. */
	snprintf(parent, sizeof(parent), "%d", (int)came_along);
	if (came_along && getppid() == came_along)
		put(above, "cgroup.procs", parent);
}

/* ---- scopes of systemd ----------------------------------------------------------------------- */

/* The group has what was asked for.  Without error, what it has not yet may come. */
static bool has_all(const char *directory, const struct cgroup_limits *limits, struct error *error)
{
	struct setting all[SETTINGS];
	char text[CPUS_TEXT];

	make_settings(all, limits);
	for (unsigned int i = 0; i < SETTINGS; i++) {
		size_t length = strlen(all[i].value);

		if (!all[i].wanted)
			continue;
		get(directory, all[i].file, text, sizeof(text));
		if (strncmp(text, all[i].value, length) || (text[length] && text[length] != ' '))
			return error && error_set(error, EXIT_CODE_ERROR, "systemd gave %s/%s \"%s\", not \"%s\"",
						  directory, all[i].file, text, all[i].value);
	}
	if (!limits->cpus || !*limits->cpus || runs_on(directory, limits->cpus, text, sizeof(text)))
		return true;
	return error && error_set(error, EXIT_CODE_USAGE, "--cpus-pinned: of the processors %s there are %s here",
				  limits->cpus, text[0] ? text : "none");
}

static bool set_scope(const char *directory, const struct cgroup_limits *limits,
		      struct error *error)
{
	if (!scope_set(strrchr(directory, '/') + 1, limits, error))
		return false;
	for (int ms = 0; ms < PATIENCE_MS && !has_all(directory, limits, NULL); ms += STEP_MS)
		usleep(STEP_MS * 1000);
	return has_all(directory, limits, error);
}

/* systemd removes it.  A process that waits for this one stays where it is. */
static bool enter_scope(const char *name, const struct cgroup_limits *limits, struct error *error)
{
	char directory[PATH_MAX / 2], unit[128];

	if (snprintf(unit, sizeof(unit), "gondola-%s" SCOPE, name) >= (int)sizeof(unit))
		return error_set(error, EXIT_CODE_USAGE, "\"%s\" is too long for the name of a scope", name);
	if (!scope_make(unit, error))
		return false;
	for (int ms = 0; ms < PATIENCE_MS; ms += STEP_MS) {
		const char *last;

		if (!find_group(getpid(), directory, sizeof(directory), error))
			return false;
		last = strrchr(directory, '/');
		if (last && !strcmp(last + 1, unit))
			return set_scope(directory, limits, error);
		usleep(STEP_MS * 1000);
	}
	return error_set(error, EXIT_CODE_ERROR, "systemd did not move this process to %s", unit);
}

/* A refused limit leaves the rest as it was. */
static bool change_scope(const char *directory, const struct cgroup_limits *limits,
			 const struct cgroup_limits *before, struct error *error)
{
	const struct cgroup_limits back = {
		.weight = limits->weight ? before->weight : 0, .cap = limits->cap ? before->cap : 0,
		.memory = limits->memory ? before->memory : 0, .cpus = limits->cpus ? before->cpus : NULL,
	};
	struct error second;

	if (set_scope(directory, limits, error))
		return true;
	scope_set(strrchr(directory, '/') + 1, &back, &second);
	return false;
}

/* ---- of a VM --------------------------------------------------------------------------------- */

bool cgroup_enter(const char *name, const struct cgroup_limits *limits, pid_t also,
		  struct error *error)
{
	int ret, remains = 0;
	char text[24];

	own[0] = 0;
	came_along = also;
	if (strchr(name, '/'))
		return error_set(error, EXIT_CODE_USAGE, "\"%s\" cannot name a control group", name);
	if (!find_group(getpid(), above, sizeof(above), error))
		return false;
	if (scope_is_needed(above))
		return enter_scope(name, limits, error);
	snprintf(own, sizeof(own), "%s/gondola-%s", above, name);
	ret = join(&remains);
	snprintf(text, sizeof(text), "%d", (int)also);
	if (!ret && also)
		ret = put(own, "cgroup.procs", text);
	if (ret == -EEXIST)
		error_set(error, EXIT_CODE_STATE,
			  "the control group %s is there, and cannot be removed: %s", own,
			  strerror(remains));
	else if (is_denial(ret))
		error_not_delegated(above, ret, error);
	else if (ret)
		error_set(error, EXIT_CODE_ERROR, "cannot go to the control group %s: %s", own,
			  strerror(-ret));
	else if (hand_on(above, limits, error) && apply_all(own, limits, error))
		return true;
	if (ret != -EEXIST)
		leave();
	/* This fails where another process is in the group. */
	rmdir(own);
	own[0] = 0;
	return false;
}

/* Is this the group's last process?  A parent that waits for it does not count. */
static bool is_last(void)
{
	char text[64], self[24];

	get(own, "cgroup.procs", text, sizeof(text));
	snprintf(self, sizeof(self), "%d", (int)getpid());
	return !text[0] || !strcmp(text, self) || (came_along && getppid() == came_along);
}

void cgroup_remove(void)
{
	if (!own[0])
		return;
	for (int ms = 0; ms < END_MS && !is_last(); ms += STEP_MS)
		usleep(STEP_MS * 1000);
	leave();
	rmdir(own);
	own[0] = 0;
}

void cgroup_forget(const char *name)
{
	struct error error;
	char directory[PATH_MAX / 2], left[PATH_MAX];

	if (strchr(name, '/') || !find_group(getpid(), directory, sizeof(directory), &error))
		return;
	snprintf(left, sizeof(left), "%s/gondola-%s", directory, name);
	rmdir(left);
}

/* The group of VM @name alone, which may be a @scope of systemd's. */
static bool find_own(const char *name, pid_t pid, char *directory, size_t room, bool *scope,
		     struct error *error)
{
	char wanted[64];
	const char *slash, *rest;

	if (!find_group(pid, directory, room, error))
		return false;
	snprintf(wanted, sizeof(wanted), "gondola-%s", name);
	slash = strrchr(directory, '/');
	rest = slash && !strncmp(slash + 1, wanted, strlen(wanted)) ? slash + 1 + strlen(wanted) : "?";
	*scope = !strcmp(rest, SCOPE);
	return !*rest || *scope ||
	       error_set(error, EXIT_CODE_STATE,
			 "%s has no control group of its own: it was started without --cpu-weight, --cpu-cap, --cpus-pinned and --memory-limit",
			 name);
}

bool cgroup_set(const char *name, pid_t pid, const struct cgroup_limits *limits,
		struct error *error)
{
	char directory[PATH_MAX / 2], cpus[CPUS_TEXT], *slash;
	struct cgroup_limits before;
	bool scope;

	if (!find_own(name, pid, directory, sizeof(directory), &scope, error))
		return false;
	if (scope && cgroup_get(name, pid, &before, cpus, sizeof(cpus)))
		return change_scope(directory, limits, &before, error);
	slash = strrchr(directory, '/');
	*slash = 0;
	if (!hand_on(directory, limits, error))
		return false;
	*slash = '/';
	return apply_all(directory, limits, error);
}

bool cgroup_get(const char *name, pid_t pid, struct cgroup_limits *limits, char *cpus, size_t room)
{
	unsigned long long quota, period, memory;
	char directory[PATH_MAX / 2], text[64];
	struct error error;
	bool scope;

	*limits = (struct cgroup_limits){ 0 };
	if (!find_own(name, pid, directory, sizeof(directory), &scope, &error))
		return false;
	get(directory, "cpu.weight", text, sizeof(text));
	limits->weight = (unsigned int)strtoul(text, NULL, 10);
	get(directory, "cpu.max", text, sizeof(text));
	if (!strncmp(text, "max", 3))
		limits->cap = CGROUP_NO_CAP;
	else if (sscanf(text, "%llu %llu", &quota, &period) == 2 && period)
		limits->cap = (unsigned int)((quota * 100 + period / 2) / period);
	get(directory, "memory.max", text, sizeof(text));
	if (!strcmp(text, "max"))
		limits->memory = CGROUP_NO_LIMIT;
	else if (sscanf(text, "%llu", &memory) == 1)
		limits->memory = memory;
	get(directory, "cpuset.cpus.effective", text, sizeof(text));
	if (text[0]) {
		get(directory, "cpuset.cpus", cpus, room);
		limits->cpus = cpus;
	}
	return true;
}
