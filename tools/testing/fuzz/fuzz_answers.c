// SPDX-License-Identifier: GPL-2.0-only
/*
 * Answers of a VM's process to its clients. An input is a byte that names a subcommand,
 * and what the process writes to each of its connections, one after the other: a byte 0x1c is the
 * end of one.  The VM is hostile, and whatever it says, "gondola list" tells of the others.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "cmd/cmd.h"
#include "control/registry.h"
#include "policy/host.h"
#include "world.h"

#define NEXT		0x1c
#define MOST		(64u << 10)	/* of one connection: it must fit into a socket's buffer */
#define CONNECTIONS	8
#define MIGRATION_FD	1000
#define FIRST_OF_METRICS	14

int __wrap_line_socket_connect(const char *path, int timeout_ms);
int __wrap_usleep(unsigned int us);
void (*__wrap_signal(int number, void (*handler)(int)))(int);

static struct input input;
static int peers[CONNECTIONS];
static unsigned int nr_peers;
static char home[64], chart[80], metrics[80];
static int lock;

/* The VM's process has answered before it was asked; questions go nowhere. */
int __wrap_line_socket_connect(const char *path, int timeout_ms)
{
	size_t left = input.end - input.at;
	const uint8_t *end = left ? memchr(input.at, NEXT, left) : NULL;
	size_t bytes = end ? (size_t)(end - input.at) : left;
	int ends[2];

	(void)path;
	(void)timeout_ms;
	if (nr_peers == CONNECTIONS)
		return -ECONNREFUSED;
	if (bytes > MOST || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return -EMFILE;
	if (bytes && send(ends[1], input.at, bytes, MSG_NOSIGNAL) != (ssize_t)bytes)
		abort();
	shutdown(ends[1], SHUT_WR);
	input.at += bytes + !!end;
	peers[nr_peers++] = ends[1];
	return ends[0];
}

int __wrap_usleep(unsigned int us)
{
	(void)us;
	return 0;
}

/* They are the fuzzer's. */
void (*__wrap_signal(int number, void (*handler)(int)))(int)
{
	(void)number;
	(void)handler;
	return NULL;
}

/* ---- those who ask --------------------------------------------------------------------- */

static void look_at_host(void)
{
	struct decide_move moves[2 * DECIDE_MAX_GUESTS];
	static struct host host;

	if (!host_look(&host, NULL, 64 << 20, NULL))
		abort();
	decide_balance(&host.host, host.guests, host.count, moves);
	host_forget(&host);
}

static void run(void *argument)
{
	static char *const lines[][6] = {
		{ "list" }, { "list", "--json" },
		{ "status", "vm" }, { "status", "vm", "--json" },
		{ "events", "vm" }, { "events", "vm", "--json" },
		{ "balloon", "vm" }, { "balloon", "vm", "--stats" },
		{ "balloon", "vm", "64M", "--wait" }, { "balloon", "vm", "--stats", "--json" },
		{ "migrate", "vm", "fd:1000", "--report", chart },
		{ "migrate", "vm", "fd:1000", "--json" }, { "pause", "vm", "--json" },
		{ NULL }, { "metrics" }, { "metrics", "--output", metrics },
	};
	static const struct command *const commands[] = {
		&command_list, &command_status, &command_events, &command_balloon, &command_migrate,
		&command_pause, &command_metrics,
	};
	char *const *line = lines[*(uint8_t *)argument % (sizeof(lines) / sizeof(lines[0]))];
	char *argv[6];
	int argc = 0;

	if (!line[0]) {
		look_at_host();
		return;
	}
	for (; argc < 6 && line[argc]; argc++)
		argv[argc] = line[argc];
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(commands[i]->name, line[0]))
			commands[i]->run(argc, argv);
}

/* ---- where they look -------------------------------------------------------------------- */

static void put_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	if (!file || fputs(text, file) < 0 || fclose(file)) {
		perror(path);
		abort();
	}
}

static void prepare(void)
{
	snprintf(home, sizeof(home), "/tmp/gondola-fuzz-%d", (int)getpid());
	snprintf(chart, sizeof(chart), "%s/chart.svg", home);
	snprintf(metrics, sizeof(metrics), "%s/gondola.prom", home);
	setenv("GONDOLA_HOME", home, 1);
	if (!registry_init(NULL))
		abort();
	put_file(registry_path(REGISTRY_CONFIG, "vm"),
		 "{\"format\":1,\"name\":\"vm\",\"directory\":\"/\",\"arguments\":[\"--mem\",\"64M\"],\"memory\":67108864,\"vcpus\":1}");
	/* Another process holds it, as far as those who ask can see. */
	lock = registry_lock("vm", NULL);
	put_file(registry_path(REGISTRY_CONTROL, "vm"), "");
	if (lock < 0 || !freopen("/dev/null", "w", stdout))
		abort();
	world_ready();
}

__attribute__((destructor))
static void remove_home(void)
{
	char path[96];

	if (!home[0])
		return;
	unlink(chart);
	unlink(metrics);
	unlink(registry_path(REGISTRY_CONFIG, "vm"));
	unlink(registry_path(REGISTRY_LOCK, "vm"));
	unlink(registry_path(REGISTRY_CONTROL, "vm"));
	for (unsigned int i = 0; i < 4; i++) {
		static const char *const parts[] = { "/vms", "/saved", "/run", "" };

		snprintf(path, sizeof(path), "%s%s", home, parts[i]);
		rmdir(path);
	}
}

