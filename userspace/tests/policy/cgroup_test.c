// SPDX-License-Identifier: GPL-2.0-only
/* Tests of a VM's share of its host, with plain files in place of a hierarchy. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/cgroup.h"
#include "policy/cgroup_find.h"
#include "cgroup_test.h"
#include "tap.h"

static char place[64];
static const char *group;	/* in /proc/PID/cgroup */
static const char *version_1;	/* /proc/cgroups */
static const char *refuses;	/* the file whose writes fail */
static int refusal;

FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__real_fopen(const char *path, const char *mode);

FILE *__wrap_fopen(const char *path, const char *mode)
{
	static char text[PATH_MAX];

	if (!place[0] || strncmp(path, "/proc/", 6))
		return __real_fopen(path, mode);
	if (!strcmp(path, "/proc/cgroups"))
		return fmemopen((char *)version_1, strlen(version_1), "r");
	if (strstr(path, "mountinfo"))
		snprintf(text, sizeof(text), "30 20 0:26 / %s rw,nosuid - cgroup2 none rw\n", place);
	else
		return fmemopen((char *)group, strlen(group), "r");
	return fmemopen(text, strlen(text), "r");
}

ssize_t __wrap_write(int fd, const void *data, size_t bytes);
ssize_t __real_write(int fd, const void *data, size_t bytes);

ssize_t __wrap_write(int fd, const void *data, size_t bytes)
{
	char path[64], target[PATH_MAX];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	length = readlink(path, target, sizeof(target) - 1);
	target[length < 0 ? 0 : length] = 0;
	if (refuses && strrchr(target, '/') && !strcmp(strrchr(target, '/') + 1, refuses)) {
		errno = refusal;
		return -1;
	}
	return __real_write(fd, data, bytes);
}

static void put_file(const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", place, name);
	file = fopen(path, "w");
	require(file);
	fputs(text, file);
	fclose(file);
}

static const char *read_file(const char *name)
{
	static char there[256];
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", place, name);
	file = fopen(path, "r");
	require(file);
	there[fread(there, 1, sizeof(there) - 1, file)] = 0;
	fclose(file);
	return there;
}

static bool has(const char *name, const char *text)
{
	const char *there = read_file(name);

	if (strcmp(there, text))
		printf("# %s is \"%s\"\n", name, there);
	return !strcmp(there, text);
}

static const char *const files[] = {
	"cgroup.controllers", "cgroup.subtree_control", "gondola-vm/cpu.weight", "gondola-vm/cpu.max",
	"gondola-vm/memory.max", "gondola-vm/cpuset.cpus", "gondola-vm/cpuset.cpus.effective",
};

/* A group of the name "vm", which may have all. */
static void build(void)
{
	char path[PATH_MAX];

	snprintf(place, sizeof(place), "/tmp/gondola-cgroup-XXXXXX");
	require(mkdtemp(place));
	snprintf(path, sizeof(path), "%s/gondola-vm", place);
	require(!mkdir(path, 0700));
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		put_file(files[i], "");
	put_file("cgroup.controllers", "cpuset cpu io memory\n");
	put_file("gondola-vm/cpuset.cpus.effective", "0-1\n");
	group = "1:cpu:/old\n0::/gondola-vm\n";
	version_1 = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t2\t1\t1\ncpu\t0\t1\t1\n";
	refuses = NULL;
}

static void clear(void)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", place, files[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/gondola-vm", place);
	rmdir(path);
	expect(!rmdir(place));
	place[0] = 0;
}

void cgroup_lists(void)
{
	static const char *const good[] = { "0", "0-3", "0-3,8", "8,0-3", "7,7", "0-0", "8191", "" };
	static const char *const bad[] = {
		"-", ",", "0-", "-1", "0,", ",0", "0,,1", "3-1", "0-1-2", "0 1", " 0", "0x1", "a", "8192",
		"0-8192", "18446744073709551616", "18446744073709551616-1", "0-18446744073709551617",
		"0\n", "0-3:1/2", "../0",
	};
	struct cgroup_limits limits = { 0 };
	struct error error;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		limits.cpus = good[i];
		if (!expect(cgroup_check(&limits, 0, &error)))
			printf("# \"%s\"\n", good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		limits.cpus = bad[i];
		if (!expect(!cgroup_check(&limits, 0, &error)))
			printf("# \"%s\"\n", bad[i]);
		else
			expect_equal(error.status, EXIT_CODE_USAGE);
	}
}

