// SPDX-License-Identifier: GPL-2.0-only
/* Saved state of a VM of the Xen personality: what comes back, and what is refused. */
#include <kunit/test.h>
#include <linux/string.h>
#include "internal.h"

#define FRAMES		512u
#define NO_FIELD	(~0u)

struct xen_world {
	struct gondola_vm vm;
	struct gondola_vcpu vcpu;
	struct gondola_xen xen;
	struct gondola_xen_vcpu xen_vcpu;
	struct xen_port ports[XEN_MAX_PORTS];
	struct gondola_rec_xen_vcpu rec, again;
	struct xen_vcpu_context context;
};

static int xen_state_init(struct kunit *test)
{
	struct xen_world *w = kvzalloc(sizeof(*w), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, w);
	test->priv = w;
	w->vm.xen = &w->xen;
	w->vm.vcpus[0] = &w->vcpu;
	w->vcpu.vm = &w->vm;
	w->vcpu.xen = &w->xen_vcpu;
	w->xen.ports = w->ports;
	mutex_init(&w->xen.lock);
	xa_init(&w->xen.pins);
	w->xen.config = (struct gondola_xen_config){
		.size = sizeof(w->xen.config), .pages = FRAMES - 8, .frames = FRAMES,
		.first_frame = FRAMES - 8, .shared_info = FRAMES - 8, .table = FRAMES - 7,
		.windows = FRAMES - 6, .empty = FRAMES - 5,
	};
	return 0;
}

static void xen_state_exit(struct kunit *test)
{
	struct xen_world *w = test->priv;

	if (!w)
		return;
	xa_destroy(&w->xen.pins);
	mutex_destroy(&w->xen.lock);
	kvfree(w);
}

/* The field that was refused; NO_FIELD: none was. */
static u32 refused(struct kunit *test, const struct gondola_record_row *row, const void *rec, u32 bytes)
{
	struct xen_world *w = test->priv;
	u32 bad = NO_FIELD;
	int err = row->set(&w->vm, row->of_vcpu ? &w->vcpu : NULL, rec, bytes, &bad);

	KUNIT_EXPECT_EQ(test, err, bad == NO_FIELD ? 0 : -EINVAL);
	return bad;
}

static u32 vcpu_refused(struct kunit *test)
{
	struct xen_world *w = test->priv;

	return refused(test, &gondola_xen_vcpu_record, &w->rec, sizeof(w->rec));
}

/* ---- a vCPU --------------------------------------------------------------------------------- */

static void fill(struct gondola_rec_xen_vcpu *rec)
{
	*rec = (struct gondola_rec_xen_vcpu){
		.traps = { [14] = 0xffffffff81000000, [255] = 0x1000 }, .trap_flags = { [3] = 3, [14] = 4 },
		.callbacks = { 0xffffffff81000100, 0, 0xffffffff81000200 }, .callback_masks = 5,
		.kernel_sp = 0xffffc90000000000, .user_cr3 = 0x5000, .gdt = { 7 }, .gdt_entries = 16,
		.info = (FRAMES - 8) * 4096, .raised = { 1 << 3, 0, 1ull << 63 }, .deadline = 123456789,
		.runstate = 0x6ff8, .runstate_rest = 0x7000, .stolen = 77, .call_rip = 0x2000, .result = -38, .cursor = 5, .nested = 6,
		.flags = GONDOLA_XEN_FLAGS, .leave_op = GONDOLA_XEN_EVENT, .leave_value = 9,
	};
}

static void vcpu_comes_back(struct kunit *test)
{
	struct xen_world *w = test->priv;

	fill(&w->rec);
	KUNIT_ASSERT_EQ(test, vcpu_refused(test), NO_FIELD);
	KUNIT_EXPECT_TRUE(test, w->xen_vcpu.up && w->xen_vcpu.armed && w->xen_vcpu.any_raised);
	KUNIT_EXPECT_TRUE(test, test_bit(GONDOLA_REQ_TIMER, &w->vcpu.requests));
	KUNIT_ASSERT_EQ(test, gondola_xen_vcpu_record.get(&w->vm, &w->vcpu, &w->again, sizeof(w->again)), 0);
	KUNIT_EXPECT_EQ(test, memcmp(&w->rec, &w->again, sizeof(w->rec)), 0);

	/* Words for the console are in the launcher's page, which stays behind. */
	w->xen_vcpu.leave_op = GONDOLA_XEN_CONSOLE;
	memset(&w->again, 0, sizeof(w->again));
	KUNIT_ASSERT_EQ(test, gondola_xen_vcpu_record.get(&w->vm, &w->vcpu, &w->again, sizeof(w->again)), 0);
	KUNIT_EXPECT_FALSE(test, w->again.flags & GONDOLA_XEN_LEAVE);
	w->rec = w->again;
	KUNIT_EXPECT_EQ(test, vcpu_refused(test), NO_FIELD);
}

