// SPDX-License-Identifier: GPL-2.0-only
/* Suite pit: counts, outputs, latches, ticks, and port 0x61. */
#include <linux/prandom.h>
#include "test_host.h"

#define HZ_PIT	1193182u

/* The time of @n counts. */
static u64 counts(u32 n)
{
	return (u64)n * NSEC_PER_SEC / HZ_PIT + 1;
}

static void program(struct gondola_vcpu *vcpu, unsigned int channel, unsigned int mode, u16 count)
{
	irq_test_out(vcpu, 0x43, channel << 6 | 0x30 | mode << 1);
	irq_test_out(vcpu, 0x40 + channel, count);
	irq_test_out(vcpu, 0x40 + channel, count >> 8);
}

static u16 read(struct gondola_vcpu *vcpu, unsigned int channel)
{
	u16 low = irq_test_in(vcpu, 0x40 + channel);

	return low | irq_test_in(vcpu, 0x40 + channel) << 8;
}

static bool out2(struct gondola_vcpu *vcpu)
{
	return irq_test_in(vcpu, 0x61) & 0x20;
}

static u8 status(struct gondola_vcpu *vcpu, unsigned int channel)
{
	irq_test_out(vcpu, 0x43, 0xe0 | 2 << channel);
	return irq_test_in(vcpu, 0x40 + channel);
}

static void counts_down(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];

	/* Mode 0 counts on below zero; mode 2 reloads; mode 3 counts by two, twice in a period. */
	program(vcpu, 1, 0, 1000);
	irq_test_advance(counts(400));
	KUNIT_EXPECT_EQ(test, read(vcpu, 1), 600);
	irq_test_advance(counts(700));
	KUNIT_EXPECT_EQ(test, read(vcpu, 1), (u16)-100);
	program(vcpu, 1, 2, 1000);
	irq_test_advance(counts(1400));
	KUNIT_EXPECT_EQ(test, read(vcpu, 1), 600);
	program(vcpu, 1, 3, 1000);
	irq_test_advance(counts(400));
	KUNIT_EXPECT_EQ(test, read(vcpu, 1), 200);
	irq_test_advance(counts(200));
	KUNIT_EXPECT_EQ(test, read(vcpu, 1), 800);
	/* 0 is 65536. */
	program(vcpu, 1, 2, 0);
	irq_test_advance(counts(1));
	KUNIT_EXPECT_EQ(test, read(vcpu, 1), 0xffff);
	/* Decimal. */
	irq_test_out(vcpu, 0x43, 0x40 | 0x30 | 2 << 1 | 1);
	irq_test_out(vcpu, 0x41, 0x34);
	irq_test_out(vcpu, 0x41, 0x12);
	irq_test_advance(counts(35));
	KUNIT_EXPECT_EQ(test, read(vcpu, 1), 0x1199);
	/* One byte. */
	irq_test_out(vcpu, 0x43, 0x40 | 0x10 | 2 << 1);
	irq_test_out(vcpu, 0x41, 200);
	irq_test_advance(counts(50));
	KUNIT_EXPECT_EQ(test, irq_test_in(vcpu, 0x41), 150);
	irq_test_out(vcpu, 0x43, 0x40 | 0x20 | 2 << 1);
	irq_test_out(vcpu, 0x41, 2);
	irq_test_advance(counts(256));
	KUNIT_EXPECT_EQ(test, irq_test_in(vcpu, 0x41), 1);
	KUNIT_EXPECT_EQ_MSG(test, irq_test_timers(), 0, "only channel 0 needs a timer");
}

