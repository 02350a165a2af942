// SPDX-License-Identifier: GPL-2.0-only
/*
 * The world switch by itself, in a machine without VMX and SVM: a page of code in ring 3 and each
 * way out of it.  Loading the module runs the cases and then lets ring 3 loop for some seconds on
 * each processor, while whoever loads it storms the machine.  It fails to load if a case fails.
 */
#include <linux/cpu.h>
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/debugreg.h>
#include <asm/processor-flags.h>
#include <asm/special_insns.h>
#include <asm/trap_pf.h>
#include <asm/trapnr.h>
#include <uapi/linux/gondola.h>
#include "host/compat.h"
#include "preflight.h"
#include "ring3.h"
#include "switch_test.h"

#define CODE		0x400000ull
#define DATA		0x401000ull
#define USER_TABLE	0x67ull		/* present, writable, user, accessed, dirty */
#define USER_CS		0x33
#define USER_SS		0x2b
#define FLAGS		(X86_EFLAGS_FIXED | X86_EFLAGS_IF)

static unsigned int loops = 2000;
module_param(loops, uint, 0444);
MODULE_PARM_DESC(loops, "how often the loop in ring 3 is left by an interrupt");

/* A guest: an area, tables for one page of code and one of data. */
struct guest {
	struct ring3_area area;
	struct ring3_regs regs;
	struct ring3_user user;
	u64 *tables[4];
	struct mm_struct *mm;
	u8 *code, *data;
	bool made;
};

static bool cost;
module_param(cost, bool, 0444);
MODULE_PARM_DESC(cost, "tell what the parts of a switch take");

static unsigned int failed, checks;

static void check(bool good, const char *what, const struct guest *guest, enum ring3_why why)
{
	checks++;
	if (good)
		return;
	failed++;
	pr_err("ring3: not ok: %s: why %d vector %#llx error %#llx rip %#llx flags %#llx cr2 %#llx dr6 %#llx\n",
	       what, why, guest->regs.vector, guest->regs.error, guest->regs.rip,
	       guest->regs.rflags, guest->user.cr2, guest->user.dr6);
}

static void destroy(struct guest *guest)
{
	unsigned int i;

	if (guest->made)
		ring3_area_destroy(&guest->area);
	for (i = 0; i < 4; i++)
		free_page((unsigned long)guest->tables[i]);
	free_page((unsigned long)guest->code);
	free_page((unsigned long)guest->data);
	kfree(guest);
}

static struct guest *create(void)
{
	struct guest *guest = kzalloc(sizeof(*guest), GFP_KERNEL);
	unsigned int i;

	if (!guest)
		return NULL;
	for (i = 0; i < 4; i++)
		guest->tables[i] = (u64 *)get_zeroed_page(GFP_KERNEL);
	guest->code = (u8 *)get_zeroed_page(GFP_KERNEL);
	guest->data = (u8 *)get_zeroed_page(GFP_KERNEL);
	for (i = 0; i < 4; i++)
		if (!guest->tables[i])
			goto fail;
	if (!guest->code || !guest->data || ring3_area_create(&guest->area))
		goto fail;
	guest->made = true;
	guest->mm = current->mm;
	memcpy(guest->code, ring3_guest, PAGE_SIZE);
	guest->tables[0][0] = virt_to_phys(guest->tables[1]) | USER_TABLE;
	guest->tables[1][0] = virt_to_phys(guest->tables[2]) | USER_TABLE;
	guest->tables[2][CODE >> 21] = virt_to_phys(guest->tables[3]) | USER_TABLE;
	guest->tables[3][0] = virt_to_phys(guest->code) | (USER_TABLE & ~2ull);
	guest->tables[3][1] = virt_to_phys(guest->data) | USER_TABLE | BIT_ULL(63);
	ring3_root_link(&guest->area, guest->tables[0]);
	if (!ring3_set_user_segments(&guest->area, USER_CS, USER_SS))
		goto fail;
	return guest;
fail:
	destroy(guest);
	return NULL;
}

