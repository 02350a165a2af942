// SPDX-License-Identifier: GPL-2.0-only
/*
 * Post-copy, the target: the VM runs and its pages arrive.  A thread that touches a missing page
 * waits: a vCPU returns from GONDOLA_RUN and waits in the launcher, where it can be paused; a
 * device's thread, or its system call, waits in userfaultfd.  Both cause a request for the page.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sandbox/keeper.h"
#include "target.h"
#include "control/control.h"
#include "base/fail.h"
#include "base/wait.h"
#include "vm/probes.h"

#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW	_IO(0xAA, 0x00)	/* since Linux 6.1 */
#endif

#define PAGE		4096u
#define POLL_NS		20000000l	/* how often a waiter checks for a stop request */

/* It must handle the kernel's accesses, too, since devices read files into guest memory. */
static int open_uffd(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC), uffd = -1;

	if (device >= 0) {
		uffd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
		close(device);
	}
	if (uffd < 0)
		uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (uffd >= 0 && ioctl(uffd, UFFDIO_API, &api)) {
		close(uffd);
		uffd = -1;
	}
	return uffd;
}

void fetch_open(struct target *target)
{
	target->uffd = open_uffd();
}

bool fetch_possible(const struct target *target)
{
	/* Another program that maps the memory finds zeroes where a page is missing. */
	return target->uffd >= 0 && !target->vm->memory.fd;
}

static bool test(const uint64_t *bits, uint64_t page)
{
	return bits[page / 64] >> (page % 64) & 1;
}

bool fetch_missing(struct target *target, const struct stream_record *record)
{
	const struct wire_missing *head = (const void *)record->data;
	uint64_t words = (target->pages + 63) / 64;

	if (record->bytes < sizeof(*head) || !head->pages || head->pages > WIRE_MISSING_MAX ||
	    head->first % WIRE_MISSING_MAX || head->first >= target->pages ||
	    head->pages > target->pages - head->first ||
	    record->bytes != sizeof(*head) + (head->pages + 7) / 8)
		return link_fail(&target->link, "the list of missing pages is malformed");
	if (!target->missing) {
		target->missing = calloc(words, sizeof(*target->missing));
		target->wanted = calloc(words, sizeof(*target->wanted));
		target->asked_ns = calloc(target->pages, sizeof(*target->asked_ns));
		if (!target->missing || !target->wanted || !target->asked_ns)
			return link_fail(&target->link, "out of memory");
	}
	memcpy((uint8_t *)target->missing + head->first / 8, head + 1, (head->pages + 7) / 8);
	if (target->pages % 64)
		target->missing[words - 1] &= (1ull << (target->pages % 64)) - 1;
	return true;
}

/* ---- asking: the lock is held --------------------------------------------------------- */

static uint64_t gpa_of(const struct target *target, uint64_t page)
{
	uint64_t at = page * PAGE, low = target->vm->memory.low;

	return at < low ? at : MEMORY_HIGH + at - low;
}

static void want(struct target *target, uint64_t page)
{
	uint64_t gpa = gpa_of(target, page);

	if (test(target->wanted, page))
		return;
	target->wanted[page / 64] |= 1ull << (page % 64);
	target->asked_ns[page] = wait_now_ns();
	target->counts.faults++;
	PROBE_MIGRATE_FAULT(gpa);
	/* If this fails, the reader finds out, too. */
	if (target->said && !target->broken)
		link_put(&target->link, WIRE_WANT, &gpa, sizeof(gpa));
}

static void arrived(struct target *target, uint64_t page)
{
	uint64_t waited;

	target->missing[page / 64] &= ~(1ull << (page % 64));
	__atomic_store_n(&target->left, target->left - 1, __ATOMIC_RELAXED);
	if (!test(target->wanted, page))
		return;
	waited = wait_now_ns() - target->asked_ns[page];
	target->counts.fault_ns += waited;
	if (waited > target->counts.fault_max_ns)
		target->counts.fault_max_ns = waited;
	PROBE_MIGRATE_FAULT_END(gpa_of(target, page), waited);
	pthread_cond_broadcast(&target->changed);
}