static void latches(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];

	program(vcpu, 0, 2, 10000);
	irq_test_advance(counts(1000));
	irq_test_out(vcpu, 0x43, 0x00);
	irq_test_advance(counts(1000));
	irq_test_out(vcpu, 0x43, 0x00);
	KUNIT_EXPECT_EQ_MSG(test, read(vcpu, 0), 9000, "the first latch stays until read");
	KUNIT_EXPECT_EQ(test, read(vcpu, 0), 8000);
	/* Read back: status, then count. */
	irq_test_out(vcpu, 0x43, 0xc2);
	KUNIT_EXPECT_EQ(test, irq_test_in(vcpu, 0x40), 0x80 | 0x34);
	irq_test_advance(counts(1000));
	KUNIT_EXPECT_EQ(test, read(vcpu, 0), 8000);
	/* Count not yet loaded. */
	irq_test_out(vcpu, 0x43, 0x30);
	KUNIT_EXPECT_EQ(test, status(vcpu, 0), 0x40 | 0x30);
	irq_test_out(vcpu, 0x40, 1);
	KUNIT_EXPECT_EQ(test, status(vcpu, 0), 0x40 | 0x30);
	irq_test_out(vcpu, 0x40, 0);
	KUNIT_EXPECT_EQ(test, status(vcpu, 0), 0x30);
	irq_test_advance(counts(2));
	KUNIT_EXPECT_EQ(test, status(vcpu, 0), 0x80 | 0x30);
	/* Modes 6 and 7 are 2 and 3. */
	irq_test_out(vcpu, 0x43, 0x3e);
	KUNIT_EXPECT_EQ(test, status(vcpu, 0) & 0x3f, 0x36);
	KUNIT_EXPECT_EQ(test, irq_test_in(vcpu, 0x43), 0);
}

static void speaker_port(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];
	unsigned int i, toggles = 0;
	u8 was, now;

	irq_test_out(vcpu, 0x61, 0xff);
	KUNIT_EXPECT_EQ(test, irq_test_in(vcpu, 0x61) & 0xcf, 0x0f);
	irq_test_out(vcpu, 0x61, 0);
	was = irq_test_in(vcpu, 0x61) & 0x10;
	for (i = 0; i < 1000; i++) {
		irq_test_advance(1000);
		now = irq_test_in(vcpu, 0x61) & 0x10;
		toggles += now != was;
		was = now;
	}
	KUNIT_EXPECT_GE(test, toggles, 66);
	KUNIT_EXPECT_LE(test, toggles, 67);

	/* Calibration of a TSC: gate on, mode 0, wait for the output. */
	irq_test_out(vcpu, 0x61, 1);
	program(vcpu, 2, 0, 11931);
	KUNIT_EXPECT_FALSE(test, out2(vcpu));
	irq_test_advance(counts(11930));
	KUNIT_EXPECT_FALSE(test, out2(vcpu));
	irq_test_advance(1000);
	KUNIT_EXPECT_TRUE(test, out2(vcpu));
}

/* The gate holds mode 0 and restarts modes 2 and 3; it triggers mode 1. */
static void speaker_gate(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];

	irq_test_out(vcpu, 0x61, 1);
	program(vcpu, 2, 0, 1000);
	irq_test_advance(counts(300));
	irq_test_out(vcpu, 0x61, 0);
	irq_test_advance(counts(5000));
	KUNIT_EXPECT_EQ(test, read(vcpu, 2), 700);
	irq_test_out(vcpu, 0x61, 1);
	irq_test_advance(counts(100));
	KUNIT_EXPECT_EQ(test, read(vcpu, 2), 600);
	program(vcpu, 2, 3, 1000);
	irq_test_advance(counts(100));
	KUNIT_EXPECT_TRUE(test, out2(vcpu));
	irq_test_advance(counts(500));
	KUNIT_EXPECT_FALSE(test, out2(vcpu));
	irq_test_out(vcpu, 0x61, 0);
	KUNIT_EXPECT_TRUE(test, out2(vcpu));
	irq_test_out(vcpu, 0x61, 1);
	irq_test_advance(counts(100));
	KUNIT_EXPECT_EQ(test, read(vcpu, 2), 800);
	irq_test_out(vcpu, 0x61, 0);
	program(vcpu, 2, 1, 1000);
	irq_test_advance(counts(5000));
	KUNIT_EXPECT_TRUE(test, out2(vcpu));
	irq_test_out(vcpu, 0x61, 1);
	KUNIT_EXPECT_FALSE(test, out2(vcpu));
	irq_test_out(vcpu, 0x61, 0);
	irq_test_advance(counts(999));
	KUNIT_EXPECT_FALSE_MSG(test, out2(vcpu), "a falling gate does not stop it");
	irq_test_advance(counts(2));
	KUNIT_EXPECT_TRUE(test, out2(vcpu));
	/* A strobe is low for one count. */
	irq_test_out(vcpu, 0x61, 1);
	program(vcpu, 2, 4, 1000);
	irq_test_advance(counts(999));
	KUNIT_EXPECT_TRUE(test, out2(vcpu));
	irq_test_advance(counts(1));
	KUNIT_EXPECT_FALSE(test, out2(vcpu));
	irq_test_advance(counts(1));
	KUNIT_EXPECT_TRUE(test, out2(vcpu));
}

