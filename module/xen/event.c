// SPDX-License-Identifier: GPL-2.0-only
/*
 * Event channels: ports that are raised, with a bit for each in memory.  Whoever raises a port, in any
 * context, notes it with the vCPU; that vCPU's own thread moves it to memory, which it may have to wait
 * for.
 */
#include <linux/bitops.h>
#include <linux/nospec.h>
#include "internal.h"

/* ---- raising ------------------------------------------------------------------------------ */

void xen_raise(struct gondola_vcpu *target, u32 port)
{
	struct gondola_xen_vcpu *xen = target->xen;

	set_bit(port, xen->raised);
	/* The port is seen by who sees this, and this by who sees the request. */
	smp_mb__after_atomic();
	WRITE_ONCE(xen->any_raised, true);
	WRITE_ONCE(xen->woken, true);
	gondola_request(target, GONDOLA_REQ_EVENT);
	gondola_vcpu_kick(target);
}

void xen_raise_virq(struct gondola_vcpu *vcpu, u32 virq)
{
	struct gondola_xen *xen = vcpu->vm->xen;
	u32 port;

	mutex_lock(&xen->lock);
	for (port = 1; port < XEN_MAX_PORTS; port++)
		if (xen->ports[port].status == XEN_PORT_VIRQ && xen->ports[port].virq == virq &&
		    xen->ports[port].vcpu == vcpu->id)
			break;
	mutex_unlock(&xen->lock);
	if (port < XEN_MAX_PORTS)
		xen_raise(vcpu, port);
}

/* ---- in memory ------------------------------------------------------------------------------ */

static gpa_t word_of(struct gondola_vcpu *vcpu, unsigned int offset, u32 port)
{
	return (vcpu->vm->xen->config.shared_info << GONDOLA_PAGE_SHIFT) + offset +
	       port / 64 * sizeof(u64);
}

/* The port is pending; unless it is masked, its vCPU shall look. */
static int set_pending(struct gondola_vcpu *vcpu, u32 port)
{
	const u64 bit = BIT_ULL(port % 64);
	gpa_t info = vcpu->xen->info;
	u64 mask, unused;
	u8 old;
	int err;

	err = gondola_gpa_or(vcpu, word_of(vcpu, offsetof(struct xen_shared_info, pending), port), bit,
			     &unused);
	if (!err)
		err = gondola_gpa_read(vcpu, word_of(vcpu, offsetof(struct xen_shared_info, port_mask),
						     port), &mask, sizeof(mask));
	if (err || mask & bit)
		return err;
	err = gondola_gpa_or(vcpu, info + offsetof(struct xen_vcpu_info, selector),
			     BIT_ULL(port / 64), &unused);
	if (!err)
		err = gondola_gpa_exchange(vcpu, info + offsetof(struct xen_vcpu_info, pending), 1, &old);
	if (!err)
		vcpu->xen->upcall = true;
	return err;
}

/* Memory that is not there any more can take no event: only missing memory is waited for. */
static int move_raised(struct gondola_vcpu *vcpu)
{
	struct gondola_xen_vcpu *xen = vcpu->xen;
	unsigned long port;

	WRITE_ONCE(xen->any_raised, false);
	/* Pairs with xen_raise(): a port that is missed here is found the next time. */
	smp_mb();
	for_each_set_bit(port, xen->raised, XEN_MAX_PORTS) {
		if (set_pending(vcpu, port) == -EAGAIN) {
			WRITE_ONCE(xen->any_raised, true);
			return -EAGAIN;
		}
		clear_bit(port, xen->raised);
	}
	return 0;
}

int xen_event_due(struct gondola_vcpu *vcpu)
{
	struct gondola_xen_vcpu *xen = vcpu->xen;
	u8 flags[2];
	int err;

	if (READ_ONCE(xen->any_raised) && move_raised(vcpu))
		return -EAGAIN;
	if (!xen->upcall)
		return 0;
	static_assert(offsetof(struct xen_vcpu_info, mask) == 1);
	err = gondola_gpa_read(vcpu, xen->info, flags, sizeof(flags));
	if (err)
		return err;
	if (!flags[0])
		xen->upcall = false;
	return flags[0] && !flags[1];
}

