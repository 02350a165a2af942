// SPDX-License-Identifier: GPL-2.0-only
/* The calls, and where their arguments lie. */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fuzz.h"

extern bool fuzz_verbose;

void say(struct worker *w, const char *format, ...)
{
	struct note *note = &w->journal[atomic_load(&w->done) % JOURNAL];
	va_list args;

	va_start(args, format);
	vsnprintf(note->words, sizeof(note->words), format, args);
	va_end(args);
	note->result = INT_MIN;
	if (fuzz_verbose)
		printf("# thread %u call %u %016llx: %s\n", w->number, w->done,
		       (unsigned long long)note->seed, note->words);
}

long said(struct worker *w, long result)
{
	w->journal[atomic_load(&w->done) % JOURNAL].result = result;
	return result;
}

/* By the number of the call: how many were made, and how many succeeded. */
static atomic_uint made[0x80], succeeded[0x80];

void print_calls(void)
{
	for (unsigned int i = 0; i < 0x80; i++)
		if (atomic_load(&succeeded[i]))
			printf("# call 0x%x: %u of %u succeeded\n", i, succeeded[i], made[i]);
}

static bool reaches_us(unsigned int request, const void *arg, const uint32_t *word)
{
	const struct gondola_memory_slot *slot = arg;

	if (request == GONDOLA_SET_MEMORY)
		return memory_is_own(slot->hva, slot->bytes);
	/* Half an address makes another one. */
	return memory_is_own(*(const uint64_t *)((uintptr_t)word & ~7ul), 1);
}

static void change_word(struct random *r, unsigned int request, void *arg, size_t bytes)
{
	uint32_t *word = (uint32_t *)arg + below(r, bytes / 4), was = *word;

	*word = odd_value(r);
	if (reaches_us(request, arg, word))
		*word = was;
}

long do_ioctl(struct worker *w, int fd, unsigned int request, const void *arg, size_t bytes,
	      const char *name)
{
	struct random *r = &w->random;
	uint64_t at = (uintptr_t)arg;
	const uint32_t *words = arg;
	long ret;

	if (one_in(r, 16)) {
		at = memory_any(r);
		memory_put(at, arg, bytes);
	} else if (one_in(r, 32) && bytes >= 8) {
		change_word(r, request, (void *)arg, bytes);
	}
	say(w, "%s fd %d at %llx: %x %x %x %x %x %x %x %x", name, fd, (unsigned long long)at,
	    words[0], words[1], bytes > 11 ? words[2] : 0, bytes > 15 ? words[3] : 0,
	    bytes > 23 ? words[4] : 0, bytes > 23 ? words[5] : 0,
	    bytes > 31 ? words[6] : 0, bytes > 31 ? words[7] : 0);
	kernel_before_call(w, request != GONDOLA_RUN);
	ret = ioctl(fd, request, at);
	if (ret < 0)
		ret = -errno;
	kernel_after_call(w);
	atomic_fetch_add(&made[_IOC_NR(request) % 0x80], 1);
	if (ret >= 0)
		atomic_fetch_add(&succeeded[_IOC_NR(request) % 0x80], 1);
	return said(w, ret);
}

uint64_t any_place(struct random *r)
{
	static const uint64_t bases[] = {
		0, 0, 0x100000, 0x200000, 0x400000, 0xfee00000, 0xfffff000, 0x100000000,
	};

	return bases[below(r, 8)] + (one_in(r, 4) ? below(r, 512) * PAGE : 0);
}

/* A new slot, mostly where another may be or a table was looked for. */
static void choose_slot(struct random *r, struct gondola_memory_slot *arg)
{
	arg->flags = one_in(r, 16) ? odd_value(r) : below(r, 8);
	arg->gpa = one_in(r, 6) ? odd_value(r) & ~(PAGE - 1) : any_place(r);
	arg->bytes = one_in(r, 16) ? odd_value(r) : PAGE << below(r, 10);
	if (one_in(r, 12))
		arg->bytes = PAGE << below(r, 52);
	/* The machine has no memory for what the module keeps of each page of a large one. */
	if (arg->bytes > PAGE << 18 && arg->bytes <= PAGE << 32)
		arg->bytes %= PAGE << 18;
	arg->hva = one_in(r, 4) ? memory_any(r) : memory_good();
	/* Where it ends is of as much interest as where it begins. */
	if (one_in(r, 12))
		arg->gpa = (1ull << (32 + below(r, 21))) - arg->bytes;
	if (!one_in(r, 8))
		arg->hva &= ~(PAGE - 1);
	if (memory_is_own(arg->hva, arg->bytes))
		arg->hva = memory_good();
	if (memory_is_own(arg->hva, arg->bytes))
		arg->bytes = PAGE;
}

