/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The ABI of /dev/gondola: ioctls grouped by file descriptor (system, VM,
 * vCPU), the shared run page, and the reasons by which exits are counted.
 *
 * Rules that hold for every structure here:
 *  - it starts with @size (bytes, filled in by the caller) and @flags;
 *  - unknown flags and non-zero padding are refused with EINVAL;
 *  - widths are fixed, addresses travel as __u64, every hole is named.
 */
#ifndef _UAPI_LINUX_GONDOLA_H
#define _UAPI_LINUX_GONDOLA_H

#include <linux/ioctl.h>
#include <linux/types.h>
#include "gondola_inspect.h"
#include "gondola_xen.h"

#define GONDOLA_API_VERSION	1
#define GONDOLA_MAX_VCPUS	16
#define GONDOLA_MAX_SLOTS	32
#define GONDOLA_NAME_LEN	32
#define GONDOLA_MAX_SHADOW_PAGES	(1u << 18)	/* of one VM: 1 GiB of tables */
#define GONDOLA_MAX_DEVICES	64
#define GONDOLA_DEVICE_NAME_LEN	16
#define GONDOLA_RUN_SIZE	8192	/* bytes to mmap from a vCPU's descriptor */

/* ---- engines and preflight ------------------------------------------- */

/**
 * enum gondola_engine_id - who executes a guest
 * @GONDOLA_ENGINE_ANY: the module's own choice: its parameter "engine", else the first usable
 * @GONDOLA_ENGINE_VMX: Intel VT-x
 * @GONDOLA_ENGINE_SVM: AMD-V
 * @GONDOLA_ENGINE_INTERP: the interpreter alone
 * @GONDOLA_ENGINE_RING3: 64-bit user code in ring 3 of the processor, the rest interpreted; used
 *	where it is named
 * @GONDOLA_ENGINE_COUNT: how many numbers there are
 */
enum gondola_engine_id {
	GONDOLA_ENGINE_ANY	= 0,
	GONDOLA_ENGINE_VMX	= 1,
	GONDOLA_ENGINE_SVM	= 2,
	GONDOLA_ENGINE_INTERP	= 3,
	GONDOLA_ENGINE_RING3	= 4,
	GONDOLA_ENGINE_COUNT
};

/**
 * enum gondola_preflight_reason - why an engine can or cannot be used here
 * @GONDOLA_PF_OK: usable
 * @GONDOLA_PF_NOT_BUILT: this module was built without the engine
 * @GONDOLA_PF_ABSENT: the processor does not have it
 * @GONDOLA_PF_LOCKED_OFF: it has it, but firmware locked it off
 * @GONDOLA_PF_IN_USE: another hypervisor holds it (its module is loaded or it runs)
 * @GONDOLA_PF_NESTED_OFF: this is itself a guest, whose host does not offer nesting
 * @GONDOLA_PF_MISSING_FEATURE: a capability that gondola needs is missing; @detail names it
 * @GONDOLA_PF_PROCESSORS_DIFFER: the processors of this machine have different features
 * @GONDOLA_PF_KERNEL: this kernel, or one of its options, prevents it; @detail says which
 */
enum gondola_preflight_reason {
	GONDOLA_PF_OK = 0,
	GONDOLA_PF_NOT_BUILT,
	GONDOLA_PF_ABSENT,
	GONDOLA_PF_LOCKED_OFF,
	GONDOLA_PF_IN_USE,
	GONDOLA_PF_NESTED_OFF,
	GONDOLA_PF_MISSING_FEATURE,
	GONDOLA_PF_PROCESSORS_DIFFER,
	GONDOLA_PF_KERNEL,
};

/**
 * struct gondola_preflight - GONDOLA_PREFLIGHT: ask about one engine
 * @size: sizeof(struct gondola_preflight)
 * @flags: must be 0
 * @engine: in: enum gondola_engine_id; ANY asks for the one that would be chosen (out)
 * @reason: out: enum gondola_preflight_reason
 * @detail: out: the missing feature or the conflict, in words, NUL-terminated
 */
struct gondola_preflight {
	__u32 size;
	__u32 flags;
	__u32 engine;
	__u32 reason;
	char detail[64];
};

/* ---- objects ----------------------------------------------------------- */

