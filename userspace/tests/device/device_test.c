// SPDX-License-Identifier: GPL-2.0-only
/*
 * The devices on ports: saved, they go on where they were; records that are cut off or wrong are
 * refused by name; a guest that writes anything anywhere harms nobody.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <linux/serial_reg.h>

#include "machine.h"
#include "rtc_clock_test.h"
#include "vm/console.h"

#define MAX_RECORDS	8
#define RECORD_ROOM	1024
#define NONSENSE	100000
#define MUTATIONS	20000
#define SOURCES		200

static struct saved {
	struct device_record record;
	char name[STATE_NAME_MAX + 1];
	uint8_t data[RECORD_ROOM];
} saved[MAX_RECORDS];
static unsigned int nr_saved;
static struct error error;

static bool keep(void *argument, const struct device_record *record)
{
	struct saved *to = &saved[nr_saved++];

	(void)argument;
	require(nr_saved <= MAX_RECORDS && record->bytes <= RECORD_ROOM);
	*to = (struct saved){ .record = *record };
	memcpy(to->data, record->data, record->bytes);
	snprintf(to->name, sizeof(to->name), "%s", record->name);
	to->record.name = to->name;
	to->record.data = to->data;
	return true;
}

static void save(void)
{
	nr_saved = 0;
	devices_freeze();
	require(devices_save(keep, NULL, NULL));
	expect_equal(nr_saved, 4);
}

static void load(void)
{
	for (unsigned int i = 0; i < nr_saved; i++) {
		error.words[0] = 0;
		tap_check(devices_load(&saved[i].record, &error), false, "not loaded: %s", error.words);
	}
	expect(devices_loaded(&error));
}

static struct saved *find(const char *name)
{
	for (unsigned int i = 0; i < nr_saved; i++)
		if (!strcmp(saved[i].name, name))
			return &saved[i];
	tap_check(false, true, "there is no record of %s", name);
	return NULL;
}

static bool count(void *argument, const struct device_record *record)
{
	(void)record;
	++*(unsigned int *)argument;
	return true;
}

void *__real_realloc(void *data, size_t bytes);
void *__wrap_realloc(void *data, size_t bytes);

/* The allocation after so many more fails, or none does: less than 0. */
static int until_failure = -1;

void *__wrap_realloc(void *data, size_t bytes)
{
	if (until_failure >= 0 && !until_failure--)
		return NULL;
	return __real_realloc(data, bytes);
}

/* Whichever allocation fails: a record is complete or is not handed on, and the reason is said. */
static void no_memory(void)
{
	unsigned int complete, failures = 0;

	machine_start();
	devices_freeze();
	for (;; failures++) {
		complete = 0;
		error = (struct error){ .words = "" };
		until_failure = failures;
		if (devices_save(count, &complete, &error))
			break;
		expect(complete < 4);
		expect_equal(error.status, EXIT_CODE_MEMORY);
		expect(strstr(error.words, "no memory for its state"));
	}
	until_failure = -1;
	expect_equal(complete, 4);
	/* Each device had a turn. */
	expect(failures >= 4);
	machine_end();
}

/* From this machine into the next, whose clock says something else. */
static void move(void)
{
	save();
	machine_end();
	machine_start();
	machine.now_ns = 777;
	devices_freeze();
	load();
	machine.now_ns = 55555555555ull;
	require(devices_thaw(&error));
}

static uint8_t cmos(uint8_t index)
{
	out(RTC_PORT, index, 1);
	return in(RTC_PORT + 1, 1);
}

static void set_cmos(uint8_t index, uint8_t value)
{
	out(RTC_PORT, index, 1);
	out(RTC_PORT + 1, value, 1);
}

