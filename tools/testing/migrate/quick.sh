#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# usage: quick.sh [TEST...]: without one all but those that take long (frozen_...) and foreseen
#
# Moves a guest that checks itself between two launchers of one machine, and lets things go
# wrong on the way. Runs in the test machine; prints TAP.

. /root/lib.sh
begin

there_and_back() {
	for turn in 1 2; do
		receive || return 1
		move || { cat /tmp/move.out; return 1; }
		is $vm gone || wait_for 60 is $vm gone || return 1
		moved
		goes_on $vm || return 1
	done
}

suspended() {
	gondola suspend $vm && is $vm suspended && gondola resume $vm --detach && goes_on $vm
}

# Pages that follow later are not foreseen as downtime.
post_copy() {
	receive && move --postcopy --bandwidth 512K --json || { cat /tmp/move.out; return 1; }
	moved
	goes_on $vm && tail -n 1 /tmp/move.out | grep -q '"postcopy":{"faults"' || return 1
	expected=$(sed -n '/"phase":"copy"/s/.*"expected_downtime_ns":\([0-9]*\).*/\1/p' /tmp/move.out |
		tail -n 1)
	say "downtime $(reported actual_ns) ns, predicted $(reported predicted_ns) of $expected"
	[ "$(reported predicted_ns)" -lt "$expected" ]
}

# foretold LESS MORE OPTION...: it takes less than LESS halves of what was foretold, and that is less
# than MORE halves of what it takes
foretold() {
	less=$1 more=$2
	shift 2
	receive && move --json "$@" || { cat /tmp/move.out; return 1; }
	moved
	actual=$(reported actual_ns) predicted=$(reported predicted_ns)
	say "downtime with \"$*\": $actual ns (pause $(reported pause_ns), copy $(reported copy_ns)," \
		"state $(reported state_ns), load $(reported load_ns), commit $(reported commit_ns))," \
		"predicted $predicted"
	[ $((2 * actual)) -lt $((less * predicted)) ] &&
		[ $((2 * predicted)) -lt $((more * actual)) ]
}

# A guest that is slowed down stays slow until it is stopped, and then has written little since it was
# looked at.  It is stopped while it sleeps, most likely: a round takes less time than it sleeps.
throttled() {
	end $vm
	boot 900 && foretold 3 3 --delta off --downtime-limit 20 || return 1
	tail -n 1 /tmp/move.out | grep -q '"answer":"throttle"' || return 1
	end $vm
	boot 256
}

# Only where time is counted in instructions (check --icount): elsewhere a busy computer counts.
# Where the source has worked long at the pause it hears late that the VM runs there: the guest, which
# has slept, is let in first.  So the second takes up to 15 ms, of which the guest waited 11.
# The target, which takes whole pages, shares the only processor with the guest until that stands.
foreseen() {
	throttled && foretold 4 3 && foretold 3 3 --compress 1 && foretold 4 4 --delta off &&
		foretold 4 4 --postcopy && foretold 4 4 --postcopy --bandwidth 512K
}

compressed() {
	receive && move --compress 1 --downtime-limit 20 --report /tmp/report.svg ||
		{ cat /tmp/move.out; return 1; }
	grep -q '</svg>' /tmp/report.svg || return 1
	moved
	goes_on $vm
}

# A number of the last move's report.
reported() {
	tail -n 1 /tmp/move.out | sed "s/.*\"$1\":\([0-9]*\).*/\1/"
}

# A slow link, and a guest that fits into the buffer before it: is the downtime foreseen?
slow_link() {
	end $vm
	boot 32 && receive || return 1
	meddle /tmp/wire.sock /tmp/$next.sock up 0 slow > /dev/null &
	wait_for 60 test -S /tmp/wire.sock
	gondola migrate $vm unix:/tmp/wire.sock --max-rounds 4 --json > /tmp/move.out 2>&1 ||
		{ cat /tmp/move.out; return 1; }
	moved
	say "downtime $(reported actual_ns) ns, predicted $(reported predicted_ns)"
	[ "$(reported actual_ns)" -lt $((4 * $(reported predicted_ns))) ] && goes_on $vm || return 1
	end $vm
	boot 256
}

