/* SPDX-License-Identifier: GPL-2.0-only */
/* Guests that loop with interrupts off in Bochs, which cannot interrupt those. */
#ifndef FUZZ_DEAF_H
#define FUZZ_DEAF_H

/**
 * deaf_begin() - watch that no guest holds a processor; does nothing but in Bochs
 *
 * Bochs decides at VM entry, before it regards the processor as in the guest, that a clear
 * RFLAGS.IF masks external interrupts. A guest that then neither exits nor executes CLI or STI keeps
 * its processor for good. NMIs leave it: after one the host takes what is pending. So guests run on
 * one processor only, and a process on the other one has the kernel send NMIs (SysRq-l, whose
 * backtraces are of no interest) when the first stands still. A second processor with guests would
 * wait for the first with preemption off, and nothing would run there. Neither may the kernel's own
 * threads do so: transparent huge pages are off from then on.
 *
 * Context: once, before threads are made; the processes end with the caller.
 */
void deaf_begin(void);

#endif