#define BAD(field, value) do {								\
	fill(&w->rec);									\
	w->rec.field = value;								\
	KUNIT_EXPECT_EQ(test, vcpu_refused(test), (u32)offsetof(struct gondola_rec_xen_vcpu, field)); \
} while (0)

static void bad_vcpus(struct kunit *test)
{
	struct xen_world *w = test->priv;

	BAD(traps[14], 1ull << 63);
	BAD(trap_flags[255], 8);
	BAD(callbacks[2], 1ull << 48);
	BAD(callback_masks, 8);
	BAD(user_cr3, 0x5001);
	BAD(user_cr3, 1ull << 40);
	BAD(gdt[13], 1ull << 28);
	BAD(gdt_entries, 14 * 512 + 1);
	BAD(info, 4);
	BAD(info, 4096 - 56);
	BAD(info, 1ull << 40);
	BAD(runstate, 0x6ffc);
	BAD(runstate, 1ull << 63);
	BAD(runstate_rest, 0x7008);
	BAD(runstate_rest, 1ull << 63);
	BAD(flags, GONDOLA_XEN_FLAGS + 1);
	BAD(flags, GONDOLA_XEN_UP);
	BAD(raised[0], 1);
	BAD(cursor, 65537);
	BAD(nested, 65537);
	BAD(leave_op, GONDOLA_XEN_CONSOLE);
	BAD(leave_op, 3);
	BAD(pad, 1);
	/* Of none of them was anything taken. */
	KUNIT_EXPECT_FALSE(test, w->xen_vcpu.initialised);
	w->vcpu.xen = NULL;
	fill(&w->rec);
	KUNIT_EXPECT_EQ(test, vcpu_refused(test), 0u);
	KUNIT_EXPECT_EQ(test, gondola_xen_vcpu_record.size(&w->vm, &w->vcpu), 0u);
}

static u32 context_refused(struct kunit *test)
{
	struct xen_world *w = test->priv;

	return refused(test, &gondola_xen_context_record, &w->context, sizeof(w->context));
}

static void contexts(struct kunit *test)
{
	struct xen_world *w = test->priv;

	w->context.flags = XEN_CONTEXT_IN_KERNEL;
	KUNIT_EXPECT_EQ(test, context_refused(test), 0u);	/* it was not initialised */
	fill(&w->rec);
	KUNIT_ASSERT_EQ(test, vcpu_refused(test), NO_FIELD);
	KUNIT_EXPECT_EQ(test, gondola_xen_context_record.size(&w->vm, &w->vcpu), 0u);
	w->context.rip = 1ull << 63;
	KUNIT_EXPECT_EQ(test, context_refused(test), 0u);
	w->context.rip = 0;
	w->context.cr[3] = 1ull << 40;
	KUNIT_EXPECT_EQ(test, context_refused(test), 0u);
	w->context.cr[3] = 0x5000;
	KUNIT_EXPECT_EQ(test, context_refused(test), NO_FIELD);
	KUNIT_EXPECT_TRUE(test, w->xen_vcpu.context_due);
	KUNIT_EXPECT_EQ(test, gondola_xen_context_record.size(&w->vm, &w->vcpu), (u32)sizeof(w->context));
}

/* ---- the VM ----------------------------------------------------------------------------------- */

static void configs(struct kunit *test)
{
	struct xen_world *w = test->priv;
	struct gondola_rec_xen rec = { .config = w->xen.config, .started = 1 };
	const u32 config = offsetof(struct gondola_rec_xen, config);

	rec.pad = 1;
	KUNIT_EXPECT_EQ(test, refused(test, &gondola_xen_record, &rec, sizeof(rec)),
			(u32)offsetof(struct gondola_rec_xen, pad));
	rec.pad = 0;
	rec.started = 2;
	KUNIT_EXPECT_EQ(test, refused(test, &gondola_xen_record, &rec, sizeof(rec)),
			(u32)offsetof(struct gondola_rec_xen, started));
	rec.started = 1;
	rec.config.first_frame = FRAMES;
	KUNIT_EXPECT_EQ(test, refused(test, &gondola_xen_record, &rec, sizeof(rec)), config);
	rec.config.first_frame = FRAMES - 8;
	rec.config.frames = XEN_MAX_FRAMES + 1;
	KUNIT_EXPECT_EQ(test, refused(test, &gondola_xen_record, &rec, sizeof(rec)), config);
	rec.config.frames = FRAMES;
	KUNIT_EXPECT_EQ(test, refused(test, &gondola_xen_record, &rec, sizeof(rec)), NO_FIELD);
	KUNIT_EXPECT_TRUE(test, w->xen.started);
	/* It runs: the same again, and no other. */
	KUNIT_EXPECT_EQ(test, refused(test, &gondola_xen_record, &rec, sizeof(rec)), NO_FIELD);
	rec.config.empty--;
	KUNIT_EXPECT_EQ(test, refused(test, &gondola_xen_record, &rec, sizeof(rec)), config);
	w->vm.xen = NULL;
	KUNIT_EXPECT_EQ(test, refused(test, &gondola_xen_record, &rec, sizeof(rec)), config);
	KUNIT_EXPECT_EQ(test, gondola_xen_record.size(&w->vm, NULL), 0u);
}