/* Line 0 goes to I/O APIC pin 2, edge-triggered, vector 0x50. */
static void route(struct gondola_vcpu *vcpu)
{
	irq_test_mmio_write(vcpu, IOAPIC_BASE, 0x14);
	irq_test_mmio_write(vcpu, IOAPIC_BASE + 0x10, 0x50);
}

static unsigned int ticks_in(struct gondola_vcpu *vcpu, u64 ns, u64 step)
{
	unsigned int n = 0;
	u64 t;

	for (t = 0; t < ns; t += step) {
		irq_test_advance(step);
		if (irq_test_take(vcpu) == 0x50) {
			n++;
			lapic_out(vcpu, LAPIC_EOI, 0);
		}
	}
	return n;
}

static void ticks(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];

	route(vcpu);
	program(vcpu, 0, 2, 11932);	/* 99.998 Hz */
	KUNIT_EXPECT_EQ(test, ticks_in(vcpu, 10ull * NSEC_PER_SEC, 100000), 999);
	program(vcpu, 0, 3, 0);		/* 18.2 Hz */
	KUNIT_EXPECT_EQ(test, ticks_in(vcpu, 10ull * NSEC_PER_SEC, 100000), 182);
	/* Ticks that the guest does not take merge into one. */
	irq_test_advance(NSEC_PER_SEC);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x50);
	lapic_out(vcpu, LAPIC_EOI, 0);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), -1);
	/* Once. */
	program(vcpu, 0, 0, 1193);
	KUNIT_EXPECT_EQ(test, ticks_in(vcpu, 100000000, 100000), 1);
	program(vcpu, 0, 4, 1193);
	KUNIT_EXPECT_EQ(test, ticks_in(vcpu, 100000000, 100000), 1);
	KUNIT_EXPECT_EQ(test, irq_test_timers(), 0);
	/* The gate of channel 0 never rises: modes 1 and 5 do not start. */
	program(vcpu, 0, 1, 1193);
	KUNIT_EXPECT_EQ(test, ticks_in(vcpu, 100000000, 100000), 0);
	/* A new mode stops it. */
	program(vcpu, 0, 2, 1193);
	irq_test_out(vcpu, 0x43, 0x34);
	KUNIT_EXPECT_EQ(test, irq_test_timers(), 0);
	/* A period of one count runs at the least period. */
	program(vcpu, 0, 2, 1);
	KUNIT_EXPECT_LE(test, ticks_in(vcpu, 10000000, 10000), 100);
}