static u64 address(const u8 *program)
{
	return CODE + (program - ring3_guest);
}

static void begin(struct guest *guest, const u8 *program)
{
	unsigned int i;

	memset(&guest->regs, 0, sizeof(guest->regs));
	for (i = 0; i < 16; i++)
		guest->regs.gpr[i] = 0x1111111111111111ull * i;
	guest->regs.rip = address(program);
	guest->regs.cs = USER_CS;
	guest->regs.ss = USER_SS;
	guest->regs.rsp = DATA + 0x800;
	guest->regs.rflags = FLAGS;
	memset(&guest->user, 0, sizeof(guest->user));
}

static enum ring3_why stay(struct guest *guest)
{
	enum ring3_why why;

	why = ring3_run(&guest->area, virt_to_phys(guest->tables[0]), &guest->regs, &guest->user);
	if (why == RING3_INTERRUPT)
		ring3_take_interrupt(&guest->regs);
	return why;
}

static enum ring3_why once(struct guest *guest)
{
	enum ring3_why why;

	local_irq_disable();
	why = stay(guest);
	ring3_put(&guest->area);
	local_irq_enable();
	return why;
}

/* Until it leaves for a reason of its own; a fault in the switcher is one. */
static enum ring3_why run(struct guest *guest)
{
	enum ring3_why why;

	do
		why = once(guest);
	while (why == RING3_INTERRUPT || why == RING3_NMI || why == RING3_TURNED_BACK);
	return why;
}

static bool on_qemu(void)
{
	return boot_cpu_has(X86_FEATURE_HYPERVISOR) && cpuid_base_hypervisor("TCGTCGTCGTCG", 0);
}

/* The instruction at @program ends the stay; on QEMU, @qemu_error may be its error code as well. */
static void expect_either(struct guest *guest, const char *what, const u8 *program, u8 vector,
			  u64 error, u64 qemu_error)
{
	enum ring3_why why;

	begin(guest, program);
	why = run(guest);
	if (on_qemu() && guest->regs.error == qemu_error)
		error = qemu_error;
	check(why == RING3_EXCEPTION && guest->regs.vector == vector && guest->regs.error == error &&
	      guest->regs.rip == address(program) && guest->regs.cs == USER_CS &&
	      guest->regs.ss == USER_SS && guest->regs.rsp == DATA + 0x800, what, guest, why);
}

static void expect(struct guest *guest, const char *what, const u8 *program, u8 vector, u64 error)
{
	expect_either(guest, what, program, vector, error, error);
}

/* Registers, stack, flags and bases go in and come out. */
static void test_registers(struct guest *guest)
{
	struct ring3_regs *regs = &guest->regs;
	enum ring3_why why;
	bool same = true;
	unsigned int i;

	begin(guest, ring3_guest_ud);
	why = run(guest);
	for (i = 0; i < 15; i++)
		same &= i == 1 || i == 4 || regs->gpr[i] == 0x1111111111111111ull * i;
	check(why == RING3_EXCEPTION && regs->vector == X86_TRAP_UD && same &&
	      regs->gpr[1] == regs->gpr[0] + regs->gpr[3] &&
	      regs->gpr[15] == regs->gpr[1] + regs->gpr[14] &&
	      *(u64 *)(guest->data + 0x808) == regs->gpr[1], "registers", guest, why);

	begin(guest, ring3_guest_bases);
	guest->user.fs_base = DATA + 0x10;
	guest->user.gs_base = DATA + 0x20;
	*(u64 *)(guest->data + 0x10) = 0xf5;
	*(u64 *)(guest->data + 0x20) = 0x65;
	why = run(guest);
	check(regs->gpr[0] == 0xf5 && regs->gpr[3] == 0x65 && guest->user.fs_base == DATA + 0x10 &&
	      guest->user.gs_base == DATA + 0x20, "FS and GS base", guest, why);

	begin(guest, ring3_guest_flags);
	why = run(guest);
	check((regs->rflags & 0x44400) == 0x44400 && regs->vector == X86_TRAP_UD,
	      "DF, NT and AC come out, and are not left on", guest, why);

	begin(guest, ring3_guest_load_ds);
	why = run(guest);
	check(regs->vector == X86_TRAP_UD && guest->user.selector[0] == USER_SS &&
	      guest->user.selector[3] == USER_SS, "selectors that ring 3 loads", guest, why);
}

