// SPDX-License-Identifier: GPL-2.0-only
/* Migration's parts that need no VM: estimates, deltas, addresses, links, reports. */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <json-c/json.h>

#include "base/caller.h"
#include "base/wait.h"
#include "migrate/copies.h"
#include "migrate/delta.h"
#include "migrate/estimate.h"
#include "migrate/link.h"
#include "migrate/phase.h"
#include "migrate/report.h"
#include "migrate/transport.h"
#include "tap.h"
#include "tests/dumped.h"
#include "throttle_test.h"

#define PAGE	4096u
#define MS	1000000ull

/* ---- estimates --------------------------------------------------------------------------- */

static const struct estimate_limits limits = { .downtime_ns = 100 * MS, .rounds = 10 };

/* Of whole pages, beside which the guest has processors of its own. */
static void round_of(struct estimate *e, uint64_t pages, uint64_t ns, uint64_t dirtied)
{
	estimate_round(e, &(struct estimate_round){ .pages = pages, .whole = pages, .ns = ns,
						    .dirtied = dirtied });
}

static void converges(void)
{
	struct estimate e = { .stop.pause_ns = 10 * MS };
	uint64_t dirty = 32768;

	/* 0.1 ms a page; each round leaves a quarter of what it sent. */
	for (unsigned int round = 1; round < 10; round++) {
		uint64_t sent = dirty;

		dirty /= 4;
		round_of(&e, sent, sent * MS / 10, dirty);
		if (estimate_judge(&e, &limits, round, dirty) == ESTIMATE_STOP) {
			/* 512 would have fitted, too, but it still shrank. */
			expect(dirty <= 16);
			expect_equal(estimate_downtime(&e, dirty) / MS, 10 + dirty / 10);
			return;
		}
		expect_equal(estimate_judge(&e, &limits, round, dirty), ESTIMATE_AGAIN);
	}
	expect(!"it stopped");
}

/* Each part counts, as often as the guest waits for it; pages that come later do not. */
static void foretells(void)
{
	struct estimate e = {
		.stop = {
			.pause_ns = 1 * MS, .state_ns = 2 * MS, .state_bytes = 8192, .disk_ns = 4 * MS,
			.trip_ns = 8 * MS, .load_ns = 16 * MS, .absent_ns = 32 * MS,
			.resume_ns = 64 * MS, .told_ns = 128 * MS,
		},
	};

	/* 1 ms a page. */
	round_of(&e, 1000, 1000 * MS, 100);
	expect_equal(estimate_downtime(&e, 0) / MS, 1 + 2 + 2 + 2 * 4 + 2 * 8 + 16 + 64 + 128);
	expect_equal(estimate_downtime(&e, 100) / MS, 237 + 100);
	/* 128 MiB: the list of its pages is one page long. */
	expect_equal(estimate_postcopy(&e, 32768) / MS, 237 + 1 + 32);
	/* To ask for dirty pages takes its time even if there are none, but post-copy does not ask. */
	e.stop.look_ns = 256 * MS;
	expect_equal(estimate_downtime(&e, 0) / MS, 237 + 256);
	expect_equal(estimate_postcopy(&e, 32768) / MS, 237 + 1 + 32);
	e.stop.look_ns = 0;
	/* A trip takes what the shortest takes. */
	estimate_trip(&e, 24 * MS);
	expect_equal(estimate_downtime(&e, 0) / MS, 237);
	estimate_trip(&e, 5 * MS);
	expect_equal(estimate_downtime(&e, 0) / MS, 237 - 2 * 3);
	/* A target that gets slower is believed; it is slow once, and with pages only. */
	estimate_trip_behind(&e, (5 + 40) * MS);
	expect_equal(estimate_downtime(&e, 0) / MS, 231);
	expect_equal(estimate_downtime(&e, 10) / MS, 231 + 10 + 10);
	expect_equal(estimate_downtime(&e, 100) / MS, 231 + 100 + 40);
	expect_equal(estimate_postcopy(&e, 32768) / MS, 231 + 1 + 32);
	estimate_trip_behind(&e, (5 + 20) * MS);
	expect_equal(estimate_downtime(&e, 100) / MS, 231 + 100 + 30);
	/* One that is not slow at all shows that a trip was shorter than it seemed. */
	estimate_trip_behind(&e, 4 * MS);
	expect_equal(estimate_downtime(&e, 0) / MS, 231 - 2);
	expect_equal(e.stop.rest_ns / MS, 15);
}