static void serial_goes_on(void)
{
	machine_start();
	out(SERIAL_PORT + UART_LCR, UART_LCR_DLAB, 1);
	out(SERIAL_PORT, 0x0c, 1);
	out(SERIAL_PORT + 1, 0x01, 1);
	out(SERIAL_PORT + UART_LCR, 3, 1);
	out(SERIAL_PORT + UART_FCR, UART_FCR_ENABLE_FIFO, 1);
	out(SERIAL_PORT + UART_IER, UART_IER_RDI, 1);
	out(SERIAL_PORT + UART_MCR, UART_MCR_DTR | UART_MCR_OUT2, 1);
	out(SERIAL_PORT + UART_SCR, 0x5a, 1);
	machine.guest->input(machine.guest_device, "typed", 5);
	expect_equal(in(SERIAL_PORT, 1), 't');
	expect_equal(machine.lines[SERIAL_IRQ], 1);
	move();
	expect_equal(machine.lines[SERIAL_IRQ], 1);
	expect(machine.more > 0);
	expect_equal(in(SERIAL_PORT + UART_LSR, 1) & UART_LSR_DR, UART_LSR_DR);
	expect_equal(in(SERIAL_PORT, 1), 'y');
	expect_equal(in(SERIAL_PORT, 1), 'p');
	expect_equal(in(SERIAL_PORT, 1), 'e');
	expect_equal(machine.lines[SERIAL_IRQ], 1);
	expect_equal(in(SERIAL_PORT, 1), 'd');
	expect_equal(machine.lines[SERIAL_IRQ], 0);
	expect_equal(in(SERIAL_PORT + UART_SCR, 1), 0x5a);
	expect_equal(in(SERIAL_PORT + UART_MCR, 1), UART_MCR_DTR | UART_MCR_OUT2);
	expect_equal(in(SERIAL_PORT + UART_IIR, 1) & 0xc0, 0xc0);
	out(SERIAL_PORT + UART_LCR, UART_LCR_DLAB, 1);
	expect_equal(in(SERIAL_PORT, 1), 0x0c);
	expect_equal(in(SERIAL_PORT + 1, 1), 0x01);
	machine_end();
}

#define LINE_FREE	(UART_LSR_THRE | UART_LSR_TEMT)

/* A reader of the console that stands still makes the guest wait: nothing is dropped. */
static void serial_waits(void)
{
	machine_start();
	out(SERIAL_PORT + UART_MCR, UART_MCR_OUT2, 1);
	out(SERIAL_PORT + UART_IER, UART_IER_THRI, 1);
	expect_equal(in(SERIAL_PORT + UART_IIR, 1) & 0x0f, UART_IIR_THRI);
	expect_equal(in(SERIAL_PORT + UART_LSR, 1) & LINE_FREE, LINE_FREE);
	machine.full = true;
	out(SERIAL_PORT, 'x', 1);
	expect_equal(machine.printed, 1);
	expect_equal(in(SERIAL_PORT + UART_LSR, 1) & LINE_FREE, 0);
	expect_equal(machine.lines[SERIAL_IRQ], 0);
	/* Switched off and on its interrupt does not strike either. */
	out(SERIAL_PORT + UART_IER, 0, 1);
	out(SERIAL_PORT + UART_IER, UART_IER_THRI, 1);
	expect_equal(machine.lines[SERIAL_IRQ], 0);
	machine.full = false;
	machine.guest->drained(machine.guest_device);
	expect_equal(machine.lines[SERIAL_IRQ], 1);
	expect_equal(in(SERIAL_PORT + UART_LSR, 1) & LINE_FREE, LINE_FREE);
	/* A UART that is moved while it waits learns when the next console has room. */
	machine.full = true;
	out(SERIAL_PORT, 'y', 1);
	expect_equal(machine.lines[SERIAL_IRQ], 0);
	machine.full = false;
	move();
	expect_equal(machine.lines[SERIAL_IRQ], 1);
	machine_end();
}

/* Input waits outside while the machine stands still. */
static void serial_frozen(void)
{
	machine_start();
	out(SERIAL_PORT, 'x', 1);
	expect_equal(machine.guest->room(machine.guest_device), 1);
	devices_freeze();
	expect_equal(machine.guest->room(machine.guest_device), 0);
	machine.more = 0;
	require(devices_thaw(&error));
	expect(machine.more > 0);
	expect_equal(machine.guest->room(machine.guest_device), 1);
	machine_end();
}