/*
 * No gate is ring 3's.  The error code is a vector's place in the IDT in eights, as for selectors;
 * QEMU's TCG counts in sixteens in long mode (7.2 does).
 */
static void expect_int(struct guest *guest, const char *what, const u8 *program, u8 vector)
{
	expect_either(guest, what, program, X86_TRAP_GP, vector * 8 + 2, vector * 16 + 2);
}

static void test_exceptions(struct guest *guest)
{
	expect_int(guest, "INT3 is for the emulator", ring3_guest_int3, X86_TRAP_BP);
	expect_int(guest, "INT 0x80 is not the host's", ring3_guest_int80, 0x80);
	expect(guest, "HLT", ring3_guest_hlt, X86_TRAP_GP, 0);
	expect(guest, "CLI", ring3_guest_cli, X86_TRAP_GP, 0);
	expect(guest, "IN", ring3_guest_in, X86_TRAP_GP, 0);
}

static void expect_page_fault(struct guest *guest, const char *what, const u8 *program, u64 at,
			      u64 error)
{
	enum ring3_why why;

	begin(guest, program);
	guest->regs.gpr[0] = at;
	why = run(guest);
	check(why == RING3_EXCEPTION && guest->regs.vector == X86_TRAP_PF &&
	      guest->regs.error == error && guest->user.cr2 == at, what, guest, why);
}

static void test_page_faults(struct guest *guest)
{
	unsigned long base = guest->area.base;

	expect_page_fault(guest, "nothing there", ring3_guest_read, 0x500000, 4);
	expect_page_fault(guest, "nothing to write", ring3_guest_write, 0x500000, 6);
	expect_page_fault(guest, "code is not written", ring3_guest_write, CODE, 7);
	expect_page_fault(guest, "the switcher's text", ring3_guest_read, base, 5);
	expect_page_fault(guest, "the context", ring3_guest_write, base + AREA_CONTEXT, 7);
	expect_page_fault(guest, "a hole of the area", ring3_guest_read, base + AREA_TSS + 0x1000, 4);
}

static void test_calls(struct guest *guest)
{
	struct ring3_regs *regs = &guest->regs;
	enum ring3_why why;

	begin(guest, ring3_guest_syscall);
	why = run(guest);
	check(why == RING3_CALL && regs->gpr[0] == 0x1234 && regs->gpr[1] == regs->rip &&
	      regs->rip == address(ring3_guest_syscall) + 7 && regs->rsp == DATA + 0x800 &&
	      regs->gpr[15] == 0x1111111111111111ull * 15, "SYSCALL", guest, why);

	begin(guest, ring3_guest_syscall);
	regs->rsp = 0x8000000000000000ull;
	why = run(guest);
	check(why == RING3_CALL && regs->rsp == 0x8000000000000000ull,
	      "SYSCALL with a stack that is no address", guest, why);

	begin(guest, ring3_guest_mov_ss);
	why = run(guest);
	check(why == RING3_CALL || (why == RING3_EXCEPTION && regs->vector == X86_TRAP_DB),
	      "MOV SS, then SYSCALL, single-stepped", guest, why);

	begin(guest, ring3_guest_sysenter);
	why = run(guest);
	check(why == RING3_EXCEPTION && (regs->vector == X86_TRAP_GP || regs->vector == X86_TRAP_UD),
	      "SYSENTER", guest, why);

	begin(guest, ring3_guest_kernel_ds);
	why = run(guest);
	check(why == RING3_EXCEPTION && regs->vector == X86_TRAP_GP && regs->error == 0x18,
	      "the kernel's data segment", guest, why);

	expect(guest, "a jump to a code segment that is not there", ring3_guest_far_jump,
	       X86_TRAP_GP, 0x20);
}

