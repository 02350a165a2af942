// SPDX-License-Identifier: GPL-2.0-only
/* An MC146818 clock with its CMOS memory: UTC, periodic, alarm and update interrupts. */
#include <string.h>
#include <time.h>

#include "base/wait.h"
#include "device.h"
#include "state.h"
#include "vm/vm.h"

enum {
	RTC_SECONDS = 0, RTC_SECONDS_ALARM, RTC_MINUTES, RTC_MINUTES_ALARM,
	RTC_HOURS, RTC_HOURS_ALARM, RTC_WEEKDAY, RTC_DAY, RTC_MONTH, RTC_YEAR,
	RTC_A, RTC_B, RTC_C, RTC_D,
	RTC_BASE_KIB = 0x15,		/* two bytes each: */
	RTC_EXTENDED_KIB = 0x17,
	RTC_EXTENDED_KIB_AGAIN = 0x30,
	RTC_CENTURY = 0x32,
	RTC_ABOVE_16M = 0x34,		/* in units of 64 KiB */
	RTC_ABOVE_4G = 0x5b,		/* likewise, three bytes */
	RTC_CPUS = 0x5f,		/* number of processors less one */
};

#define A_UPDATES	0x80		/* the registers are about to change */
#define A_RATE		0x0f
#define A_DIVIDER_32K	0x20
#define B_SET		0x80		/* the clock is stopped while software sets it */
#define B_PIE		0x40
#define B_AIE		0x20
#define B_UIE		0x10
#define B_BINARY	0x04
#define B_24H		0x02
#define C_IRQ		0x80
#define D_VALID		0x80
#define HOUR_PM		0x80
#define NS		1000000000ll
#define UPDATE_NS	244141		/* that long before: eight periods of 32768 Hz */
#define MAX_TIME	(1ll << 44)	/* in seconds: more than the registers can hold */

struct rtc {
	struct irq_line irq;
	struct vm *vm;
	int timer;
	uint8_t index;
	uint8_t memory[128];		/* its time registers are used while B_SET is set */
	int64_t offset;			/* guest time less host time, in seconds */
	int64_t last;			/* guest time at the last update by the timer */
	int64_t periods;		/* host's uptime at the same moment */
};

/* time() lags by up to a tick, so that a timer for the next second would come too early. */
static int64_t host_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec;
}

static int64_t guest_time(const struct rtc *rtc)
{
	return host_time() + rtc->offset;
}

static uint8_t encode(const struct rtc *rtc, int value)
{
	return rtc->memory[RTC_B] & B_BINARY ? value : (value / 10 % 10) << 4 | value % 10;
}

static int decode(const struct rtc *rtc, uint8_t value)
{
	return rtc->memory[RTC_B] & B_BINARY ? value : (value >> 4) * 10 + (value & 15);
}

static uint8_t encode_hour(const struct rtc *rtc, int hour)
{
	if (rtc->memory[RTC_B] & B_24H)
		return encode(rtc, hour);
	return encode(rtc, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0);
}

static int decode_hour(const struct rtc *rtc, uint8_t value)
{
	if (rtc->memory[RTC_B] & B_24H)
		return decode(rtc, value);
	return decode(rtc, value & ~HOUR_PM) % 12 + (value & HOUR_PM ? 12 : 0);
}

/* Write the time @now to the registers. */
static void store_time(struct rtc *rtc, int64_t now)
{
	time_t seconds = now;
	struct tm tm;
	int year;

	gmtime_r(&seconds, &tm);
	/* If a guest sets a time before the year 0 or after 9999, the registers wrap. */
	year = ((tm.tm_year + 1900) % 10000 + 10000) % 10000;
	rtc->memory[RTC_SECONDS] = encode(rtc, tm.tm_sec);
	rtc->memory[RTC_MINUTES] = encode(rtc, tm.tm_min);
	rtc->memory[RTC_HOURS] = encode_hour(rtc, tm.tm_hour);
	rtc->memory[RTC_WEEKDAY] = encode(rtc, tm.tm_wday + 1);
	rtc->memory[RTC_DAY] = encode(rtc, tm.tm_mday);
	rtc->memory[RTC_MONTH] = encode(rtc, tm.tm_mon + 1);
	rtc->memory[RTC_YEAR] = encode(rtc, year % 100);
	rtc->memory[RTC_CENTURY] = encode(rtc, year / 100);
}