/**
 * struct gondola_create_vm - GONDOLA_CREATE_VM: returns the VM's descriptor
 * @size: sizeof(struct gondola_create_vm)
 * @flags: GONDOLA_VM_*
 * @engine: enum gondola_engine_id
 * @shadow_pages: bound on shadow page tables in 4 KiB pages; 0 = the module's default
 *	(4096), else 64 … GONDOLA_MAX_SHADOW_PAGES; less counts as 64
 * @name: shown in traces and debugfs: printable ASCII, NUL-terminated, may be empty
 *
 * ENODEV: no usable engine, or not this one (ask GONDOLA_PREFLIGHT why).
 * EBUSY: the engine is in use by another hypervisor. EINVAL: bad argument.
 * E2BIG: @shadow_pages is beyond the limit.  EUSERS: the number of VMs has reached
 * the module's parameter max_vms.  EOPNOTSUPP: the engine cannot carry the personality.
 */
struct gondola_create_vm {
	__u32 size;
	__u32 flags;
	__u32 engine;
	__u32 shadow_pages;
	char name[GONDOLA_NAME_LEN];
};
#define GONDOLA_VM_XEN		(1u << 0)	/* a paravirtualized guest of Xen's interface */

/**
 * struct gondola_cpuid_entry - one CPUID leaf
 * @function: EAX in
 * @index: ECX in, where @flags has GONDOLA_CPUID_INDEX
 * @flags: GONDOLA_CPUID_*
 * @eax: EAX out
 * @ebx: EBX out
 * @ecx: ECX out
 * @edx: EDX out
 * @pad: must be 0
 */
struct gondola_cpuid_entry {
	__u32 function;
	__u32 index;
	__u32 flags;
	__u32 eax;
	__u32 ebx;
	__u32 ecx;
	__u32 edx;
	__u32 pad;
};
#define GONDOLA_CPUID_INDEX	(1u << 0)
#define GONDOLA_MAX_CPUID	128

/**
 * struct gondola_cpuid - a list of leaves
 * @size: sizeof(struct gondola_cpuid), the header alone
 * @flags: must be 0
 * @count: in: room at @entries; out (GET): how many were written, or are needed (E2BIG)
 * @engine: GET: enum gondola_engine_id: the engine of the VM, since the interpreter's CPUID is
 *	not the host's; SET: must be 0
 * @entries: address of an array of struct gondola_cpuid_entry
 *
 * GONDOLA_GET_SUPPORTED_CPUID (system) returns all leaves that this host and the
 * module can offer; GONDOLA_SET_CPUID (vCPU, once: EBUSY after) takes any subset.
 */
struct gondola_cpuid {
	__u32 size;
	__u32 flags;
	__u32 count;
	__u32 engine;
	__u64 entries;
};

/**
 * struct gondola_memory_slot - GONDOLA_SET_MEMORY: map launcher memory at a gpa
 * @size: sizeof(struct gondola_memory_slot)
 * @flags: GONDOLA_MEM_*
 * @slot: 0 … GONDOLA_MAX_SLOTS - 1
 * @pad: must be 0
 * @gpa: guest-physical address, page-aligned
 * @bytes: length, page-aligned; 0 removes the slot
 * @hva: address in the caller's memory, page-aligned
 *
 * An existing slot may change its flags only; to move it remove it first.
 * Logging may begin and end while the guest runs: nothing is unmapped for it.
 * With GONDOLA_MEM_USERFAULT a vCPU never sleeps in the kernel for an absent
 * page, but exits with GONDOLA_EXIT_MEMORY: a userfaultfd may have to fetch the
 * page from a host that does not answer.
 * EINVAL: unaligned, wrapping or unknown; EEXIST: overlaps another slot or
 * changes one in place; EFAULT: @hva … @hva + @bytes is not mapped at all;
 * E2BIG: more than 16 TiB.
 */
struct gondola_memory_slot {
	__u32 size;
	__u32 flags;
	__u32 slot;
	__u32 pad;
	__u64 gpa;
	__u64 bytes;
	__u64 hva;
};
#define GONDOLA_MEM_READONLY	(1u << 0)	/* guest writes exit as MMIO */
#define GONDOLA_MEM_LOG_DIRTY	(1u << 1)	/* set on a slot in use: all pages begin dirty */
#define GONDOLA_MEM_USERFAULT	(1u << 2)	/* no waiting for absent pages: EXIT_MEMORY */