void cgroup_limits_of_host(void)
{
	unsigned int all = 100 * (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
	struct cgroup_limits limits = { .cap = all, .memory = 4096 };
	struct error error;

	expect(cgroup_check(&limits, 4096, &error));
	expect(!cgroup_check(&limits, 4097, &error));
	expect_equal(error.status, EXIT_CODE_USAGE);
	limits.cap = all + 1;
	expect(!cgroup_check(&limits, 4096, &error));
	limits = (struct cgroup_limits){ .cap = CGROUP_NO_CAP, .memory = CGROUP_NO_LIMIT };
	expect(cgroup_check(&limits, UINT64_MAX, &error));
	expect(cgroup_wanted(&limits));
	limits = (struct cgroup_limits){ .cpus = "" };
	expect(cgroup_wanted(&limits));
	limits.cpus = NULL;
	expect(!cgroup_wanted(&limits));
}

/* The directory that cgroup_find() finds, or NULL. */
static const char *find(const char *groups, const char *mounts, struct error *error)
{
	static char directory[256];
	FILE *first = groups ? fmemopen((char *)groups, strlen(groups), "r") : NULL;
	FILE *second = mounts ? fmemopen((char *)mounts, strlen(mounts), "r") : NULL;
	bool found = cgroup_find(first, second, directory, sizeof(directory), error);

	if (first)
		fclose(first);
	if (second)
		fclose(second);
	return found ? directory : NULL;
}

static void expect_found(const char *groups, const char *mounts, const char *directory)
{
	struct error error;
	const char *found = find(groups, mounts, &error);

	if (!expect(found && !strcmp(found, directory)))
		printf("# %s is not %s\n", found ? found : error.words, directory);
}

#define V2	"30 20 0:26 / /sys/fs/cgroup rw - cgroup2 none rw\n"
#define HYBRID	"29 20 0:25 / /sys/fs/cgroup/cpu rw - cgroup none rw,cpu\n" \
		"30 20 0:26 / /sys/fs/cgroup/unified rw - cgroup2 none rw\n"
#define PART	"30 20 0:26 /pod/one /sys/fs/cgroup ro shared:9 - cgroup2 none rw\n"

void cgroup_found(void)
{
	expect_found("0::/\n", V2, "/sys/fs/cgroup");
	expect_found("0::/user.slice/a.scope\n", V2, "/sys/fs/cgroup/user.slice/a.scope");
	expect_found("4:cpu:/x\n1:name=systemd:/y\n0::/z\n", HYBRID, "/sys/fs/cgroup/unified/z");
	/* A container that sees its own part of the hierarchy, by the host's names. */
	expect_found("0::/pod/one\n", PART, "/sys/fs/cgroup");
	expect_found("0::/pod/one/vm\n", PART, "/sys/fs/cgroup/vm");
	expect_found("0::/pod/two\n", PART V2, "/sys/fs/cgroup/pod/two");
	expect_found("0::/vm\n", "30 20 0:26 / / rw - cgroup2 none rw\n", "/vm");
	expect_found("0::/vm\n", "30 20 0:26 / /my\\040groups\\134 rw - cgroup2 none rw\n",
		     "/my groups\\/vm");
}

void cgroup_not_found(void)
{
	char long_group[1200];
	struct error error;

	expect(!find("0::/\n", NULL, &error) && strstr(error.words, "no control groups of version 2"));
	expect_equal(error.status, EXIT_CODE_ERROR);
	/* Version 1 alone. */
	expect(!find("4:cpu:/x\n", "29 20 0:25 / /sys/fs/cgroup/cpu rw - cgroup none rw,cpu\n", &error));
	expect(strstr(error.words, "no control groups of version 2"));
	expect(!find(NULL, V2, &error) && strstr(error.words, "not seen from here"));
	expect(!find("4:cpu:/x\n", V2, &error) && strstr(error.words, "not seen from here"));
	/* Outside of this namespace, and beside the part that is mounted. */
	expect(!find("0::/../vm\n", V2, &error) && strstr(error.words, "not seen from here"));
	expect(!find("0::/pod/two\n", PART, &error));
	expect(!find("0::/pod/one-more\n", PART, &error));
	/* Longer than a path may be. */
	memset(long_group, 'x', sizeof(long_group));
	memcpy(long_group, "0::/", 4);
	strcpy(long_group + sizeof(long_group) - 2, "\n");
	expect(!find(long_group, V2, &error));
	memmove(long_group + 4, long_group + 904, sizeof(long_group) - 904);
	expect(!find(long_group, V2, &error));
}

void cgroup_changes(void)
{
	struct cgroup_limits limits = { .weight = 7, .cap = 25, .memory = 1 << 20, .cpus = "0-1" };
	struct error error;

	build();
	expect(cgroup_set("vm", 1, &limits, &error));
	expect(has("gondola-vm/cpu.weight", "7"));
	expect(has("gondola-vm/cpu.max", "25000 100000"));
	expect(has("gondola-vm/memory.max", "1048576"));
	expect(has("gondola-vm/cpuset.cpus", "0-1"));
	/* A plain file has all that was written to it; the group has it by the last of them. */
	expect(has("cgroup.subtree_control", "+cpuset"));
	clear();

	build();
	put_file("cgroup.subtree_control", "cpu memory\n");
	limits = (struct cgroup_limits){ .cap = CGROUP_NO_CAP, .memory = CGROUP_NO_LIMIT };
	expect(cgroup_set("vm", 1, &limits, &error));
	expect(has("gondola-vm/cpu.max", "max") && has("gondola-vm/memory.max", "max"));
	expect(has("gondola-vm/cpu.weight", ""));
	expect(has("cgroup.subtree_control", "cpu memory\n"));
	clear();
}

/* Whichever of the values is refused, all are as they were. */
void cgroup_undone(void)
{
	static const char *const refusals[] = { "cpu.weight", "cpu.max", "memory.max" };
	const struct cgroup_limits limits = { .weight = 7, .cap = 25, .memory = 1 << 20, .cpus = "0-1" };
	struct error error;

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		build();
		put_file("gondola-vm/cpuset.cpus", "1\n");
		put_file("gondola-vm/cpu.weight", "9");
		put_file("gondola-vm/cpu.max", "max 100000");
		put_file("gondola-vm/memory.max", "max");
		refuses = refusals[i];
		refusal = EINVAL;
		expect(!cgroup_set("vm", 1, &limits, &error));
		expect(strstr(error.words, refusals[i]));
		expect(!strncmp(read_file("gondola-vm/cpuset.cpus"), "1", 1));
		expect(!strncmp(read_file("gondola-vm/cpu.weight"), "9", 1));
		expect(!strncmp(read_file("gondola-vm/cpu.max"), "max 100000", 10));
		expect(!strncmp(read_file("gondola-vm/memory.max"), "max", 3));
		clear();
	}
}

