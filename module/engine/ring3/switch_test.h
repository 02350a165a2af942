/* SPDX-License-Identifier: GPL-2.0-only */
/* The programs of switch_test_guest.S, in one page. */
#ifndef GONDOLA_RING3_SWITCH_TEST_H
#define GONDOLA_RING3_SWITCH_TEST_H

#include <linux/types.h>

struct ring3_area;

extern const u8 ring3_guest[];

extern const u8 ring3_guest_ud[], ring3_guest_syscall[], ring3_guest_read[], ring3_guest_write[];
extern const u8 ring3_guest_int3[], ring3_guest_int80[], ring3_guest_hlt[], ring3_guest_cli[];
extern const u8 ring3_guest_in[], ring3_guest_sysenter[], ring3_guest_spin[], ring3_guest_step[];
extern const u8 ring3_guest_mov_ss[], ring3_guest_bases[], ring3_guest_flags[];
extern const u8 ring3_guest_load_ds[], ring3_guest_kernel_ds[];
extern const u8 ring3_guest_far_jump[], ring3_guest_far_return[], ring3_guest_far_return_itself[];

/**
 * switch_cost() - tell what the parts of a switch take
 * @area: of @guest
 * @begin: sets up a program that ends its stay by SYSCALL
 * @stay: runs it once, with interrupts off
 */
void switch_cost(struct ring3_area *area, void (*begin)(void *guest), void (*stay)(void *guest),
		 void *guest);

#endif