static const u32 held_msrs[] = {
	MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SYSCALL_MASK, MSR_IA32_SYSENTER_CS, MSR_FS_BASE,
	MSR_KERNEL_GS_BASE,
};

static void read_held(u64 *values)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(held_msrs); i++)
		rdmsrq(held_msrs[i], values[i]);
}

/* Stays that follow one another keep the processor; then all is as it was. */
static void test_held(struct guest *guest)
{
	u64 before[ARRAY_SIZE(held_msrs)], after[ARRAY_SIZE(held_msrs)], fs[3], gs[3];
	unsigned int i;

	*(u64 *)(guest->data + 0x10) = 0xf5;
	*(u64 *)(guest->data + 0x20) = 0x65;
	local_irq_disable();
	read_held(before);
	for (i = 0; i < 3; i++) {
		do {
			begin(guest, ring3_guest_bases);
			guest->user.fs_base = DATA + (i == 1 ? 0x20 : 0x10);
			guest->user.gs_base = DATA + (i == 1 ? 0x10 : 0x20);
		} while (stay(guest) != RING3_EXCEPTION);
		fs[i] = guest->regs.gpr[0];
		gs[i] = guest->regs.gpr[3];
	}
	ring3_put(&guest->area);
	read_held(after);
	local_irq_enable();
	check(fs[0] == 0xf5 && fs[1] == 0x65 && fs[2] == 0xf5 && gs[0] == 0x65 && gs[1] == 0xf5 &&
	      gs[2] == 0x65, "bases that change between stays", guest, RING3_EXCEPTION);
	check(!memcmp(before, after, sizeof(before)), "the host's MSRs come back", guest,
	      RING3_EXCEPTION);
}

/* Another monitor left its guest's mask in the processor: SYSCALL would keep TF and IF. */
static void test_stale_mask(struct guest *guest)
{
	enum ring3_why why;
	u64 mask, left;

	local_irq_disable();
	rdmsrq(MSR_SYSCALL_MASK, mask);
	wrmsrq(MSR_SYSCALL_MASK, 0);
	do {
		begin(guest, ring3_guest_syscall);
		guest->regs.rip += 5;	/* SYSCALL itself */
		guest->regs.rflags |= X86_EFLAGS_TF;
		why = stay(guest);
	} while (why == RING3_INTERRUPT || why == RING3_NMI || why == RING3_TURNED_BACK);
	ring3_put(&guest->area);
	rdmsrq(MSR_SYSCALL_MASK, left);
	wrmsrq(MSR_SYSCALL_MASK, mask);
	local_irq_enable();
	check(why == RING3_CALL && !(guest->area.context->seen & SEEN_DB) && !left,
	      "SYSCALL with a mask that another monitor left", guest, why);
}

/*
 * QEMU's TCG reads the stack of a far return as the kernel would, also in ring 3 (7.2 does): with
 * SMAP that is a page fault, whose error code has no U bit although ring 3 caused it.
 */
static void test_far_return(struct guest *guest)
{
	struct ring3_regs *regs = &guest->regs;
	enum ring3_why why;
	bool good;

	begin(guest, ring3_guest_far_return);
	why = run(guest);
	good = regs->vector == X86_TRAP_GP && regs->error == 0x20;
	if (on_qemu() && native_read_cr4() & X86_CR4_SMAP)
		good |= regs->vector == X86_TRAP_PF && regs->error == X86_PF_PROT &&
			guest->user.cr2 == DATA + 0x7f0;
	check(why == RING3_EXCEPTION && good && regs->rsp == DATA + 0x7f0 && regs->cs == USER_CS &&
	      regs->rip == address(ring3_guest_far_return_itself),
	      "a return to a code segment that is not there", guest, why);
}

static void test_steps(struct guest *guest)
{
	enum ring3_why why;

	begin(guest, ring3_guest_step);
	guest->regs.rflags |= X86_EFLAGS_TF;
	why = run(guest);
	check(why == RING3_EXCEPTION && guest->regs.vector == X86_TRAP_DB &&
	      guest->regs.rip == address(ring3_guest_step) + 1 && guest->user.dr6 & DR_STEP,
	      "single step", guest, why);
}