/**
 * struct gondola_dirty_log - GONDOLA_GET_DIRTY reads, GONDOLA_CLEAR_DIRTY clears
 * @size: sizeof(struct gondola_dirty_log)
 * @flags: must be 0
 * @slot: a slot with GONDOLA_MEM_LOG_DIRTY
 * @pad: must be 0
 * @first: first page of the range, counted from the slot's start, a multiple of 64
 * @pages: length of the range in pages; the last word's unused bits are 0
 * @bitmap: address of DIV_ROUND_UP(@pages, 64) __u64 words
 *
 * GET changes nothing.  CLEAR clears, and write-protects again, exactly the pages set
 * in @bitmap; on return @bitmap has those of them that were dirty.  It also opens a new
 * period for the whole range: later events of pages there carry the last GONDOLA_MARK.
 * So if a launcher calls MARK before the CLEARs that begin a round, the round's events
 * are exactly the pages that the CLEARs of the next round return.
 */
struct gondola_dirty_log {
	__u32 size;
	__u32 flags;
	__u32 slot;
	__u32 pad;
	__u64 first;
	__u64 pages;
	__u64 bitmap;
};

/**
 * enum gondola_dirty_source - who wrote a page
 * @GONDOLA_DIRTY_VCPU: the guest; never passed in
 * @GONDOLA_DIRTY_DEVICE: a device of the launcher
 * @GONDOLA_DIRTY_HOST: the launcher itself (a loader, an incoming migration)
 */
enum gondola_dirty_source {
	GONDOLA_DIRTY_VCPU = 0,
	GONDOLA_DIRTY_DEVICE = 1,
	GONDOLA_DIRTY_HOST = 2,
};

/**
 * struct gondola_mark_dirty - GONDOLA_MARK_DIRTY: the launcher wrote guest memory
 * @size: sizeof(struct gondola_mark_dirty)
 * @flags: must be 0
 * @source: GONDOLA_DIRTY_DEVICE or GONDOLA_DIRTY_HOST
 * @device: the device's number, see GONDOLA_NAME_DEVICE; 0: unknown, or no device
 * @gpa: first byte written
 * @bytes: number of bytes
 */
struct gondola_mark_dirty {
	__u32 size;
	__u32 flags;
	__u32 source;
	__u32 device;
	__u64 gpa;
	__u64 bytes;
};

/**
 * struct gondola_name_device - GONDOLA_NAME_DEVICE: name a device of the launcher
 * @size: sizeof(struct gondola_name_device)
 * @flags: must be 0
 * @device: the launcher's number for it, 1 … GONDOLA_MAX_DEVICES
 * @pad: must be 0
 * @name: shown in traces: printable ASCII, NUL-terminated; empty removes the name
 */
struct gondola_name_device {
	__u32 size;
	__u32 flags;
	__u32 device;
	__u32 pad;
	char name[GONDOLA_DEVICE_NAME_LEN];
};

/**
 * struct gondola_mark - GONDOLA_MARK: stamp phase and round on events to come
 * @size: sizeof(struct gondola_mark)
 * @flags: must be 0
 * @phase: the phase; the launcher defines the numbers
 * @round: the round; the same
 *
 * It applies at once to the events of vCPUs; for events of dirty pages see struct
 * gondola_dirty_log.
 */
struct gondola_mark {
	__u32 size;
	__u32 flags;
	__u32 phase;
	__u32 round;
};

/**
 * struct gondola_irq_line - GONDOLA_IRQ_LINE: drive a line of the interrupt controllers
 * @size: sizeof(struct gondola_irq_line)
 * @flags: must be 0
 * @gsi: 0 … 23: the I/O APIC's pin of that number, except that GSI 0 is its pin 2.  0 … 15 are the
 *	PIC's lines, too; 16 … 23 reach the PIC on its lines GONDOLA_PIC_LINES
 * @level: 0 or 1
 */
struct gondola_irq_line {
	__u32 size;
	__u32 flags;
	__u32 gsi;
	__u32 level;
};
#define GONDOLA_NR_GSI	24
/* By GSI from 16: where a PC's interrupt router leads the PCI interrupts A to H. */
#define GONDOLA_PIC_LINES	{ 10, 11, 5, 3, 7, 6, 14, 15 }

