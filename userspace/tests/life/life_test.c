// SPDX-License-Identifier: GPL-2.0-only
#include "life_test.h"

#define TEST(name)	{ #name, name }

static const struct tap_test tests[] = {
	TEST(stream_round_trip),
	TEST(stream_order),
	TEST(stream_whole),
	TEST(stream_flipped_bytes),
	TEST(stream_cut),
	TEST(stream_bad_contents),
	TEST(stream_full_disk),
	TEST(told_text_is_harmless),
	TEST(said_text_is_harmless),
	TEST(states_table),
	TEST(control_basics),
	TEST(control_bad_lines),
	TEST(control_clients),
	TEST(control_events_lost),
	TEST(control_descriptors),
	TEST(control_many_descriptors),
	TEST(control_answers_unread),
	TEST(commands_in_one_go),
	TEST(cancelled_when_it_is),
	TEST(in_doubt_it_stays),
	TEST(taken_back_once_it_is_known),
	TEST(control_ends),
	TEST(registry_names),
	TEST(registry_states),
	TEST(registry_stale),
	TEST(registry_without_run),
	TEST(registry_odd_answers),
	TEST(registry_slow_answers),
	TEST(registry_processes),
	TEST(files_are_private),
	TEST(registry_directories),
	TEST(registry_race),
	TEST(registry_looked_at),
	TEST(registry_all_at_once),
	TEST(registry_waiting),
	TEST(registry_away),
	TEST(registry_long_paths),
	TEST(registry_relative_home),
	TEST(registry_bad_configs),
	TEST(features_are_named),
};

TAP_MAIN(tests)