static void test_bad_state(struct guest *guest)
{
	enum ring3_why why;

	begin(guest, ring3_guest_ud);
	guest->regs.cs = 0x1b;
	why = run(guest);
	check(why == RING3_BAD_STATE && guest->regs.rip == address(ring3_guest_ud) &&
	      guest->regs.gpr[15] == 0x1111111111111111ull * 15, "a CS that is data", guest, why);

	begin(guest, ring3_guest_ud);
	guest->regs.ss = 0x7b;
	why = run(guest);
	check(why == RING3_BAD_STATE, "an SS that is not there", guest, why);

	begin(guest, ring3_guest_ud);
	guest->regs.rip = 0x8000000000000000ull;
	why = run(guest);
	check(why == RING3_BAD_STATE || why == RING3_EXCEPTION, "a RIP that is no address", guest,
	      why);
}

/* ---- whatever a guest may try ------------------------------------------------------ */

/* The INT of a program is patched for each vector in turn: no gate is open. */
static void test_every_int(struct guest *guest)
{
	u8 *number = guest->code + (ring3_guest_int80 - ring3_guest) + 1;
	unsigned int vector;

	for (vector = 0; vector < 256; vector++) {
		*number = vector;
		expect_int(guest, "INT n", ring3_guest_int80, vector);
	}
	*number = 0x80;
}

/* An access of ring 3 to the switcher's own memory: a fault of ring 3, and nothing has changed. */
static void touch(struct guest *guest, unsigned long at)
{
	u64 before = 0, after = 0;
	u64 there = !copy_from_kernel_nofault(&before, (void *)at, 1);
	enum ring3_why why;

	expect_page_fault(guest, "reads the switcher's", ring3_guest_read, at, there | X86_PF_USER);
	expect_page_fault(guest, "writes the switcher's", ring3_guest_write, at,
			  there | X86_PF_USER | X86_PF_WRITE);
	begin(guest, ring3_guest_ud);
	guest->regs.rip = at;
	why = run(guest);
	check(why == RING3_EXCEPTION && guest->regs.vector == X86_TRAP_PF &&
	      guest->regs.rip == at && guest->regs.error == (there | X86_PF_USER | X86_PF_INSTR) && guest->user.cr2 == at,
	      "jumps into the switcher's", guest, why);
	copy_from_kernel_nofault(&after, (void *)at, 1);
	/* The part of the context that describes the last stay changes with each. */
	check(before == after || at / PAGE_SIZE == (guest->area.base + AREA_CONTEXT) / PAGE_SIZE,
	      "the switcher's memory is as it was", guest, why);
}

/* Each page of the area, the holes between, and what follows. */
static void test_every_page(struct guest *guest)
{
	unsigned long at;

	for (at = 0; at < 2 * RING3_STRIDE; at += PAGE_SIZE) {
		touch(guest, guest->area.base + at);
		touch(guest, guest->area.base + at + PAGE_SIZE - 8);
	}
}

/* An exit does not use RSP, which may hold anything, and brings it back. */
static void test_every_stack(struct guest *guest)
{
	const u64 stacks[] = {
		0, 8, 0x7ffffffffff8, 0x800000000000, 0x8000000000000000, 0xffff7ffffffffff8,
		0xffff800000000000, 0xfffffffffffffff8, guest->area.base + 0x800,
		guest->area.base + AREA_CONTEXT + CTX_REGS_END, guest->area.base + AREA_IDT + 0x800,
		guest->area.base + AREA_TSS + 0x60, guest->area.base + AREA_STACKS + PAGE_SIZE,
		guest->area.base + AREA_GDT + 0x60, (unsigned long)guest,
	};
	static const u8 *const programs[] = {
		ring3_guest_hlt, ring3_guest_int80, ring3_guest_syscall, ring3_guest_sysenter,
		ring3_guest_read,
	};
	enum ring3_why why;
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(stacks); i++)
		for (j = 0; j < ARRAY_SIZE(programs); j++) {
			bool calls = programs[j] == ring3_guest_syscall;

			begin(guest, programs[j]);
			guest->regs.rsp = stacks[i];
			guest->regs.gpr[0] = stacks[i];
			why = run(guest);
			check(why == (calls ? RING3_CALL : RING3_EXCEPTION) &&
			      guest->regs.rsp == stacks[i] && guest->regs.cs == USER_CS &&
			      guest->regs.gpr[15] == 0x1111111111111111ull * 15,
			      "an exit with any stack", guest, why);
		}
}