/* The clock is as far from the host's as it was, and still runs. */
static void rtc_goes_on(void)
{
	struct tm tm = { .tm_year = 133, .tm_mon = 4, .tm_mday = 6, .tm_hour = 7, .tm_min = 8 };

	machine_start();
	set_cmos(0x0b, 0x82);
	set_cmos(0, 0);
	set_cmos(2, 0x08);
	set_cmos(4, 0x07);
	set_cmos(7, 0x06);
	set_cmos(8, 0x05);
	set_cmos(9, 0x33);
	set_cmos(0x32, 0x20);
	set_cmos(0x0b, 0x02);
	set_cmos(0x40, 0xab);
	out(RTC_PORT, 0x40, 1);
	move();
	expect_equal(in(RTC_PORT + 1, 1), 0xab);
	expect_equal(cmos(2), 0x08);
	expect_equal(cmos(4), 0x07);
	expect_equal(cmos(7), 0x06);
	expect_equal(cmos(8), 0x05);
	expect_equal(cmos(9), 0x33);
	expect_equal(cmos(0x32), 0x20);
	expect(timegm(&tm) > time(NULL));
	machine_end();
}

static void run_loop_once(unsigned int ms)
{
	struct loop *loop = &machine.vm.device_loop;
	unsigned int count = loop->room;
	struct pollfd fds[count];

	for (unsigned int i = 0; i < count; i++)
		fds[i] = (struct pollfd){ .fd = loop->sources[i].fd, .events = POLLIN };
	poll(fds, count, ms);
	for (unsigned int i = 0; i < count; i++)
		if (fds[i].fd >= 0 && fds[i].revents)
			loop->sources[i].call(loop->sources[i].argument, fds[i].fd, fds[i].revents);
}

/* Periodic interrupts stop while the machine is frozen, and go on afterwards or in the next one. */
static void rtc_timer(void)
{
	machine_start();
	set_cmos(0x0a, 0x26);
	set_cmos(0x0b, 0x42);
	run_loop_once(100);
	for (int i = 0; i < 100 && !machine.lines[RTC_IRQ]; i++)
		run_loop_once(10);
	expect_equal(machine.lines[RTC_IRQ], 1);
	expect_equal(cmos(0x0c) & 0xc0, 0xc0);
	expect_equal(machine.lines[RTC_IRQ], 0);
	devices_freeze();
	for (int i = 0; i < 20; i++)
		run_loop_once(1);
	expect_equal(machine.lines[RTC_IRQ], 0);
	require(devices_thaw(&error));
	move();
	for (int i = 0; i < 100 && !machine.lines[RTC_IRQ]; i++)
		run_loop_once(10);
	expect_equal(machine.lines[RTC_IRQ], 1);
	machine_end();
}

static void pass_a_second(void)
{
	for (uint8_t second = cmos(0); cmos(0) == second;)
		usleep(1000);
}

/* Flags tell of what has come to pass before their interrupt was enabled, and no write loses it. */
static void rtc_alarm(void)
{
	machine_start();
	set_cmos(0x0a, 0x20);	/* no periods */
	for (uint8_t i = 1; i <= 5; i += 2)
		set_cmos(i, 0xc0);	/* each second */
	cmos(0x0c);
	pass_a_second();
	expect_equal(cmos(0x0c), 0x30);
	expect_equal(cmos(0x0c), 0);
	pass_a_second();
	expect_equal(machine.lines[RTC_IRQ], 0);
	set_cmos(0x0b, 0x22);
	expect_equal(machine.lines[RTC_IRQ], 1);
	expect_equal(cmos(0x0c), 0xb0);
	expect_equal(machine.lines[RTC_IRQ], 0);
	/* The timer's turn has not come yet. */
	pass_a_second();
	set_cmos(0x0b, 0x22);
	expect_equal(machine.lines[RTC_IRQ], 1);
	machine_end();
}