static void state_survives(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];
	struct gondola_vm *vm = vcpu->vm;
	struct gondola_rec_pit rec, again;
	u32 bad = 0;

	route(vcpu);
	irq_test_out(vcpu, 0x61, 1);
	program(vcpu, 0, 2, 11932);
	program(vcpu, 2, 0, 1000);
	irq_test_advance(counts(400));
	irq_test_out(vcpu, 0x61, 0);
	irq_test_out(vcpu, 0x43, 0x00);
	irq_test_in(vcpu, 0x40);	/* half of the latched count is read */
	KUNIT_ASSERT_EQ(test, pit_get(vm, &rec), 0);
	irq_test_out(vcpu, 0x43, 0x30);
	irq_test_advance(NSEC_PER_SEC);
	KUNIT_ASSERT_EQ(test, pit_set(vm, &rec, &bad), 0);
	KUNIT_ASSERT_EQ(test, pit_get(vm, &again), 0);
	KUNIT_EXPECT_EQ(test, memcmp(&rec, &again, sizeof(rec)), 0);
	KUNIT_EXPECT_EQ(test, irq_test_in(vcpu, 0x40), (11932 - 400) >> 8);
	KUNIT_EXPECT_EQ(test, read(vcpu, 0), 11932 - 400);
	KUNIT_EXPECT_EQ(test, read(vcpu, 2), 600);
	irq_test_advance(counts(11532));
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x50);

	again.channel[1].mode = 6;
	KUNIT_EXPECT_EQ(test, pit_set(vm, &again, &bad), -EINVAL);
	KUNIT_EXPECT_EQ(test, bad, offsetof(struct gondola_rec_pit, channel[1].mode));
	again = rec;
	again.channel[2].count = 0;
	KUNIT_EXPECT_EQ(test, pit_set(vm, &again, &bad), -EINVAL);
	KUNIT_EXPECT_EQ(test, bad, offsetof(struct gondola_rec_pit, channel[2].count));
	again = rec;
	again.channel[0].elapsed_ns = 1ull << 62;
	KUNIT_EXPECT_EQ(test, pit_set(vm, &again, &bad), -EINVAL);
	again = rec;
	again.pad[3] = 1;
	KUNIT_EXPECT_EQ(test, pit_set(vm, &again, &bad), -EINVAL);
	KUNIT_EXPECT_EQ(test, bad, offsetof(struct gondola_rec_pit, pad));
}

static void stands_while_held(struct kunit *test)
{
	struct gondola_vm *vm = irq_test_vm(test, 1);
	struct gondola_vcpu *vcpu = vm->vcpus[0];
	struct gondola_rec_pit before, after;
	unsigned int rises;

	/* Channel 0, a rate of about 1 kHz. */
	irq_test_out(vcpu, 0x43, 0x34);
	irq_test_out(vcpu, 0x40, 0xa9);
	irq_test_out(vcpu, 0x40, 0x04);
	irq_test_advance(300000);
	gondola_clock_hold(vm);
	pit_get(vm, &before);
	KUNIT_EXPECT_EQ_MSG(test, irq_test_timers(), 0, "it costs nothing meanwhile");
	irq_test_advance(10000000000ull);
	pit_get(vm, &after);
	KUNIT_EXPECT_EQ(test, memcmp(&before, &after, sizeof(before)), 0);
	gondola_clock_release(vm);
	pit_get(vm, &after);
	KUNIT_EXPECT_EQ(test, memcmp(&before, &after, sizeof(before)), 0);
	/* The rest of the period passes, then the next ones. */
	for (rises = 0; rises < 3; rises++) {
		u64 due = vm->irqchip->pit.due - gondola_vm_clock_ns(vm);

		KUNIT_EXPECT_LE(test, due, 1000000 - (rises ? 0 : 300000) + 2);
		irq_test_advance(due);
	}
	KUNIT_EXPECT_EQ(test, irq_test_timers(), 1);
}

/* One rise, within @ns. */
static void expect_one_rise(struct kunit *test, struct gondola_vcpu *vcpu, u64 ns, u8 mode, u32 count)
{
	unsigned int rises;

	irq_test_step = 0;
	rises = ticks_in(vcpu, ns, ns);
	KUNIT_EXPECT_EQ_MSG(test, rises, 1, "mode %u, count %u", mode, count);
}