static void stalls(void)
{
	struct estimate e = { .rounds = 0 };

	round_of(&e, 32768, 32768 * MS / 10, 32768);
	/* Once is no pattern: the first round is longer than any other. */
	expect_equal(estimate_judge(&e, &limits, 1, 32768), ESTIMATE_AGAIN);
	round_of(&e, 32768, 32768 * MS / 10, 32000);
	expect_equal(estimate_judge(&e, &limits, 2, 32000), ESTIMATE_STALLED);
	/* As many rounds as it may have, but it shrinks. */
	round_of(&e, 32000, 32000 * MS / 10, 16000);
	expect_equal(estimate_judge(&e, &limits, 9, 16000), ESTIMATE_AGAIN);
	expect_equal(estimate_judge(&e, &limits, 10, 16000), ESTIMATE_TOO_MANY);
	/* A rest that fits is sent, also when the rounds are used up, or nothing shrinks. */
	round_of(&e, 1000, 100 * MS, 200);
	expect_equal(estimate_judge(&e, &limits, 9, 200), ESTIMATE_AGAIN);
	expect_equal(estimate_judge(&e, &limits, 10, 200), ESTIMATE_STOP);
	/* A rest that fits is sent, however fast the guest writes. */
	round_of(&e, 100, 10 * MS, 100);
	round_of(&e, 100, 10 * MS, 100);
	expect_equal(estimate_judge(&e, &limits, 3, 100), ESTIMATE_STOP);
}

/* A page that went whole may come again as a delta, and the other way round. */
static void other_kinds(void)
{
	struct estimate e = { .stop.pause_ns = 10 * MS };

	round_of(&e, 1000, 1000 * MS, 100);
	expect_equal(estimate_downtime(&e, 100) / MS, 10 + 100);
	/* A fifth of the time is work of this end, for all kinds of pages. */
	estimate_next(&e, 0.2 * MS, 0);
	expect_equal(estimate_downtime(&e, 100) / MS, 10 + 20);
	estimate_next(&e, 0.2 * MS, 1);
	expect_equal(estimate_downtime(&e, 100) / MS, 10 + 100);
	estimate_next(&e, 0.2 * MS, 0.25);
	expect_equal(estimate_downtime(&e, 100) / MS, 10 + 20 + 20);
	/* Half of the pages were zeros, and whole ones are dirty. */
	e = (struct estimate){ .stop.pause_ns = 10 * MS };
	estimate_round(&e, &(struct estimate_round){ 1000, 500, 1000 * MS, 0, 100 });
	estimate_next(&e, 0.2 * MS, 1);
	expect_equal(estimate_downtime(&e, 100) / MS, 10 + 20 + 160);
	/* All were zeros, which says nothing of whole ones, and they were fast. */
	e = (struct estimate){ .stop.pause_ns = 10 * MS };
	estimate_round(&e, &(struct estimate_round){ 1000, 0, 100 * MS, 0, 100 });
	estimate_next(&e, 0.2 * MS, 1);
	expect_equal(estimate_downtime(&e, 100) / MS, 10 + 20);
	/* A quarter of the time went to the guest, whose speed is that of the whole round. */
	e = (struct estimate){ .stop.pause_ns = 10 * MS };
	estimate_round(&e, &(struct estimate_round){ 1000, 1000, 1000 * MS, 250 * MS, 100 });
	expect_equal(estimate_downtime(&e, 100) / MS, 10 + 75);
	expect_equal((uint64_t)e.link_rate, 1000 * PAGE);
	expect_equal((uint64_t)e.dirty_rate, 100 * PAGE);
	/* The work for pages that come later is no part of the pause. */
	expect_equal(estimate_postcopy(&e, 0) / MS, 10);
}

