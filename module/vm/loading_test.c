// SPDX-License-Identifier: GPL-2.0-only
/* The engine goes off while vCPUs are loaded or being loaded: each load has its put. */
#include <kunit/test.h>
#include <linux/smp.h>
#include "host/run.h"
#include "host/vcpu_host.h"
#include "mmu/test_world.h"
#include "run/run.h"
#include "vcpu.h"

DEFINE_PER_CPU(bool, gondola_cpu_on);
bool gondola_host_stopping;

/* Number of vCPUs that use the engine. */
static unsigned int busy;

int gondola_host_begin(void)
{
	if (gondola_host_stopping)
		return -ESHUTDOWN;
	busy++;
	return 0;
}

void gondola_host_end(void)
{
	busy--;
}

/* ---- an engine whose MSRs are either the guest's or the host's ------------------------- */

static bool guest_msrs;
static unsigned int loads, puts;

static int cpu_on(void)
{
	return 0;
}

static void vcpu_load(struct gondola_vcpu *vcpu, int cpu)
{
	guest_msrs = true;
	loads++;
}

static void vcpu_put(struct gondola_vcpu *vcpu)
{
	guest_msrs = false;
	puts++;
}

static struct gondola_vcpu_host host;

static struct world *engine_world(struct kunit *test)
{
	struct world *w = world_create(0);

	KUNIT_ASSERT_NOT_NULL(test, w);
	w->engine.cpu_on = cpu_on;
	w->engine.vcpu_load = vcpu_load;
	w->engine.vcpu_put = vcpu_put;
	host = (struct gondola_vcpu_host){ .vcpu = &w->vcpu };
	w->vcpu.host = &host;
	w->vcpu.cpu = -1;
	gondola_host_stopping = false;
	guest_msrs = false;
	loads = 0;
	puts = 0;
	this_cpu_write(gondola_cpu_on, true);
	return w;
}

static void engine_done(struct kunit *test, struct world *w)
{
	KUNIT_EXPECT_FALSE(test, guest_msrs);
	KUNIT_EXPECT_EQ(test, puts, loads);
	KUNIT_EXPECT_EQ(test, w->vcpu.cpu, -1);
	KUNIT_EXPECT_EQ(test, busy, 0u);
	w->vcpu.host = NULL;
	world_destroy(w);
}

/* A shutdown waits for a vCPU for a limited time, then switches the processors off. */
static void engine_goes_off_below_a_loaded_vcpu(struct kunit *test)
{
	struct world *w = engine_world(test);

	KUNIT_EXPECT_EQ(test, gondola_vcpu_load(&w->vcpu), 0);
	KUNIT_EXPECT_EQ(test, w->vcpu.cpu, raw_smp_processor_id());
	KUNIT_EXPECT_TRUE(test, guest_msrs);
	gondola_host_stopping = true;
	this_cpu_write(gondola_cpu_on, false);
	gondola_vcpu_unload(&w->vcpu);
	KUNIT_EXPECT_EQ(test, puts, 1u);
	engine_done(test, w);
}

/* The same if the scheduler puts the vCPU; nothing is loaded when it comes back. */
static void engine_goes_off_and_the_thread_sleeps(struct kunit *test)
{
	struct world *w = engine_world(test);

	KUNIT_EXPECT_EQ(test, gondola_vcpu_load(&w->vcpu), 0);
	preempt_disable();
	this_cpu_write(gondola_cpu_on, false);
	gondola_vcpu_scheduled_out(&w->vcpu, false);
	KUNIT_EXPECT_EQ(test, puts, 1u);
	KUNIT_EXPECT_EQ(test, w->vcpu.cpu, -1);
	gondola_vcpu_scheduled_in(&w->vcpu, raw_smp_processor_id());
	preempt_enable();
	KUNIT_EXPECT_EQ(test, loads, 1u);
	gondola_vcpu_unload(&w->vcpu);
	KUNIT_EXPECT_EQ(test, puts, 1u);
	engine_done(test, w);
}

/* The engine comes on again before the vCPU is put: a vCPU that was not loaded is not put. */
static void engine_comes_on_below_a_vcpu(struct kunit *test)
{
	struct world *w = engine_world(test);

	this_cpu_write(gondola_cpu_on, false);
	KUNIT_EXPECT_EQ(test, gondola_vcpu_load(&w->vcpu), 0);
	this_cpu_write(gondola_cpu_on, true);
	gondola_vcpu_unload(&w->vcpu);
	KUNIT_EXPECT_EQ(test, loads, 0u);
	engine_done(test, w);
}

static void nothing_is_loaded_in_a_shutdown(struct kunit *test)
{
	struct world *w = engine_world(test);

	gondola_host_stopping = true;
	KUNIT_EXPECT_EQ(test, gondola_vcpu_load(&w->vcpu), -ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, loads, 0u);
	engine_done(test, w);
}

static struct kunit_case loading_cases[] = {
	KUNIT_CASE(engine_goes_off_below_a_loaded_vcpu),
	KUNIT_CASE(engine_goes_off_and_the_thread_sleeps),
	KUNIT_CASE(engine_comes_on_below_a_vcpu),
	KUNIT_CASE(nothing_is_loaded_in_a_shutdown),
	{}
};

static int loading_init(struct kunit_suite *suite)
{
	return gondola_mmu_module_init();
}

static void loading_exit(struct kunit_suite *suite)
{
	gondola_mmu_module_exit();
}

static struct kunit_suite loading_suite = {
	.name = "gondola_loading",
	.suite_init = loading_init,
	.suite_exit = loading_exit,
	.test_cases = loading_cases,
};

kunit_test_suite(loading_suite);