# suspended_to ENGINE, moved_to ENGINE: $vm goes on there
suspended_to() {
	gondola suspend $vm && is $vm suspended && gondola resume $vm --engine $1 --detach &&
		goes_on $vm && runs_on $1
}

moved_to() {
	receive --engine $1 && move || { cat /tmp/move.out; return 1; }
	moved
	goes_on $vm && runs_on $1
}

runs_on() {
	gondola status $vm | grep -q "^engine  *$1\$" && return
	gondola status $vm | sed 's/^/# /'
	return 1
}

# A guest that was shown what all engines have goes on by any of them, and back.
between_engines() {
	here=$(gondola status $vm | sed -n 's/^engine  *//p')
	refused "the engine \"interp\" of this host lacks what the guest uses .*: .*sse4_1, " --engine interp || return 1
	end $vm
	extra="--cpu portable" boot 64 || return 1
	for engine in ring3 interp; do
		suspended_to $engine && suspended_to $here && moved_to $engine && moved_to $here ||
			return 1
	done
	suspended_to interp && moved_to ring3 && end $vm &&
		extra="--cpu portable --engine interp" boot 64 && moved_to $here || return 1
	end $vm
	boot 256
}

# Any command whose input and output are the wire. What goes over it is kept, for another reader.
tunnel() {	# FILE OPTION...
	last=$((last + 1))
	next=v$last
	gondola receive $next "exec:nc -l -p 4712" --console /tmp/$next.log \
		< /dev/null 2> /tmp/$next.err &
	next_pid=$!
	wait_for 60 grep -qE ':1268 0+:0000 0A' /proc/net/tcp /proc/net/tcp6 || return 1
	wire="exec:tee /output/$1.stream | nc 127.0.0.1 4712"
	shift
	gondola migrate $vm "$wire" "$@" > /tmp/move.out 2>&1 || { cat /tmp/move.out; return 1; }
	moved
	goes_on $vm
}

tunnelled() {
	tunnel pre-copy && tunnel post-copy --postcopy --compress 1
}

# A command that cannot be, and one that is no wire.
bad_tunnel() {
	wait_for 60 blamed && is $vm running || return 1
	move_by fd:99 && return 1
	grep -q 'fd:99: .* no such descriptor' /tmp/move.out
}

# How it ended is known a moment after that it did.
blamed() {
	move_by "exec:exit 3" && return 1
	grep -q 'runs on here: .*; the command ended with status 3' /tmp/move.out
}

move_by() {
	gondola migrate $vm "$1" > /tmp/move.out 2>&1
}

rated() {
	grep -q '"phase":"copy","round":1,.*"link_rate":[1-9]' /tmp/move.out
}

# It is the VM's process that migrates: who only looks on may leave.  He has seen a rate by then.
interrupted() {
	receive || return 1
	gondola migrate $vm unix:/tmp/$next.sock --bandwidth 50K --json > /tmp/move.out 2>&1 &
	mover=$!
	wait_for 60 copying && wait_for 60 rated && kill -TERM $mover || return 1
	wait $mover
	[ $? = 143 ] && grep -q "is still on its way; .*migrate-cancel $vm" /tmp/move.out || return 1
	copying && gondola migrate-cancel $vm && wait_for 60 is $vm running &&
		wait_for 60 is $next gone && goes_on $vm
}

stays_paused() {
	gondola pause $vm && receive && move || return 1
	moved
	wait_for 60 is $vm paused && [ "$(passes $vm)" = 0 ] && gondola unpause $vm && goes_on $vm
}

# meddle_with WAY BYTE WHAT: $vm tries to move over a bad wire
meddle_with() {
	receive || return 1
	meddle /tmp/wire.sock /tmp/$next.sock "$@" > /dev/null &
	wire=$!
	wait_for 60 test -S /tmp/wire.sock
	shift 3
	gondola migrate $vm unix:/tmp/wire.sock $options > /tmp/move.out 2>&1
	status=$?
}

