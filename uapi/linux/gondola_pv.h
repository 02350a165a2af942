/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The guest's interface: CPUID leaves, MSRs and hypercalls.
 *
 * Leaf 0x40000000 has the documented guest interface of KVM
 * (Documentation/virt/kvm/x86/cpuid.rst, msr.rst and hypercalls.rst of Linux),
 * so that stock guests find what they know.  A guest finds gondola itself at
 * the next base.
 *
 * A hypercall is VMCALL (Intel) or VMMCALL (AMD) at privilege level 0: number
 * in RAX, arguments in RBX, RCX, RDX and RSI, result in RAX.  A number that
 * is not known gives GONDOLA_HC_ENOSYS, a caller that is not privileged
 * GONDOLA_HC_EPERM.
 */
#ifndef _UAPI_LINUX_GONDOLA_PV_H
#define _UAPI_LINUX_GONDOLA_PV_H

/* KVM's interface, as far as gondola offers it. */
#define GONDOLA_KVM_SIGNATURE		0x40000000	/* EAX: last leaf; EBX, ECX, EDX: "KVMKVMKVM" */
#define GONDOLA_KVM_FEATURES		0x40000001
#define GONDOLA_KVM_NOP_IO_DELAY	(1u << 1)	/* EAX: ports need no delay */
#define GONDOLA_KVM_CLOCKSOURCE2	(1u << 3)	/* EAX: the two MSRs below exist */
#define GONDOLA_KVM_STEAL		(1u << 5)	/* EAX: GONDOLA_KVM_STEAL_TIME exists */
#define GONDOLA_KVM_PV_EOI		(1u << 6)	/* EAX: GONDOLA_KVM_EOI exists */
#define GONDOLA_KVM_PV_UNHALT		(1u << 7)	/* EAX: GONDOLA_HC_KICK_CPU */
#define GONDOLA_KVM_PV_TLB_FLUSH	(1u << 9)	/* EAX: flushes may be left in steal time's record */
#define GONDOLA_KVM_PV_SEND_IPI		(1u << 11)	/* EAX: GONDOLA_HC_SEND_IPI */
#define GONDOLA_KVM_PV_SCHED_YIELD	(1u << 13)	/* EAX: GONDOLA_HC_SCHED_YIELD */
#define GONDOLA_KVM_CLOCK_STABLE	(1u << 24)	/* EAX: the clock is the same on all processors */
#define GONDOLA_KVM_WALL_CLOCK		0x4b564d00
#define GONDOLA_KVM_SYSTEM_TIME		0x4b564d01
#define GONDOLA_KVM_STEAL_TIME		0x4b564d03
#define GONDOLA_KVM_EOI			0x4b564d04

/* gondola's own leaves. */
#define GONDOLA_CPUID_BASE		0x40000100	/* EAX: last leaf; EBX, ECX, EDX: "gondola" */
#define GONDOLA_CPUID_VERSION		0x40000101	/* EAX: GONDOLA_API_VERSION of the module */

/* KVM's hypercalls, each there when its feature bit is set. */
#define GONDOLA_HC_KICK_CPU		5	/* RCX: APIC id of a vCPU whose HLT shall end */
#define GONDOLA_HC_SEND_IPI		10	/* RBX, RCX: whom, a bitmap from APIC id RDX on; RSI: ICR */
#define GONDOLA_HC_SCHED_YIELD		11	/* RBX: APIC id of the vCPU that should run instead */

#define GONDOLA_HC_ENOSYS		(-1000)
#define GONDOLA_HC_EINVAL		(-22)
#define GONDOLA_HC_EPERM		(-1)

#endif