static void sleep_until_next_second(void)
{
	struct timespec at;

	clock_gettime(CLOCK_REALTIME, &at);
	at = (struct timespec){ .tv_sec = at.tv_sec + 1 };
	while (clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
}

/* A second begins when the timer says that it does. */
static void rtc_seconds(void)
{
	machine_start();
	set_cmos(0x0b, 0x02);
	for (int i = 0; i < 3; i++) {
		struct timespec before, after;
		uint8_t second;

		sleep_until_next_second();
		clock_gettime(CLOCK_REALTIME, &before);
		second = cmos(0);
		clock_gettime(CLOCK_REALTIME, &after);
		if (before.tv_sec == after.tv_sec)
			expect_equal((second >> 4) * 10 + (second & 15), before.tv_sec % 60);
	}
	machine_end();
}

/* The chip says that the registers are about to change, and takes it back when they have. */
static void rtc_update(void)
{
	struct timespec seen, clear;
	uint8_t second;
	bool told = false;

	machine_start();
	for (int i = 0; i < 20 && !told; i++) {
		second = cmos(0);
		while (!(told = cmos(0x0a) & 0x80) && cmos(0) == second)
			;
	}
	clock_gettime(CLOCK_REALTIME, &seen);
	expect(told);
	while (cmos(0x0a) & 0x80)
		;
	clock_gettime(CLOCK_REALTIME, &clear);
	expect_equal(clear.tv_sec, seen.tv_nsec >= 999000000 ? seen.tv_sec + 1 : seen.tv_sec);
	expect_equal(cmos(0), (clear.tv_sec % 60) / 10 << 4 | clear.tv_sec % 10);
	/* While software sets the clock, nothing changes. */
	set_cmos(0x0b, 0x82);
	for (int i = 0; i < 1100; i++) {
		usleep(1000);
		expect_equal(cmos(0x0a) & 0x80, 0);
	}
	machine_end();
}

/* However often registers are written, no period is lost; the flag tells without PIE too. */
static void rtc_periods(void)
{
	machine_start();
	set_cmos(0x0a, 0x2f);	/* 2 Hz */
	cmos(0x0c);
	set_cmos(0x0b, 0x42);
	for (int i = 0; i < 2000 && !machine.lines[RTC_IRQ]; i++) {
		usleep(1000);
		set_cmos(0x0b, 0x42);
	}
	expect_equal(machine.lines[RTC_IRQ], 1);
	expect_equal(cmos(0x0c) & 0xc0, 0xc0);
	set_cmos(0x0b, 0x02);
	set_cmos(0x0a, 0x26);	/* 1024 Hz */
	cmos(0x0c);
	usleep(2000);
	expect_equal(cmos(0x0c) & 0xc0, 0x40);
	expect_equal(machine.lines[RTC_IRQ], 0);
	/* Rate 0 means none. */
	set_cmos(0x0a, 0x20);
	cmos(0x0c);
	usleep(2000);
	expect_equal(cmos(0x0c) & 0x40, 0);
	machine_end();
}

static void pm_goes_on(void)
{
	uint32_t before;

	machine_start();
	machine.now_ns += 700000000000ull;
	out(PM1_EVENT_PORT + 2, 1 << 8 | 1, 2);
	before = in(PM_TIMER_PORT, 4);
	expect_equal(in(PM1_EVENT_PORT, 2) & 1, 1);
	expect_equal(machine.lines[SCI_IRQ], 1);
	move();
	expect_equal(machine.lines[SCI_IRQ], 1);
	expect_equal(in(PM1_EVENT_PORT + 2, 2), 1 << 8 | 1);
	expect_equal(in(PM1_CONTROL_PORT, 2), 1);
	expect(in(PM_TIMER_PORT, 4) - before < 3);
	machine.now_ns += 1000000000;
	expect(in(PM_TIMER_PORT, 4) - before - 3579545 < 3);
	out(PM1_EVENT_PORT, 1, 2);
	expect_equal(machine.lines[SCI_IRQ], 0);
	machine_end();
}

/* ---- the PM timer's event, while the clock goes on between any two lines -------------------- */

#define TMR		1u
#define EDGE_NS		((1ull << 31) * 1000000000 / 3579545)	/* bit 31 of the PM timer changes */

/* The PM timer's is the last that is made; @armed_ns: when it strikes, 0: it does not. */
static int timer_fd;
static uint64_t armed_ns;
static clockid_t timer_clock;

int __real_timerfd_create(clockid_t clock, int flags);
int __wrap_timerfd_create(clockid_t clock, int flags);
int __real_timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old);
int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old);

int __wrap_timerfd_create(clockid_t clock, int flags)
{
	timer_clock = clock;
	timer_fd = __real_timerfd_create(clock, flags);
	return timer_fd;
}

int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old)
{
	uint64_t ns = new->it_value.tv_sec * 1000000000ull + new->it_value.tv_nsec;

	if (fd == timer_fd)
		armed_ns = ns ? machine.now_ns + ns : 0;
	else
		rtc_clock_armed(fd, ns, new->it_interval.tv_sec * 1000000000ull + new->it_interval.tv_nsec);
	return __real_timerfd_settime(fd, flags, new, old);
}