stayed() {
	[ $status = 14 ] && is $vm running && wait_for 60 is $next gone && goes_on $vm &&
		grep -q 'runs on here' /tmp/move.out && tells
}

# tells [WORDS]...: the report of the move that failed, how far it got, and what else it says
tells() {
	for told in 'got as far as phase' 'sent .* of the memory' "$@"; do
		grep -q "$told" /tmp/move.out && continue
		say "the report does not tell: $told"
		sed 's/^/# /' /tmp/move.out
		return 1
	done
}

link_cut() {
	options= meddle_with up 300000 cut
	stayed && tells 'phase copy, round 1$' '^ *1 .* cut short' '^v[0-9]*: not migrated' \
		'^gondola: v[0-9]*: not migrated' &&
		gondola status $vm | grep -q '^migration_because .*not migrated; the VM runs on'
}

# For programs: the last line of the output is the report, as of a move that succeeded.
failed_json() {
	options=--json meddle_with up 300000 cut
	[ $status = 14 ] && grep '^{' /tmp/move.out | tail -n 1 > /tmp/report.json || return 1
	for told in '"outcome":"failed"' '"phase":"copy"' '"words":"not migrated; the VM runs on here: ' \
		'"bytes":[1-9]' '"rounds":\[{"round":1,.*"unfinished":true'; do
		grep -q "$told" /tmp/report.json || { say "no $told"; cat /tmp/report.json; return 1; }
	done
}

# It writes faster than the link carries, and nothing may be done about that: how fast is told.
stalled() {
	receive || return 1
	gondola migrate $vm unix:/tmp/$next.sock --bandwidth 300K --delta off --downtime-limit 1 \
		--on-stall fail > /tmp/move.out 2>&1
	status=$?
	stayed && tells 'does not converge' ', round [2-9]' '^ *2 .* [0-9.]* MiB ' 'answer: fail' \
		'expected downtime after the last whole round: [1-9].* (limit 1.0 ms)'
}

copying() {
	gondola status $vm | grep -q '^migration  *copy'
}

# A killed source cannot report; the last that was heard of it is told.
source_killed() {
	receive || return 1
	gondola migrate $vm unix:/tmp/$next.sock --bandwidth 50K > /tmp/move.out 2>&1 &
	mover=$!
	wait_for 60 copying && kill -9 $pid || return 1
	wait $mover
	[ $? = 14 ] && grep -q 'when last heard of: .* round' /tmp/move.out || return 1
	wait_for 60 is $next gone && wait_for 60 is $vm gone && boot 256
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
	wait_for 60 is $vm migrating && sleep 0.5 && gondola migrate-cancel $vm || return 1
	wait $mover
	status=$?
	stayed && grep -q cancelled /tmp/move.out
}

recovered() {
	receive || return 1
	meddle /tmp/wire.sock /tmp/$next.sock up 1250000 cut > /dev/null &
	wait_for 60 test -S /tmp/wire.sock
	gondola migrate $vm unix:/tmp/wire.sock --postcopy --bandwidth 1M > /tmp/move.out 2>&1 &
	mover=$!
	wait_for 150 is $next paused && told $next && is $vm migrated || return 1
	gondola migrate-recover $next unix:/tmp/again.sock || return 1
	wait_for 60 test -S /tmp/again.sock
	gondola migrate-recover $vm unix:/tmp/again.sock || return 1
	wait $mover || { cat /tmp/move.out; return 1; }
	moved
	goes_on $vm
}

# lose TYPE OPTIONS: $vm moves, and the target's record of that type is lost with the link
PREPARE=71
COMMIT=73
COMMITTED=74
FINISHED=77
lose() {
	receive || return 1
	meddle /tmp/wire.sock /tmp/$next.sock down @$1 cut > /dev/null &
	wait_for 60 test -S /tmp/wire.sock
	shift
	gondola migrate $vm unix:/tmp/wire.sock "$@" > /tmp/move.out 2>&1 &
	mover=$!
}

