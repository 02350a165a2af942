/* SPDX-License-Identifier: GPL-2.0-only */
/* Unit tests of what a VM's life needs; each file has some, life_test.c lists them. */
#ifndef TESTS_LIFE_LIFE_TEST_H
#define TESTS_LIFE_LIFE_TEST_H

#include <semaphore.h>
#include <stdbool.h>

#include "tap.h"

/* stream_test.c */
void stream_round_trip(void);
void stream_order(void);
void stream_whole(void);
void stream_flipped_bytes(void);
void stream_cut(void);
void stream_bad_contents(void);
void stream_full_disk(void);

/* control_test.c */
void states_table(void);
void control_basics(void);
void pause_keeps_nobody(void);
void devices_keep_nobody(void);
void control_bad_lines(void);
void control_clients(void);
void control_events_lost(void);
void control_descriptors(void);
void control_many_descriptors(void);
void control_answers_unread(void);
void control_speaks_utf8(void);
void control_ends(void);

/* Sends both and ends the first one, a migration; true if the second one, a suspend, was done. */
bool control_test_two(const char *lines, sem_t *may_end);

/* Sends @lines, with a descriptor that a migration may travel on; the caller disconnects. */
struct control_link;
void control_test_send(struct control_link *link, const char *lines);

/* commands_test.c */
void commands_in_one_go(void);
void cancelled_when_it_is(void);
void in_doubt_it_stays(void);
void taken_back_once_it_is_known(void);

/* registry_test.c */
void registry_names(void);
void registry_states(void);
void registry_stale(void);
void registry_without_run(void);
void registry_odd_answers(void);
void registry_slow_answers(void);
void registry_processes(void);
void files_are_private(void);
void registry_directories(void);
void registry_race(void);
void registry_looked_at(void);
void registry_all_at_once(void);
void registry_told(void);
void registry_waiting(void);
void registry_away(void);
void registry_long_paths(void);
void registry_relative_home(void);
void registry_bad_configs(void);

/* cpu_test.c */
void features_are_named(void);
void cpu_models_are_checked(void);
void cpu_models_are_chosen(void);
void cpu_portable(void);

/* durable_test.c */
void names_are_durable(void);
void names_that_are_not(void);

/* loop_test.c */
void loop_with_few_descriptors(void);
void accept_without_descriptors(void);

/* tell_test.c */
void utf8_is_known(void);
void told_text_is_harmless(void);
void said_text_is_harmless(void);

#endif