static void ports(struct kunit *test)
{
	struct xen_world *w = test->priv;
	const struct gondola_xen_port good[] = {
		{ 1, XEN_PORT_INTERDOMAIN }, { 3, XEN_PORT_VIRQ, 0, 5 }, { 4095, XEN_PORT_IPI },
	};
	const struct gondola_xen_port bad[] = {
		{ 0, XEN_PORT_IPI }, { 4096, XEN_PORT_IPI }, { 1, XEN_PORT_CLOSED }, { 1, 3 }, { 1, 6 },
		{ 1, XEN_PORT_VIRQ, 0, XEN_VIRQS }, { 1, XEN_PORT_IPI, 0, 1 }, { 1, XEN_PORT_IPI, 1 },
		{ 1, XEN_PORT_IPI, 255 }, { 1, XEN_PORT_IPI, 0, 0, 1 },
	};
	struct gondola_xen_port again[ARRAY_SIZE(good)] = {};
	const struct gondola_xen_port twice[] = { good[1], good[1] };
	unsigned int i;

	KUNIT_ASSERT_EQ(test, refused(test, &gondola_xen_ports_record, good, sizeof(good)), NO_FIELD);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_EQ(test, refused(test, &gondola_xen_ports_record, &bad[i], sizeof(bad[i])), 0u);
	KUNIT_EXPECT_EQ(test, refused(test, &gondola_xen_ports_record, twice, sizeof(twice)),
			(u32)sizeof(twice[0]));
	KUNIT_EXPECT_EQ(test, refused(test, &gondola_xen_ports_record, good, sizeof(good) - 1), 0u);
	KUNIT_ASSERT_EQ(test, gondola_xen_ports_record.size(&w->vm, NULL), (u32)sizeof(good));
	gondola_xen_ports_record.get(&w->vm, NULL, again, sizeof(again));
	KUNIT_EXPECT_EQ(test, memcmp(good, again, sizeof(good)), 0);
}

static void pins(struct kunit *test)
{
	struct xen_world *w = test->priv;
	const u32 good[] = { 0 << 3 | 1, 5 << 3 | 4, (FRAMES - 1) << 3 | 2 };
	const u32 bad[] = { 5 << 3, 5 << 3 | 5, FRAMES << 3 | 1, ~0u };
	const u32 twice[] = { 5 << 3 | 1, 5 << 3 | 2 };
	u32 again[ARRAY_SIZE(good)] = {};
	unsigned int i;

	KUNIT_ASSERT_EQ(test, refused(test, &gondola_xen_pins_record, good, sizeof(good)), NO_FIELD);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_EQ(test, refused(test, &gondola_xen_pins_record, &bad[i], sizeof(bad[i])), 0u);
	KUNIT_EXPECT_EQ(test, refused(test, &gondola_xen_pins_record, twice, sizeof(twice)), 4u);
	KUNIT_EXPECT_EQ(test, refused(test, &gondola_xen_pins_record, good, 3), 0u);
	KUNIT_EXPECT_EQ(test, xen_pinned_level(&w->xen, 5), 4u);
	KUNIT_ASSERT_EQ(test, gondola_xen_pins_record.size(&w->vm, NULL), (u32)sizeof(good));
	gondola_xen_pins_record.get(&w->vm, NULL, again, sizeof(again));
	KUNIT_EXPECT_EQ(test, memcmp(good, again, sizeof(good)), 0);
	/* Those of before are no more. */
	KUNIT_ASSERT_EQ(test, refused(test, &gondola_xen_pins_record, twice, sizeof(twice[0])), NO_FIELD);
	KUNIT_EXPECT_EQ(test, atomic_read(&w->xen.nr_pins), 1);
	KUNIT_EXPECT_EQ(test, xen_pinned_level(&w->xen, 5), 1u);
}

static struct kunit_case xen_state_cases[] = {
	KUNIT_CASE(vcpu_comes_back),
	KUNIT_CASE(bad_vcpus),
	KUNIT_CASE(contexts),
	KUNIT_CASE(configs),
	KUNIT_CASE(ports),
	KUNIT_CASE(pins),
	{}
};

static struct kunit_suite xen_state_suite = {
	.name = "gondola_xen_state",
	.init = xen_state_init,
	.exit = xen_state_exit,
	.test_cases = xen_state_cases,
};
kunit_test_suite(xen_state_suite);