void fetch_discarded(uint64_t gpa, uint64_t bytes)
{
	struct target *target = target_here();

	if (!target)
		return;
	pthread_mutex_lock(&target->lock);
	for (uint64_t end = gpa + bytes; target->missing && gpa < end; gpa += PAGE) {
		uint64_t page = target_page(target, gpa);

		if (test(target->missing, page))
			arrived(target, page);
	}
	pthread_mutex_unlock(&target->lock);
}

static void wait_a_moment(struct target *target)
{
	struct timespec until = wait_deadline(POLL_NS);

	wait_until(&target->changed, &target->lock, &until);
}

/* ---- who waits ------------------------------------------------------------------------- */

/* A vCPU's thread: see struct vm. */
static bool absent(struct vcpu *vcpu, uint64_t gpa)
{
	struct target *target = target_here();
	struct vm *vm = vcpu->vm;
	uint64_t page;
	bool waited = false;

	if (!target || !target->missing)
		return false;
	page = target_page(target, gpa);
	pthread_mutex_lock(&target->lock);
	while (test(target->missing, page) && !vm_paused(vm) && !vm_ending(vm)) {
		want(target, page);
		waited = true;
		wait_a_moment(target);
	}
	/* Still missing: do not wait in the kernel, since a pause or an end must reach this thread. */
	waited |= test(target->missing, page);
	pthread_mutex_unlock(&target->lock);
	return waited;
}

static void wake(struct target *target, uint64_t address)
{
	struct uffdio_range range = { .start = address, .len = PAGE };

	ioctl(target->uffd, UFFDIO_WAKE, &range);
}

static bool place_zero(struct target *target, uint64_t page)
{
	struct uffdio_zeropage zero = {
		.range.start = (uintptr_t)target->vm->memory.base + page * PAGE,
		.range.len = PAGE,
	};

	while (ioctl(target->uffd, UFFDIO_ZEROPAGE, &zero)) {
		if (errno == EEXIST) {
			wake(target, zero.range.start);
			return true;
		}
		if (errno != EAGAIN)
			return false;
	}
	return true;
}

static bool place(struct target *target, uint64_t page, const uint8_t *data)
{
	_Alignas(PAGE) static uint8_t aligned[PAGE];
	struct uffdio_copy copy = {
		.dst = (uintptr_t)target->vm->memory.base + page * PAGE,
		.src = (uintptr_t)aligned,
		.len = PAGE,
	};

	memcpy(aligned, data, PAGE);
	while (ioctl(target->uffd, UFFDIO_COPY, &copy)) {
		if (errno == EEXIST) {
			wake(target, copy.dst);
			return true;
		}
		if (errno != EAGAIN)
			return false;
		copy.copy = 0;
	}
	return true;
}

static void on_fault(struct target *target, uint64_t address)
{
	uint64_t page = (address - (uintptr_t)target->vm->memory.base) / PAGE;

	if (page >= target->pages)
		return;
	pthread_mutex_lock(&target->lock);
	if (test(target->missing, page))
		want(target, page);
	else
		/* The page was zero at the source, and was never touched here. */
		place_zero(target, page);
	pthread_mutex_unlock(&target->lock);
}

static void *faults(void *argument)
{
	struct target *target = argument;
	struct pollfd fds[2] = {
		{ .fd = target->uffd, .events = POLLIN },
		{ .fd = target->stop_fd, .events = POLLIN },
	};
	struct uffd_msg message;

	while (!fds[1].revents) {
		if (poll(fds, 2, -1) < 0)
			continue;
		while (read(target->uffd, &message, sizeof(message)) == sizeof(message))
			if (message.event == UFFD_EVENT_PAGEFAULT)
				on_fault(target, message.arg.pagefault.address);
	}
	return NULL;
}

/* ---- before it runs, and when all has come ---------------------------------------------- */

static bool drop_missing(struct target *target)
{
	uint64_t page = 0;

	target->left = 0;
	while (page < target->pages) {
		uint64_t first = page;

		while (page < target->pages && test(target->missing, page))
			page++;
		target->left += page - first;
		if (page > first && madvise(target->vm->memory.base + first * PAGE,
					    (page - first) * PAGE, MADV_DONTNEED))
			return link_fail(&target->link, "pages cannot be dropped: %s",
					 strerror(errno));
		page += page == first;
	}
	return true;
}