/* The time comes for which the timer was set, whatever the real clock says. */
static void run_armed_timer(void)
{
	const struct loop *loop = &machine.vm.device_loop;

	if (machine.now_ns < armed_ns)
		machine.now_ns = armed_ns;
	for (unsigned int i = 0; i < loop->room; i++)
		if (loop->sources[i].fd == timer_fd)
			loop->sources[i].call(loop->sources[i].argument, timer_fd, POLLIN);
}

/* The guest hears of the change at @edge, however the clock goes on, and not much later. */
static void expect_event(uint64_t edge, const char *what)
{
	for (int turns = 0; turns < 3 && !machine.lines[SCI_IRQ] && armed_ns; turns++)
		run_armed_timer();
	tap_check(machine.lines[SCI_IRQ] == 1, false, "%s, %llu ns a look: the event is lost", what,
		  (unsigned long long)machine.step_ns);
	tap_check(machine.now_ns < edge + 2000 + 20 * machine.step_ns, false,
		  "%s, %llu ns a look: the event is late", what, (unsigned long long)machine.step_ns);
}

/* A machine of which the next change is @before_ns away. */
static uint64_t begin_before_edge(uint64_t step_ns, uint64_t before_ns)
{
	uint64_t edge;

	machine_start();
	edge = machine.now_ns + EDGE_NS;
	machine.now_ns = edge - before_ns;
	machine.step_ns = step_ns;
	armed_ns = 0;
	return edge;
}

static void pm_event_at(uint64_t step_ns, uint64_t before_ns)
{
	uint64_t edge = begin_before_edge(step_ns, before_ns);

	out(PM1_EVENT_PORT + 2, TMR, 2);
	expect_event(edge, "enabled");
	/* Clearing the flag drops an event that came before; one that comes during the write stays. */
	machine.now_ns = edge + EDGE_NS - before_ns - step_ns;
	out(PM1_EVENT_PORT, TMR, 2);
	expect_event(edge + EDGE_NS, "cleared");
	/* The guest switches the interrupt off and on again, and clears the event in the same write. */
	out(PM1_EVENT_PORT + 2, 0, 2);
	expect_equal(machine.lines[SCI_IRQ], 0);
	machine.now_ns = edge + 2 * EDGE_NS - before_ns - step_ns;
	out(PM1_EVENT_PORT, TMR << 16 | TMR, 4);
	expect_event(edge + 2 * EDGE_NS, "enabled and cleared");
	machine_end();
	/* While the machine stands still nothing is told, and afterwards it is. */
	edge = begin_before_edge(step_ns, before_ns);
	out(PM1_EVENT_PORT + 2, TMR, 2);
	devices_freeze();
	run_armed_timer();
	require(devices_thaw(&error));
	expect_event(edge, "frozen");
	machine_end();
	edge = begin_before_edge(step_ns, before_ns);
	out(PM1_EVENT_PORT + 2, TMR, 2);
	/* A read of the timer or of the flags takes no event away. */
	for (int i = 0; i < 4; i++)
		in(PM_TIMER_PORT, 4);
	in(PM1_EVENT_PORT, 4);
	expect_event(edge, "read");
	machine_end();
}

/* Also where the edge passes before, between and behind the looks that a write takes. */
static void pm_event_is_not_lost(void)
{
	static const uint64_t steps[] = { 0, 1, 139, 279, 280, 1000, 100000 };

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		for (uint64_t looks = 0; looks < 8; looks++) {
			pm_event_at(steps[i], looks * steps[i] + 1);
			pm_event_at(steps[i], looks * steps[i] + steps[i] / 2 + 300);
		}
	/* It counts what the machine's clock counts, also while the host sleeps. */
	expect_equal(timer_clock, CLOCK_BOOTTIME);
}

static void keyboard_goes_on(void)
{
	machine_start();
	out(0x64, 0xd3, 1);
	move();
	out(0x60, 0x77, 1);
	expect_equal(in(0x64, 1) & 0x21, 0x21);
	move();
	expect_equal(in(0x60, 1), 0x77);
	machine_end();
}

/* ---- records that are not right ---------------------------------------------------------- */