/* ---- hypercalls -------------------------------------------------------------------------------- */

/* Find a free port for @status; lock held. */
static u32 take_port(struct gondola_xen *xen, enum xen_port_status status, u32 vcpu, u32 virq)
{
	u32 port;

	for (port = 1; port < XEN_MAX_PORTS; port++) {
		if (xen->ports[port].status != XEN_PORT_CLOSED)
			continue;
		xen->ports[port] = (struct xen_port){ .status = status, .vcpu = vcpu, .virq = virq };
		return port;
	}
	return 0;
}

/* Tell the guest its new port, or take it back: the call is made again, or has failed. */
static s64 give_port(struct gondola_vcpu *vcpu, u32 port, u64 at, const void *bind, unsigned int bytes)
{
	struct gondola_xen *xen = vcpu->vm->xen;
	s64 r;

	if (!port)
		return -XEN_ENOSPC;
	r = xen_copy_out(vcpu, at, bind, bytes);
	if (!r)
		return 0;
	mutex_lock(&xen->lock);
	xen->ports[port] = (struct xen_port){};
	mutex_unlock(&xen->lock);
	return r;
}

static bool virq_is_bound(const struct gondola_xen *xen, u32 virq, u32 vcpu)
{
	u32 port;

	for (port = 1; port < XEN_MAX_PORTS; port++)
		if (xen->ports[port].status == XEN_PORT_VIRQ && xen->ports[port].virq == virq &&
		    xen->ports[port].vcpu == vcpu)
			return true;
	return false;
}

static bool vcpu_exists(struct gondola_vcpu *vcpu, u32 id)
{
	return id < GONDOLA_MAX_VCPUS && gondola_vcpu_by_id(vcpu->vm, id);
}

static s64 bind_virq(struct gondola_vcpu *vcpu, u64 at)
{
	struct gondola_xen *xen = vcpu->vm->xen;
	struct xen_bind_virq bind;
	s64 r = xen_copy_in(vcpu, &bind, at, sizeof(bind));

	if (r)
		return r;
	if (bind.virq >= XEN_VIRQS)
		return -XEN_EINVAL;
	if (!vcpu_exists(vcpu, bind.vcpu))
		return -XEN_ENOENT;
	mutex_lock(&xen->lock);
	if (virq_is_bound(xen, bind.virq, bind.vcpu)) {
		mutex_unlock(&xen->lock);
		return -XEN_EEXIST;
	}
	bind.port = take_port(xen, XEN_PORT_VIRQ, bind.vcpu, bind.virq);
	mutex_unlock(&xen->lock);
	return give_port(vcpu, bind.port, at, &bind, sizeof(bind));
}

/* The launcher is at its other end. */
static s64 alloc_unbound(struct gondola_vcpu *vcpu, u64 at)
{
	struct gondola_xen *xen = vcpu->vm->xen;
	struct xen_alloc_unbound alloc;
	s64 r = xen_copy_in(vcpu, &alloc, at, sizeof(alloc));

	if (r)
		return r;
	if (alloc.domain != XEN_DOMID_SELF)
		return -XEN_EPERM;
	if (alloc.peer != XEN_DOMID_LAUNCHER)
		return -XEN_ESRCH;
	mutex_lock(&xen->lock);
	alloc.port = take_port(xen, XEN_PORT_INTERDOMAIN, 0, 0);
	mutex_unlock(&xen->lock);
	return give_port(vcpu, alloc.port, at, &alloc, sizeof(alloc));
}

static s64 bind_ipi(struct gondola_vcpu *vcpu, u64 at)
{
	struct gondola_xen *xen = vcpu->vm->xen;
	struct xen_bind_ipi bind;
	s64 r = xen_copy_in(vcpu, &bind, at, sizeof(bind));

	if (r)
		return r;
	if (!vcpu_exists(vcpu, bind.vcpu))
		return -XEN_ENOENT;
	mutex_lock(&xen->lock);
	bind.port = take_port(xen, XEN_PORT_IPI, bind.vcpu, 0);
	mutex_unlock(&xen->lock);
	return give_port(vcpu, bind.port, at, &bind, sizeof(bind));
}