static void call_memory(struct worker *w)
{
	struct random *r = &w->random;
	struct gondola_memory_slot arg = { .size = sizeof(arg) };
	struct slot *slot;
	int fd;

	slot = any_slot(r, &fd, &arg.slot);
	arg.gpa = slot->gpa;
	arg.bytes = slot->bytes;
	arg.hva = slot->hva;
	switch (below(r, 4)) {
	case 0:		/* other flags */
		arg.flags = below(r, 8);
		break;
	case 1:		/* away */
		arg.bytes = 0;
		break;
	default:
		arg.slot = one_in(r, 16) ? odd_value(r) : below(r, MAX_SLOTS);
		choose_slot(r, &arg);
	}
	do_set_memory(w, fd, &arg);
}

void do_set_memory(struct worker *w, int fd, const struct gondola_memory_slot *arg)
{
	uint32_t vm;

	if (do_ioctl(w, fd, GONDOLA_SET_MEMORY, arg, sizeof(*arg), "SET_MEMORY"))
		return;
	for (vm = 0; vm < MAX_VMS; vm++)
		if (world.vms[vm] == fd && arg->slot < MAX_SLOTS)
			world.slots[vm][arg->slot] = (struct slot){
				arg->gpa, arg->bytes, arg->hva, arg->flags,
			};
}

static void call_dirty(struct worker *w)
{
	struct random *r = &w->random;
	struct gondola_dirty_log arg = { .size = sizeof(arg) };
	bool clear = one_in(r, 2);
	struct slot *slot;
	uint64_t pages;
	int fd;

	/* One that has a log, if there is any. */
	for (unsigned int i = 0; i < 6; i++) {
		slot = any_slot(r, &fd, &arg.slot);
		if (slot->flags & GONDOLA_MEM_LOG_DIRTY)
			break;
	}
	pages = slot->bytes / PAGE;
	arg.first = one_in(r, 8) ? odd_value(r) : 64 * below(r, 1 + pages / 64);
	arg.pages = one_in(r, 8) ? odd_value(r) : 1 + below(r, pages - arg.first + 1);
	arg.bitmap = one_in(r, 8) ? memory_any(r) : (uintptr_t)w->args;
	if (clear && one_in(r, 2))
		memset(w->args, one_in(r, 2) ? 0xff : 0x11, arg.pages / 8 % 4096);
	else if (clear)
		memset(w->args, 0, 4096);
	do_ioctl(w, fd, clear ? GONDOLA_CLEAR_DIRTY : GONDOLA_GET_DIRTY, &arg, sizeof(arg),
		 clear ? "CLEAR_DIRTY" : "GET_DIRTY");
}

static void call_marks(struct worker *w)
{
	struct random *r = &w->random;
	uint32_t number;
	int fd;
	struct slot *slot = any_slot(r, &fd, &number);
	struct gondola_mark_dirty dirty = {
		.size = sizeof(dirty),
		.source = one_in(r, 8) ? odd_value(r) : 1 + below(r, 2),
		.gpa = one_in(r, 6) ? odd_value(r) : slot->gpa + below(r, slot->bytes + 1),
		.bytes = one_in(r, 6) ? odd_value(r) : below(r, 1 << 20),
	};
	struct gondola_mark mark = {
		.size = sizeof(mark), .phase = odd_value(r), .round = odd_value(r),
	};
	struct gondola_name_device name = {
		.size = sizeof(name), .device = below(r, GONDOLA_MAX_DEVICES + 2),
	};

	if (dirty.source == GONDOLA_DIRTY_DEVICE)
		dirty.device = below(r, GONDOLA_MAX_DEVICES + 2);
	switch (below(r, 3)) {
	case 0:
		do_ioctl(w, fd, GONDOLA_MARK_DIRTY, &dirty, sizeof(dirty), "MARK_DIRTY");
		break;
	case 1:
		do_ioctl(w, any_vm(r), GONDOLA_MARK, &mark, sizeof(mark), "MARK");
		break;
	default:
		fill(r, name.name, below(r, sizeof(name.name)));
		do_ioctl(w, any_vm(r), GONDOLA_NAME_DEVICE, &name, sizeof(name), "NAME_DEVICE");
	}
}