/* IRET refuses the state, or ring 3 faults at once: the guest's registers are as they were. */
static void try_frame(struct guest *guest, u16 cs, u16 ss, u64 rip)
{
	struct ring3_regs *regs = &guest->regs;
	bool good = cs == USER_CS && ss == USER_SS;
	enum ring3_why why;

	begin(guest, ring3_guest_hlt);
	regs->cs = cs;
	regs->ss = ss;
	if (rip)
		regs->rip = rip;
	rip = regs->rip;
	why = run(guest);
	check((good ? why == RING3_EXCEPTION || rip != address(ring3_guest_hlt) :
	       why == RING3_BAD_STATE) && (why == RING3_EXCEPTION || why == RING3_BAD_STATE) &&
	      regs->vector != X86_TRAP_DF && regs->rip == rip && regs->cs == cs && regs->ss == ss &&
	      regs->rsp == DATA + 0x800 && regs->gpr[0] == 0 &&
	      regs->gpr[1] == 0x1111111111111111ull &&
	      regs->gpr[15] == 0x1111111111111111ull * 15, "a frame for IRET", guest, why);
}

/* All selectors of ring 3 that the GDT has room for, an LDT's, and some beyond, in pairs. */
static void test_every_frame(struct guest *guest)
{
	static const u64 places[] = {
		0x800000000000, 0xffff7fffffffffff, 0x8000000000000000, 0x7fff000000400000,
		0xffff000000400000,
	};
	unsigned int cs, ss, i;

	for (cs = 3; cs < 8 * (RING3_GDT_ENTRIES + 8); cs += 4) {
		for (ss = 3; ss < 8 * (RING3_GDT_ENTRIES + 8); ss += 4)
			try_frame(guest, cs, ss, 0);
		cond_resched();
	}
	for (i = 0; i < ARRAY_SIZE(places); i++)
		try_frame(guest, USER_CS, USER_SS, places[i]);
}

/* As if an NMI came before each instruction of the entry in turn. */
static void test_window(struct guest *guest)
{
	struct ring3_context *context = guest->area.context;
	unsigned int at, turned = 0;
	enum ring3_why why = RING3_DEAD;

	for (at = 1; at < 100; at++) {
		u64 struck = context->struck;

		begin(guest, ring3_guest_ud);
		context->strike = at;
		context->flags |= FLAG_STRIKE;
		why = once(guest);
		context->flags &= ~FLAG_STRIKE;
		if (context->struck == struck)
			break;
		turned++;
		check(why == RING3_TURNED_BACK, "an NMI in the entry", guest, why);
		why = run(guest);
		check(why == RING3_EXCEPTION && guest->regs.vector == X86_TRAP_UD &&
		      guest->regs.gpr[14] == 0x1111111111111111ull * 14,
		      "the entry after one that was turned back", guest, why);
	}
	pr_info("ring3: turned back at %u instructions of the entry\n", turned);
	check(turned >= 20 && at < 100, "the sweep has an end", guest, why);
}

/* ---- at length ------------------------------------------------------------------- */

struct storm {
	struct guest *guest;
	struct completion done;
	unsigned long left[RING3_DEAD + 1];
};