/* Copy a port that the guest names; false: there is no such port. */
static bool get_port(struct gondola_xen *xen, u32 port, struct xen_port *out)
{
	if (!port || port >= XEN_MAX_PORTS)
		return false;
	mutex_lock(&xen->lock);
	*out = xen->ports[array_index_nospec(port, XEN_MAX_PORTS)];
	mutex_unlock(&xen->lock);
	return out->status != XEN_PORT_CLOSED;
}

static s64 close_port(struct gondola_vcpu *vcpu, u32 port)
{
	struct gondola_xen *xen = vcpu->vm->xen;
	struct xen_port was;

	if (!get_port(xen, port, &was))
		return -XEN_EINVAL;
	mutex_lock(&xen->lock);
	xen->ports[port] = (struct xen_port){};
	mutex_unlock(&xen->lock);
	return 0;
}

static s64 send(struct gondola_vcpu *vcpu, u32 number)
{
	struct xen_port port;
	struct gondola_vcpu *target;

	if (!get_port(vcpu->vm->xen, number, &port))
		return -XEN_EINVAL;
	if (port.status == XEN_PORT_INTERDOMAIN)
		return xen_tell(vcpu, GONDOLA_XEN_EVENT, number) ? 0 : XEN_LEAVE;
	target = gondola_vcpu_by_id(vcpu->vm, port.vcpu);
	if (port.status != XEN_PORT_IPI || !target)
		return -XEN_EINVAL;
	xen_raise(target, number);
	return 0;
}

static s64 status(struct gondola_vcpu *vcpu, u64 at)
{
	struct xen_port_state state;
	struct xen_port port;
	s64 r = xen_copy_in(vcpu, &state, at, sizeof(state));

	if (r)
		return r;
	if (state.domain != XEN_DOMID_SELF)
		return -XEN_EPERM;
	if (!state.port || state.port >= XEN_MAX_PORTS)
		return -XEN_EINVAL;
	if (!get_port(vcpu->vm->xen, state.port, &port))
		port = (struct xen_port){};
	state.status = port.status;
	state.vcpu = port.vcpu;
	state.detail = port.virq;
	return xen_copy_out(vcpu, at, &state, sizeof(state));
}

static s64 bind_vcpu(struct gondola_vcpu *vcpu, const struct xen_bind_vcpu *bind)
{
	struct gondola_xen *xen = vcpu->vm->xen;
	s64 r = -XEN_EINVAL;
	struct xen_port port;

	if (!vcpu_exists(vcpu, bind->vcpu))
		return -XEN_ENOENT;
	if (!get_port(xen, bind->port, &port))
		return -XEN_EINVAL;
	mutex_lock(&xen->lock);
	/* The timer and IPIs belong to their vCPU. */
	if (xen->ports[bind->port].status == XEN_PORT_INTERDOMAIN ||
	    (xen->ports[bind->port].status == XEN_PORT_VIRQ &&
	     xen->ports[bind->port].virq != XEN_VIRQ_TIMER)) {
		xen->ports[bind->port].vcpu = bind->vcpu;
		r = 0;
	}
	mutex_unlock(&xen->lock);
	return r;
}

static s64 unmask(struct gondola_vcpu *vcpu, u32 number)
{
	struct gondola_vcpu *target;
	struct xen_port port;
	u64 pending = 0, unused;
	int err;

	if (!get_port(vcpu->vm->xen, number, &port))
		return -XEN_EINVAL;
	err = gondola_gpa_and(vcpu, word_of(vcpu, offsetof(struct xen_shared_info, port_mask), number),
			      ~BIT_ULL(number % 64), &unused);
	if (!err)
		err = gondola_gpa_read(vcpu, word_of(vcpu, offsetof(struct xen_shared_info, pending),
						     number), &pending, sizeof(pending));
	target = gondola_vcpu_by_id(vcpu->vm, port.vcpu);
	if (!err && pending & BIT_ULL(number % 64) && target)
		xen_raise(target, number);
	return xen_result(err);
}