/* A trial tells what it would save, and changes nothing. */
static void trying_changes_nothing(void)
{
	static uint8_t page[PAGE], delta[PAGE], tried[PAGE];
	struct page_cache *cache = page_cache_create(16, 16 * PAGE);
	size_t bytes;

	require(cache);
	memset(page, 7, sizeof(page));
	for (int i = 0; i < 2; i++)
		expect_equal(page_cache_try(cache, 3, page, tried, sizeof(tried)), PAGE);
	expect(!page_cache_same(cache, 3, page));
	expect_equal(page_cache_delta(cache, 3, page, true, delta, sizeof(delta)), 0);
	expect_equal(page_cache_try(cache, 3, page, tried, sizeof(tried)), 0);
	page[100] = 8;
	bytes = page_cache_try(cache, 3, page, tried, sizeof(tried));
	expect(bytes > 0 && bytes < 16);
	expect(!page_cache_same(cache, 3, page));
	expect_equal(page_cache_delta(cache, 3, page, true, delta, sizeof(delta)), bytes);
	expect(!memcmp(delta, tried, bytes));
	/* One that differs all over goes whole. */
	for (unsigned int i = 0; i < PAGE; i++)
		page[i] = i * 31 + 5;
	expect_equal(page_cache_try(cache, 3, page, tried, 64), PAGE);
	page_cache_destroy(cache);
}

static enum estimate_verdict play(const uint64_t *left, unsigned int rounds)
{
	struct estimate e = { .rounds = 0 };
	uint64_t sent = 4000;

	for (unsigned int round = 1;; round++, left++) {
		enum estimate_verdict verdict;

		/* Pages that are written before their turn comes are sent, too. */
		round_of(&e, sent, sent * MS, *left);
		verdict = estimate_judge(&e, &limits, round, *left);
		if (round == rounds)
			return verdict;
		expect_equal(verdict, ESTIMATE_AGAIN);
		sent = *left + *left / 2;
	}
}

static void patterns(void)
{
	static const uint64_t by_turns[] = { 600, 1000, 580, 990 };
	static const uint64_t the_same[] = { 700, 690, 700 };
	static const uint64_t a_burst[] = { 500, 150, 5000, 2500, 1200, 600, 280, 130 };

	/* Each second round looks like progress, but leaves what was left before. */
	expect_equal(play(by_turns, 4), ESTIMATE_STALLED);
	expect_equal(play(the_same, 3), ESTIMATE_STALLED);
	/* Pages that a guest writes once become fewer. */
	expect_equal(play(a_burst, 8), ESTIMATE_AGAIN);
}

/* ---- deltas ------------------------------------------------------------------------------- */

static void fill(uint8_t *page, unsigned int seed)
{
	for (unsigned int i = 0; i < PAGE; i++)
		page[i] = (seed = seed * 1103515245 + 12345) >> 16;
}

static void deltas(void)
{
	uint8_t before[PAGE], now[PAGE], delta[PAGE], again[PAGE];
	unsigned int random = 1;

	fill(before, 7);
	for (unsigned int changes = 1; changes < 400; changes += 7) {
		size_t bytes;

		memcpy(now, before, PAGE);
		for (unsigned int i = 0; i < changes; i++)
			now[(random = random * 1103515245 + 12345) >> 8 & (PAGE - 1)] ^= 0x55;
		now[0] ^= changes & 1;
		now[PAGE - 1] ^= changes >> 1 & 1;
		if (!memcmp(now, before, PAGE))
			continue;
		bytes = delta_make(before, now, delta, sizeof(delta));
		expect(bytes > 0);
		memcpy(again, before, PAGE);
		expect(delta_apply(again, delta, bytes));
		expect(!memcmp(again, now, PAGE));
		/* No byte less would have done, and it is never written beyond the room. */
		expect_equal(delta_make(before, now, delta, bytes - 1), 0);
	}
}

