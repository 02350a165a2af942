// SPDX-License-Identifier: GPL-2.0-only
/* A VM of the Xen personality: its life, its record, and what is due before an entry. */
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "internal.h"
#include "x86/control.h"

#define CPUID_BASE	0x40000000u
#define CPUID_MAX	(CPUID_BASE + 2)
/* ud2; .ascii "xen"; cpuid */
#define CPUID_PREFIX	"\x0f\x0bxen\x0f\xa2"

int gondola_xen_create(struct gondola_vm *vm)
{
	struct gondola_xen *xen;

	/* The others have a guest's kernel in ring 0, where its SYSCALL would not leave. */
	if (vm->engine->id != GONDOLA_ENGINE_INTERP && vm->engine->id != GONDOLA_ENGINE_RING3)
		return -EOPNOTSUPP;
	xen = kvzalloc(sizeof(*xen), GFP_KERNEL_ACCOUNT);
	if (!xen)
		return -ENOMEM;
	xen->ports = kvcalloc(XEN_MAX_PORTS, sizeof(*xen->ports), GFP_KERNEL_ACCOUNT);
	if (!xen->ports) {
		kvfree(xen);
		return -ENOMEM;
	}
	mutex_init(&xen->lock);
	xa_init(&xen->pins);
	vm->xen = xen;
	return 0;
}

void gondola_xen_destroy(struct gondola_vm *vm)
{
	struct gondola_xen *xen = vm->xen;

	if (!xen)
		return;
	xa_destroy(&xen->pins);
	mutex_destroy(&xen->lock);
	kvfree(xen->ports);
	kvfree(xen);
	vm->xen = NULL;
}

/* Until the guest gives it another place. */
static void place_info(struct gondola_vcpu *vcpu)
{
	vcpu->xen->info = (vcpu->vm->xen->config.shared_info << GONDOLA_PAGE_SHIFT) +
			  vcpu->id * sizeof(struct xen_vcpu_info);
}

int gondola_xen_vcpu_create(struct gondola_vcpu *vcpu)
{
	struct gondola_xen_vcpu *xen;

	if (!vcpu->vm->xen)
		return 0;
	xen = kvzalloc(sizeof(*xen), GFP_KERNEL_ACCOUNT);
	if (!xen)
		return -ENOMEM;
	xen->vcpu = vcpu;
	xen->in_kernel = true;
	xen->up = !vcpu->id;
	xen->initialised = xen->up;
	vcpu->xen = xen;
	place_info(vcpu);
	xen_time_init(vcpu);
	return 0;
}

void gondola_xen_vcpu_destroy(struct gondola_vcpu *vcpu)
{
	if (!vcpu->xen)
		return;
	xen_time_destroy(vcpu);
	kvfree(vcpu->xen);
	vcpu->xen = NULL;
}

bool gondola_xen_in_kernel(const struct gondola_vcpu *vcpu)
{
	return vcpu->xen->in_kernel;
}

/* ---- before an entry ------------------------------------------------------------------------- */

/* The launcher has set up memory: the shared page, and the tables with which the kernel begins. */
static int start(struct gondola_vcpu *vcpu)
{
	struct gondola_xen *xen = vcpu->vm->xen;
	gfn_t root = vcpu->cr3 >> GONDOLA_PAGE_SHIFT;
	int err;

	if (!xen->config.frames)
		return -ENOEXEC;
	err = xen_complete_root(vcpu, root);
	if (!err)
		err = xen_set_mask(vcpu, true);
	if (!err)
		err = xen_wall_clock_publish(vcpu);
	if (!err)
		err = xen_time_publish(vcpu);
	if (!err)
		err = xen_note_pin(xen, root, 4);
	if (!err)
		WRITE_ONCE(xen->started, true);
	return err;
}

/* Give the guest's kernel the exception in vcpu->event. */
static int deliver(struct gondola_vcpu *vcpu)
{
	const struct gondola_event *event = &vcpu->event;
	u32 error = event->error;
	int next;

	if (event->vector == VEC_PF) {
		gpa_t at = vcpu->xen->info + offsetof(struct xen_vcpu_info, cr2);

		next = gondola_gpa_write(vcpu, at, &event->cr2, sizeof(event->cr2));
		if (next)
			return next;
		/* All runs in ring 3, but the kernel means its own mode. */
		if (vcpu->xen->in_kernel)
			error &= ~PFEC_U;
	}
	next = xen_bounce(vcpu, &vcpu->xen->traps[event->vector], event->has_error, error);
	if (next == 1)
		vcpu->event.kind = GONDOLA_EVENT_NONE;
	return next;
}