/**
 * struct gondola_ioeventfd - GONDOLA_IOEVENTFD: a write signals an eventfd without an exit
 * @size: sizeof(struct gondola_ioeventfd)
 * @flags: GONDOLA_IOEVENTFD_*
 * @fd: the eventfd; with CLEAR also -1: no eventfd is signalled
 * @bytes: a write of 1, 2, 4 or 8 bytes (a port: 4 at most); 0: of any width
 * @address: a guest-physical address, or a port
 * @datamatch: with DATAMATCH: only a write of this value; else 0
 * @word: with CLEAR: address of a __u32 in the caller's memory; else 0
 *
 * It applies to writes outside of slots and to read-only slots, which would else
 * exit with GONDOLA_EXIT_MMIO, and to OUT, but not to string instructions.
 * EEXIST: a write could match another one too; ENOENT: there is none to remove;
 * ENOSPC: there are too many.
 */
struct gondola_ioeventfd {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 bytes;
	__u64 address;
	__u64 datamatch;
	__u64 word;
};
#define GONDOLA_IOEVENTFD_REMOVE	(1u << 0)	/* other members as when it was added */
#define GONDOLA_IOEVENTFD_PIO		(1u << 1)
#define GONDOLA_IOEVENTFD_DATAMATCH	(1u << 2)
#define GONDOLA_IOEVENTFD_CLEAR		(1u << 3)	/* 4 bytes: first clear them in @word */

/**
 * struct gondola_irqfd - GONDOLA_IRQFD: an eventfd interrupts the guest
 * @size: sizeof(struct gondola_irqfd)
 * @flags: GONDOLA_IRQFD_*
 * @fd: the eventfd; each time it is written the line rises and falls, and it reads as 0 again
 * @gsi: 0 … GONDOLA_NR_GSI - 1
 *
 * The guest must take the line as edge-triggered; any number of eventfds may
 * share it.  EBUSY: this eventfd has a line already; ENOENT: there is none to
 * remove; ENOSPC: there are too many.
 */
struct gondola_irqfd {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 gsi;
};
#define GONDOLA_IRQFD_REMOVE	(1u << 0)

/**
 * struct gondola_create_vcpu - GONDOLA_CREATE_VCPU: returns the vCPU's descriptor
 * @size: sizeof(struct gondola_create_vcpu)
 * @flags: must be 0
 * @id: 0 … GONDOLA_MAX_VCPUS - 1, also the APIC id; EEXIST when taken.  vCPU 0 runs at once,
 *      the others wait for a start-up IPI
 * @pad: must be 0
 */
struct gondola_create_vcpu {
	__u32 size;
	__u32 flags;
	__u32 id;
	__u32 pad;
};

/**
 * struct gondola_state - GONDOLA_GET_STATE, GONDOLA_SET_STATE on a VM or a vCPU
 * @size: sizeof(struct gondola_state)
 * @flags: must be 0
 * @bytes: in: room at @buffer; out (GET): bytes written, or needed (E2BIG)
 * @buffer: address of records, see <linux/gondola_state.h>
 * @bad_record: out (SET, EINVAL): type of the record that was refused
 * @bad_field: out (SET, EINVAL): byte offset of the field that was refused
 *
 * SET applies the given records and changes nothing else.  On a vCPU the CPUID
 * must be set first (ENOEXEC), since it determines which bits exist.  A field of
 * the record's header, which precedes the payload, has a negative offset in
 * @bad_field.
 */
struct gondola_state {
	__u32 size;
	__u32 flags;
	__u64 bytes;
	__u64 buffer;
	__u32 bad_record;
	__u32 bad_field;
};

/**
 * struct gondola_hold_clock - GONDOLA_HOLD_CLOCK: stop the VM's clocks, or let them go on
 * @size: sizeof(struct gondola_hold_clock)
 * @flags: GONDOLA_HOLD to stop them, 0 to let them go on; repeating a call has no effect
 * @held_ns: out: CLOCK_BOOTTIME when they were last stopped
 * @lost_ns: out: for how long they were stopped, when they last went on
 *
 * While the clocks are held, reads of TSCs, LAPIC timers and the PIT do not
 * change, no timer fires, and GONDOLA_RUN is refused (EBUSY).  Then they go on
 * from there: to the guest no time has passed.  State that is saved meanwhile
 * shows one moment; timers in state that is set meanwhile count from the moment
 * when the clocks go on.
 * EBUSY: a vCPU runs.
 */