/* arg: what, argument */
s64 xen_event_channel_op(struct gondola_vcpu *vcpu, const u64 *arg)
{
	struct xen_bind_vcpu of_port = {};	/* some have the port alone */
	unsigned int bytes = arg[0] == XEN_BIND_VCPU ? sizeof(of_port) : sizeof(of_port.port);
	s64 r = 0;

	if (arg[0] == XEN_CLOSE || arg[0] == XEN_SEND || arg[0] == XEN_BIND_VCPU || arg[0] == XEN_UNMASK)
		r = xen_copy_in(vcpu, &of_port, arg[1], bytes);
	if (r)
		return r;
	switch (arg[0]) {
	case XEN_BIND_VIRQ:
		return bind_virq(vcpu, arg[1]);
	case XEN_ALLOC_UNBOUND:
		return alloc_unbound(vcpu, arg[1]);
	case XEN_BIND_IPI:
		return bind_ipi(vcpu, arg[1]);
	case XEN_CLOSE:
		return close_port(vcpu, of_port.port);
	case XEN_SEND:
		return send(vcpu, of_port.port);
	case XEN_STATUS:
		return status(vcpu, arg[1]);
	case XEN_BIND_VCPU:
		return bind_vcpu(vcpu, &of_port);
	case XEN_UNMASK:
		return unmask(vcpu, of_port.port);
	}
	return -XEN_ENOSYS;
}

/* ---- sleeping ------------------------------------------------------------------------------------- */

bool gondola_xen_wakes(struct gondola_vcpu *vcpu)
{
	return READ_ONCE(vcpu->xen->woken) && xchg(&vcpu->xen->woken, false);
}

static s64 block(struct gondola_vcpu *vcpu)
{
	int err = xen_set_mask(vcpu, false);

	/* An event from here on wakes it; one of before is in memory, or due. */
	if (!err) {
		WRITE_ONCE(vcpu->xen->woken, false);
		/* Pairs with xen_raise(): a port is seen here, or wakes the vCPU. */
		smp_mb();
		err = xen_event_due(vcpu);
	}
	if (err < 0)
		return xen_result(err);
	vcpu->halted = !err;
	return 0;
}

/* Any event ends it, and it may end early: the guest looks again.  So a limit of time is not waited for. */
static s64 poll(struct gondola_vcpu *vcpu, u64 at)
{
	struct xen_poll args;
	u64 pending;
	u32 i, port;
	s64 r = xen_copy_in(vcpu, &args, at, sizeof(args));

	if (r)
		return r;
	if (args.count > XEN_MAX_POLL)
		return -XEN_EINVAL;
	WRITE_ONCE(vcpu->xen->woken, false);
	/* Pairs with xen_raise(): a port is seen here, or wakes the vCPU. */
	smp_mb();
	if (READ_ONCE(vcpu->xen->any_raised) && move_raised(vcpu))
		return XEN_AGAIN;
	for (i = 0; i < args.count; i++) {
		r = xen_copy_in(vcpu, &port, args.ports + i * sizeof(port), sizeof(port));
		if (r)
			return r;
		if (port >= XEN_MAX_PORTS)
			return -XEN_EINVAL;
		r = xen_result(gondola_gpa_read(vcpu, word_of(vcpu, offsetof(struct xen_shared_info, pending),
							      port), &pending, sizeof(pending)));
		if (r || pending & BIT_ULL(port % 64))
			return r;
	}
	if (args.ns)
		gondola_vcpu_spins(vcpu);
	else
		vcpu->halted = true;
	return 0;
}

static s64 shutdown(struct gondola_vcpu *vcpu, u64 at)
{
	u32 reason;
	s64 r = xen_copy_in(vcpu, &reason, at, sizeof(reason));

	if (r)
		return r;
	return xen_tell(vcpu, GONDOLA_XEN_SHUTDOWN, reason) ? 0 : XEN_LEAVE;
}

/* arg: what, argument */
s64 xen_sched_op(struct gondola_vcpu *vcpu, const u64 *arg)
{
	switch (arg[0]) {
	case XEN_POLL:
		return poll(vcpu, arg[1]);
	case XEN_YIELD:
		gondola_vcpu_spins(vcpu);
		return 0;
	case XEN_BLOCK:
		return block(vcpu);
	case XEN_SHUTDOWN:
		return shutdown(vcpu, arg[1]);
	}
	return -XEN_ENOSYS;
}
