// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is saved of a VM of the Xen personality.  Its tables, rings and shared page are guest memory, and come
 * with that.  A record may say anything that a guest could bring about, and no more; and what harms the
 * guest alone is its own affair.
 */
#include <linux/bitmap.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/string.h>
#include "host/time.h"
#include "internal.h"
#include "x86/control.h"

#define PIN_LEVEL	7u
#define PIN_SHIFT	3
#define MAX_ADDRESS	(XEN_MAX_FRAMES << GONDOLA_PAGE_SHIFT)

/* ---- the VM ----------------------------------------------------------------------------------- */

static u32 xen_size(const struct gondola_vm *vm)
{
	return vm->xen && vm->xen->config.frames ? sizeof(struct gondola_rec_xen) : 0;
}

static int xen_get(struct gondola_vm *vm, struct gondola_rec_xen *rec)
{
	rec->config = vm->xen->config;
	rec->started = READ_ONCE(vm->xen->started);
	return 0;
}

static int xen_set(struct gondola_vm *vm, const struct gondola_rec_xen *rec, u32 *bad)
{
	struct gondola_xen *xen = vm->xen;

	if (!xen || rec->config.size != sizeof(rec->config) || rec->config.flags ||
	    !xen_config_is_good(&rec->config))
		return gondola_refuse(bad, offsetof(struct gondola_rec_xen, config));
	if (rec->started > 1)
		return gondola_refuse(bad, offsetof(struct gondola_rec_xen, started));
	if (rec->pad)
		return gondola_refuse(bad, offsetof(struct gondola_rec_xen, pad));
	/* A vCPU that runs relies on it. */
	if (READ_ONCE(xen->started))
		return memcmp(&xen->config, &rec->config, sizeof(rec->config)) || !rec->started ?
		       gondola_refuse(bad, offsetof(struct gondola_rec_xen, config)) : 0;
	xen->config = rec->config;
	WRITE_ONCE(xen->started, rec->started);
	return 0;
}

GONDOLA_RECORD(xen, XEN, false, sizeof(struct gondola_rec_xen), xen_size(vm), xen_get(vm, payload),
	       xen_set(vm, payload, bad));

/* ---- event channels ----------------------------------------------------------------------------- */

static u32 ports_size(struct gondola_vm *vm)
{
	struct gondola_xen *xen = vm->xen;
	u32 port, count = 0;

	if (!xen_size(vm))
		return 0;
	mutex_lock(&xen->lock);
	for (port = 1; port < XEN_MAX_PORTS; port++)
		count += xen->ports[port].status != XEN_PORT_CLOSED;
	mutex_unlock(&xen->lock);
	return count * sizeof(struct gondola_xen_port);
}

static int ports_get(struct gondola_vm *vm, struct gondola_xen_port *rec, u32 bytes)
{
	struct gondola_xen *xen = vm->xen;
	u32 port, count = 0;

	mutex_lock(&xen->lock);
	for (port = 1; port < XEN_MAX_PORTS && count < bytes / sizeof(*rec); port++)
		if (xen->ports[port].status != XEN_PORT_CLOSED)
			rec[count++] = (struct gondola_xen_port){
				.port = port, .status = xen->ports[port].status,
				.vcpu = xen->ports[port].vcpu, .virq = xen->ports[port].virq,
			};
	mutex_unlock(&xen->lock);
	return 0;
}

static bool port_is_good(struct gondola_vm *vm, const struct gondola_xen_port *port)
{
	switch (port->status) {
	case XEN_PORT_INTERDOMAIN:
	case XEN_PORT_IPI:
		if (port->virq)
			return false;
		break;
	case XEN_PORT_VIRQ:
		if (port->virq >= XEN_VIRQS)
			return false;
		break;
	default:
		return false;
	}
	return port->port && port->port < XEN_MAX_PORTS && !port->pad &&
	       port->vcpu < GONDOLA_MAX_VCPUS && gondola_vcpu_by_id(vm, port->vcpu);
}

static int ports_set(struct gondola_vm *vm, const struct gondola_xen_port *rec, u32 bytes, u32 *bad)
{
	u32 count = bytes / sizeof(*rec), i, last = 0;
	struct gondola_xen *xen = vm->xen;

	if (!xen_size(vm) || bytes % sizeof(*rec))
		return gondola_refuse(bad, 0);
	for (i = 0; i < count; last = rec[i++].port)
		if (!port_is_good(vm, &rec[i]) || rec[i].port <= last)
			return gondola_refuse(bad, i * sizeof(*rec));
	mutex_lock(&xen->lock);
	memset(xen->ports, 0, XEN_MAX_PORTS * sizeof(*xen->ports));
	for (i = 0; i < count; i++)
		xen->ports[rec[i].port] = (struct xen_port){
			.status = rec[i].status, .vcpu = rec[i].vcpu, .virq = rec[i].virq,
		};
	mutex_unlock(&xen->lock);
	return 0;
}