static void call_irq(struct worker *w)
{
	struct random *r = &w->random;
	struct gondola_irq_line line = {
		.size = sizeof(line), .gsi = below(r, GONDOLA_NR_GSI + 1), .level = below(r, 2),
	};

	if (one_in(r, 3))
		do_ioctl(w, any_vcpu(r)->fd, GONDOLA_NMI, w->args, 16, "NMI");
	else
		do_ioctl(w, any_vm(r), GONDOLA_IRQ_LINE, &line, sizeof(line), "IRQ_LINE");
}

static void call_eventfd(struct worker *w)
{
	static const uint64_t places[] = { 0x80, 0x3f8, 0xd0000000, 0xd0000004, 0x100000, 0x5000 };
	struct random *r = &w->random;
	struct gondola_ioeventfd io = {
		.size = sizeof(io), .fd = any_event(r),
		.flags = one_in(r, 8) ? odd_value(r) : below(r, 16),
		.bytes = one_in(r, 8) ? odd_value(r) : 1u << below(r, 3),
		.address = one_in(r, 8) ? odd_value(r) : places[below(r, 6)],
	};
	struct gondola_irqfd irq = {
		.size = sizeof(irq), .flags = one_in(r, 3), .fd = any_event(r),
		.gsi = below(r, GONDOLA_NR_GSI + 1),
	};
	const uint64_t once = 1;

	switch (below(r, 3)) {
	case 0:
		if (io.flags & GONDOLA_IOEVENTFD_DATAMATCH)
			io.datamatch = below(r, 3);
		if (io.flags & GONDOLA_IOEVENTFD_CLEAR && !one_in(r, 8))
			io.bytes = 4;
		if (io.flags & GONDOLA_IOEVENTFD_CLEAR)
			io.word = one_in(r, 3) ? memory_any(r) : memory_good() + 4 * below(r, 4096);
		do_ioctl(w, any_vm(r), GONDOLA_IOEVENTFD, &io, sizeof(io), "IOEVENTFD");
		break;
	case 1:
		do_ioctl(w, any_vm(r), GONDOLA_IRQFD, &irq, sizeof(irq), "IRQFD");
		break;
	default:
		say(w, "write to an eventfd");
		said(w, write(any_event(r) & 0xffff, &once, sizeof(once)));
	}
}

static void call_hold(struct worker *w)
{
	struct random *r = &w->random;
	struct gondola_hold_clock arg = { .size = sizeof(arg), .flags = below(r, 2) };
	int fd = any_vm(r);

	do_ioctl(w, fd, GONDOLA_HOLD_CLOCK, &arg, sizeof(arg), "HOLD_CLOCK");
	/* Held for good, nothing would run. */
	if (one_in(r, 4))
		return;
	arg = (struct gondola_hold_clock){ .size = sizeof(arg) };
	do_ioctl(w, fd, GONDOLA_HOLD_CLOCK, &arg, sizeof(arg), "HOLD_CLOCK");
}

static void call_preflight(struct worker *w)
{
	struct random *r = &w->random;
	struct gondola_preflight arg = { .size = sizeof(arg), .engine = below(r, 6) };

	do_ioctl(w, any_sys(r), GONDOLA_PREFLIGHT, &arg, sizeof(arg), "PREFLIGHT");
}

static void call_stats(struct worker *w)
{
	struct gondola_stats *stats = (void *)w->args;

	stats->size = sizeof(*stats);
	stats->flags = 0;
	do_ioctl(w, any_vcpu(&w->random)->fd, GONDOLA_GET_STATS, stats, 8, "GET_STATS");
}

static void call_history(struct worker *w)
{
	struct random *r = &w->random;
	struct gondola_history arg = {
		.size = sizeof(arg),
		.count = one_in(r, 8) ? odd_value(r) : below(r, 300),
		.entries = one_in(r, 4) ? memory_any(r) : memory_good(),
	};

	do_ioctl(w, any_vcpu(r)->fd, GONDOLA_GET_HISTORY, &arg, sizeof(arg), "GET_HISTORY");
}

