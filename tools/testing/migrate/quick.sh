#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Moves a guest that checks itself between two launchers of one machine, and lets things go
# wrong on the way. Runs in the test machine; prints TAP.

. /root/lib.sh
begin

there_and_back() {
	boot 256 || return 1
	for turn in 1 2; do
		receive || return 1
		move || { cat /tmp/move.out; return 1; }
		is $vm gone || wait_for 5 is $vm gone || return 1
		moved
		goes_on $vm || return 1
	done
}

post_copy() {
	receive && move --postcopy || { cat /tmp/move.out; return 1; }
	grep -q 'post-copy: the guest waited for' /tmp/move.out || return 1
	moved
	goes_on $vm
}

compressed() {
	receive && move --compress 1 --downtime-limit 20 --report /tmp/report.svg ||
		{ cat /tmp/move.out; return 1; }
	grep -q '</svg>' /tmp/report.svg || return 1
	moved
	goes_on $vm
}

stays_paused() {
	gondola pause $vm && receive && move || return 1
	moved
	wait_for 5 is $vm paused && [ "$(passes $vm)" = 0 ] && gondola unpause $vm && goes_on $vm
}

# meddle_with WAY BYTE WHAT: $vm tries to move over a bad wire
meddle_with() {
	receive || return 1
	meddle /tmp/wire.sock /tmp/$next.sock "$@" > /dev/null &
	wire=$!
	wait_for 10 test -S /tmp/wire.sock
	shift 3
	gondola migrate $vm unix:/tmp/wire.sock $options > /tmp/move.out 2>&1
	status=$?
}

stayed() {
	[ $status = 14 ] && is $vm running && wait_for 15 is $next gone && goes_on $vm &&
		grep -q 'runs on here' /tmp/move.out
}

link_cut() {
	options= meddle_with up 300000 cut
	stayed
}

corrupted() {
	options= meddle_with up 200000 flip
	stayed && grep -q 'damaged' /tmp/move.out
}

target_killed() {
	receive || return 1
	(sleep 1; kill -9 $next_pid) &
	gondola migrate $vm unix:/tmp/$next.sock --bandwidth 300K > /tmp/move.out 2>&1
	status=$?
	stayed
	r=$?
	rm -f /tmp/$next.sock
	return $r
}

target_full() {
	receive_in_group || return 1
	move
	status=$?
	stayed
	r=$?
	rm -f /tmp/$next.sock
	[ $r = 0 ] && grep -q oom_kill /sys/fs/cgroup/small/memory.events && return
	return $r
}

cancelled() {
	receive || return 1
	gondola migrate $vm unix:/tmp/$next.sock --bandwidth 200K > /tmp/move.out 2>&1 &
	mover=$!
	wait_for 5 is $vm migrating && sleep 0.5 && gondola migrate-cancel $vm || return 1
	wait $mover
	status=$?
	stayed && grep -q cancelled /tmp/move.out
}

recovered() {
	receive || return 1
	meddle /tmp/wire.sock /tmp/$next.sock up 1250000 cut > /dev/null &
	wait_for 10 test -S /tmp/wire.sock
	gondola migrate $vm unix:/tmp/wire.sock --postcopy --bandwidth 1M > /tmp/move.out 2>&1 &
	mover=$!
	wait_for 30 is $next paused && told $next && is $vm migrated || return 1
	gondola migrate-recover $next unix:/tmp/again.sock || return 1
	wait_for 5 test -S /tmp/again.sock
	gondola migrate-recover $vm unix:/tmp/again.sock || return 1
	wait $mover || { cat /tmp/move.out; return 1; }
	moved
	goes_on $vm
}

# lose TYPE OPTIONS: $vm moves, and the target's record of that type is lost with the link
COMMITTED=74
FINISHED=77
lose() {
	receive || return 1
	meddle /tmp/wire.sock /tmp/$next.sock down @$1 cut > /dev/null &
	wait_for 10 test -S /tmp/wire.sock
	shift
	gondola migrate $vm unix:/tmp/wire.sock "$@" > /tmp/move.out 2>&1 &
	mover=$!
}

# ask: the source asks the target, which has the VM, and ends
ask() {
	gondola migrate-recover $next unix:/tmp/again.sock || return 1
	wait_for 10 test -S /tmp/again.sock
	gondola migrate-recover $vm unix:/tmp/again.sock || return 1
	wait_for 20 is $vm gone || { say "the source stays $(state $vm)"; return 1; }
	grep -q 'migrated to' /tmp/$vm.err || return 1
	moved
	goes_on $vm
}

in_doubt() {	# the source, and it says so; was the user told?
	wait $mover
	[ $? = 14 ] && is $vm paused && told $vm && grep -q 'it may be at' /tmp/move.out
}

last_answer_lost() {
	lose $FINISHED --postcopy
	wait_for 40 told $vm && is $vm migrated && is $next running && goes_on $next || return 1
	gondola migrate-recover $vm --take-back 2> /tmp/refused && return 1
	grep -q 'cannot go back' /tmp/refused || return 1
	ask && wait $mover
}

commit_answer_lost() {
	lose $COMMITTED
	in_doubt && goes_on $next && ask
}

commit_answer_lost_post_copy() {
	lose $COMMITTED --postcopy
	in_doubt && wait_for 10 is $next paused && told $next && ask
}

# The target was killed as it took over: the user has looked, and takes the VM back.
taken_back() {
	lose $COMMITTED
	in_doubt || return 1
	kill -9 $next_pid
	wait_for 10 is $next gone
	gondola migrate-recover $vm --take-back && wait_for 5 is $vm running && goes_on $vm
}

echo "TAP version 13"
for test in there_and_back post_copy compressed stays_paused link_cut corrupted target_killed \
	target_full cancelled recovered last_answer_lost commit_answer_lost \
	commit_answer_lost_post_copy taken_back; do
	if $test; then
		result 0 "migration: $test"
	else
		result 1 "migration: $test"
		gondola list | sed 's/^/# /'
		tail -n 3 /tmp/move.out /tmp/$vm.err /tmp/$next.err | sed 's/^/# /'
		start_anew
		boot 256
	fi
done
end $vm
! broken
result $? "migration: no guest found a fault"
nothing_left
result $? "migration: nothing is left"
rmmod gondola
result $? "migration: the module unloads"
echo "1..$number"
[ $failed = 0 ]