GONDOLA_RECORD(xen_ports, XEN_PORTS, false, 0, ports_size(vm), ports_get(vm, payload, bytes),
	       ports_set(vm, payload, bytes, bad));

/* ---- page tables ---------------------------------------------------------------------------------- */

static u32 pins_size(struct gondola_vm *vm)
{
	return xen_size(vm) ? atomic_read(&vm->xen->nr_pins) * sizeof(u32) : 0;
}

static int pins_get(struct gondola_vm *vm, u32 *rec, u32 bytes)
{
	unsigned long frame;
	u32 count = 0;
	void *entry;

	xa_for_each(&vm->xen->pins, frame, entry) {
		/* A vCPU that runs pins another one meanwhile. */
		if (count == bytes / sizeof(*rec))
			break;
		rec[count++] = frame << PIN_SHIFT | xa_to_value(entry);
		cond_resched();
	}
	return 0;
}

static bool pin_is_good(const struct gondola_xen *xen, u32 pin)
{
	u32 level = pin & PIN_LEVEL;

	return level >= 1 && level <= 4 && pin >> PIN_SHIFT < xen->config.frames;
}

static int pins_set(struct gondola_vm *vm, const u32 *rec, u32 bytes, u32 *bad)
{
	u32 count = bytes / sizeof(*rec), i;
	struct gondola_xen *xen = vm->xen;
	int err = 0;

	if (!xen_size(vm) || bytes % sizeof(*rec) || count > XEN_MAX_PINS)
		return gondola_refuse(bad, 0);
	for (i = 0; i < count; i++)
		if (!pin_is_good(xen, rec[i]) ||
		    (i && rec[i] >> PIN_SHIFT <= rec[i - 1] >> PIN_SHIFT))
			return gondola_refuse(bad, i * sizeof(*rec));
	xa_destroy(&xen->pins);
	atomic_set(&xen->nr_pins, 0);
	for (i = 0; i < count && !err; i++) {
		err = xen_note_pin(xen, rec[i] >> PIN_SHIFT, rec[i] & PIN_LEVEL);
		cond_resched();
	}
	return err;
}

GONDOLA_RECORD(xen_pins, XEN_PINS, false, 0, pins_size(vm), pins_get(vm, payload, bytes),
	       pins_set(vm, payload, bytes, bad));

/* ---- a vCPU ------------------------------------------------------------------------------------------ */

#define FIELD(name)	offsetof(struct gondola_rec_xen_vcpu, name)

static u32 get_flags(const struct gondola_xen_vcpu *xen)
{
	return (xen->up ? GONDOLA_XEN_UP : 0) | (xen->initialised ? GONDOLA_XEN_INITIALISED : 0) |
	       (xen->in_kernel ? GONDOLA_XEN_IN_KERNEL : 0) |
	       (xen->user_changed ? GONDOLA_XEN_USER_CHANGED : 0) |
	       (xen->upcall ? GONDOLA_XEN_UPCALL : 0) |
	       (READ_ONCE(xen->woken) ? GONDOLA_XEN_WOKEN : 0) |
	       (xen->result_due ? GONDOLA_XEN_RESULT_DUE : 0) |
	       (xen->armed ? GONDOLA_XEN_TIMER : 0) |
	       (xen->has_runstate ? GONDOLA_XEN_RUNSTATE : 0) |
	       /* The words for the console are in the run page, and stay there. */
	       (xen->leave && xen->leave_op != GONDOLA_XEN_CONSOLE ? GONDOLA_XEN_LEAVE : 0);
}