struct gondola_hold_clock {
	__u32 size;
	__u32 flags;
	__u64 held_ns;
	__u64 lost_ns;
};
#define GONDOLA_HOLD		(1u << 0)

/* ---- counting ------------------------------------------------------------ */

/*
 * The reasons for which a vCPU leaves guest mode, with the same names on every
 * engine.  X(SYMBOL, name).  The order is ABI: append only.
 */
#define GONDOLA_REASONS(X)			\
	X(UNKNOWN, "unknown")			\
	X(HOST_INTERRUPT, "host_interrupt")	\
	X(HOST_NMI, "host_nmi")			\
	X(PAGE_FAULT, "page_fault")		\
	X(EXCEPTION, "exception")		\
	X(INTERRUPT_WINDOW, "interrupt_window")	\
	X(NMI_WINDOW, "nmi_window")		\
	X(CPUID, "cpuid")			\
	X(HLT, "hlt")				\
	X(PAUSE, "pause")			\
	X(INVLPG, "invlpg")			\
	X(CR0_WRITE, "cr0_write")		\
	X(CR3_WRITE, "cr3_write")		\
	X(CR4_WRITE, "cr4_write")		\
	X(CR8_WRITE, "cr8_write")		\
	X(CR_READ, "cr_read")			\
	X(DR_ACCESS, "dr_access")		\
	X(MSR_READ, "msr_read")			\
	X(MSR_WRITE, "msr_write")		\
	X(IO, "io")				\
	X(HYPERCALL, "hypercall")		\
	X(XSETBV, "xsetbv")			\
	X(TASK_SWITCH, "task_switch")		\
	X(TRIPLE_FAULT, "triple_fault")		\
	X(INIT_SIGNAL, "init_signal")		\
	X(UNDEFINED, "undefined_instruction")	\
	X(CACHE, "cache_control")		\
	X(ENTRY_FAILED, "entry_failed")		\
	X(INTERPRET, "interpret")		\
	X(SYSCALL, "syscall")

enum gondola_reason {
#define X(symbol, name) GONDOLA_REASON_##symbol,
	GONDOLA_REASONS(X)
#undef X
	GONDOLA_REASON_COUNT
};
#define GONDOLA_MAX_REASONS	64

/* Further counters of a vCPU.  The order is ABI: append only. */
#define GONDOLA_COUNTERS(X)			\
	X(USER_EXITS, "user_exits")		\
	X(TLB_FLUSHES, "tlb_flushes")		\
	X(TLB_FLUSHES_REMOTE, "tlb_flushes_remote") \
	X(INJECTED, "injected")			\
	X(GUEST_FAULTS, "guest_faults")		\
	X(SHADOW_FILLS, "shadow_fills")		\
	X(SHADOW_PREFETCHED, "shadow_prefetched") \
	X(SHADOW_SYNCS, "shadow_syncs")		\
	X(SHADOW_UNSYNCED, "shadow_unsynced")	\
	X(SHADOW_ZAPPED, "shadow_zapped")	\
	X(TABLE_WRITES, "table_writes")		\
	X(INTERPRETED, "interpreted")		\
	X(MMIO, "mmio")				\
	X(ROOT_HITS, "root_hits")		\
	X(ROOT_MISSES, "root_misses")		\
	X(HALTS, "halts")			\
	X(INSTRUCTIONS, "instructions")

enum gondola_counter {
#define X(symbol, name) GONDOLA_COUNTER_##symbol,
	GONDOLA_COUNTERS(X)
#undef X
	GONDOLA_COUNTER_COUNT
};
#define GONDOLA_MAX_COUNTERS	64

/**
 * struct gondola_stats - GONDOLA_GET_STATS on a vCPU
 * @size: sizeof(struct gondola_stats)
 * @flags: must be 0
 * @exits: by enum gondola_reason
 * @counters: by enum gondola_counter
 */
