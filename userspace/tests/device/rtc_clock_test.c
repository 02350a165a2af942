// SPDX-License-Identifier: GPL-2.0-only
/* The CMOS clock's interrupts, while the host's clocks go on between any two looks at them. */
#include <poll.h>
#include <time.h>

#include "machine.h"
#include "rtc_clock_test.h"

#define NS		1000000000ull
#define START_NS	(1700000000 * NS)
/* An interrupt may be that much later than its time, beside the looks that a write takes. */
#define LATE_NS		1000000

/* @now_ns: the host's time, while @on; @step_ns: how far it goes whenever it is read */
static struct {
	bool on;
	uint64_t now_ns;
	uint64_t step_ns;
} host;

static struct {
	int fd;
	uint64_t due_ns;
	uint64_t period_ns;
} armed;

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	if (!host.on)
		return __real_clock_gettime(clock, now);
	host.now_ns += host.step_ns;
	*now = (struct timespec){ .tv_sec = host.now_ns / NS, .tv_nsec = host.now_ns % NS };
	return 0;
}

void rtc_clock_armed(int fd, uint64_t first_ns, uint64_t period_ns)
{
	armed.fd = fd;
	armed.due_ns = first_ns ? host.now_ns + first_ns : 0;
	armed.period_ns = period_ns;
}

static void set(uint8_t index, uint8_t value)
{
	out(RTC_PORT, index, 1);
	out(RTC_PORT + 1, value, 1);
}

static void get(uint8_t index)
{
	out(RTC_PORT, index, 1);
	in(RTC_PORT + 1, 1);
}

static void strike(void)
{
	const struct loop *loop = &machine.vm.device_loop;

	if (host.now_ns < armed.due_ns)
		host.now_ns = armed.due_ns;
	armed.due_ns += armed.period_ns;
	for (unsigned int i = 0; i < loop->room; i++)
		if (loop->sources[i].fd == armed.fd)
			loop->sources[i].call(loop->sources[i].argument, armed.fd, POLLIN);
}

static void expect_interrupt(uint64_t at_ns, const char *what)
{
	for (int turns = 0; turns < 3 && !machine.lines[RTC_IRQ] && armed.due_ns; turns++)
		strike();
	tap_check(machine.lines[RTC_IRQ] == 1, false, "%s, %llu ns a look: the interrupt is lost", what,
		  (unsigned long long)host.step_ns);
	tap_check(host.now_ns < at_ns + LATE_NS + 20 * host.step_ns, false,
		  "%s, %llu ns a look: the interrupt is late by %llu ns", what,
		  (unsigned long long)host.step_ns, (unsigned long long)(host.now_ns - at_ns));
}

/* Interrupts of @enable come each @each_ns; the next one is due @before_ns after the write begins. */
static void interrupt_at(uint8_t enable, uint64_t each_ns, uint64_t step_ns, uint64_t before_ns)
{
	uint64_t due = START_NS + each_ns;

	host.now_ns = START_NS;
	host.step_ns = 0;
	host.on = true;
	machine_start();
	set(0x0a, 0x2f);		/* a period of half a second */
	for (uint8_t i = 1; i <= 5; i += 2)
		set(i, 0xc0);		/* an alarm each second */
	get(0x0c);
	host.now_ns = due - before_ns;
	host.step_ns = step_ns;
	set(0x0b, enable | 0x02);
	expect_interrupt(due, "enabled");
	/* The next one, while the same is written again. */
	host.step_ns = 0;
	get(0x0c);
	due += each_ns;
	host.now_ns = due - before_ns;
	host.step_ns = step_ns;
	set(0x0b, enable | 0x02);
	set(0x0a, 0x2f);
	expect_interrupt(due, "written again");
	host.on = false;
	machine_end();
}

void rtc_event_is_not_lost(void)
{
	static const uint64_t steps[] = { 1, 1000, 100000, 10000000 };

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		for (uint64_t looks = 0; looks < 16; looks++) {
			uint64_t before = looks * steps[i] + steps[i] / 2 + 1;

			interrupt_at(0x10, NS, steps[i], before);
			interrupt_at(0x20, NS, steps[i], before);
			interrupt_at(0x40, NS / 2, steps[i], before);
		}
}
