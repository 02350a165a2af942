// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tells its clocks over and over: "clocks TSC PM LAPIC DATE".  The first three are milliseconds since it
 * began, by the TSC, the PM timer and the local APIC's timer; DATE is the real-time clock's seconds of
 * the day.  The PM timer's frequency is known: the others are measured by it first.
 */
#include "guest.h"

#define PM_TIMER	0x608
#define PM_HZ		3579545u
#define RTC_INDEX	0x70
#define RTC_DATA	0x71
#define RTC_UPDATING	0x80		/* in register A */
#define LAPIC		0xfee00000u
#define LAPIC_SVR	0xf0
#define LAPIC_LVT_TIMER	0x320
#define LAPIC_INITIAL	0x380
#define LAPIC_CURRENT	0x390
#define LAPIC_DIVIDE	0x3e0
#define MASKED		(1u << 16)
#define BY_128		10u

struct clocks {
	uint64_t tsc;
	uint32_t pm;
	uint32_t lapic;
};

static volatile uint32_t *lapic(uint32_t reg)
{
	return (volatile uint32_t *)(LAPIC + reg);
}

static struct clocks look(void)
{
	struct clocks now;

	asm volatile("lfence; rdtsc" : "=A"(now.tsc));
	now.pm = inl(PM_TIMER);
	/* It counts down. */
	now.lapic = -*lapic(LAPIC_CURRENT);
	return now;
}

/* The quickest of some looks: the host took the processor away during others, between two clocks. */
static struct clocks look_closely(void)
{
	struct clocks now, best = { 0 };
	uint64_t after, least = ~0ull;

	for (int i = 0; i < 32; i++) {
		now = look();
		asm volatile("lfence; rdtsc" : "=A"(after));
		if (after - now.tsc < least) {
			least = after - now.tsc;
			best = now;
		}
	}
	return best;
}

static uint32_t rtc(uint8_t reg)
{
	outb(RTC_INDEX, reg);
	return inb(RTC_DATA);
}

static uint32_t decimal(uint32_t value)
{
	return (value >> 4) * 10 + (value & 15);
}

static uint32_t seconds_of_day(void)
{
	uint32_t before, time;

	do {
		before = rtc(0);
		time = decimal(rtc(4) & 0x7f) * 3600 + decimal(rtc(2)) * 60 + decimal(before);
	} while (rtc(10) & RTC_UPDATING || rtc(0) != before);
	return time;
}

/* A 32-bit division of 64 bits, which the compiler would call a library for. */
static uint32_t divide(uint64_t value, uint32_t by)
{
	uint32_t high = value >> 32, low = value, quotient, rest = high % by;

	asm("divl %4" : "=a"(quotient), "=d"(rest) : "0"(low), "1"(rest), "r"(by));
	return quotient;
}

void guest_main(const struct guest_info *info)
{
	struct clocks began, now;
	uint32_t tsc_per_ms, lapic_per_ms;

	(void)info;
	*lapic(LAPIC_SVR) = 0x1ff;
	*lapic(LAPIC_LVT_TIMER) = MASKED;
	*lapic(LAPIC_DIVIDE) = BY_128;
	*lapic(LAPIC_INITIAL) = ~0u;
	began = look_closely();
	do
		now = look();
	while (now.pm - began.pm < PM_HZ / 4);
	now = look_closely();
	/* A quarter of a second has passed, and what the loop was late by. */
	tsc_per_ms = divide(divide(now.tsc - began.tsc, 250) * (uint64_t)(PM_HZ / 4), now.pm - began.pm);
	lapic_per_ms = divide((now.lapic - began.lapic) / 250 * (uint64_t)(PM_HZ / 4), now.pm - began.pm);
	for (;;) {
		now = look();
		print("clocks ");
		print_number(divide(now.tsc - began.tsc, tsc_per_ms));
		print(" ");
		print_number(divide((uint64_t)(now.pm - began.pm) * 1000, PM_HZ));
		print(" ");
		print_number((now.lapic - began.lapic) / lapic_per_ms);
		print(" ");
		print_number(seconds_of_day());
		print("\n");
	}
}
