// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "base/tell.h"
#include "base/wait.h"
#include "link.h"

#define NS		1000000000ull
#define PIECE_MIN	4096u
#define DRAIN_LOOK_NS	200000u
#define SLICE_NS	50000000ull	/* the longest pause, so that a hurry is noticed */
#define BURST_NS	20000000ull	/* the most unused time that may be made up for */

bool link_fail(struct link *link, const char *format, ...)
{
	va_list args;

	if (link->error.words[0])
		return false;
	va_start(args, format);
	error_vset(&link->error, EXIT_CODE_ERROR, format, args);
	va_end(args);
	return false;
}

static void pace(struct link *link, uint64_t bytes)
{
	uint64_t limit = __atomic_load_n(&link->limit, __ATOMIC_RELAXED);
	uint64_t now = wait_now_ns();

	if (!limit)
		return;
	if (link->budget_ns + BURST_NS < now)
		link->budget_ns = now - BURST_NS;
	link->budget_ns += bytes * NS / limit;
	while (link->budget_ns > now && !__atomic_load_n(&link->hurry, __ATOMIC_RELAXED)) {
		uint64_t left = link->budget_ns - now;
		struct timespec pause = { .tv_nsec = left < SLICE_NS ? left : SLICE_NS };

		nanosleep(&pause, NULL);
		now = wait_now_ns();
	}
}

/* With a limit send small pieces: the other end must not take a long pause for a lost link. */
static ssize_t send_some(struct link *link, const struct msghdr *message)
{
	size_t most = __atomic_load_n(&link->limit, __ATOMIC_RELAXED) / 16;
	const struct iovec *first = message->msg_iov;

	if (!most)
		return sendmsg(link->transport.fd, message, MSG_NOSIGNAL);
	if (most < PIECE_MIN)
		most = PIECE_MIN;
	return send(link->transport.fd, first->iov_base,
		    first->iov_len < most ? first->iov_len : most, MSG_NOSIGNAL);
}

/* Send everything, or return -errno.  Fails if nothing can be sent within the socket's timeout. */
static int send_all(struct link *link, const struct iovec *iov, unsigned int count)
{
	struct iovec left[4];
	struct msghdr message = { .msg_iov = left, .msg_iovlen = count };

	memcpy(left, iov, count * sizeof(*iov));
	while (message.msg_iovlen) {
		ssize_t done = send_some(link, &message);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		pace(link, done);
		while (message.msg_iovlen && (size_t)done >= message.msg_iov->iov_len) {
			done -= message.msg_iov->iov_len;
			message.msg_iov++;
			message.msg_iovlen--;
		}
		if (message.msg_iovlen) {
			message.msg_iov->iov_base = (char *)message.msg_iov->iov_base + done;
			message.msg_iov->iov_len -= done;
		}
	}
	return 0;
}

static int write_all(void *argument, const struct iovec *iov, unsigned int count)
{
	struct link *link = argument;
	uint64_t idle = wait_idle_ns();
	int ret = send_all(link, iov, count);

	link->waited_ns += wait_idle_ns() - idle;
	return ret;
}