static void call_shadow(struct worker *w)
{
	struct random *r = &w->random;
	struct gondola_shadow arg = {
		.size = sizeof(arg), .gva = odd_value(r), .gpa = odd_value(r),
	};

	do_ioctl(w, any_vcpu(r)->fd, GONDOLA_GET_SHADOW, &arg, sizeof(arg), "GET_SHADOW");
}

static void call_shadows(struct worker *w)
{
	struct gondola_shadows arg = { .size = sizeof(arg), .pad = one_in(&w->random, 8) };

	do_ioctl(w, any_vm(&w->random), GONDOLA_GET_SHADOWS, &arg, sizeof(arg), "GET_SHADOWS");
}

static void call_debug(struct worker *w)
{
	static const uint64_t places[] = { 0x100000, 0x5000, 0x7ffff000, 0xffffffffffffffff };
	struct random *r = &w->random;
	struct gondola_debug arg = { .size = sizeof(arg), .flags = below(r, 8) };

	if (one_in(r, 8))
		arg.flags = odd_value(r);
	for (unsigned int i = 0; i < 4 && arg.flags & GONDOLA_DEBUG_HARDWARE; i++)
		arg.dr[i] = one_in(r, 4) ? odd_value(r) : places[below(r, 4)] + below(r, 64);
	if (arg.flags & GONDOLA_DEBUG_HARDWARE || one_in(r, 16))
		arg.dr7 = one_in(r, 8) ? odd_value(r) : below(r, 256) | (below(r, 65536) & 0xdddd) << 16;
	do_ioctl(w, any_vcpu(r)->fd, GONDOLA_SET_DEBUG, &arg, sizeof(arg), "SET_DEBUG");
}

/* Calls that no descriptor has, or that belong to another one. */
static void call_wrong(struct worker *w)
{
	struct random *r = &w->random;
	int fd = one_in(r, 3) ? any_sys(r) : one_in(r, 2) ? any_vm(r) : any_vcpu(r)->fd;
	uint8_t sizes[] = { 0, 8, 16, 24, 32, 48, 64 };
	unsigned int request = _IOC(below(r, 4), GONDOLA_IOC, below(r, 0x70), sizes[below(r, 7)]);

	fill(r, w->args, 64);
	*(uint32_t *)w->args = _IOC_SIZE(request);
	do_ioctl(w, fd, request, w->args, 64, "an ioctl that may not exist");
}

static void call_list(struct worker *w)
{
	static const char *const names[] = {
		"vms", "vcpus", "shadow_pages", "mmu_lock", "audit", "list",
	};
	const char *name = names[below(&w->random, 6)];

	say(w, "read %s", name);
	said(w, kernel_number(name));
}

/* How often each of the calls is made, among all. */
static const struct {
	void (*make)(struct worker *w);
	unsigned int weight;
} kinds[] = {
	{ call_run, 24 }, { call_state, 20 }, { call_boot, 6 }, { call_memory, 10 },
	{ call_dirty, 8 }, { call_marks, 4 }, { call_irq, 6 }, { call_eventfd, 8 },
	{ call_hold, 3 }, { call_preflight, 1 }, { call_stats, 1 }, { call_history, 1 }, { call_debug, 3 },
	{ call_shadow, 1 }, { call_shadows, 1 }, { call_wrong, 2 },
	{ call_list, 2 }, { call_create_vm, 2 }, { call_create_vcpu, 5 }, { call_map_run, 4 },
	{ call_close, 3 }, { call_cpuid, 4 },
};

void call(struct worker *w, uint64_t seed)
{
	struct note *note = &w->journal[atomic_load(&w->done) % JOURNAL];
	unsigned int all = 0, which;
	size_t i;

	note->seed = seed;
	note->words[0] = 0;
	note->result = 0;
	w->random.state = seed;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		all += kinds[i].weight;
	which = below(&w->random, all);
	for (i = 0; which >= kinds[i].weight; i++)
		which -= kinds[i].weight;
	kinds[i].make(w);
	atomic_fetch_add(&w->done, 1);
}