static void bad_deltas(void)
{
	static const struct {
		uint8_t bytes[8];
		size_t length;
	} cases[] = {
		{ { 0, 0, 1 }, 3 },			/* half a header */
		{ { 0, 0, 0, 0 }, 4 },			/* nothing */
		{ { 0, 0, 2, 0, 9 }, 5 },		/* cut */
		{ { 0, 0x10, 1, 0, 9 }, 5 },		/* behind the page */
		{ { 0xff, 0x0f, 2, 0, 9, 9 }, 6 },	/* across its end */
		{ { 0xff, 0xff, 1, 0, 9 }, 5 },
	};
	uint8_t page[PAGE], copy[PAGE];

	fill(page, 3);
	memcpy(copy, page, PAGE);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* On the heap, so that the sanitizer sees every byte read beyond it. */
		uint8_t *delta = malloc(cases[i].length);

		memcpy(delta, cases[i].bytes, cases[i].length);
		expect(!delta_apply(page, delta, cases[i].length));
		expect(!memcmp(page, copy, PAGE));
		free(delta);
	}
}

static void cache(void)
{
	struct page_cache *c = page_cache_create(100, 4 * PAGE);
	uint8_t page[PAGE], delta[PAGE];

	require(c);
	fill(page, 1);
	expect(!page_cache_same(c, 5, page));
	expect(page_cache_same(c, 5, page));
	expect_equal(page_cache_delta(c, 5, page, true, delta, PAGE), 0);
	page[9] ^= 1;
	expect(!page_cache_same(c, 5, page));
	expect_equal(page_cache_delta(c, 5, page, true, delta, PAGE), 5);
	/* Its place is taken by another page: then nothing is known of it. */
	expect_equal(page_cache_delta(c, 9, page, true, delta, PAGE), 0);
	expect_equal(page_cache_delta(c, 5, page, false, delta, PAGE), 0);
	page_cache_forget(c, 5);
	expect(!page_cache_same(c, 5, page));
	page_cache_destroy(c);
	/* Without copies there are hashes still. */
	c = page_cache_create(8, 0);
	require(c);
	expect(!page_cache_same(c, 1, page));
	expect(page_cache_same(c, 1, page));
	expect_equal(page_cache_delta(c, 1, page, true, delta, PAGE), 0);
	page_cache_forget(c, 1);
	page_cache_destroy(c);
}

/* ---- transports and links ------------------------------------------------------------------ */

static void addresses(void)
{
	static const char *const good[] = {
		"tcp:host:1", "tcp::65535", "tcp:[::1]:80", "unix:/a", "exec:cat", "fd:3",
	};
	static const char *const bad[] = {
		"", "host:80", "tcp:host", "tcp:host:", "tcp:host:0", "tcp:host:65536",
		"tcp:host:80x", "unix:", "exec:", "fd:", "fd:x", "fd:-1", "file:/a",
	};
	struct error error;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!transport_check(good[i], &error))
			expect_equal(good[i][0], 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		error.words[0] = 0;
		if (transport_check(bad[i], &error) || !error.words[0])
			expect_equal(bad[i][0], -1);
	}
}

static void *accept_it(void *argument)
{
	static struct transport transport;
	struct error error;

	return transport_accept(argument, &transport, "greeting", -1, 1000, &error) ?
	       &transport : NULL;
}