/* Continue the clock from the time that the guest set in the registers. */
static void load_time(struct rtc *rtc)
{
	struct tm tm = {
		.tm_sec = decode(rtc, rtc->memory[RTC_SECONDS]),
		.tm_min = decode(rtc, rtc->memory[RTC_MINUTES]),
		.tm_hour = decode_hour(rtc, rtc->memory[RTC_HOURS]),
		.tm_mday = decode(rtc, rtc->memory[RTC_DAY]),
		.tm_mon = decode(rtc, rtc->memory[RTC_MONTH]) - 1,
		.tm_year = decode(rtc, rtc->memory[RTC_CENTURY]) * 100 +
			   decode(rtc, rtc->memory[RTC_YEAR]) - 1900,
	};

	rtc->last = timegm(&tm);
	rtc->offset = rtc->last - host_time();
}

static bool is_time(uint8_t index)
{
	return index == RTC_CENTURY || index == RTC_SECONDS || index == RTC_MINUTES ||
	       index == RTC_HOURS || (index >= RTC_WEEKDAY && index <= RTC_YEAR);
}

static bool alarm_matches(const struct rtc *rtc, int64_t when)
{
	const uint8_t *m = rtc->memory;
	int second = when % 60, minute = when / 60 % 60, hour = when / 3600 % 24;

	/* An alarm register with both top bits set matches any value. */
	return (m[RTC_SECONDS_ALARM] >= 0xc0 || decode(rtc, m[RTC_SECONDS_ALARM]) == second) &&
	       (m[RTC_MINUTES_ALARM] >= 0xc0 || decode(rtc, m[RTC_MINUTES_ALARM]) == minute) &&
	       (m[RTC_HOURS_ALARM] >= 0xc0 || decode_hour(rtc, m[RTC_HOURS_ALARM]) == hour);
}

/* 0: it is switched off. */
static int64_t period_ns(const struct rtc *rtc)
{
	int rate = rtc->memory[RTC_A] & A_RATE;

	/* Rates 1 and 2 are the same as 8 and 9. */
	return rate ? NS * (1ll << ((rate < 3 ? rate + 7 : rate) - 1)) / 32768 : 0;
}

static int64_t count_periods(const struct rtc *rtc)
{
	int64_t period = period_ns(rtc);

	return period ? wait_now_ns() / period : 0;
}

/*
 * Only interrupts need the timer: flags are computed from the clocks.  The caller settles afterwards,
 * since a second or a period that ended shortly before is none of those that the timer waits for.
 */
static void arm(struct rtc *rtc)
{
	int64_t period = rtc->memory[RTC_B] & B_PIE ? period_ns(rtc) : 0;
	struct timespec now;

	if (period) {
		loop_timer_set(rtc->timer, period - wait_now_ns() % period, period);
	} else if (rtc->memory[RTC_B] & (B_AIE | B_UIE)) {
		clock_gettime(CLOCK_REALTIME, &now);
		loop_timer_set(rtc->timer, NS - now.tv_nsec, NS);
	} else {
		loop_timer_set(rtc->timer, 0, 0);
	}
}

/* Flags in C have the same positions as their enable bits in B. */
static void update_irq(struct rtc *rtc)
{
	uint8_t *c = &rtc->memory[RTC_C];

	if (*c & rtc->memory[RTC_B] & (B_PIE | B_AIE | B_UIE))
		*c |= C_IRQ;
	else
		*c &= ~C_IRQ;
	irq_line_set(&rtc->irq, *c & C_IRQ);
}

