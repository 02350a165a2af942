/* SPDX-License-Identifier: GPL-2.0-only */
/* Tests with several VMs: gondola start, gondola balance, a balloon that migrates. */
#ifndef BALLOON_TEST_POLICY_H
#define BALLOON_TEST_POLICY_H

/** policy_starts() - three VMs on a host with memory for two, a fourth, then a guest in need */
void policy_starts(void);

/** migrates(), migrates_first() - to another launcher while its balloon grows; by post-copy */
void migrates(void);
void migrates_first(void);

#endif