/* Each kind carries bytes both ways. */
static void carries(void)
{
	static const char *const pairs[] = { "unix:/tmp/migrate-test.sock", "tcp:127.0.0.1:47119" };
	char back[8];
	struct error error;
	struct transport_listener listener;
	struct transport one, *other;
	pthread_t thread;

	struct stat st;

	for (size_t i = 0; i < 2; i++) {
		/* A socket is its user's alone, whatever mode his files have. */
		mode_t mask = umask(0);
		bool listens = transport_listen(&listener, pairs[i], -1, &error);

		umask(mask);
		if (!listens)
			tap_skip("%s", error.words);
		if (listener.path[0]) {
			require_equal(stat(listener.path, &st), 0);
			expect_equal(st.st_mode & 0777, 0600);
		}
		require_equal(pthread_create(&thread, NULL, accept_it, &listener), 0);
		require(transport_connect(&one, pairs[i], -1, 1000, &error));
		expect_equal(write(one.fd, "greeting", 8), 8);
		pthread_join(thread, (void **)&other);
		transport_unlisten(&listener);
		require(other);
		expect_equal(read(other->fd, back, 8), 8);
		expect_equal(write(other->fd, "c", 1), 1);
		expect_equal(read(one.fd, back, 1), 1);
		/* The end that is cut wakes up. */
		transport_cut(&one);
		expect_equal(read(one.fd, back, 1), 0);
		transport_close(other);
		transport_close(&one);
	}
	expect(access("/tmp/migrate-test.sock", F_OK));
	/* A command's output is what comes, its input what goes. */
	require(transport_connect(&one, "exec:cat", -1, 1000, &error));
	expect_equal(write(one.fd, "xy", 2), 2);
	expect_equal(read(one.fd, back, 2), 2);
	transport_close(&one);
	/* There is no listener, or nothing that can talk back. */
	expect(!transport_connect(&one, "unix:/tmp/migrate-test.sock", -1, 1000, &error));
	expect(!transport_connect(&one, "fd:5", open("/dev/null", 2), 1000, &error));
}

/* Strangers are dropped, and none that is silent keeps the one that is wanted waiting. */
static void strangers(void)
{
	static const char *const said[] = { "", "g", "greetin", "GET / HTTP/1.0", "greeted" };
	static const char where[] = "unix:/tmp/migrate-test.sock";
	struct transport_listener listener;
	struct transport others[20], one, *came;
	unsigned int count = sizeof(others) / sizeof(others[0]);
	struct error error;
	pthread_t thread;

	require(transport_listen(&listener, where, -1, &error));
	require_equal(pthread_create(&thread, NULL, accept_it, &listener), 0);
	for (unsigned int i = 0; i < count; i++) {
		const char *words = said[i % 5];

		require(transport_connect(&others[i], where, -1, 1000, &error));
		expect_equal(write(others[i].fd, words, strlen(words)), strlen(words));
		if (i % 2)
			transport_close(&others[i]);
	}
	require(transport_connect(&one, where, -1, 1000, &error));
	expect_equal(write(one.fd, "greeting", 8), 8);
	pthread_join(thread, (void **)&came);
	require(came);
	expect_equal(write(came->fd, "x", 1), 1);
	expect_equal(read(one.fd, &error, 1), 1);
	/* Another may still come. */
	expect(!access("/tmp/migrate-test.sock", F_OK));
	transport_unlisten(&listener);
	transport_close(came);
	transport_close(&one);
	for (unsigned int i = 0; i < count; i += 2) {
		expect(read(others[i].fd, &error, 1) <= 0);
		transport_close(&others[i]);
	}
}

/* A process that can have no more than @more connections at a time waits for the one that is meant. */
static pid_t wait_with_few(struct transport_listener *listener, rlim_t more)
{
	struct rlimit limit = { listener->fd + 1 + more, listener->fd + 1 + more };
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child)
		return child;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		_exit(2);
	_exit(accept_it(listener) ? 0 : 3);
}