struct gondola_stats {
	__u32 size;
	__u32 flags;
	__u64 exits[GONDOLA_MAX_REASONS];
	__u64 counters[GONDOLA_MAX_COUNTERS];
};

/* ---- debugging ------------------------------------------------------------- */

/**
 * struct gondola_debug - GONDOLA_SET_DEBUG on a vCPU: what stops it
 * @size: sizeof(struct gondola_debug)
 * @flags: GONDOLA_DEBUG_*; they replace those of the last call
 * @dr: linear addresses of hardware breakpoints, of which @dr7 says more
 * @dr7: as in the register: bits 0 to 7 and 16 to 31, and no breakpoint is one on a port
 *
 * With BREAKPOINTS the guest's INT3 is not delivered: GONDOLA_RUN returns with GONDOLA_EXIT_DEBUG,
 * and RIP is the instruction's.
 *
 * With STEP the vCPU takes the exception that waits for delivery.  If none waits, it executes one
 * instruction, or one item of a REP.  Then GONDOLA_RUN returns with GONDOLA_EXIT_DEBUG.  No interrupt is
 * taken meanwhile; one that ends HLT stays pending.  The instruction is emulated, so the guest does not
 * notice the step.  If gondola cannot emulate it, it is not executed, and GONDOLA_RUN returns with
 * GONDOLA_EXIT_EMULATION.  Either way STEP is cleared, and the other flags stay.
 *
 * With HARDWARE @dr and @dr7 are in force in place of the guest's own breakpoints.  At a breakpoint
 * GONDOLA_RUN returns with GONDOLA_EXIT_DEBUG: before the instruction for one on execution, else behind
 * it.  The guest's DR0 to DR3 and DR7 read as it wrote them.  On an engine of hardware, an instruction
 * that gondola emulates, in a step or because it caused an exit, meets no breakpoint.
 *
 * EOPNOTSUPP: this processor does not arm breakpoints for guests (HARDWARE).
 */
struct gondola_debug {
	__u32 size;
	__u32 flags;
	__u64 dr[4];
	__u64 dr7;
};
#define GONDOLA_DEBUG_BREAKPOINTS	(1u << 0)
#define GONDOLA_DEBUG_STEP		(1u << 1)
#define GONDOLA_DEBUG_HARDWARE		(1u << 2)

/* ---- the run page ---------------------------------------------------------- */

/**
 * enum gondola_user_exit - why GONDOLA_RUN returned (the run page's @exit)
 * @GONDOLA_EXIT_NONE: it has not returned yet
 * @GONDOLA_EXIT_INTR: a signal, or immediate_exit; GONDOLA_RUN fails with EINTR
 * @GONDOLA_EXIT_IO: an access to a port of the launcher: @io
 * @GONDOLA_EXIT_MMIO: an access outside of slots, or a write to a read-only one: @mmio
 * @GONDOLA_EXIT_SHUTDOWN: triple fault
 * @GONDOLA_EXIT_ENTRY_FAILED: the processor refused the state: @fail
 * @GONDOLA_EXIT_UNKNOWN: an exit that gondola does not know: @fail
 * @GONDOLA_EXIT_EMULATION: an instruction that gondola cannot emulate: @emulation
 * @GONDOLA_EXIT_MEMORY: guest memory that the launcher must make present: @memory
 * @GONDOLA_EXIT_DEBUG: what GONDOLA_SET_DEBUG asked for: @debug
 * @GONDOLA_EXIT_XEN: a paravirtualized guest tells the launcher something: @xen
 *
 * 9 is reserved: earlier versions used it.
 */
enum gondola_user_exit {
	GONDOLA_EXIT_NONE = 0,
	GONDOLA_EXIT_INTR = 1,
	GONDOLA_EXIT_IO = 2,
	GONDOLA_EXIT_MMIO = 3,
	GONDOLA_EXIT_SHUTDOWN = 4,
	GONDOLA_EXIT_ENTRY_FAILED = 5,
	GONDOLA_EXIT_UNKNOWN = 6,
	GONDOLA_EXIT_EMULATION = 7,
	GONDOLA_EXIT_MEMORY = 8,
	/* 9 is reserved. */
	GONDOLA_EXIT_DEBUG = 10,
	GONDOLA_EXIT_XEN = 11,
};