static int spin(void *data)
{
	struct storm *storm = data;
	struct guest *guest = storm->guest;
	enum ring3_why why = RING3_INTERRUPT;
	u64 before;

	kthread_use_mm(guest->mm);
	begin(guest, ring3_guest_spin);
	while (storm->left[RING3_INTERRUPT] < loops) {
		before = guest->regs.gpr[0];
		why = once(guest);
		storm->left[why]++;
		if (why > RING3_NMI || why == RING3_EXCEPTION || guest->regs.gpr[0] < before)
			break;
		cond_resched();
	}
	kthread_unuse_mm(guest->mm);
	checks++;
	if (storm->left[RING3_INTERRUPT] < loops) {
		failed++;
		pr_err("ring3: not ok: the loop ended: why %d vector %#llx rip %#llx\n", why,
		       guest->regs.vector, guest->regs.rip);
	}
	complete(&storm->done);
	return 0;
}

static void test_storm(void)
{
	struct storm *storms = kcalloc(nr_cpu_ids, sizeof(*storms), GFP_KERNEL);
	int cpu;

	if (!storms)
		return;
	for_each_online_cpu(cpu) {
		struct task_struct *task;

		storms[cpu].guest = create();
		init_completion(&storms[cpu].done);
		if (!storms[cpu].guest)
			continue;
		task = kthread_create(spin, &storms[cpu], "ring3/%d", cpu);
		if (IS_ERR(task)) {
			failed++;
			complete(&storms[cpu].done);
			continue;
		}
		kthread_bind(task, cpu);
		wake_up_process(task);
	}
	for_each_online_cpu(cpu) {
		if (!storms[cpu].guest) {
			failed++;
			continue;
		}
		wait_for_completion(&storms[cpu].done);
		pr_info("ring3: CPU %d: %lu interrupts, %lu NMIs in ring 3, %lu in the entry\n", cpu,
			storms[cpu].left[RING3_INTERRUPT], storms[cpu].left[RING3_NMI],
			storms[cpu].left[RING3_TURNED_BACK]);
		destroy(storms[cpu].guest);
	}
	kfree(storms);
}

static void begin_call(void *guest)
{
	begin(guest, ring3_guest_syscall);
}

static void stay_once(void *guest)
{
	stay(guest);
}

/*
 * The host's global translations stay in the TLB when CR3 is loaded.  Ring 3 may not use them, but
 * its fault then says that something is there: no emulator has such entries.
 */
static void tell_global(struct guest *guest)
{
	u64 error;

	begin(guest, ring3_guest_read);
	guest->regs.gpr[0] = (unsigned long)&jiffies;
	run(guest);
	error = guest->regs.error;
	pr_info("ring3: reading the kernel's memory: vector %lld, error %lld: %s\n",
		guest->regs.vector, error,
		error & 1 ? "the TLB kept a global entry" : "nothing there");
	check(guest->regs.vector == X86_TRAP_PF && (error & ~1ull) == 4, "the kernel's memory", guest,
	      RING3_EXCEPTION);
}

static int __init ring3_test_init(void)
{
	struct ring3_facts facts;
	struct guest *guest;
	char detail[64] = "";

	ring3_find_facts(&facts);
	if (ring3_verdict(&facts, detail) != GONDOLA_PF_OK) {
		pr_err("ring3: refused: %s\n", detail);
		return -ENODEV;
	}
	guest = create();
	if (!guest)
		return -ENOMEM;
	test_registers(guest);
	test_exceptions(guest);
	test_page_faults(guest);
	test_calls(guest);
	test_held(guest);
	test_stale_mask(guest);
	test_far_return(guest);
	test_steps(guest);
	test_bad_state(guest);
	test_every_int(guest);
	test_every_page(guest);
	test_every_stack(guest);
	test_every_frame(guest);
	test_window(guest);
	tell_global(guest);
	if (cost)
		switch_cost(&guest->area, begin_call, stay_once, guest);
	destroy(guest);
	test_storm();
	pr_info("ring3: %u checks, %u failed\n", checks, failed);
	return failed ? -EINVAL : 0;
}

static void __exit ring3_test_exit(void)
{
}

module_init(ring3_test_init);
module_exit(ring3_test_exit);
MODULE_DESCRIPTION("Tests of gondola's switch into ring 3");
MODULE_LICENSE("GPL");