/* Those who say nothing keep nobody out where descriptors are few, and poll() takes no more entries. */
static void strangers_of_few_descriptors(void)
{
	static const char where[] = "unix:/tmp/migrate-test.sock";
	struct transport_listener listener;
	struct transport others[6], one;
	struct error error;
	pid_t child;
	int status;

	require(transport_listen(&listener, where, -1, &error));
	child = wait_with_few(&listener, 2);
	require(child > 0);
	for (unsigned int i = 0; i < 6; i++)
		require(transport_connect(&others[i], where, -1, 1000, &error));
	require(transport_connect(&one, where, -1, 1000, &error));
	/* It may be gone, if it failed. */
	send(one.fd, "greeting", 8, MSG_NOSIGNAL);
	require_equal(waitpid(child, &status, 0), child);
	expect_equal(status, 0);
	transport_unlisten(&listener);
	transport_close(&one);
	for (unsigned int i = 0; i < 6; i++)
		transport_close(&others[i]);
	/* Without one for the first, too, the reason is told. */
	require(transport_listen(&listener, where, -1, &error));
	child = wait_with_few(&listener, 0);
	require(transport_connect(&one, where, -1, 1000, &error));
	require_equal(waitpid(child, &status, 0), child);
	expect_equal(WEXITSTATUS(status), 3);
	transport_unlisten(&listener);
	transport_close(&one);
}

static void make_links(struct link *a, struct link *b)
{
	int fds[2];

	require_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	*a = (struct link){ .transport.fd = fds[0] };
	*b = (struct link){ .transport.fd = fds[1] };
	transport_timeout(&a->transport, 200);
	transport_timeout(&b->transport, 200);
	require(link_start(a, 0, 0) && link_start(b, 0, 0) && link_greet(a) && link_greet(b));
}

static void links(void)
{
	struct link a, b;
	uint64_t in = 42, out = 0;

	make_links(&a, &b);
	expect(link_quiet(&b));
	expect(link_put(&a, WIRE_PING, &in, sizeof(in)));
	expect(!link_quiet(&b));
	expect(link_expect(&b, WIRE_PING, &out, sizeof(out)));
	expect_equal(out, 42);
	/* Another record than was expected, or none in time. */
	expect(link_put(&a, WIRE_PONG, &in, sizeof(in)));
	expect(!link_expect(&b, WIRE_PING, &out, sizeof(out)) && b.error.words[0]);
	expect(!link_expect(&a, WIRE_PING, &out, sizeof(out)) && a.error.words[0]);
	link_close(&a);
	link_close(&b);
	/* A refusal is told in the other's words, made safe, also when writing fails first. */
	make_links(&a, &b);
	link_refuse(&a, "no \033[31mroom\351");
	link_close(&a);
	while (link_put(&b, WIRE_PING, &in, sizeof(in)))
		;
	expect(!link_lost(&b));
	expect(b.refused);
	expect(!strcmp(b.error.words, "the other end says: no ?[31mroom?"));
	link_close(&b);
}

static void paced(void)
{
	struct link a, b;
	uint64_t began;

	make_links(&a, &b);
	a.limit = 1 << 20;
	began = wait_now_ns();
	for (unsigned int i = 0; i < 16; i++) {
		static uint8_t data[8192];
		struct stream_record record;

		expect(link_put(&a, WIRE_PING, data, sizeof(data)));
		expect(link_read(&b, &record));
	}
	/* 128 KiB at 1 MiB/s are 125 ms, less what may be made up for. */
	expect(wait_now_ns() - began > 90 * MS);
	link_close(&a);
	link_close(&b);
}

/* ---- reports --------------------------------------------------------------------------------- */

/* Is @text in the file? */
static bool contains(const char *path, const char *text)
{
	static char all[1 << 20];
	FILE *file = fopen(path, "r");
	size_t bytes;

	require(file);
	bytes = fread(all, 1, sizeof(all) - 1, file);
	all[bytes] = 0;
	fclose(file);
	return strstr(all, text);
}