void cgroup_shown(void)
{
	struct cgroup_limits limits;
	char cpus[8];

	build();
	expect(cgroup_get("vm", 1, &limits, cpus, sizeof(cpus)));
	expect_equal(limits.weight, 0);
	expect_equal(limits.cap, 0);
	expect_equal(limits.memory, 0);
	expect(limits.cpus && !limits.cpus[0]);
	put_file("gondola-vm/cpu.weight", "400\n");
	put_file("gondola-vm/cpu.max", "25000 100000\n");
	put_file("gondola-vm/memory.max", "67108864\n");
	put_file("gondola-vm/cpuset.cpus", "0-3,8\n");
	expect(cgroup_get("vm", 1, &limits, cpus, sizeof(cpus)));
	expect_equal(limits.weight, 400);
	expect_equal(limits.cap, 25);
	expect_equal(limits.memory, 64 << 20);
	expect(limits.cpus && !strcmp(limits.cpus, "0-3,8"));
	put_file("gondola-vm/cpu.max", "max 100000\n");
	put_file("gondola-vm/memory.max", "max\n");
	put_file("gondola-vm/cpuset.cpus.effective", "");
	expect(cgroup_get("vm", 1, &limits, cpus, sizeof(cpus)));
	expect_equal(limits.cap, CGROUP_NO_CAP);
	expect(limits.memory == CGROUP_NO_LIMIT);
	expect(!limits.cpus);
	/* A period of 0 in the file is no divisor. */
	put_file("gondola-vm/cpu.max", "1 0\n");
	expect(cgroup_get("vm", 1, &limits, cpus, sizeof(cpus)) && !limits.cap);
	expect(!cgroup_get("v", 1, &limits, cpus, sizeof(cpus)));
	clear();
}