/* A tick comes once, however much time passes between two lines, and however late the host's timer is. */
static void events_while_arming(struct kunit *test)
{
	static const u16 lengths[] = { 1, 2, 3, 119, 1193, 5000, 11932 };
	static const u8 modes[] = { 0, 4 };
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];
	struct gondola_vm *vm = vcpu->vm;
	struct gondola_rec_pit rec;
	unsigned int i;
	u32 bad;

	route(vcpu);
	for (i = 0; i < ARRAY_SIZE(lengths) * ARRAY_SIZE(modes); i++) {
		u32 n = lengths[i / 2];
		u8 mode = modes[i % 2];

		irq_test_step = 1000;
		program(vcpu, 0, mode, n);
		expect_one_rise(test, vcpu, 100000000, mode, n);
		/* It is due, but first the guest reprograms the channel, */
		program(vcpu, 0, mode, n);
		irq_test_step = counts(n);
		irq_test_out(vcpu, 0x43, 0x30 | mode << 1);
		expect_one_rise(test, vcpu, 100000000, mode, n);
		/* … or the clock stops at this time, */
		program(vcpu, 0, mode, n);
		irq_test_step = counts(n);
		gondola_clock_hold(vm);
		irq_test_step = 0;
		irq_test_advance(1000000);
		gondola_clock_release(vm);
		expect_one_rise(test, vcpu, 100000000, mode, n);
		/* … or the VM is saved, and restored elsewhere. */
		program(vcpu, 0, mode, n);
		irq_test_step = counts(n);
		pit_get(vm, &rec);
		irq_test_step = 0;
		KUNIT_EXPECT_EQ(test, pit_set(vm, &rec, &bad), 0);
		expect_one_rise(test, vcpu, 100000000, mode, n);
	}
}

/* A rate goes on at its pace, whatever is written while time passes between any two lines. */
static void rate_while_writing(struct kunit *test)
{
	static const u32 steps[] = { 1, 1000, 100000, 499000, 999000, 1000000, 1001000, 2500000 };
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];
	struct gondola_rec_pit rec;
	unsigned int i, rises;
	u32 bad;

	route(vcpu);
	for (i = 0; i < ARRAY_SIZE(steps) * 2 * 6; i++) {
		u8 mode = i & 1 ? 2 : 3;

		irq_test_step = steps[i / 12];
		program(vcpu, 0, mode, 1193);
		switch (i / 2 % 6) {
		case 0:		/* the count alone, a new rate */
			irq_test_out(vcpu, 0x40, 1193 & 0xff);
			irq_test_out(vcpu, 0x40, 1193 >> 8);
			break;
		case 1:
			program(vcpu, 0, mode ^ 1, 1193);
			break;
		case 2:		/* a latch, and the other channels */
			irq_test_out(vcpu, 0x43, 0xc2);
			program(vcpu, 2, 0, 1000);
			break;
		case 3:
			gondola_clock_hold(vcpu->vm);
			gondola_clock_release(vcpu->vm);
			break;
		case 4:
			pit_get(vcpu->vm, &rec);
			KUNIT_EXPECT_EQ(test, pit_set(vcpu->vm, &rec, &bad), 0);
			break;
		case 5:		/* once, and a rate again */
			program(vcpu, 0, 0, 5);
			program(vcpu, 0, mode, 1193);
			break;
		}
		irq_test_step = 0;
		irq_test_take(vcpu);
		lapic_out(vcpu, LAPIC_EOI, 0);
		rises = ticks_in(vcpu, 10000000, 100000);
		KUNIT_EXPECT_TRUE_MSG(test, rises >= 9 && rises <= 11, "mode %u, write %u, step %u: %u",
				      mode, i / 2 % 6, steps[i / 12], rises);
	}
}

/* A new count alone, as a guest writes it that changes the rate. */
static void write_count(struct gondola_vcpu *vcpu, unsigned int channel, u16 count)
{
	irq_test_out(vcpu, 0x40 + channel, count);
	irq_test_out(vcpu, 0x40 + channel, count >> 8);
}