static int xen_vcpu_get(struct gondola_vcpu *vcpu, struct gondola_rec_xen_vcpu *rec)
{
	const struct gondola_xen_vcpu *xen = vcpu->xen;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rec->traps); i++) {
		rec->traps[i] = xen->traps[i].rip;
		rec->trap_flags[i] = xen->privilege[i] | (xen->traps[i].mask ? XEN_TRAP_MASK : 0);
	}
	for (i = 0; i < ARRAY_SIZE(rec->callbacks); i++) {
		rec->callbacks[i] = xen->callbacks[i].rip;
		rec->callback_masks |= xen->callbacks[i].mask << i;
	}
	static_assert(sizeof(rec->gdt) == sizeof(xen->gdt));
	memcpy(rec->gdt, xen->gdt, sizeof(rec->gdt));
	bitmap_to_arr64(rec->raised, xen->raised, XEN_MAX_PORTS);
	rec->flags = get_flags(xen);
	rec->kernel_sp = xen->kernel_sp;
	rec->user_cr3 = xen->user_cr3;
	rec->gdt_entries = xen->gdt_entries;
	rec->info = xen->info;
	rec->deadline = xen->deadline;
	if (xen->has_runstate) {
		rec->runstate = (xen->runstate[0] << GONDOLA_PAGE_SHIFT) + xen->runstate_offset;
		rec->runstate_rest = xen->runstate[1] << GONDOLA_PAGE_SHIFT;
	}
	rec->stolen = xen->stolen;
	rec->call_rip = xen->call_rip;
	rec->cursor = xen->cursor;
	rec->nested = xen->nested;
	rec->result = xen->result;
	if (rec->flags & GONDOLA_XEN_LEAVE) {
		rec->leave_op = xen->leave_op;
		rec->leave_value = xen->leave_value;
	}
	return 0;
}

static int check_handlers(const struct gondola_rec_xen_vcpu *rec, u32 *bad)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rec->traps); i++) {
		if (!xen_canonical(rec->traps[i]))
			return gondola_refuse(bad, FIELD(traps) + i * sizeof(rec->traps[0]));
		if (rec->trap_flags[i] & ~(XEN_TRAP_DPL | XEN_TRAP_MASK))
			return gondola_refuse(bad, FIELD(trap_flags) + i);
	}
	for (i = 0; i < ARRAY_SIZE(rec->callbacks); i++)
		if (!xen_canonical(rec->callbacks[i]))
			return gondola_refuse(bad, FIELD(callbacks) + i * sizeof(rec->callbacks[0]));
	if (rec->callback_masks >> ARRAY_SIZE(rec->callbacks))
		return gondola_refuse(bad, FIELD(callback_masks));
	return 0;
}

static int check_memory(const struct gondola_rec_xen_vcpu *rec, u32 *bad)
{
	unsigned int i;

	if (rec->user_cr3 & ~GONDOLA_PAGE_MASK || rec->user_cr3 >= MAX_ADDRESS)
		return gondola_refuse(bad, FIELD(user_cr3));
	for (i = 0; i < ARRAY_SIZE(rec->gdt); i++)
		if (rec->gdt[i] >= XEN_MAX_FRAMES)
			return gondola_refuse(bad, FIELD(gdt) + i * sizeof(rec->gdt[0]));
	if (rec->gdt_entries > XEN_GDT_ENTRIES)
		return gondola_refuse(bad, FIELD(gdt_entries));
	if (rec->info % 8 || rec->info >= MAX_ADDRESS ||
	    (rec->info & ~GONDOLA_PAGE_MASK) > GONDOLA_PAGE_SIZE - sizeof(struct xen_vcpu_info))
		return gondola_refuse(bad, FIELD(info));
	if (rec->runstate % 8 || rec->runstate >= MAX_ADDRESS)
		return gondola_refuse(bad, FIELD(runstate));
	if (rec->runstate_rest & ~GONDOLA_PAGE_MASK || rec->runstate_rest >= MAX_ADDRESS)
		return gondola_refuse(bad, FIELD(runstate_rest));
	return 0;
}

static int check_progress(const struct gondola_rec_xen_vcpu *rec, u32 *bad)
{
	if (rec->flags & ~GONDOLA_XEN_FLAGS ||
	    (rec->flags & GONDOLA_XEN_UP && !(rec->flags & GONDOLA_XEN_INITIALISED)))
		return gondola_refuse(bad, FIELD(flags));
	/* There is no port 0. */
	if (rec->raised[0] & 1)
		return gondola_refuse(bad, FIELD(raised));
	if (rec->cursor > XEN_MAX_LIST)
		return gondola_refuse(bad, FIELD(cursor));
	if (rec->nested > XEN_MAX_LIST)
		return gondola_refuse(bad, FIELD(nested));
	if (rec->flags & GONDOLA_XEN_LEAVE ?
	    rec->leave_op != GONDOLA_XEN_SHUTDOWN && rec->leave_op != GONDOLA_XEN_EVENT : rec->leave_op)
		return gondola_refuse(bad, FIELD(leave_op));
	if (rec->pad)
		return gondola_refuse(bad, FIELD(pad));
	return 0;
}