# ask: the source asks the target, which has the VM, and ends
ask() {
	gondola migrate-recover $next unix:/tmp/again.sock || return 1
	wait_for 60 test -S /tmp/again.sock
	gondola migrate-recover $vm unix:/tmp/again.sock || return 1
	wait_for 150 is $vm gone || { say "the source stays $(state $vm)"; return 1; }
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
	wait_for 150 grep -q 'all pages were sent.*migrate-recover' /tmp/move.out || return 1
	told $vm && is $vm migrated && is $next running && goes_on $next || return 1
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
	in_doubt && wait_for 60 is $next paused && told $next && ask
}

# The target was killed as it took over: the user has looked, and takes the VM back.
taken_back() {
	lose $COMMITTED
	in_doubt || return 1
	kill -9 $next_pid
	wait_for 60 is $next gone
	gondola migrate-recover $vm --take-back && wait_for 60 is $vm running && goes_on $vm
}

# A target that may have COMMIT in any moment says so: a user must not take the VM back yet.
commit_lost() {
	receive || return 1
	meddle /tmp/wire.sock /tmp/$next.sock up @$COMMIT freeze > /dev/null &
	wire=$!
	wait_for 60 test -S /tmp/wire.sock
	gondola migrate $vm unix:/tmp/wire.sock > /tmp/move.out 2>&1 &
	mover=$!
	wait_for 60 is $next committing || { say "the target says $(state $next)"; return 1; }
	kill $wire
	in_doubt && wait_for 60 is $next gone && gondola migrate-recover $vm --take-back &&
		wait_for 60 is $vm running && goes_on $vm
}

# The wire is dead, and nobody says so: each end finds out by itself. Half a minute or more each.
frozen_copy() {
	options= meddle_with up 300000 freeze
	stayed && tells 'phase copy, round 1$' 'the link was lost'
}

# lost_and_found: $vm waits for the target, which lacks pages, and they find each other again
lost_and_found() {
	wait_for 200 is $next paused && wait_for 200 told $vm && told $next && is $vm migrated &&
		ask && wait $mover
}

freeze_post_copy() {
	receive || return 1
	meddle /tmp/wire.sock /tmp/$next.sock up 1250000 freeze > /dev/null &
	wait_for 60 test -S /tmp/wire.sock
	gondola migrate $vm unix:/tmp/wire.sock --postcopy --bandwidth 1M > /tmp/move.out 2>&1 &
	mover=$!
}

frozen_post_copy() {
	freeze_post_copy && lost_and_found
}

# status shows sizes as people write them, all of them; programs get bytes.
sizes() {
	end $vm
	extra="--balloon --balloon-floor 1M"
	boot 64
	extra=
	gondola status $vm > /tmp/status || return 1
	grep -q '^memory  *8M$' /tmp/status && grep -q '^  keep  *1M$' /tmp/status &&
		! grep '[0-9]\{7\}' /tmp/status || { sed 's/^/# /' /tmp/status; return 1; }
	gondola status $vm --json | grep -q '"keep":1048576[,}]' || return 1
	end $vm
	boot 256
}

# A user who knows that the wire is dead need not wait until the ends notice.
impatient() {
	freeze_post_copy && wait_for 60 is $next running || return 1
	wait_for 60 gondola migrate-recover $next unix:/tmp/again.sock &&
		wait_for 60 test -S /tmp/again.sock &&
		wait_for 60 gondola migrate-recover $vm unix:/tmp/again.sock || return 1
	wait $mover || { cat /tmp/move.out; return 1; }
	! grep 'nothing comes\|nothing gets across' /tmp/$next.err /tmp/$vm.err || return 1
	moved
	goes_on $vm
}