static void mode_2_ends_its_period(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];

	program(vcpu, 1, 2, 1000);
	irq_test_advance(counts(400));
	KUNIT_EXPECT_EQ(test, status(vcpu, 1), 0x80 | 0x34);
	write_count(vcpu, 1, 5000);
	write_count(vcpu, 1, 300);	/* the last one counts */
	KUNIT_EXPECT_EQ_MSG(test, status(vcpu, 1), 0x80 | 0x40 | 0x34, "it is not in the counter yet");
	KUNIT_EXPECT_EQ(test, read(vcpu, 1), 600);
	irq_test_advance(counts(599));
	KUNIT_EXPECT_EQ(test, read(vcpu, 1), 1);
	irq_test_advance(counts(1));
	KUNIT_EXPECT_EQ(test, status(vcpu, 1), 0x80 | 0x34);
	KUNIT_EXPECT_EQ(test, read(vcpu, 1), 300);
	irq_test_advance(counts(310));
	KUNIT_EXPECT_EQ(test, read(vcpu, 1), 290);
	/* The counter is not read for many periods. */
	write_count(vcpu, 1, 1000);
	irq_test_advance(counts(290 + 7 * 1000 + 250));
	KUNIT_EXPECT_EQ(test, read(vcpu, 1), 750);
	/* Decimal, and the mode's own count is taken up at once. */
	irq_test_out(vcpu, 0x43, 0x40 | 0x30 | 2 << 1 | 1);
	write_count(vcpu, 1, 0x1000);
	irq_test_advance(counts(990));
	write_count(vcpu, 1, 0x20);
	KUNIT_EXPECT_EQ(test, read(vcpu, 1), 0x10);
	irq_test_advance(counts(15));
	KUNIT_EXPECT_EQ(test, read(vcpu, 1), 0x15);
	program(vcpu, 1, 2, 1000);
	write_count(vcpu, 1, 77);
	irq_test_out(vcpu, 0x43, 0x74);
	KUNIT_EXPECT_EQ(test, status(vcpu, 1), 0x80 | 0x40 | 0x34);
	irq_test_advance(counts(5000));
	KUNIT_EXPECT_EQ_MSG(test, status(vcpu, 1), 0x80 | 0x40 | 0x34, "a new mode forgets it");
}

/* Expect the output of channel 2 to be @high for @n counts from here, and no longer. */
static void expect_out2(struct kunit *test, struct gondola_vcpu *vcpu, bool high, u32 n)
{
	KUNIT_EXPECT_EQ_MSG(test, out2(vcpu), high, "for %u counts", n);
	irq_test_advance(counts(n - 1));
	KUNIT_EXPECT_EQ_MSG(test, out2(vcpu), high, "at the last of %u counts", n);
	irq_test_advance(counts(1));
	KUNIT_EXPECT_EQ_MSG(test, out2(vcpu), !high, "after %u counts", n);
}

static void mode_3_ends_its_half(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];

	irq_test_out(vcpu, 0x61, 1);
	program(vcpu, 2, 3, 1000);
	irq_test_advance(counts(200));
	write_count(vcpu, 2, 201);
	expect_out2(test, vcpu, true, 300);
	expect_out2(test, vcpu, false, 100);
	expect_out2(test, vcpu, true, 101);
	irq_test_advance(counts(50));
	write_count(vcpu, 2, 600);
	expect_out2(test, vcpu, false, 50);
	expect_out2(test, vcpu, true, 300);
	/* The gate brings it forward. */
	write_count(vcpu, 2, 100);
	irq_test_out(vcpu, 0x61, 0);
	irq_test_advance(counts(5000));
	KUNIT_EXPECT_EQ_MSG(test, status(vcpu, 2), 0x80 | 0x40 | 0x36, "no clock passes the gate");
	irq_test_out(vcpu, 0x61, 1);
	KUNIT_EXPECT_EQ(test, status(vcpu, 2), 0x80 | 0x36);
	expect_out2(test, vcpu, true, 50);
	expect_out2(test, vcpu, false, 50);
}