static void reports(void)
{
	static struct report report = {
		.name = "a<b", .outcome = "migrated", .memory = 128 << 20, .bytes = 64 << 20,
		.stopped = true, .predicted_ns = 5,
		.downtime = { 1 * MS, 2 * MS, 3 * MS, 4 * MS, 5 * MS },
	};
	char path[] = "/tmp/migrate-test-XXXXXX";
	struct error error;
	struct json_object *json, *part;
	int fd = mkstemp(path);

	require(fd >= 0);
	close(fd);
	for (unsigned int i = 0; i < REPORT_MAX_ROUNDS + 5; i++) {
		struct report_round *round = report_round_add(&report);

		round->pages += 1000 >> i % 8;
		round->full += round->pages;
		round->ns += MS;
	}
	expect_equal(report.nr_rounds, REPORT_MAX_ROUNDS);
	json = report_json(&report);
	expect_equal(report_number(json, "memory"), 128 << 20);
	require(json_object_object_get_ex(json, "downtime", &part));
	expect_equal(report_number(part, "actual_ns"), 15 * MS);
	expect(chart_write(json, path, &error));
	expect(!chart_write(json, "/nowhere/chart.svg", &error));
	/* Text stays text, whatever a VM's process says. */
	json_object_object_add(json, "outcome", json_object_new_string("fa<iled"));
	json_object_object_add(json, "phase", json_object_new_string("<script>"));
	expect(chart_write(json, path, &error));
	expect(contains(path, "fa&lt;iled in phase &lt;script&gt;"));
	expect(!contains(path, "<script"));
	json_object_put(json);
	unlink(path);
	/* Every phase has a name, no other number has. */
	for (unsigned int i = 0; i < MIGRATE_PHASES; i++)
		expect(migrate_phase_name(i));
	expect(!migrate_phase_name(MIGRATE_PHASES));
}

/* The text that report_print() writes; the caller frees it. */
static char *printed(const struct report *report)
{
	struct json_object *json = report_json(report);
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	require(out);
	report_print(json, out);
	fclose(out);
	json_object_put(json);
	return text;
}

/* Before the first round: there is nothing to expect, and nothing to draw. */
static void fails_early(struct report *report, const char *path)
{
	struct json_object *json;
	struct error error;
	char *text;

	report->phase = "reserve";
	text = printed(report);
	expect(strstr(text, "got as far as phase reserve\n"));
	expect(strstr(text, "the link was lost\n"));
	expect(!strstr(text, "expected downtime") && !strstr(text, "round"));
	free(text);
	json = report_json(report);
	expect(!chart_write(json, path, &error));
	json_object_put(json);
}