static ssize_t read_some(void *argument, void *data, size_t bytes)
{
	struct link *link = argument;
	ssize_t got = recv(link->transport.fd, data, bytes, 0);

	if (got < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return got;
}

static bool write_failed(struct link *link)
{
	return link_fail(link, "the link was lost: %s", strerror(-link->out.error));
}

bool link_start(struct link *link, uint64_t features, int level)
{
	link->out.write = write_all;
	link->out.argument = link;
	return !stream_writer_init(&link->out, -1, features, level) || write_failed(link);
}

bool link_greet(struct link *link)
{
	link->in.read = read_some;
	link->in.argument = link;
	return !stream_reader_init(&link->in, -1) ||
	       link_fail(link, "the other end: %s", link->in.error.words);
}

bool link_put(struct link *link, enum wire_type type, const void *payload, size_t bytes)
{
	return !stream_put(&link->out, type, WIRE_VERSION, payload, bytes, NULL, 0) ||
	       write_failed(link);
}

static bool started(const struct link *link)
{
	return link->transport.fd >= 0 && link->out.batch_data;
}

void link_refuse(struct link *link, const char *words)
{
	size_t bytes = strnlen(words, WIRE_WORDS_MAX - 1);

	if (started(link))
		link_put(link, WIRE_REFUSE, words, bytes);
}

void link_bye(struct link *link)
{
	if (started(link))
		link_put(link, WIRE_BYE, NULL, 0);
}

bool link_flush(struct link *link)
{
	return !stream_flush(&link->out) || write_failed(link);
}

bool link_put_missing(struct link *link, const uint64_t *missing, uint64_t pages)
{
	for (uint64_t first = 0; first < pages; first += WIRE_MISSING_MAX) {
		uint64_t left = pages - first;
		struct wire_missing head = {
			.first = first,
			.pages = left < WIRE_MISSING_MAX ? left : WIRE_MISSING_MAX,
		};

		if (stream_put(&link->out, WIRE_MISSING, WIRE_VERSION, &head, sizeof(head),
			       (const uint8_t *)missing + first / 8, (head.pages + 7) / 8))
			return link_flush(link);
	}
	return true;
}

static bool take_refusal(struct link *link, const struct stream_record *record)
{
	char words[WIRE_WORDS_MAX];
	size_t bytes = record->bytes < sizeof(words) ? record->bytes : sizeof(words) - 1;

	memcpy(words, record->data, bytes);
	words[bytes] = 0;
	link->refused = true;
	/* They go to somebody's terminal, and into JSON. */
	return link_fail(link, "the other end says: %s", tell_harmless(words));
}

bool link_read(struct link *link, struct stream_record *record)
{
	int ret = stream_read(&link->in, record);

	if (ret < 0)
		return link_fail(link, "%s", link->in.error.words);
	if (!ret)
		return link_fail(link, "the stream ended too early");
	if (record->type < STREAM_MIGRATE_FIRST || record->type > STREAM_MIGRATE_LAST)
		return true;
	if (record->version != WIRE_VERSION)
		return link_fail(link, "a control record of version %u came, this program knows %u",
				 record->version, WIRE_VERSION);
	return record->type != WIRE_REFUSE || take_refusal(link, record);
}

bool link_expect(struct link *link, enum wire_type type, void *to, size_t bytes)
{
	struct stream_record record;

	if (!link_read(link, &record))
		return false;
	if (record.type != type || record.bytes != bytes)
		return link_fail(link, "record type %u of %u bytes came, not type %u of %zu",
				 record.type, record.bytes, type, bytes);
	if (to)
		memcpy(to, record.data, bytes);
	return true;
}

bool link_quiet(const struct link *link)
{
	struct pollfd fd = { .fd = link->transport.fd, .events = POLLIN };

	return poll(&fd, 1, 0) <= 0;
}

bool link_heard(const struct link *link)
{
	struct pollfd fd = { .fd = link->transport.fd, .events = POLLIN };
	int ret;

	do
		ret = poll(&fd, 1, LINK_TIMEOUT_MS);
	while (ret < 0 && errno == EINTR);
	return ret;
}

bool link_lost(struct link *link)
{
	struct stream_record record;
	struct error first = link->error;

	link->error.words[0] = 0;
	transport_timeout(&link->transport, 1000);
	/* Only a refusal is new; another failure here is the same loss. */
	while (link_read(link, &record))
		;
	if (link->refused)
		return false;
	if (first.words[0] || link->out.error)
		link->error = first;
	return link->out.error ? write_failed(link) : false;
}

void link_blame(struct link *link)
{
	char how[64];

	if (!link->refused && transport_command_ended(&link->transport, how))
		error_set(&link->error, link->error.status, "%s; %s", link->error.words, how);
}

unsigned int link_unsent(const struct link *link)
{
	int bytes = 0;

	ioctl(link->transport.fd, SIOCOUTQ, &bytes);
	return bytes > 0 ? bytes : 0;
}

static bool drain(struct link *link)
{
	unsigned int before = 0, left;
	uint64_t since = wait_now_ns();

	while ((left = link_unsent(link)) && !__atomic_load_n(&link->hurry, __ATOMIC_RELAXED)) {
		struct timespec pause = { .tv_nsec = DRAIN_LOOK_NS };

		if (!link_quiet(link))
			return link_lost(link);
		if (left != before)
			since = wait_now_ns();
		if (wait_now_ns() - since > LINK_TIMEOUT_MS * 1000000ull)
			return link_fail(link, "the link was lost: nothing gets across");
		before = left;
		nanosleep(&pause, NULL);
	}
	return true;
}

bool link_drain(struct link *link)
{
	uint64_t idle = wait_idle_ns();
	bool drained = drain(link);

	link->waited_ns += wait_idle_ns() - idle;
	return drained;
}

void link_close(struct link *link)
{
	transport_close(&link->transport);
	stream_writer_free(&link->out);
	stream_reader_free(&link->in);
}