int gondola_xen_prepare(struct gondola_vcpu *vcpu)
{
	int next;

	if (unlikely(!vcpu->vm->xen->started || vcpu->xen->context_due)) {
		next = vcpu->xen->context_due ? xen_start_vcpu(vcpu) : start(vcpu);
		if (next)
			return next;
	}
	if (vcpu->event.kind == GONDOLA_EVENT_EXCEPTION) {
		next = deliver(vcpu);
		if (next != 1)
			return next;
	}
	next = xen_account_steal(vcpu);
	if (unlikely(next))
		return next;
	/* Its handler would make hypercalls of its own. */
	if (unlikely(xen_under_way(vcpu)))
		return 1;
	next = xen_event_due(vcpu);
	if (next != 1)
		return next ?: 1;
	return xen_bounce(vcpu, &vcpu->xen->callbacks[XEN_CALLBACK_EVENT], false, 0);
}

/* ---- CPUID --------------------------------------------------------------------------------------- */

static_assert(sizeof(CPUID_PREFIX) == GONDOLA_XEN_CPUID_LEN + 1);

int gondola_xen_cpuid_prefix(struct gondola_vcpu *vcpu)
{
	u8 bytes[GONDOLA_XEN_CPUID_LEN];
	s64 r = xen_copy_in(vcpu, bytes, vcpu->regs.rip, sizeof(bytes));

	if (r)
		return r == XEN_AGAIN ? -EAGAIN : 0;
	return !memcmp(bytes, CPUID_PREFIX, sizeof(bytes));
}

bool gondola_xen_cpuid(struct gondola_vcpu *vcpu, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx)
{
	static const char signature[12] = "XenVMMXenVMM";

	switch (*eax) {
	case CPUID_BASE:
		*eax = CPUID_MAX;
		memcpy(ebx, signature, 4);
		memcpy(ecx, signature + 4, 4);
		memcpy(edx, signature + 8, 4);
		return true;
	case CPUID_BASE + 1:
		*eax = XEN_ABI_VERSION;
		break;
	case CPUID_BASE + 2:
		*eax = 0;
		break;
	default:
		return false;
	}
	*ebx = 0;
	*ecx = 0;
	*edx = 0;
	return true;
}

/* ---- configuration ------------------------------------------------------------------------------- */

/* The guest writes them, so they are nothing else of the monitor's. */
static bool grants_fit(const struct gondola_xen_config *config)
{
	const u64 others[] = { config->shared_info, config->table, config->windows, config->empty };
	unsigned int i;

	if (!config->nr_grants)
		return true;
	for (i = 0; i < ARRAY_SIZE(others); i++)
		if (others[i] - config->grants < config->nr_grants)
			return false;
	return config->nr_grants <= XEN_MAX_GRANTS && config->grants >= config->first_frame &&
	       config->grants < config->frames && config->nr_grants <= config->frames - config->grants;
}

bool xen_config_is_good(const struct gondola_xen_config *config)
{
	return config->frames && config->frames <= XEN_MAX_FRAMES && config->pages <= config->frames &&
	       config->first_frame < config->frames && config->shared_info < config->frames &&
	       config->table < config->frames && config->windows < config->frames &&
	       config->empty < config->frames && !config->pad && grants_fit(config) &&
	       config->console_port < XEN_MAX_PORTS && config->store_port < XEN_MAX_PORTS;
}

int gondola_xen_configure(struct gondola_vm *vm, const struct gondola_xen_config *config)
{
	struct gondola_vcpu *vcpu;
	unsigned int i;

	if (!vm->xen)
		return -ENXIO;
	if (READ_ONCE(vm->xen->started))
		return -EBUSY;
	if (!xen_config_is_good(config))
		return -EINVAL;
	vm->xen->config = *config;
	gondola_for_each_vcpu(vcpu, vm, i)
		place_info(vcpu);
	/* The launcher is at the other end of these. */
	mutex_lock(&vm->xen->lock);
	if (config->console_port)
		vm->xen->ports[config->console_port].status = XEN_PORT_INTERDOMAIN;
	if (config->store_port)
		vm->xen->ports[config->store_port].status = XEN_PORT_INTERDOMAIN;
	mutex_unlock(&vm->xen->lock);
	return 0;
}

int gondola_xen_get_unknown(struct gondola_vm *vm, struct gondola_xen_unknown *out)
{
	unsigned int i;

	if (!vm->xen)
		return -ENXIO;
	for (i = 0; i < XEN_CALLS; i++)
		out->count[i] = atomic_read(&vm->xen->unknown[i]);
	return 0;
}

int gondola_xen_event(struct gondola_vm *vm, u32 number)
{
	struct gondola_xen *xen = vm->xen;
	struct gondola_vcpu *target;
	struct xen_port port;

	if (!xen)
		return -ENXIO;
	if (!number || number >= XEN_MAX_PORTS)
		return -EINVAL;
	mutex_lock(&xen->lock);
	port = xen->ports[array_index_nospec(number, XEN_MAX_PORTS)];
	mutex_unlock(&xen->lock);
	target = gondola_vcpu_by_id(vm, port.vcpu);
	if (port.status != XEN_PORT_INTERDOMAIN || !target)
		return -ENOENT;
	xen_raise(target, number);
	return 0;
}