/*
 * Set the flags in C for all seconds and periods that have passed, enabled or not.  Called before a
 * read that shows flags, and before a write on which they depend.
 */
static void settle(struct rtc *rtc)
{
	int64_t now = guest_time(rtc), periods = count_periods(rtc);

	if (periods != rtc->periods)
		rtc->memory[RTC_C] |= B_PIE;
	rtc->periods = periods;
	if (now != rtc->last && !(rtc->memory[RTC_B] & B_SET)) {
		rtc->memory[RTC_C] |= B_UIE;
		/*
		 * If we are some seconds late, look for an alarm in each of them, but not if it is
		 * more than a day.
		 */
		if (now - rtc->last > 86400 || now < rtc->last)
			rtc->last = now - 1;
		while (rtc->last < now)
			if (alarm_matches(rtc, ++rtc->last))
				rtc->memory[RTC_C] |= B_AIE;
	}
	update_irq(rtc);
}

static void on_timer(void *argument, int fd, short events)
{
	struct rtc *rtc = argument;

	(void)events;
	loop_timer_ack(fd);
	vm_lock_devices(rtc->vm);
	/* Events that fall due while the VM is frozen come at its thaw. */
	if (!devices_frozen())
		settle(rtc);
	vm_unlock_devices(rtc->vm);
}

/* Software that finds this clear reads the time register by register, and trusts that none changes. */
static bool updates(const struct rtc *rtc)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return !(rtc->memory[RTC_B] & B_SET) && now.tv_nsec >= NS - UPDATE_NS;
}

static uint8_t read_register(struct rtc *rtc)
{
	uint8_t value;

	if (is_time(rtc->index) && !(rtc->memory[RTC_B] & B_SET))
		store_time(rtc, guest_time(rtc));
	if (rtc->index == RTC_C)
		settle(rtc);
	value = rtc->memory[rtc->index];
	if (rtc->index == RTC_A && updates(rtc))
		value |= A_UPDATES;
	if (rtc->index == RTC_C) {
		rtc->memory[RTC_C] = 0;
		update_irq(rtc);
	}
	return value;
}

static void write_register(struct rtc *rtc, uint8_t value)
{
	uint8_t old = rtc->memory[rtc->index];

	settle(rtc);
	switch (rtc->index) {
	case RTC_A:
		rtc->memory[RTC_A] = value & ~A_UPDATES;
		/* If a write changes nothing, the period that ends now must not be lost. */
		if ((old ^ value) & A_RATE)
			rtc->periods = count_periods(rtc);
		arm(rtc);
		settle(rtc);
		return;
	case RTC_B:
		if (value & ~old & B_SET)
			store_time(rtc, guest_time(rtc));
		rtc->memory[RTC_B] = value;
		if (old & ~value & B_SET)
			load_time(rtc);
		arm(rtc);
		settle(rtc);
		return;
	case RTC_C:
	case RTC_D:
		return;
	}
	if (!is_time(rtc->index) || rtc->memory[RTC_B] & B_SET) {
		rtc->memory[rtc->index] = value;
		return;
	}
	store_time(rtc, guest_time(rtc));
	rtc->memory[rtc->index] = value;
	load_time(rtc);
}

static uint64_t rtc_read(void *device, uint64_t offset, unsigned int bytes)
{
	(void)bytes;
	return offset ? read_register(device) : 0xff;
}

static void rtc_write(void *device, uint64_t offset, uint64_t value, unsigned int bytes)
{
	struct rtc *rtc = device;

	(void)bytes;
	if (offset)
		write_register(rtc, value);
	else
		rtc->index = value & 0x7f;	/* the top bit masks NMIs, which no device raises */
}

