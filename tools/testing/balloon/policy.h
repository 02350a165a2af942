/* SPDX-License-Identifier: GPL-2.0-only */
/* Tests of the policy: gondola start and gondola balance with several VMs. */
#ifndef BALLOON_TEST_POLICY_H
#define BALLOON_TEST_POLICY_H

/** policy_starts() - three VMs on a host with memory for two, a fourth, then a guest in need */
void policy_starts(void);

#endif