static void expect_refusal(const char *file, int number, const char *words, int status)
{
	const struct cgroup_limits limits = { .weight = 7 };
	struct error error = { .words = "" };

	refuses = file;
	refusal = number;
	if (!expect(!cgroup_set("vm", 1, &limits, &error)) || !expect(strstr(error.words, words)))
		printf("# %s\n", error.words);
	expect_equal(error.status, status);
	refuses = NULL;
}

void cgroup_refusals(void)
{
	build();
	expect_refusal("cgroup.subtree_control", EBUSY, "has processes of its own", EXIT_CODE_ERROR);
	expect_refusal("cgroup.subtree_control", EACCES, "is not delegated to this user", EXIT_CODE_ERROR);
	expect_refusal("cgroup.subtree_control", EROFS, "is not delegated to this user", EXIT_CODE_ERROR);
	expect_refusal("cgroup.subtree_control", EINVAL, "does not hand on its controller \"cpu\": Invalid",
		       EXIT_CODE_ERROR);
	expect_refusal("cgroup.subtree_control", EOPNOTSUPP, "does not hand on", EXIT_CODE_ERROR);
	expect_refusal("cpu.weight", EACCES, "cannot write \"7\"", EXIT_CODE_ERROR);
	/* A word that begins with another's name is another. */
	put_file("cgroup.controllers", "cpuset memory\n");
	expect_refusal(NULL, 0, "has no controller \"cpu\" (with systemd: systemd-run", EXIT_CODE_ERROR);
	/* No delegation gives what a hierarchy of version 1 has. */
	version_1 = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t3\t1\t1\n";
	expect_refusal(NULL, 0, "has no controller \"cpu\" (version 1 has it", EXIT_CODE_ERROR);
	group = "0::/\n";
	expect_refusal(NULL, 0, "has no control group of its own", EXIT_CODE_STATE);
	group = "0::/gondola-vm2\n";
	expect_refusal(NULL, 0, "has no control group of its own", EXIT_CODE_STATE);
	clear();
}

/* Kernels before 5.x accept processors that are not there; later ones answer ERANGE. */
void cgroup_odd_processors(void)
{
	const struct cgroup_limits limits = { .weight = 7, .cpus = "0-7" };
	struct error error;

	build();
	put_file("gondola-vm/cpuset.cpus", "0,1");
	expect(!cgroup_set("vm", 1, &limits, &error));
	expect(strstr(error.words, "of the processors 0-7 there are 0-1 here"));
	expect_equal(error.status, EXIT_CODE_USAGE);
	/* Nothing has changed. */
	expect(has("gondola-vm/cpuset.cpus", "0,1"));
	expect(has("gondola-vm/cpu.weight", ""));
	refuses = "cpuset.cpus";
	refusal = ERANGE;
	expect(!cgroup_set("vm", 1, &limits, &error));
	expect(strstr(error.words, "of the processors 0-7 there are 0-1 here"));
	refusal = EINVAL;
	expect(!cgroup_set("vm", 1, &limits, &error));
	expect(strstr(error.words, "cannot write \"0-7\""));
	clear();
}

/* Another VM's limits are not taken over, whatever keeps its group. */
void cgroup_in_the_way(void)
{
	const struct cgroup_limits limits = { .weight = 7 };
	struct error error;

	build();
	group = "0::/\n";
	expect(!cgroup_enter("vm", &limits, 0, &error));
	expect(strstr(error.words, "gondola-vm is there, and cannot be removed: Directory not empty"));
	expect_equal(error.status, EXIT_CODE_STATE);
	expect(has("gondola-vm/cpu.weight", ""));
	clear();
}

