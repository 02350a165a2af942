// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tries to get at what is not its own: memory, MSRs and ports of the host, and the instructions by
 * which a monitor runs guests. Prints for each kind how many tries there were and how many
 * succeeded; debug exit 5 if none did. With "hang" it then keeps its processor, interrupts off.
 */
#include "guest.h"

#define NONE		~0u
#define BEYOND		0x10000000u	/* more memory than it is given */
#define STEP		0x04040000u
#define APICS		0xfec00000u	/* its own, and what lies behind is its firmware's */
#define VIRTIO		0xe0000000u
#define VIRTIO_END	0xe0100000u
#define PATTERN		0x5afe5afeu
#define EFER		0xc0000080u
#define EFER_SVME	(1u << 12)
#define PCI_ADDRESS	0xcf8
#define PCI_DATA	0xcfc

static uint32_t vector, way_back, stack;

static void on_exception(struct guest_frame *frame)
{
	vector = frame->vector;
	frame->eip = way_back;
}

/* The vector of the exception that @attack ended in, or NONE. */
static uint32_t raised(void (*attack)(uint32_t), uint32_t with)
{
	vector = NONE;
	asm volatile("push %%ebp\n\t"
		     "mov %%esp, %[stack]\n\t"
		     "movl $1f, %[back]\n\t"
		     "push %[with]\n\t"
		     "call *%[attack]\n\t"
		     "1: mov %[stack], %%esp\n\t"
		     "pop %%ebp"
		     : [attack] "+c" (attack), [with] "+d" (with), [back] "=m" (way_back), [stack] "=m" (stack)
		     : : "eax", "ebx", "esi", "edi", "cc", "memory");
	return vector;
}

static uint32_t tries, succeeded;

static void count(bool success)
{
	tries++;
	succeeded += success;
}

static void told(const char *what)
{
	static uint32_t all;

	print(what);
	print(": ");
	print_number(tries);
	print(" tries, ");
	print_number(succeeded);
	print(" succeeded\n");
	all += succeeded;
	tries = succeeded = 0;
	if (all)
		debug_exit(1);
}

static void write_word(uint32_t address)
{
	*(volatile uint32_t *)address = PATTERN;
}

static void memory(void)
{
	/* As many steps as fit: one more would come round to its own memory. */
	for (uint32_t i = 0, at = BEYOND; i < (APICS - BEYOND) / STEP; i++, at += STEP) {
		if (at >= VIRTIO && at < VIRTIO_END)
			continue;
		count(raised(write_word, at) == NONE && *(volatile uint32_t *)at == PATTERN);
	}
	told("memory beyond its own");
}

static void write_efer(uint32_t bits)
{
	asm volatile("wrmsr" : : "c"(EFER), "a"(bits), "d"(0));
}

static void write_msr(uint32_t number)
{
	asm volatile("wrmsr" : : "c"(number), "a"(PATTERN), "d"(0));
}

static void read_msr(uint32_t number)
{
	uint32_t low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
	if (low != PATTERN)
		vector = 0;
}

/* Does the processor hold what was written?  HWCR is not tried: a guest has one of its own. */
static void msrs(void)
{
	static const uint32_t owned[] = {
		0x3a,			/* IA32_FEATURE_CONTROL: lets a kernel be a monitor */
		0x480, 0x483, 0x486,	/* what VMX offers */
		0x79, 0xc0010020,	/* microcode, by its address */
		0xc0010010, 0xc001001f,	/* SYSCFG, NB_CFG */
		0xc0010111, 0xc0010112,	/* SMM's memory */
		0xc0010114, 0xc0010117,	/* VM_CR, VM_HSAVE_PA */
		0x19a, 0x199,		/* clock and frequency */
	};
	uint32_t low, high;

	for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++)
		count(raised(write_msr, owned[i]) == NONE && raised(read_msr, owned[i]) == NONE);
	if (raised(write_efer, EFER_SVME) == NONE) {
		asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(EFER));
		count(low & EFER_SVME);
	} else {
		count(false);
	}
	told("the processor's MSRs");
}

#define INSN(name, bytes) \
static void name(uint32_t with) \
{ \
	asm volatile(bytes : : "a"(with) : "memory"); \
}
INSN(insn_vmrun, ".byte 0x0f, 0x01, 0xd8")
INSN(insn_vmload, ".byte 0x0f, 0x01, 0xda")
INSN(insn_vmsave, ".byte 0x0f, 0x01, 0xdb")
INSN(insn_stgi, ".byte 0x0f, 0x01, 0xdc")
INSN(insn_clgi, ".byte 0x0f, 0x01, 0xdd")
INSN(insn_skinit, ".byte 0x0f, 0x01, 0xde")
INSN(insn_invlpga, ".byte 0x0f, 0x01, 0xdf")
INSN(insn_vmxon, ".byte 0xf3, 0x0f, 0xc7, 0x30")
INSN(insn_vmptrld, ".byte 0x0f, 0xc7, 0x30")
INSN(insn_vmptrst, ".byte 0x0f, 0xc7, 0x38")
INSN(insn_vmclear, ".byte 0x66, 0x0f, 0xc7, 0x30")
INSN(insn_vmread, ".byte 0x0f, 0x78, 0xc0")
INSN(insn_vmwrite, ".byte 0x0f, 0x79, 0xc0")
INSN(insn_vmlaunch, ".byte 0x0f, 0x01, 0xc2")
INSN(insn_vmresume, ".byte 0x0f, 0x01, 0xc3")
INSN(insn_vmxoff, ".byte 0x0f, 0x01, 0xc4")
INSN(insn_getsec, ".byte 0x0f, 0x37")
INSN(insn_rsm, ".byte 0x0f, 0xaa")

static void instructions(void)
{
	static void (*const all[])(uint32_t) = {
		insn_vmrun, insn_vmload, insn_vmsave, insn_stgi, insn_clgi, insn_skinit, insn_invlpga,
		insn_vmxon, insn_vmptrld, insn_vmptrst, insn_vmclear, insn_vmread, insn_vmwrite, insn_vmlaunch,
		insn_vmresume, insn_vmxoff, insn_getsec, insn_rsm,
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		count(raised(all[i], 0x100000) == NONE);
	told("a monitor's instructions");
}

/* Each function of each device on the host's first PCI bus, and the host's disk and screen. */
static void ports(void)
{
	static const uint16_t owned[] = { 0x1f0, 0x1f7, 0x170, 0x3c0, 0x3d4, 0x3f4, 0x2e8, 0x5658, 0x510 };

	for (uint32_t function = 0; function < 256; function++) {
		outl(PCI_ADDRESS, 0x80000000u | function << 8);
		count(inl(PCI_DATA) != ~0u);
	}
	for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++) {
		outb(owned[i], 0x5a);
		count(inb(owned[i]) != 0xff);
	}
	told("the host's ports");
}

void guest_main(const struct guest_info *info)
{
	guest_set_handler(on_exception);
	memory();
	msrs();
	instructions();
	ports();
	if (has_word(info, "hang")) {
		print("it keeps the processor\n");
		for (;;)
			asm volatile("cli");
	}
	debug_exit(5);
}