static void failures(void)
{
	static struct report report = {
		.name = "vm1", .outcome = "failed", .phase = "copy", .memory = 128 << 20,
		.words = "not migrated; the VM runs on here: the link was lost",
		.bytes = 32 << 20, .predicted_ns = 700 * MS, .limit_ns = 300 * MS,
	};
	struct json_object *json, *rounds, *part;
	char path[] = "/tmp/migrate-test-XXXXXX";
	struct error error;
	int fd = mkstemp(path);
	char *text;

	require(fd >= 0);
	close(fd);
	fails_early(&report, path);
	/* The migration failed in the second round. */
	report.phase = "copy";
	*report_round_add(&report) = (struct report_round){
		.number = 1, .pages = 32768, .full = 32768, .bytes = 30 << 20, .ns = 1000 * MS,
		.dirtied = 5000, .dirty_rate = 5000 * PAGE,
	};
	*report_round_add(&report) = (struct report_round){
		.number = 2, .pages = 300, .full = 300, .bytes = 2 << 20, .ns = 70 * MS,
		.unfinished = true,
	};
	text = printed(&report);
	expect(strstr(text, "got as far as phase copy, round 2\n"));
	expect(strstr(text, "19.5 MiB") && strstr(text, "cut short"));
	expect(strstr(text, "expected downtime after the last whole round: 700.0 ms (limit 300.0 ms)"));
	free(text);
	json = report_json(&report);
	expect(!strcmp(report_text(json, "phase"), "copy"));
	expect_equal(report_number(json, "expected_downtime_ns"), 700 * MS);
	require(json_object_object_get_ex(json, "rounds", &rounds));
	part = json_object_array_get_idx(rounds, 0);
	expect_equal(report_number(part, "dirty_rate"), 5000 * PAGE);
	expect_equal(report_number(part, "unfinished"), 0);
	part = json_object_array_get_idx(rounds, 1);
	expect_equal(report_number(part, "unfinished"), 1);
	expect(!json_object_object_get_ex(part, "dirtied", NULL));
	expect(!json_object_object_get_ex(json, "downtime", NULL));
	expect(chart_write(json, path, &error));
	json_object_put(json);
	/* It failed when the guest had been stopped, and the guest runs again. */
	report.phase = "stop-and-copy";
	report.stopped = true;
	report.downtime = (struct report_downtime){ .pause_ns = 2 * MS, .back_ns = 38 * MS };
	text = printed(&report);
	expect(strstr(text, "the guest stood for 40.0 ms (predicted 700.0 ms): to stand still 2.0, back to work here 38.0\n"));
	free(text);
	unlink(path);
}

static void copies(void)
{
	uint8_t *some = copies_alloc(5000), *other = malloc(5000);

	expect(some && !dumped(some) && !dumped(some + 4999));
	/* The question can be answered in two ways. */
	expect(dumped(other));
	copies_free(some, 5000);
	free(other);
}

#define TURNS	20000

static void *lend_umask(void *argument)
{
	(void)argument;
	for (int i = 0; i < TURNS; i++) {
		caller_give_back();
		caller_adapt();
	}
	return NULL;
}

/* While one thread starts a program with the caller's umask, another one makes files. */
static void files_stay_private(void)
{
	mode_t before = umask(0077);
	unsigned int open_to_others = 0;
	pthread_t thread;
	struct stat st;

	caller_adapt();
	require_equal(pthread_create(&thread, NULL, lend_umask, NULL), 0);
	for (int i = 0; i < TURNS / 4; i++) {
		int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);

		require(fd >= 0);
		open_to_others += !fstat(fd, &st) && (st.st_mode & 077);
		close(fd);
	}
	require_equal(pthread_join(thread, NULL), 0);
	expect_equal(open_to_others, 0);
	caller_give_back();
	umask(before);
}

static const struct tap_test tests[] = {
	{ "copies of guest memory are in no core dump", copies },
	{ "rounds that shrink end when the rest fits the downtime", converges },
	{ "a downtime is foretold of all its parts", foretells },
	{ "a downtime is foretold of the pages that are dirty, not of those before", other_kinds },
	{ "what a page would be sent as is tried, and nothing changed", trying_changes_nothing },
	{ "rounds that do not shrink are a stall", stalls },
	{ "rounds that leave much and little by turns are a stall, a burst is none", patterns },
	{ "a delta makes of the old page the new one", deltas },
	{ "malformed deltas change nothing", bad_deltas },
	{ "pages that were sent are known again", cache },
	{ "a vCPU that sleeps long is paused soon", throttle_lets_pause },
	{ "and runs on soon when it is slowed no more", throttle_ends_at_once },
	{ "addresses are checked", addresses },
	{ "every transport carries both ways, and is cut", carries },
	{ "strangers are dropped, and the one that is meant is found", strangers },
	{ "and where descriptors are few", strangers_of_few_descriptors },
	{ "records go both ways, refusals in words", links },
	{ "bandwidth is limited", paced },
	{ "reports and charts", reports },
	{ "reports of what failed", failures },
	{ "files of other threads stay private while a program starts", files_stay_private },
};

TAP_MAIN(tests)