/**
 * struct gondola_run - shared with the launcher by mmap() of the vCPU's descriptor
 * @size: out: GONDOLA_RUN_SIZE
 * @flags: in: must be 0
 * @immediate_exit: in: leave with EINTR before the guest runs (closes the race with a signal)
 * @pad0: out: 0
 * @exit: out: enum gondola_user_exit
 * @hw_reason: out: raw code of the engine's last exit
 * @pad1: out: 0
 * @io: GONDOLA_EXIT_IO: @count items of @width bytes each lie at @offset in this
 *      page; out for a write, to be filled in before the next GONDOLA_RUN for a read
 * @io.port: the port
 * @io.width: 1, 2 or 4 bytes
 * @io.write: 1: OUT, OUTS; 0: IN, INS
 * @io.count: 1, or more for string instructions
 * @io.offset: from the start of the page, GONDOLA_RUN_IO_OFFSET at least
 * @io.pad: 0
 * @mmio: GONDOLA_EXIT_MMIO: @bytes (1 … 8) of @data, likewise
 * @mmio.gpa: guest-physical address
 * @mmio.data: little-endian, as it would lie in memory
 * @mmio.bytes: 1 … 8; a longer access leaves once for each part
 * @mmio.write: 1 or 0
 * @mmio.pad: 0
 * @fail: GONDOLA_EXIT_ENTRY_FAILED and GONDOLA_EXIT_UNKNOWN: the processor's report
 * @fail.hw_reason: the engine's raw exit code
 * @fail.hw_error: VM-instruction error or exit information, the low half
 * @fail.qualification: exit qualification, or the first exit information
 * @fail.field: the refused field, if it is known, NUL-terminated
 * @emulation: GONDOLA_EXIT_EMULATION: the instruction
 * @emulation.bytes: number of bytes of @insn that could be fetched
 * @emulation.pad: 0
 * @emulation.insn: the instruction's first bytes
 * @emulation.rip: its address
 * @memory: GONDOLA_EXIT_MEMORY: touch this, then run again
 * @memory.gpa: guest-physical address
 * @memory.write: 1: it must become writable
 * @memory.pad: 0
 * @debug: GONDOLA_EXIT_DEBUG
 * @debug.why: the flag of GONDOLA_DEBUG_* that caused it
 * @debug.dr6: of HARDWARE: bit n for breakpoint n, else 0
 * @xen: GONDOLA_EXIT_XEN
 * @xen.op: enum gondola_xen_exit
 * @xen.value: see there
 * @room: the union's size, fixed
 *
 * The launcher owns the page between two calls of GONDOLA_RUN, the module
 * during it.  The module copies what it reads before it checks it.
 */
struct gondola_run {
	__u32 size;
	__u32 flags;
	__u8 immediate_exit;
	__u8 pad0[3];
	__u32 exit;
	__u32 hw_reason;
	__u32 pad1;
	union {
		struct {
			__u16 port;
			__u8 width;	/* 1, 2 or 4 */
			__u8 write;
			__u32 count;
			__u32 offset;
			__u32 pad;
		} io;
		struct {
			__u64 gpa;
			__u8 data[8];
			__u32 bytes;
			__u8 write;
			__u8 pad[3];
		} mmio;
		struct {
			__u32 hw_reason;
			__u32 hw_error;		/* VM-instruction error or exit info, low half */
			__u64 qualification;
			char field[64];		/* the refused field, if it is known */
		} fail;
		struct {
			__u32 bytes;
			__u32 pad;
			__u8 insn[16];
			__u64 rip;
		} emulation;
		struct {
			__u64 gpa;
			__u32 write;
			__u32 pad;
		} memory;
		struct {
			__u32 why;
			__u32 dr6;
		} debug;
		struct {
			__u32 op;
			__u32 value;
		} xen;
		__u8 room[256];
	};
};
#define GONDOLA_RUN_IO_OFFSET	4096	/* where string I/O data lies */

/* ---- ioctl numbers: 0x00 system, 0x20 VM, 0x40 vCPU ------------------------- */

#define GONDOLA_IOC	'g'