static void one_shots_wait_for_the_gate(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];

	/* A gate that rose before the count does not start it. */
	program(vcpu, 2, 1, 1000);
	KUNIT_EXPECT_EQ(test, status(vcpu, 2), 0x80 | 0x40 | 0x32);
	irq_test_out(vcpu, 0x61, 1);
	irq_test_advance(counts(100));
	write_count(vcpu, 2, 50);
	KUNIT_EXPECT_EQ(test, status(vcpu, 2), 0x40 | 0x32);
	expect_out2(test, vcpu, false, 900);
	irq_test_out(vcpu, 0x61, 0);
	irq_test_out(vcpu, 0x61, 1);
	expect_out2(test, vcpu, false, 50);
	irq_test_out(vcpu, 0x61, 0);
	irq_test_out(vcpu, 0x43, 0xb2);
	irq_test_out(vcpu, 0x61, 1);
	write_count(vcpu, 2, 50);
	KUNIT_EXPECT_TRUE_MSG(test, out2(vcpu), "no gate has risen since the count");
}

/* The time until channel 0's next rise, by steps of 10 µs. */
static unsigned int until_rise(struct gondola_vcpu *vcpu)
{
	unsigned int us = 0;

	while (us < 100000 && !ticks_in(vcpu, 10000, 10000))
		us += 10;
	return us;
}

static void expect_us(struct kunit *test, unsigned int us, unsigned int expected)
{
	KUNIT_EXPECT_TRUE_MSG(test, us + 20 >= expected && us <= expected + 20, "%u us, not %u", us,
			      expected);
}

static void a_new_rate_loses_no_tick(struct kunit *test)
{
	static const u32 steps[] = { 0, 1, 1000, 30000, 150000 };
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];
	unsigned int i, j, n;
	u8 mode;

	route(vcpu);
	/* 1 ms, and after 300 µs of it 5 ms. */
	program(vcpu, 0, 2, 1193);
	irq_test_advance(300000);
	write_count(vcpu, 0, 5966);
	expect_us(test, until_rise(vcpu), 700);
	expect_us(test, until_rise(vcpu), 5000);
	/* A square wave's second half is the new count's; the rise is at its end. */
	program(vcpu, 0, 3, 1193);
	irq_test_advance(300000);
	write_count(vcpu, 0, 5966);
	expect_us(test, until_rise(vcpu), 200 + 2500);
	expect_us(test, until_rise(vcpu), 5000);
	irq_test_advance(3000000);
	write_count(vcpu, 0, 1193);
	expect_us(test, until_rise(vcpu), 2000);
	expect_us(test, until_rise(vcpu), 1000);

	/* A guest that writes the rate more often than it ticks has its ticks all the same. */
	for (i = 0; i < ARRAY_SIZE(steps) * 2; i++) {
		mode = 2 + i % 2;
		irq_test_step = steps[i / 2];
		program(vcpu, 0, mode, 1193);
		irq_test_take(vcpu);
		lapic_out(vcpu, LAPIC_EOI, 0);
		n = 0;
		for (j = 0; j < 100; j++) {
			u64 start = gondola_vm_clock_ns(vcpu->vm);

			while (gondola_vm_clock_ns(vcpu->vm) - start < 1000000) {
				write_count(vcpu, 0, 1193);
				n += ticks_in(vcpu, 100000, 100000);
			}
		}
		irq_test_step = 0;
		KUNIT_EXPECT_TRUE_MSG(test, n >= 80, "mode %u, step %u: %u ticks", mode,
				      steps[i / 2], n);
	}
}