/* A name that came from elsewhere leads nowhere else. */
void cgroup_names(void)
{
	const struct cgroup_limits limits = { .weight = 7 };
	struct error error;
	char path[PATH_MAX];

	build();
	snprintf(path, sizeof(path), "%s/gondola-x", place);
	require(!mkdir(path, 0700));
	group = "0::/\n";
	expect(!cgroup_enter("x/../../y", &limits, 0, &error));
	expect(strstr(error.words, "cannot name a control group"));
	cgroup_forget("y/../gondola-x");
	expect(!access(path, F_OK));
	cgroup_forget("x");
	expect(access(path, F_OK));
	clear();
}

/* What systemd's program is asked goes to "asked"; then @script is done in the scope's directory. */
static void build_scope(const char *script)
{
	char text[PATH_MAX];

	build();
	snprintf(text, sizeof(text), "%s/gondola-vm.scope", place);
	require(!mkdir(text, 0700));
	put_file("gondola-vm.scope/cpu.weight", "100\n");
	put_file("gondola-vm.scope/cpu.max", "max 100000\n");
	snprintf(text, sizeof(text), "#!/bin/sh\ncd %s/gondola-vm.scope || exit\necho \"$@\" >> ../asked\n%s\n", place, script);
	put_file("systemctl", text);
	snprintf(text, sizeof(text), "%s/systemctl", place);
	require(!chmod(text, 0700));
	group = "0::/gondola-vm.scope\n";
}

static void clear_scope(void)
{
	static const char *const more[] = { "gondola-vm.scope/cpu.weight", "gondola-vm.scope/cpu.max", "systemctl", "asked" };
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", place, more[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/gondola-vm.scope", place);
	rmdir(path);
	clear();
}

#define WHOSE	(geteuid() ? "--user" : "--system")

void cgroup_scopes(void)
{
	const struct cgroup_limits limits = { .weight = 400, .cap = 25 };
	char *path = strdup(getenv("PATH")), asked[256], longer[PATH_MAX];
	struct error error;

	/* What systemd is about to do is waited for. */
	build_scope("(sleep 0.2; echo 400 > cpu.weight; echo 25000 100000 > cpu.max) > /dev/null 2>&1 &");
	snprintf(longer, sizeof(longer), "%s:%s", place, path);
	setenv("PATH", longer, 1);
	expect(cgroup_set("vm", 1, &limits, &error));
	snprintf(asked, sizeof(asked), "%s --quiet --runtime set-property -- gondola-vm.scope CPUWeight=400 CPUQuota=25%%\n",
		 WHOSE);
	expect(has("asked", asked));
	expect(!cgroup_set("v", 1, &limits, &error));
	clear_scope();

	/* It gives less than was asked: the rest is given back. */
	build_scope("echo 400 > cpu.weight");
	snprintf(longer, sizeof(longer), "%s:%s", place, path);
	setenv("PATH", longer, 1);
	expect(!cgroup_set("vm", 1, &limits, &error));
	expect(strstr(error.words, "cpu.max \"max 100000\", not \"25000 100000\""));
	expect(strstr(read_file("asked"), "CPUWeight=100 CPUQuota=\n"));
	clear_scope();

	/* One line of what it says, however long that is. */
	build_scope("head -c 100000 /dev/zero | tr '\\0' x >&2; echo; exit 1");
	snprintf(longer, sizeof(longer), "%s:%s", place, path);
	setenv("PATH", longer, 1);
	expect(!cgroup_set("vm", 1, &limits, &error));
	expect(!strncmp(error.words, "systemd does not give this share: xxx", 37) && !strchr(error.words, '\n'));
	setenv("PATH", "/nowhere", 1);
	expect(!cgroup_set("vm", 1, &limits, &error) && strstr(error.words, "systemctl cannot be run"));
	clear_scope();
	setenv("PATH", path, 1);
	free(path);
}
