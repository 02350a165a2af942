// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of grants: pages in which the guest says which of its frames the launcher may use.  The launcher
 * reads it; here the guest only learns where it is.
 */
#include "internal.h"

bool xen_is_grants(const struct gondola_xen *xen, u64 frame)
{
	return frame - xen->config.grants < xen->config.nr_grants;
}

/* All pages are there from the beginning, however many the guest asks for. */
static s64 setup(struct gondola_vcpu *vcpu, u64 at)
{
	const struct gondola_xen_config *config = &vcpu->vm->xen->config;
	struct xen_grant_setup args;
	u64 frame;
	u32 i;
	s64 r = xen_copy_in(vcpu, &args, at, sizeof(args));

	if (r)
		return r;
	args.status = args.domain != XEN_DOMID_SELF ? XEN_GRANT_BAD_DOMAIN :
		      args.count > config->nr_grants ? XEN_GRANT_ERROR : XEN_GRANT_OKAY;
	for (i = 0; args.status == XEN_GRANT_OKAY && i < args.count; i++) {
		frame = config->grants + i;
		r = xen_copy_out(vcpu, args.frames + i * sizeof(frame), &frame, sizeof(frame));
		if (r)
			return r;
	}
	return xen_copy_out(vcpu, at, &args, sizeof(args));
}

static s64 query_size(struct gondola_vcpu *vcpu, u64 at)
{
	struct xen_grant_query args;
	s64 r = xen_copy_in(vcpu, &args, at, sizeof(args));

	if (r)
		return r;
	args.count = vcpu->vm->xen->config.nr_grants;
	args.max = args.count;
	args.status = args.domain == XEN_DOMID_SELF ? XEN_GRANT_OKAY : XEN_GRANT_BAD_DOMAIN;
	return xen_copy_out(vcpu, at, &args, sizeof(args));
}

/* There is the first form of entries alone. */
static s64 set_version(struct gondola_vcpu *vcpu, u64 at)
{
	u32 version;
	s64 r = xen_copy_in(vcpu, &version, at, sizeof(version));

	if (r)
		return r;
	return version == 1 ? 0 : -XEN_EINVAL;
}

/* arg: what, list, count.  A list has one entry. */
s64 xen_grant_table_op(struct gondola_vcpu *vcpu, const u64 *arg)
{
	if (!vcpu->vm->xen->config.nr_grants)
		return -XEN_ENOSYS;
	if (arg[2] != 1)
		return -XEN_EINVAL;
	switch (arg[0]) {
	case XEN_GRANT_SETUP:
		return setup(vcpu, arg[1]);
	case XEN_GRANT_QUERY_SIZE:
		return query_size(vcpu, arg[1]);
	case XEN_GRANT_SET_VERSION:
		return set_version(vcpu, arg[1]);
	}
	return -XEN_ENOSYS;
}