static void cut_off(void)
{
	machine_start();
	save();
	for (unsigned int i = 0; i < nr_saved; i++) {
		struct device_record *record = &saved[i].record;
		size_t bytes = record->bytes;

		for (record->bytes = 0; record->bytes < bytes; record->bytes++) {
			expect(!devices_load(record, &error));
			expect(!strncmp(error.words, record->name, strlen(record->name)));
		}
		record->bytes = bytes + 1;
		expect(!devices_load(record, &error));
		expect(strstr(error.words, "1 bytes follow"));
		record->bytes = bytes;
		record->version += 1;
		expect(!devices_load(record, &error));
		expect(strstr(error.words, "has version 2, this gondola knows version 1"));
		record->version -= 1;
		record->instance = 1;
		expect(!devices_load(record, &error));
		expect(strstr(error.words, "there is no such device"));
		record->instance = 0;
	}
	expect(!devices_loaded(&error));
	expect(strstr(error.words, "serial 0: there is no record of it"));
	load();
	machine_end();
}

/* Writes @value over the last @bytes of the field. */
static void set_field(struct saved *one, const char *field, const void *value, size_t bytes)
{
	char name[STATE_NAME_MAX + 1];
	const void *old;
	unsigned int kind;
	size_t at = 0, next, room;

	while ((next = state_next(&one->record, at, name, &kind, &old, &room))) {
		if (!strcmp(name, field)) {
			require(room >= bytes);
			memcpy(one->data + next - bytes, value, bytes);
			return;
		}
		at = next;
	}
	tap_check(false, true, "there is no field %s", field);
}

static void wrong_values(void)
{
	static const struct {
		const char *device, *field;
		uint64_t value;
		size_t bytes;
	} wrong[] = {
		{ "serial", "ier", 0x10, 1 }, { "serial", "fcr", 0x02, 1 },
		{ "serial", "mcr", 0x20, 1 }, { "serial", "errors", 0x04, 1 },
		{ "serial", "thr_interrupt", 2, 1 },
		{ "rtc", "index", 0x80, 1 }, { "rtc", "offset", 1ull << 63, 8 },
		{ "rtc", "offset", INT64_MAX, 8 }, { "rtc", "last", 1ull << 63, 8 },
		{ "acpi-pm", "timer", ~0ull, 8 }, { "acpi-pm", "last", 1ull << 50, 8 },
		{ "acpi-pm", "status", 2, 2 }, { "acpi-pm", "enable", 0x8000, 2 },
		{ "acpi-pm", "control", 0, 2 }, { "acpi-pm", "control", 0x2001, 2 },
		{ "i8042", "status", 0x80, 1 }, { "i8042", "expects", 0x20, 1 },
	};

	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char words[64];
		struct saved *one;

		machine_start();
		save();
		one = find(wrong[i].device);
		set_field(one, wrong[i].field, &wrong[i].value, wrong[i].bytes);
		snprintf(words, sizeof(words), "%s 0: field %s: ", wrong[i].device, wrong[i].field);
		error.words[0] = 0;
		expect(!devices_load(&one->record, &error));
		tap_check(!strncmp(error.words, words, strlen(words)), false, "\"%s\" is not \"%s…\"",
			  error.words, words);
		machine_end();
	}
}

static void use_all(void)
{
	for (uint16_t port = 0x60; port < 0x80; port++)
		in(port, 1);
	for (uint16_t port = SERIAL_PORT; port < SERIAL_PORT + 8; port++)
		in(port, 1);
	for (uint8_t index = 0; index < 0x80; index++)
		cmos(index);
	for (uint16_t port = PM1_EVENT_PORT; port < PM_TIMER_PORT; port += 4)
		in(port, 4);
	machine.guest->room(machine.guest_device);
	run_loop_once(0);
}

static void mutated(void)
{
	unsigned int taken = 0, refused = 0;

	srandom(20260103);
	for (unsigned int round = 0; round < MUTATIONS / 4; round++) {
		machine_start();
		save();
		for (unsigned int i = 0; i < nr_saved; i++) {
			saved[i].data[random() % saved[i].record.bytes] = random() >> 8;
			if (devices_load(&saved[i].record, &error))
				taken++;
			else
				refused++;
		}
		require(devices_thaw(&error));
		use_all();
		machine_end();
	}
	expect_equal(taken + refused, MUTATIONS);
	expect(taken > 500);
	expect(refused > 500);
}

