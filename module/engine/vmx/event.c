// SPDX-License-Identifier: GPL-2.0-only
/* Events for the guest: injection, re-injection, windows, interrupt shadow. */
#include <linux/kernel.h>
#include "vmcs.h"
#include "vmx.h"

#define INFO_VALID	INTR_INFO_VALID_MASK
#define INFO_ERROR	INTR_INFO_DELIVER_CODE_MASK
/* The field for error codes has 16 bits, of which the processor defines 15. */
#define ERROR_BITS	0x7fff

/* A length tells INT1, INT3 and INTO from faults of the same vector. */
static u32 exception_type(const struct gondola_event *event)
{
	if (!event->insn_len)
		return INTR_TYPE_HARD_EXCEPTION;
	return event->vector == VEC_DB ? INTR_TYPE_PRIV_SW_EXCEPTION : INTR_TYPE_SOFT_EXCEPTION;
}

void vmx_inject(struct gondola_vcpu *vcpu, const struct gondola_event *event)
{
	u32 info = event->vector | INFO_VALID;

	switch (event->kind) {
	case GONDOLA_EVENT_INTERRUPT:
		info |= INTR_TYPE_EXT_INTR;
		break;
	case GONDOLA_EVENT_NMI:
		info = VEC_NMI | INTR_TYPE_NMI_INTR | INFO_VALID;
		break;
	case GONDOLA_EVENT_EXCEPTION:
		info |= exception_type(event);
		if (event->has_error) {
			info |= INFO_ERROR;
			vmx_write(VM_ENTRY_EXCEPTION_ERROR_CODE, event->error & ERROR_BITS);
		}
		if (event->insn_len)
			vmx_write(VM_ENTRY_INSTRUCTION_LEN, event->insn_len);
		if (event->vector == VEC_PF)
			vcpu->cr2 = event->cr2;
		break;
	case GONDOLA_EVENT_SOFT_INTERRUPT:
		info |= INTR_TYPE_SOFT_INTR;
		vmx_write(VM_ENTRY_INSTRUCTION_LEN, event->insn_len);
		break;
	default:
		WARN_ON_ONCE(1);
		return;
	}
	vmx_write(VM_ENTRY_INTR_INFO_FIELD, info);
}

void vmx_cancel_injection(struct gondola_vcpu *vcpu)
{
	vmx_write(VM_ENTRY_INTR_INFO_FIELD, 0);
}

void vmx_requeue(struct gondola_vcpu *vcpu, u32 vectoring)
{
	struct gondola_event *event = &vcpu->event;
	bool software = false;

	*event = (struct gondola_event){
		.kind = GONDOLA_EVENT_EXCEPTION,
		.vector = vectoring & VECTORING_INFO_VECTOR_MASK,
	};
	switch (vectoring & VECTORING_INFO_TYPE_MASK) {
	case INTR_TYPE_EXT_INTR:
		event->kind = GONDOLA_EVENT_INTERRUPT;
		return;
	case INTR_TYPE_NMI_INTR:
		event->kind = GONDOLA_EVENT_NMI;
		/* The delivery has blocked NMIs already: unblock them, or it cannot be injected again. */
		vmx_write(GUEST_INTERRUPTIBILITY_INFO,
			  vmx_read(GUEST_INTERRUPTIBILITY_INFO) & ~GUEST_INTR_STATE_NMI);
		return;
	case INTR_TYPE_SOFT_INTR:
		event->kind = GONDOLA_EVENT_SOFT_INTERRUPT;
		software = true;
		break;
	case INTR_TYPE_PRIV_SW_EXCEPTION:
	case INTR_TYPE_SOFT_EXCEPTION:
		software = true;
		break;
	}
	if (software)
		event->insn_len = vmx_read(VM_EXIT_INSTRUCTION_LEN);
	if (vectoring & VECTORING_INFO_DELIVER_CODE_MASK) {
		event->has_error = true;
		event->error = vmx_read(IDT_VECTORING_ERROR_CODE);
	}
	if (event->kind == GONDOLA_EVENT_EXCEPTION && event->vector == VEC_PF)
		event->cr2 = vcpu->cr2;
}

u32 vmx_get_shadow(struct gondola_vcpu *vcpu)
{
	u32 state = vmx_read(GUEST_INTERRUPTIBILITY_INFO);

	return (state & (GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS)) |
	       (state & GUEST_INTR_STATE_NMI ? BIT(2) : 0);
}

void vmx_set_shadow(struct gondola_vcpu *vcpu, u32 shadow)
{
	u32 state = shadow & BIT(2) ? GUEST_INTR_STATE_NMI : 0;

	/* The processor has only one of the two at a time.  MOV SS blocks more. */
	if (shadow & BIT(1))
		state |= GUEST_INTR_STATE_MOV_SS;
	else if (shadow & BIT(0))
		state |= GUEST_INTR_STATE_STI;
	else	/* a delayed step is over, or the caller raises it */
		vmx_write(GUEST_PENDING_DBG_EXCEPTIONS, 0);
	vmx_write(GUEST_INTERRUPTIBILITY_INFO, state);
	to_vmx(vcpu)->shadow_written = true;
}

/*
 * While STI or MOV SS blocks, a pending single step must be recorded if and only if RFLAGS.TF is
 * set and DEBUGCTL.BTF is clear (the section on checks of guest non-register state).  The processor
 * does so when it saves state itself.
 */
void vmx_fix_pending_debug(struct gondola_vcpu *vcpu)
{
	u32 state = vmx_read(GUEST_INTERRUPTIBILITY_INFO);

	if (state & (GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS))
		vmx_write(GUEST_PENDING_DBG_EXCEPTIONS,
			  vcpu->regs.rflags & RFL_TF && !vcpu->msrs.debugctl ? DR6_BS : 0);
}

void vmx_open_window(struct gondola_vcpu *vcpu, bool interrupt, bool nmi)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u32 proc = vmx->proc & ~(CPU_BASED_INTR_WINDOW_EXITING | CPU_BASED_NMI_WINDOW_EXITING);

	if (interrupt)
		proc |= CPU_BASED_INTR_WINDOW_EXITING;
	if (nmi)
		proc |= CPU_BASED_NMI_WINDOW_EXITING;
	if (proc == vmx->proc)
		return;
	vmx->proc = proc;
	vmx_write(CPU_BASED_VM_EXEC_CONTROL, proc);
}
