/* SPDX-License-Identifier: GPL-2.0-only */
/* The programs of switch_test_guest.S, in one page. */
#ifndef GONDOLA_RING3_SWITCH_TEST_H
#define GONDOLA_RING3_SWITCH_TEST_H

#include <linux/types.h>

extern const u8 ring3_guest[];

extern const u8 ring3_guest_ud[], ring3_guest_syscall[], ring3_guest_read[], ring3_guest_write[];
extern const u8 ring3_guest_int3[], ring3_guest_int80[], ring3_guest_hlt[], ring3_guest_cli[];
extern const u8 ring3_guest_in[], ring3_guest_sysenter[], ring3_guest_spin[], ring3_guest_step[];
extern const u8 ring3_guest_mov_ss[], ring3_guest_bases[], ring3_guest_flags[];
extern const u8 ring3_guest_load_ds[], ring3_guest_kernel_ds[];
extern const u8 ring3_guest_far_jump[], ring3_guest_far_return[], ring3_guest_far_return_itself[];

#endif