/* system */
#define GONDOLA_GET_API_VERSION		_IO(GONDOLA_IOC, 0x00)
#define GONDOLA_PREFLIGHT		_IOWR(GONDOLA_IOC, 0x01, struct gondola_preflight)
#define GONDOLA_CREATE_VM		_IOW(GONDOLA_IOC, 0x02, struct gondola_create_vm)
#define GONDOLA_GET_SUPPORTED_CPUID	_IOWR(GONDOLA_IOC, 0x03, struct gondola_cpuid)

/* VM */
#define GONDOLA_SET_MEMORY		_IOW(GONDOLA_IOC, 0x20, struct gondola_memory_slot)
#define GONDOLA_CREATE_VCPU		_IOW(GONDOLA_IOC, 0x21, struct gondola_create_vcpu)
#define GONDOLA_IRQ_LINE		_IOW(GONDOLA_IOC, 0x22, struct gondola_irq_line)
#define GONDOLA_GET_DIRTY		_IOWR(GONDOLA_IOC, 0x23, struct gondola_dirty_log)
/* 0x24 stays reserved: an earlier CLEAR_DIRTY that did not return the dirty pages. */
#define GONDOLA_MARK_DIRTY		_IOW(GONDOLA_IOC, 0x25, struct gondola_mark_dirty)
#define GONDOLA_MARK			_IOW(GONDOLA_IOC, 0x26, struct gondola_mark)
#define GONDOLA_IOEVENTFD		_IOW(GONDOLA_IOC, 0x27, struct gondola_ioeventfd)
#define GONDOLA_IRQFD			_IOW(GONDOLA_IOC, 0x28, struct gondola_irqfd)
#define GONDOLA_HOLD_CLOCK		_IOWR(GONDOLA_IOC, 0x29, struct gondola_hold_clock)
#define GONDOLA_NAME_DEVICE		_IOW(GONDOLA_IOC, 0x2a, struct gondola_name_device)
#define GONDOLA_CLEAR_DIRTY		_IOW(GONDOLA_IOC, 0x2b, struct gondola_dirty_log)
#define GONDOLA_GET_SHADOWS		_IOWR(GONDOLA_IOC, 0x2c, struct gondola_shadows)
#define GONDOLA_SET_XEN			_IOW(GONDOLA_IOC, 0x2d, struct gondola_xen_config)
#define GONDOLA_XEN_RAISE		_IOW(GONDOLA_IOC, 0x2e, struct gondola_xen_raise)
#define GONDOLA_XEN_UNKNOWN		_IOWR(GONDOLA_IOC, 0x2f, struct gondola_xen_unknown)

/*
 * vCPU.  GONDOLA_RUN returns 0 if the run page says why the guest exited, or
 *  EINTR	a signal, immediate_exit, or work that the kernel does on the way to
 *		user mode: call it again when done
 *  ENOEXEC	GONDOLA_SET_CPUID or GONDOLA_SET_MEMORY was never called
 *  EINVAL	run->flags is not 0
 *  EBUSY	the VM's clocks are held
 *  EFAULT	the host cannot provide guest memory
 *  ESHUTDOWN	the machine is shutting down
 *  EIO		called from another address space, or the VM is broken for good
 * A vCPU whose registers were not set starts as after a reset, in real mode.
 */
#define GONDOLA_RUN			_IO(GONDOLA_IOC, 0x40)
#define GONDOLA_SET_CPUID		_IOW(GONDOLA_IOC, 0x41, struct gondola_cpuid)
#define GONDOLA_NMI			_IO(GONDOLA_IOC, 0x42)
#define GONDOLA_GET_STATS		_IOWR(GONDOLA_IOC, 0x43, struct gondola_stats)
#define GONDOLA_GET_HISTORY		_IOWR(GONDOLA_IOC, 0x44, struct gondola_history)
#define GONDOLA_SET_DEBUG		_IOW(GONDOLA_IOC, 0x45, struct gondola_debug)
#define GONDOLA_GET_SHADOW		_IOWR(GONDOLA_IOC, 0x46, struct gondola_shadow)

/* VM and vCPU */
#define GONDOLA_GET_STATE		_IOWR(GONDOLA_IOC, 0x60, struct gondola_state)
#define GONDOLA_SET_STATE		_IOWR(GONDOLA_IOC, 0x61, struct gondola_state)

#endif
