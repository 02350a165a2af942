/* SPDX-License-Identifier: GPL-2.0-only */
/* VMX instructions, and access to the VMCS with a check for refusals. */
#ifndef GONDOLA_VMX_VMCS_H
#define GONDOLA_VMX_VMCS_H

#include <linux/compiler.h>
#include <linux/types.h>
#include <asm/asm.h>
#include <asm/vmx.h>

/** vmx_field_name() - name of a VMCS field in words; never NULL */
const char *vmx_field_name(u32 field);

struct gondola_vcpu;
/** vmx_trace_fields() - tell the listeners of a tracepoint what the VMCS holds */
void vmx_trace_fields(const struct gondola_vcpu *vcpu);

/* Handle a refused access: warn once, with the field's name. */
void vmx_read_refused(u32 field);
void vmx_write_refused(u32 field, u64 value);

/*
 * If the kernel keeps CR4.VMXE to itself, root operation lasts from begin to end, with interrupts
 * off; pairs may be nested.  Else the processor stays in root operation, and they do nothing.
 */
#ifdef COMPAT_RESERVED_CR4
unsigned long vmx_root_begin(void);
void vmx_root_end(unsigned long flags);
/* Between the two: is the processor in root operation?  Another hypervisor or a shutdown may prevent it. */
bool vmx_in_root(void);
#else
static __always_inline unsigned long vmx_root_begin(void)
{
	return 0;
}

static __always_inline void vmx_root_end(unsigned long flags)
{
}

static __always_inline bool vmx_in_root(void)
{
	return true;
}
#endif

/*
 * All need a current VMCS, so they are used between vcpu_load() and vcpu_put().  They fault after
 * a shutdown if the vCPU did not leave in time; this counts as refused, like an access without a
 * VMCS.
 */

/* In root operation.  False: refused, as a field is that this processor does not have. */
static __always_inline bool vmx_try_read(unsigned long field, u64 *value)
{
	u64 found;

	asm_goto_output("1: vmread %[field], %[value]\n\t"
			"jbe %l[refused]\n\t"
			_ASM_EXTABLE(1b, %l[refused])
			: [value] "=r" (found)
			: [field] "r" (field)
			: "cc" : refused);
	*value = found;
	return true;
refused:
	return false;
}

static __always_inline u64 vmx_read(unsigned long field)
{
	unsigned long flags = vmx_root_begin();
	u64 value;

	if (likely(vmx_try_read(field, &value))) {
		vmx_root_end(flags);
		return value;
	}
	vmx_root_end(flags);
	vmx_read_refused(field);
	return 0;
}

static __always_inline void vmx_write(unsigned long field, u64 value)
{
	unsigned long flags = vmx_root_begin();

	asm goto("1: vmwrite %[value], %[field]\n\t"
		 "jbe %l[refused]\n\t"
		 _ASM_EXTABLE(1b, %l[refused])
		 : : [field] "r" (field), [value] "rm" (value)
		 : "cc" : refused);
	vmx_root_end(flags);
	return;
refused:
	vmx_root_end(flags);
	vmx_write_refused(field, value);
}

/** vmx_vmxon() - enter root operation with the region at @pa; false: refused or faulted */
static inline bool vmx_vmxon(u64 pa)
{
	asm goto("1: vmxon %[pa]\n\t"
		 "jbe %l[refused]\n\t"
		 _ASM_EXTABLE(1b, %l[refused])
		 : : [pa] "m" (pa) : "cc", "memory" : refused);
	return true;
refused:
	return false;
}

static inline void vmx_vmxoff(void)
{
	/* A fault means that somebody else has left root operation already: nothing to do. */
	asm goto("1: vmxoff\n\t"
		 _ASM_EXTABLE(1b, %l[out])
		 : : : "cc", "memory" : out);
out:
	return;
}

/** vmx_vmclear() - write the VMCS at @pa back to memory; no processor holds it afterwards */
static inline bool vmx_vmclear(u64 pa)
{
	asm goto("1: vmclear %[pa]\n\t"
		 "jbe %l[refused]\n\t"
		 _ASM_EXTABLE(1b, %l[refused])
		 : : [pa] "m" (pa) : "cc", "memory" : refused);
	return true;
refused:
	return false;
}

static inline bool vmx_vmptrld(u64 pa)
{
	asm goto("1: vmptrld %[pa]\n\t"
		 "jbe %l[refused]\n\t"
		 _ASM_EXTABLE(1b, %l[refused])
		 : : [pa] "m" (pa) : "cc", "memory" : refused);
	return true;
refused:
	return false;
}

/** vmx_invvpid() - drop the translations of @vpid that VMX_VPID_EXTENT_* selects */
static inline bool vmx_invvpid(unsigned long extent, u16 vpid, u64 gva)
{
	const struct {
		u64 vpid;
		u64 gva;
	} operand = { vpid, gva };

	asm goto("1: invvpid %[operand], %[extent]\n\t"
		 "jbe %l[refused]\n\t"
		 _ASM_EXTABLE(1b, %l[refused])
		 : : [operand] "m" (operand), [extent] "r" (extent)
		 : "cc", "memory" : refused);
	return true;
refused:
	return false;
}

#endif