# Nothing is missing, but the source does not hear so.
frozen_answer() {
	receive || return 1
	meddle /tmp/wire.sock /tmp/$next.sock down @$FINISHED freeze > /dev/null &
	wait_for 60 test -S /tmp/wire.sock
	gondola migrate $vm unix:/tmp/wire.sock --postcopy > /tmp/move.out 2>&1 &
	mover=$!
	wait_for 200 told $vm && is $vm migrated && is $next running && ask && wait $mover
}

# refused WORDS OPTION...: a target with these options does not take $vm, and both ends say why
refused() {
	words=$1
	shift
	receive "$@" || return 1
	move
	[ $? = 14 ] && is $vm running || return 1
	wait $next_pid
	[ $? = 6 ] && tells 'as far as phase reserve$' || return 1
	grep -q -- "$words" /tmp/move.out && grep -q -- "$words" /tmp/$next.err && return
	cat /tmp/move.out /tmp/$next.err
	return 1
}

opened() {	# by VM $1: these files, and none that is named before "-"
	opener=$(gondola status $1 --json | sed 's/.*"pid":\([0-9]*\).*/\1/')
	files=" $(ls -l /proc/$opener/fd | sed 's/.*-> //' | tr '\n' ' ') "
	shift
	wanted=no
	for file in "$@"; do
		case "$wanted$files" in
		*" $file "*) [ $wanted = yes ] || { say "opened: $file"; return 1; } ;;
		*) [ $file = - ] && wanted=yes && continue
			[ $wanted = no ] || { say "not opened: $file"; return 1; } ;;
		esac
	done
}

# The target says which files its devices use.
own_devices() {
	truncate -s 1M /tmp/a.img /tmp/b.img
	end $vm
	last=$((last + 1))
	vm=v$last
	walk="--kernel /root/walk --mem 8M --rng"
	gondola run $walk --append "pages=64 hot=16" --disk /tmp/a.img --port p=/tmp/a.out \
		--name $vm --console /tmp/a.log < /dev/null 2> /tmp/$vm.err &
	wait_for 150 is $vm running || return 1
	refused 'has 1 disk, and of this host.s 0 are named (--disk)' || return 1
	refused '1 port, and of this host.s 0 are' --disk /tmp/b.img || return 1
	refused '1 disk, and of this host.s 2 are' --disk /tmp/b.img --disk /tmp/a.img || return 1
	refused '0 network cards, and of this host.s 1 is' --disk /tmp/b.img --port p=/tmp/b.out \
		--net user || return 1
	receive --disk /tmp/b.img --port p=/tmp/b.out && move || { cat /tmp/move.out; return 1; }
	moved
	goes_on $vm || return 1
	opened $vm /tmp/a.img /tmp/a.out /tmp/a.log - /tmp/b.img /tmp/b.out /tmp/$vm.log || return 1
	# The same by names that the source may choose.
	receive --same-names && move || { cat /tmp/move.out; return 1; }
	moved
	goes_on $vm && opened $vm - /tmp/b.img /tmp/b.out || return 1
	# A VM with a configuration of its own here.
	config=v$((last + 1))
	gondola create $config $walk --disk /tmp/a.img || return 1
	refused 'has 3 virtio devices, its configuration here 2' || return 1
	gondola delete $config
	config=v$((last + 1))
	gondola create $config $walk --port p=/tmp/a.out --disk /tmp/a.img || return 1
	refused 'device 2 of the VM is a disk' || return 1
	gondola delete $config
	config=v$((last + 1))
	gondola create $config $walk --disk /tmp/a.img --port p=/tmp/a.out || return 1
	receive && move || { cat /tmp/move.out; return 1; }
	moved
	goes_on $vm && opened $vm /tmp/b.img /tmp/b.out - /tmp/a.img /tmp/a.out || return 1
	end $vm
	gondola receive $vm tcp::4999 --disk /tmp/a.img 2> /tmp/refused
	[ $? = 2 ] && grep -q 'its configuration says' /tmp/refused && gondola delete $vm && boot 256
}