/* A row of fields that no device has written. */
static void malformed(void)
{
	static const struct {
		const char *bytes;
		size_t count;
	} wrong[] = {
		{ "", 0 }, { "\1\1\1\0\0", 5 }, { "\0\1\1\0\0\0x", 7 }, { "\1\1\1\0\0\0x", 7 },
		{ "\1\3\1\0\0\0xx", 8 }, { "\1\1\3\0\0\0xabc", 10 }, { "\1\2\377\377\377\377x", 7 },
		{ "\40\2\0\0\0\00012345678901234567890123456789012", 38 },
		{ "\1\1\1\0\0\0\33x", 8 }, { "\377\2\0\0\0\0x", 7 },
	};
	char name[STATE_NAME_MAX + 1];
	unsigned int kind;
	const void *value;
	size_t bytes;

	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct device_record record = { .data = wrong[i].bytes, .bytes = wrong[i].count };

		tap_check(!state_next(&record, 0, name, &kind, &value, &bytes), false,
			  "row %u was taken", i);
	}
}

/* ---- a guest that writes anything ---------------------------------------------------------- */

static void nonsense(void)
{
	static const uint16_t starts[] = {
		SERIAL_PORT, RTC_PORT, PM1_EVENT_PORT, PM1_CONTROL_PORT, PM_TIMER_PORT, 0x60, 0xcf8, 0x80, 0xf4,
	};
	static const uint8_t widths[] = { 1, 1, 2, 4 };
	unsigned int ends = 0;

	srandom(20260104);
	machine_start();
	for (unsigned int i = 0; i < NONSENSE; i++) {
		uint16_t port = starts[random() % (sizeof(starts) / sizeof(starts[0]))] +
				random() % 8;

		out(port, (uint32_t)random() << 1 ^ random(), widths[random() % 4]);
		in(port, widths[random() % 4]);
		machine.now_ns += random();
		if (random() % 64 == 0 && machine.guest->room(machine.guest_device))
			machine.guest->input(machine.guest_device, "x", 1);
		if (random() % 64 == 0)
			run_loop_once(0);
		/* Resets and power-offs are what it asked for. */
		ends += machine.vm.end != VM_RUNNING;
		machine.vm.end = VM_RUNNING;
	}
	expect(ends > 10);
	/* The result can be saved and loaded. */
	move();
	use_all();
	machine_end();
}

static void on_event(void *argument, int fd, short events)
{
	unsigned int *called = argument;
	uint64_t count;

	(void)events;
	if (read(fd, &count, sizeof(count)) == sizeof(count) && ++*called == SOURCES)
		loop_stop(&machine.vm.device_loop);
}

/* More than anyone counted on: each is served. */
static void many_sources(void)
{
	unsigned int called = 0;

	machine_start();
	for (unsigned int i = 0; i < SOURCES; i++) {
		int fd = eventfd(1, EFD_CLOEXEC);

		require(fd >= 0);
		loop_add(&machine.vm.device_loop, fd, POLLIN, on_event, &called);
	}
	loop_run(&machine.vm.device_loop);
	expect_equal(called, SOURCES);
	machine_end();
}

static const struct tap_test tests[] = {
	{ "a saved serial port goes on", serial_goes_on },
	{ "output waits for a reader that stands still", serial_waits },
	{ "input waits while the machine stands still", serial_frozen },
	{ "a saved clock goes on", rtc_goes_on },
	{ "periodic interrupts stop and go on", rtc_timer },
	{ "an alarm that comes while it is enabled is not lost", rtc_alarm },
	{ "a second begins when the timer says so", rtc_seconds },
	{ "the clock says when its registers are about to change", rtc_update },
	{ "no period is lost, however often registers are written", rtc_periods },
	{ "the clock's interrupts are not late, however time passes", rtc_event_is_not_lost },
	{ "the PM timer goes on where it was", pm_goes_on },
	{ "the PM timer's event is not lost while it is armed", pm_event_is_not_lost },
	{ "a saved keyboard controller goes on", keyboard_goes_on },
	{ "records cut off, of another version, of unknown devices are refused", cut_off },
	{ "wrong values are refused by name", wrong_values },
	{ "records with changed bytes do no harm", mutated },
	{ "what is no field is told apart", malformed },
	{ "what there is no memory for is not saved by half", no_memory },
	{ "the loop takes as many sources as there are", many_sources },
	{ "100,000 nonsense writes to all ports", nonsense },
};

TAP_MAIN(tests)