static int watch(struct target *target)
{
	struct uffdio_register range = {
		.range.start = (uintptr_t)target->vm->memory.base,
		.range.len = target->vm->memory.bytes,
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	return ioctl(target->uffd, UFFDIO_REGISTER, &range);
}

static void watch_no_more(struct target *target)
{
	struct uffdio_range range = {
		.start = (uintptr_t)target->vm->memory.base,
		.len = target->vm->memory.bytes,
	};

	ioctl(target->uffd, UFFDIO_UNREGISTER, &range);
}

static void *nothing(void *argument)
{
	return argument;
}

uint64_t fetch_rehearse(struct target *target)
{
	uint64_t began = wait_now_ns(), took = 0;
	pthread_t thread;

	if (!fetch_possible(target))
		return 0;
	/* The start of a thread is the most of it. */
	if (!watch(target) && !memory_userfault(&target->vm->memory, true) &&
	    !pthread_create(&thread, NULL, nothing, NULL)) {
		pthread_join(thread, NULL);
		took = wait_now_ns() - began;
	}
	memory_userfault(&target->vm->memory, false);
	watch_no_more(target);
	return took;
}

bool fetch_begin(struct target *target)
{
	int ret;

	target->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (target->uffd < 0 || target->stop_fd < 0)
		return link_fail(&target->link, "no userfaultfd: %s", strerror(errno));
	/* A huge page would contain pages that are missing. */
	madvise(target->vm->memory.base, target->vm->memory.bytes, MADV_NOHUGEPAGE);
	if (!drop_missing(target))
		return false;
	if (watch(target))
		return link_fail(&target->link, "memory cannot be put under userfaultfd: %s",
				 strerror(errno));
	ret = memory_userfault(&target->vm->memory, true);
	if (ret)
		return link_fail(&target->link, "the module cannot do without pages: %s",
				 strerror(-ret));
	__atomic_store_n(&target->vm->memory.absent, true, __ATOMIC_RELEASE);
	target->vm->absent = absent;
	ret = pthread_create(&target->faults_thread, NULL, faults, target);
	return !ret || link_fail(&target->link, "cannot start a thread: %s", strerror(ret));
}

static void fetch_end(struct target *target)
{
	uint64_t one = 1;

	watch_no_more(target);
	if (write(target->stop_fd, &one, sizeof(one)) != sizeof(one))
		say("cannot end a thread: %s", strerror(errno));
	pthread_join(target->faults_thread, NULL);
	memory_userfault(&target->vm->memory, false);
	madvise(target->vm->memory.base, target->vm->memory.bytes, MADV_HUGEPAGE);
	close(target->uffd);
	close(target->stop_fd);
	target->uffd = -1;
	target->stop_fd = -1;
}

/* ---- taking ------------------------------------------------------------------------------ */

static int take_page(void *argument, const struct stream_page *page, const uint8_t *data)
{
	struct target *target = argument;
	uint64_t number;
	bool placed = true;

	if (!memory_at(&target->vm->memory, page->gpa, PAGE) || page->flags) {
		link_fail(&target->link, "page 0x%llx is none, or a difference",
			  (unsigned long long)page->gpa);
		return -1;
	}
	number = target_page(target, page->gpa);
	pthread_mutex_lock(&target->lock);
	/* The guest's copy is newer. */
	if (test(target->missing, number)) {
		placed = place(target, number, data);
		if (placed)
			arrived(target, number);
	}
	pthread_mutex_unlock(&target->lock);
	if (!placed)
		link_fail(&target->link, "a page cannot be put in place: %s", strerror(errno));
	return placed ? 0 : -1;
}

static bool take_zeroes(struct target *target, const struct stream_record *record)
{
	const struct stream_range *range = (const void *)record->data;
	bool placed = true;

	for (uint32_t i = 0; i < record->bytes / sizeof(*range); i++) {
		if (!memory_at(&target->vm->memory, range[i].gpa, range[i].pages * PAGE))
			return link_fail(&target->link, "zeroes for 0x%llx, which is no memory",
					 (unsigned long long)range[i].gpa);
		pthread_mutex_lock(&target->lock);
		for (uint64_t j = 0; placed && j < range[i].pages; j++) {
			uint64_t page = target_page(target, range[i].gpa) + j;

			if (!test(target->missing, page))
				continue;
			placed = place_zero(target, page);
			if (placed)
				arrived(target, page);
		}
		pthread_mutex_unlock(&target->lock);
	}
	return placed || link_fail(&target->link, "a page cannot be put in place: %s",
				   strerror(errno));
}

/* Receive over one link.  True once the source has sent everything and it has arrived. */
static bool take_all(struct target *target)
{
	struct stream_record record;
	bool sent;

	for (;;) {
		/* The source sends as long as it has pages, so silence means that the link is lost. */
		if (!link_heard(&target->link))
			return link_fail(&target->link, "nothing comes");
		if (!link_read(&target->link, &record))
			return false;
		__atomic_store_n(&target->heard_ns, wait_now_ns(), __ATOMIC_RELAXED);
		if (record.type == STREAM_PAGES) {
			if (stream_each_page(&target->link.in, &record, take_page, target))
				return false;
		} else if (record.type == STREAM_ZERO) {
			if (!take_zeroes(target, &record))
				return false;
		} else if (record.type != WIRE_POSTED) {
			return link_fail(&target->link, "record type %u came after the switch",
					 record.type);
		}
		if (record.type == WIRE_POSTED)
			break;
	}
	if (target->left)
		return link_fail(&target->link, "the source has no more, but %llu pages are missing",
				 (unsigned long long)target->left);
	pthread_mutex_lock(&target->lock);
	sent = link_put(&target->link, WIRE_FINISHED, &target->counts, sizeof(target->counts));
	pthread_mutex_unlock(&target->lock);
	/* It does not matter if the source misses this: no page is needed any more. */
	(void)sent;
	return true;
}

/* ---- another link ------------------------------------------------------------------------- */

static bool greet_again(struct target *target)
{
	struct wire_recover hello;

	if (!link_start(&target->link, 0, 0) || !link_greet(&target->link) ||
	    !link_expect(&target->link, WIRE_RECOVER, &hello, sizeof(hello)))
		return false;
	if (hello.protocol != WIRE_PROTOCOL ||
	    memcmp(hello.token, target->hello.token, sizeof(hello.token)))
		return link_fail(&target->link, "this is not the VM that was lost");
	return link_put_missing(&target->link, target->missing, target->pages);
}

static bool reconnect(struct target *target, int fd)
{
	struct transport_listener listener;
	bool came = false;

	if (!transport_take_listener(&listener, fd, &target->link.error))
		return false;
	say("%s: waiting for its source", target->vm->name);
	while (!came && transport_accept(&listener, &target->link.transport, STREAM_MAGIC,
					 target->wake_fd, LINK_TIMEOUT_MS, &target->link.error)) {
		came = greet_again(target);
		if (came || listener.fd < 0)
			break;
		say("%s: a connection is not its source's (%s): waiting for another",
		    target->vm->name, target->link.error.words);
		link_close(&target->link);
		target->link = (struct link){ .transport.fd = -1 };
	}
	keeper_unbind(listener.fd >= 0 ? listener.fd : target->link.transport.fd);
	transport_unlisten(&listener);
	return came;
}

void fetch_ask_again(struct target *target)
{
	for (uint64_t page = 0; page < target->pages; page++) {
		uint64_t gpa = gpa_of(target, page);

		if (test(target->missing, page) && test(target->wanted, page))
			link_put(&target->link, WIRE_WANT, &gpa, sizeof(gpa));
	}
}

/* Wait until the user gives an address, and for a connection there, which may fail. */
static bool next_link(struct target *target)
{
	uint64_t count;
	ssize_t drained = 0;
	int fd;

	pthread_mutex_lock(&target->lock);
	/* When the VM ends no message may come, while devices wait for us, and vCPUs for devices. */
	while (!target->recover_asked && !vm_ending(target->vm))
		wait_a_moment(target);
	target->recover_asked = false;
	fd = target->recover_fd;
	target->recover_fd = -1;
	if (!vm_ending(target->vm))
		drained = read(target->wake_fd, &count, sizeof(count));
	(void)drained;
	pthread_mutex_unlock(&target->lock);
	if (vm_ending(target->vm)) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	link_close(&target->link);
	target->link = (struct link){ .transport.fd = -1 };
	return reconnect(target, fd);
}

/* Wait for a connection; false if the VM ends. */
static bool recover(struct target *target)
{
	struct link *link = &target->link;
	char words[256];

	while (!vm_ending(target->vm)) {
		snprintf(words, sizeof(words),
			 "the link was lost (%.100s) and %llu pages are missing: gondola migrate-recover %s ADDRESS, here and then at the source",
			 link->error.words, (unsigned long long)target->left, target->vm->name);
		vm_pause_because(target->vm, PAUSE_ERROR, words);
		control_state_event(target->vm);
		say("%s: %s", target->vm->name, words);
		if (next_link(target))
			return true;
	}
	return false;
}

static void has_link(struct target *target, bool has)
{
	pthread_mutex_lock(&target->lock);
	if (has && target->broken)
		fetch_ask_again(target);
	target->heard_ns = wait_now_ns();
	target->listening = has;
	target->broken = !has;
	pthread_mutex_unlock(&target->lock);
}

void fetch_all(struct target *target)
{
	__atomic_store_n(&target->phase, MIGRATE_POSTCOPY, __ATOMIC_RELEASE);
	has_link(target, true);
	while (!take_all(target)) {
		has_link(target, false);
		__atomic_store_n(&target->phase, MIGRATE_BROKEN, __ATOMIC_RELEASE);
		if (!recover(target)) {
			/* Give waiting threads an empty page, so that they can end; but not disks. */
			__atomic_store_n(&target->vm->memory.lost, true, __ATOMIC_RELEASE);
			fetch_end(target);
			return;
		}
		has_link(target, true);
		__atomic_store_n(&target->phase, MIGRATE_POSTCOPY, __ATOMIC_RELEASE);
		vm_unpause(target->vm, PAUSE_ERROR);
		control_state_event(target->vm);
		say("%s: the source is back, it goes on", target->vm->name);
	}
	pthread_mutex_lock(&target->lock);
	target->listening = false;
	pthread_mutex_unlock(&target->lock);
	fetch_end(target);
	__atomic_store_n(&target->vm->memory.absent, false, __ATOMIC_RELEASE);
}

/* Over a new link: tell the source that nothing is missing, and complete the exchange. */
static bool tell_again(struct target *target)
{
	return next_link(target) && take_all(target) &&
	       link_expect(&target->link, WIRE_BYE, NULL, 0);
}

/* Wait for the source's last record on the present link. */
static bool hear_bye(struct target *target)
{
	uint64_t words = (target->pages + 63) / 64;
	bool heard;

	transport_timeout(&target->link.transport, LINK_TIMEOUT_MS);
	pthread_mutex_lock(&target->lock);
	/* Tell a source that asks over another link that no page is missing. */
	if (!target->missing)
		target->missing = calloc(words, sizeof(*target->missing));
	target->unconfirmed = target->missing;
	target->listening = true;
	pthread_mutex_unlock(&target->lock);
	heard = vm_ending(target->vm) || link_expect(&target->link, WIRE_BYE, NULL, 0);
	pthread_mutex_lock(&target->lock);
	target->listening = false;
	target->unconfirmed &= !heard;
	pthread_mutex_unlock(&target->lock);
	return heard;
}

void fetch_confirm(struct target *target)
{
	bool heard = hear_bye(target);

	while (target->unconfirmed && !heard && !vm_ending(target->vm)) {
		say("%s: it is here and runs, but its source may not have heard so (%s). If it still waits there: gondola migrate-recover %s ADDRESS, here and then there",
		    target->vm->name, target->link.error.words, target->vm->name);
		heard = tell_again(target);
	}
	target->unconfirmed = false;
}