# refuses WORDS COMMAND...: gondola ends with 20 and says so
refuses() {
	words=$1
	shift
	gondola "$@" > /tmp/refused 2>&1
	[ $? = 20 ] && grep -q "$words" /tmp/refused && return
	say "gondola $*:"
	sed 's/^/# /' /tmp/refused
	return 1
}

# named NAME: $vm is one with a configuration
named() {
	end $vm
	gondola create $1 --kernel /root/walk --append "pages=64 hot=16" --mem 8M \
		--console /tmp/$1.log && begin_named $1
}

begin_named() {
	rm -f /tmp/$1.log
	gondola start $1 --detach && vm=$1 && wait_for 150 more_than $vm 2
}

pid_of() {
	gondola status $1 --json | sed 's/.*"pid":\([0-9]*\).*/\1/'
}

# A VM that moved is not booted here too, until it is back, or the user says that it is gone.
not_twice() {
	named moves && receive && move || { cat /tmp/move.out; return 1; }
	wait_for 60 is moves away || { say "moves is $(state moves)"; return 1; }
	there=$next
	goes_on $there && refuses "moved to unix:/tmp/$there.sock.*delete moves --away" start moves &&
		gondola status moves | grep -q "^moved_to  *unix:/tmp/$there.sock" || return 1
	# It comes back.
	rm -f /tmp/moves.sock
	gondola receive moves unix:/tmp/moves.sock --detach 2> /tmp/moves.err &&
		gondola migrate $there unix:/tmp/moves.sock > /tmp/move.out 2>&1 &&
		goes_on moves && gondola kill moves && wait_for 60 is moves inactive || return 1
	# A target that fails leaves no mark.
	begin_named moves && receive || return 1
	meddle /tmp/wire.sock /tmp/$next.sock up @$PREPARE cut > /dev/null &
	wait_for 60 test -S /tmp/wire.sock
	move_by unix:/tmp/wire.sock && return 1
	is moves running && [ ! -e /tmp/home/vms/moves.away ] && wait_for 60 is $next gone &&
		gondola kill moves && wait_for 60 is moves inactive
}

# Of a source that dies before it knows, the next start does not know more.
not_twice_after_a_crash() {
	begin_named moves && lose $COMMITTED && in_doubt || return 1
	refuses 'is paused' start moves && kill -9 $(pid_of moves) && wait_for 60 is moves away &&
		refuses 'or was about to' start moves && goes_on $next && end $next || return 1
	# The user has looked.
	gondola delete moves --away && refuses 'needs one that is away' delete moves --away &&
		begin_named moves && lose $COMMITTED && in_doubt || return 1
	kill -9 $next_pid
	wait_for 60 is $next gone && gondola migrate-recover moves --take-back &&
		wait_for 60 is moves running && [ ! -e /tmp/home/vms/moves.away ] || return 1
	end moves
	gondola delete moves && boot 256
}

echo "TAP version 13"
tests="there_and_back suspended between_engines post_copy compressed slow_link tunnelled bad_tunnel interrupted
	stays_paused link_cut corrupted target_killed target_full cancelled recovered
	last_answer_lost commit_answer_lost commit_answer_lost_post_copy commit_lost taken_back
	impatient not_twice not_twice_after_a_crash failed_json stalled source_killed own_devices sizes"
boot 256
for test in ${*:-$tests}; do
	began=$(uptime_s)
	$test
	status=$?
	say "$test took $(($(uptime_s) - began)) s"
	if [ $status = 0 ]; then
		tap_result 0 "migration: $test"
	else
		tap_result 1 "migration: $test"
		gondola list | sed 's/^/# /'
		tail -n 3 /tmp/move.out /tmp/$vm.err /tmp/$next.err | sed 's/^/# /'
		start_anew
		boot 256
	fi
done
end $vm
! broken
tap_result $? "migration: no guest found a fault"
nothing_left
tap_result $? "migration: nothing is left"
rmmod gondola
tap_result $? "migration: the module unloads"
tap_end
