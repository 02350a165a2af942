/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef POLICY_CGROUP_TEST_H
#define POLICY_CGROUP_TEST_H

void cgroup_lists(void);
void cgroup_limits_of_host(void);
void cgroup_found(void);
void cgroup_not_found(void);
void cgroup_changes(void);
void cgroup_undone(void);
void cgroup_shown(void);
void cgroup_refusals(void);
void cgroup_odd_processors(void);
void cgroup_in_the_way(void);
void cgroup_names(void);
void cgroup_scopes(void);

#endif