static void set_flags(struct gondola_xen_vcpu *xen, u32 flags)
{
	xen->initialised = flags & GONDOLA_XEN_INITIALISED;
	xen->in_kernel = flags & GONDOLA_XEN_IN_KERNEL;
	xen->user_changed = flags & GONDOLA_XEN_USER_CHANGED;
	xen->upcall = flags & GONDOLA_XEN_UPCALL;
	xen->result_due = flags & GONDOLA_XEN_RESULT_DUE;
	xen->leave = flags & GONDOLA_XEN_LEAVE;
	xen->armed = flags & GONDOLA_XEN_TIMER;
	xen->has_runstate = flags & GONDOLA_XEN_RUNSTATE;
	WRITE_ONCE(xen->woken, flags & GONDOLA_XEN_WOKEN);
	/* Pairs with gondola_xen_waiting(). */
	smp_store_release(&xen->up, flags & GONDOLA_XEN_UP);
}

/* Its context, if it is to start with one, is in the next record. */
static int xen_vcpu_set(struct gondola_vcpu *vcpu, const struct gondola_rec_xen_vcpu *rec, u32 *bad)
{
	struct gondola_xen_vcpu *xen = vcpu->xen;
	unsigned int i;
	int err;

	if (!xen)
		return gondola_refuse(bad, 0);
	err = check_handlers(rec, bad) ?: check_memory(rec, bad) ?: check_progress(rec, bad);
	if (err)
		return err;
	for (i = 0; i < ARRAY_SIZE(rec->traps); i++) {
		xen->traps[i].rip = rec->traps[i];
		xen->traps[i].mask = rec->trap_flags[i] & XEN_TRAP_MASK;
		xen->privilege[i] = rec->trap_flags[i] & XEN_TRAP_DPL;
	}
	for (i = 0; i < ARRAY_SIZE(rec->callbacks); i++)
		xen->callbacks[i] = (struct xen_handler){ rec->callbacks[i], rec->callback_masks >> i & 1 };
	memcpy(xen->gdt, rec->gdt, sizeof(xen->gdt));
	xen->kernel_sp = rec->kernel_sp;
	xen->user_cr3 = rec->user_cr3;
	xen->gdt_entries = rec->gdt_entries;
	xen->info = rec->info;
	xen->deadline = rec->deadline;
	xen->runstate[0] = rec->runstate >> GONDOLA_PAGE_SHIFT;
	xen->runstate[1] = rec->runstate_rest >> GONDOLA_PAGE_SHIFT;
	xen->runstate_offset = rec->runstate & ~GONDOLA_PAGE_MASK;
	xen->stolen = rec->stolen;
	/* The guest does not hear how long this thread waited before. */
	vcpu->run_delay = gondola_host_run_delay();
	xen->call_rip = rec->call_rip;
	xen->cursor = rec->cursor;
	xen->nested = rec->nested;
	xen->result = rec->result;
	xen->leave_op = rec->leave_op;
	xen->leave_value = rec->leave_value;
	xen->context_due = false;
	bitmap_from_arr64(xen->raised, rec->raised, XEN_MAX_PORTS);
	WRITE_ONCE(xen->any_raised, true);
	mutex_lock(&vcpu->vm->xen->lock);
	set_flags(xen, rec->flags);
	mutex_unlock(&vcpu->vm->xen->lock);
	/* The clock may be restored after this: the vCPU looks before it runs. */
	gondola_request(vcpu, GONDOLA_REQ_TIMER);
	return 0;
}

GONDOLA_RECORD(xen_vcpu, XEN_VCPU, true, sizeof(struct gondola_rec_xen_vcpu),
	       vcpu->xen ? sizeof(struct gondola_rec_xen_vcpu) : 0, xen_vcpu_get(vcpu, payload),
	       xen_vcpu_set(vcpu, payload, bad));

static_assert(sizeof(struct xen_vcpu_context) == GONDOLA_XEN_CONTEXT_BYTES);

static int context_get(struct gondola_vcpu *vcpu, void *rec)
{
	memcpy(rec, &vcpu->xen->context, sizeof(vcpu->xen->context));
	return 0;
}

static int context_set(struct gondola_vcpu *vcpu, const struct xen_vcpu_context *rec, u32 *bad)
{
	if (!vcpu->xen || !vcpu->xen->initialised || !xen_context_is_canonical(rec) ||
	    !(rec->flags & XEN_CONTEXT_IN_KERNEL) || rec->cr[3] >= MAX_ADDRESS)
		return gondola_refuse(bad, 0);
	vcpu->xen->context = *rec;
	vcpu->xen->context_due = true;
	return 0;
}

GONDOLA_RECORD(xen_context, XEN_CONTEXT, true, sizeof(struct xen_vcpu_context),
	       vcpu->xen && vcpu->xen->context_due ? sizeof(struct xen_vcpu_context) : 0,
	       context_get(vcpu, payload), context_set(vcpu, payload, bad));