/* The connection of a migration, which its client hands over. */
static void connect_target(void)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		abort();
	dup2(ends[0], MIGRATION_FD);
	close(ends[0]);
	close(ends[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	uint8_t what;

	if (!home[0])
		prepare();
	input = (struct input){ data, data + bytes };
	what = input_take(&input, 1);
	connect_target();
	world_try(run, &what);
	close(MIGRATION_FD);
	while (nr_peers)
		close(peers[--nr_peers]);
	return 0;
}

void world_make_seeds(void)
{
	static const char greeting[] = "{\"gondola\":{\"protocol\":1,\"name\":\"vm\",\"pid\":1}}\n";
	static const char status[] =
		"{\"name\":\"vm\",\"state\":\"running\",\"reasons\":[],\"pid\":7,\"engine\":\"svm\",\"memory\":67108864,\"vcpus\":1,\"uptime_ns\":5,\"balloon\":{\"goal\":1,\"reason\":\"running\",\"target\":4096,\"rate\":0,\"deadline_ms\":0,\"floor\":0,\"held\":4096,\"memory\":67108864,\"keep\":1,\"backoffs\":0,\"discarded\":0,\"reported\":0,\"why\":\"\",\"driver\":\"gondola\"},\"console\":\"pty\",\"ok\":true}\n";
	static const char ok[] = "{\"ok\":true}\n";
	static const char done[] = "{\"goal\":1,\"reason\":\"reached\",\"ok\":true}\n";
	static const char balloon[] =
		"{\"goal\":1,\"reason\":\"running\",\"target\":8192,\"held\":4096,\"memory\":67108864,\"keep\":1,\"backoffs\":0,\"discarded\":0,\"reported\":0,\"driver\":\"gondola\",\"stats\":{\"free-memory\":4096,\"available-memory\":8192,\"total-memory\":67108864},\"age_ms\":3,\"ok\":true}\n";
	static const char event[] =
		"{\"event\":\"migrate-progress\",\"phase\":\"precopy\",\"round\":1,\"sent_bytes\":9,\"left_bytes\":8,\"dirty_rate\":7,\"link_rate\":6,\"expected_downtime_ns\":5,\"throttle_percent\":4,\"time_ns\":3}\n";
#define REPORT "\"report\":{\"name\":\"vm\",\"outcome\":\"failed\",\"phase\":\"precopy\",\"words\":\"no\",\"memory\":1,\"bytes\":2,\"total_ns\":3,\"rounds\":[{\"round\":1,\"pages\":2,\"full\":3,\"zero\":4,\"delta\":5,\"same\":6,\"left_out\":7,\"bytes\":8,\"ns\":9,\"dirtied\":10,\"dirty_rate\":11,\"throttle_percent\":12}],\"downtime\":{\"predicted_ns\":1,\"actual_ns\":2,\"pause_ns\":3,\"copy_ns\":4,\"state_ns\":5,\"load_ns\":6,\"commit_ns\":7}}"
	static const char report[] =
		"{\"error\":{\"code\":\"not-migrated\",\"message\":\"no\"," REPORT "}}\n";
	static const char moved[] = "{" REPORT ",\"ok\":true}\n";
	/* On the first connection, after the status. */
	static const char counts[] =
		"{\"exits\":{\"io\":3,\"mmio\":18446744073709551615,\"63\":1},\"counters\":{\"fills\":5,\"31\":2},\"threads\":[1,-1,\"x\"],\"devices\":[{\"kind\":\"disk\",\"label\":\"disk a\\nb.img\",\"in\":1,\"in_bytes\":512,\"out\":2,\"out_bytes\":1024,\"flushes\":3,\"discards\":4,\"errors\":5},{\"kind\":\"net\",\"label\":\"net\",\"in\":1,\"in_bytes\":60,\"out\":2,\"out_bytes\":120,\"dropped\":-1}],\"ok\":true}\n";
	/* Of each subcommand: what comes after the greeting of its second connection. */
	static const char *const seconds[][4] = {
		{ "" }, { "" }, { "" }, { "" }, { ok, event, event }, { ok, event, event },
		{ balloon }, { balloon, balloon }, { balloon, balloon, balloon, done },
		{ balloon, balloon }, { ok, event, report }, { ok, event, moved }, { ok },
		{ balloon, balloon }, { "" }, { "" },
	};
	char text[8192], name[16];

	for (unsigned int i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		int used = snprintf(text, sizeof(text), "%s%s%s", greeting, status,
				    i < FIRST_OF_METRICS ? "" : counts);

		used += snprintf(text + used, sizeof(text) - used, "%c%s", NEXT, greeting);
		for (unsigned int j = 0; j < 4 && seconds[i][j]; j++)
			used += snprintf(text + used, sizeof(text) - used, "%s", seconds[i][j]);
		snprintf(name, sizeof(name), "%u", i);
		world_seed(name, i, text, used);
	}
}