/* A count that waits is saved and restored, while time passes between any two lines. */
static void waiting_counts_are_saved(struct kunit *test)
{
	static const u32 steps[] = { 0, 1, 300, 100000, 199999, 200000, 700000, 700001, 5000000 };
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];
	struct gondola_vm *vm = vcpu->vm;
	struct gondola_rec_pit rec, bad_rec;
	unsigned int i, first;
	u32 bad;

	route(vcpu);
	for (i = 0; i < ARRAY_SIZE(steps) * 2; i++) {
		u8 mode = 2 + i % 2;

		program(vcpu, 0, mode, 1193);
		irq_test_take(vcpu);
		lapic_out(vcpu, LAPIC_EOI, 0);
		irq_test_advance(300000);
		write_count(vcpu, 0, 5966);
		irq_test_step = steps[i / 2];
		KUNIT_ASSERT_EQ(test, pit_get(vm, &rec), 0);
		irq_test_step = 0;
		program(vcpu, 0, 0, 0);
		irq_test_advance(50000000);
		KUNIT_ASSERT_EQ(test, pit_set(vm, &rec, &bad), 0);
		/* A rise that was due is not lost; the next one comes at the new rate. */
		first = until_rise(vcpu);
		KUNIT_EXPECT_LE_MSG(test, first, (mode == 2 ? 700 : 2700) + 20, "mode %u, step %u",
				    mode, steps[i / 2]);
		expect_us(test, until_rise(vcpu), 5000);
	}

	/* An older record is zero there. */
	program(vcpu, 0, 2, 1193);
	KUNIT_ASSERT_EQ(test, pit_get(vm, &rec), 0);
	KUNIT_EXPECT_EQ(test, rec.channel[0].pending, 0);
	write_count(vcpu, 0, 0);
	KUNIT_ASSERT_EQ(test, pit_get(vm, &rec), 0);
	KUNIT_EXPECT_EQ(test, rec.channel[0].pending, 1);
	KUNIT_EXPECT_EQ(test, pit_set(vm, &rec, &bad), 0);
	bad_rec = rec;
	bad_rec.channel[0].pending = 2;
	KUNIT_EXPECT_EQ(test, pit_set(vm, &bad_rec, &bad), -EINVAL);
	KUNIT_EXPECT_EQ(test, bad, offsetof(struct gondola_rec_pit, channel[0].pending));
	bad_rec.channel[0].pending = 1;
	bad_rec.channel[0].mode = 4;
	KUNIT_EXPECT_EQ(test, pit_set(vm, &bad_rec, &bad), -EINVAL);
	bad_rec = rec;
	bad_rec.channel[1].next = 1;
	KUNIT_EXPECT_EQ(test, pit_set(vm, &bad_rec, &bad), -EINVAL);
	KUNIT_EXPECT_EQ(test, bad, offsetof(struct gondola_rec_pit, channel[1].next));
}

static void survives_nonsense(struct kunit *test)
{
	static const u16 ports[] = { 0x40, 0x41, 0x42, 0x43, 0x61 };
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];
	struct gondola_rec_pit rec;
	struct rnd_state rnd;
	unsigned int i;
	u32 bad;

	prandom_seed_state(&rnd, 8254);
	for (i = 0; i < 100000; i++) {
		u32 r = prandom_u32_state(&rnd);
		u16 port = ports[(r >> 8) % ARRAY_SIZE(ports)];

		if (r & 0x1000000)
			irq_test_out(vcpu, port, r);
		else
			irq_test_in(vcpu, port);
		if (!(r & 0x6000000))
			irq_test_advance(r & 0xfffff);
		if (!(r & 0xf8000000)) {
			pit_get(vcpu->vm, &rec);
			KUNIT_EXPECT_EQ(test, pit_set(vcpu->vm, &rec, &bad), 0);
		}
	}
	KUNIT_EXPECT_LE(test, irq_test_timers(), 1);
	/* Every state that a guest can reach can be saved and restored. */
	pit_get(vcpu->vm, &rec);
	KUNIT_EXPECT_EQ(test, pit_set(vcpu->vm, &rec, &bad), 0);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(counts_down),
	KUNIT_CASE(latches),
	KUNIT_CASE(speaker_port),
	KUNIT_CASE(speaker_gate),
	KUNIT_CASE(ticks),
	KUNIT_CASE(state_survives),
	KUNIT_CASE(stands_while_held),
	KUNIT_CASE(events_while_arming),
	KUNIT_CASE(rate_while_writing),
	KUNIT_CASE(mode_2_ends_its_period),
	KUNIT_CASE(mode_3_ends_its_half),
	KUNIT_CASE(one_shots_wait_for_the_gate),
	KUNIT_CASE(a_new_rate_loses_no_tick),
	KUNIT_CASE(waiting_counts_are_saved),
	KUNIT_CASE(survives_nonsense),
	{}
};

static struct kunit_suite suite = {
	.name = "gondola_pit",
	.exit = irq_test_exit,
	.test_cases = cases,
};
kunit_test_suite(suite);