static void put16(uint8_t *at, uint64_t value)
{
	if (value > 0xffff)
		value = 0xffff;
	at[0] = value;
	at[1] = value >> 8;
}

/* Memory sizes in their usual places. */
static void store_sizes(struct rtc *rtc)
{
	uint64_t low = rtc->vm->memory.low, high = rtc->vm->memory.bytes - low;

	put16(&rtc->memory[RTC_BASE_KIB], 640);
	put16(&rtc->memory[RTC_EXTENDED_KIB], (low - (1 << 20)) >> 10);
	put16(&rtc->memory[RTC_EXTENDED_KIB_AGAIN], (low - (1 << 20)) >> 10);
	put16(&rtc->memory[RTC_ABOVE_16M], low > 16 << 20 ? (low - (16 << 20)) >> 16 : 0);
	rtc->memory[RTC_ABOVE_4G] = high >> 16;
	rtc->memory[RTC_ABOVE_4G + 1] = high >> 24;
	rtc->memory[RTC_ABOVE_4G + 2] = high >> 32;
	rtc->memory[RTC_CPUS] = rtc->vm->nr_vcpus - 1;
}

/* ---- saved state ---------------------------------------------------------------- */

static void thaw(void *device)
{
	struct rtc *rtc = device;

	irq_line_restore(&rtc->irq, rtc->memory[RTC_C] & C_IRQ);
	/* An alarm that fell due meanwhile comes with the next second. */
	arm(rtc);
}

static void save(void *device, struct state_writer *out)
{
	const struct rtc *rtc = device;

	state_put(out, "index", 1, rtc->index);
	state_put_bytes(out, "memory", rtc->memory, sizeof(rtc->memory));
	state_put(out, "offset", 8, rtc->offset);
	state_put(out, "last", 8, rtc->last);
}

static int64_t take_time(struct state_reader *in, const char *field)
{
	int64_t seconds = (int64_t)state_take(in, field, 8, UINT64_MAX);

	if (seconds < -MAX_TIME || seconds > MAX_TIME)
		state_refuse(in, field, "%lld seconds are no time", (long long)seconds);
	return seconds;
}

/* The clock goes on while a machine is off: keep its distance from the host's. */
static bool load(void *device, struct state_reader *in)
{
	struct rtc *rtc = device, new = { .irq = rtc->irq, .vm = rtc->vm, .timer = rtc->timer };

	new.index = state_take(in, "index", 1, 0x7f);
	state_take_bytes(in, "memory", new.memory, sizeof(new.memory));
	if (new.memory[RTC_A] & A_UPDATES || new.memory[RTC_C] & 0x0f || new.memory[RTC_D] != D_VALID)
		state_refuse(in, "memory", "a bit of register A, C or D is not as the chip has it");
	new.offset = take_time(in, "offset");
	new.last = take_time(in, "last");
	if (!state_end(in))
		return false;
	new.periods = count_periods(&new);
	*rtc = new;
	return true;
}

static const struct device_state_ops state = {
	.name = "rtc", .version = 1, .save = save, .load = load, .thaw = thaw,
};

void rtc_create(struct vm *vm)
{
	static const struct bus_ops ops = { .read = rtc_read, .write = rtc_write };
	struct rtc *rtc = device_alloc(sizeof(*rtc));

	rtc->vm = vm;
	rtc->irq = (struct irq_line){ .vm = vm, .gsi = RTC_IRQ };
	rtc->memory[RTC_A] = A_DIVIDER_32K | 6;
	rtc->memory[RTC_B] = B_24H;
	rtc->memory[RTC_D] = D_VALID;
	rtc->last = guest_time(rtc);
	rtc->periods = count_periods(rtc);
	store_sizes(rtc);
	rtc->timer = loop_timer(&vm->device_loop, on_timer, rtc);
	vm_add_pio(vm, RTC_PORT, 2, 1, &ops, rtc);
	device_register(&state, 0, rtc);
}
