#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Lets migrations go wrong at places that a seed chooses. Runs in the test machine; prints TAP.
#
# usage: faults.sh SEED COUNT KIND...: COUNT places of each kind:
#   cut      the link is cut              freeze   the link is dead, and nobody says so
#   source   the source is killed         target   the target is killed
#   memory   the target has no memory     flip     a bit of the stream is wrong
#
# After each: never two VMs run, never is there none without a word. Every other move is
# post-copy; one fault in five is on the way back, where the answers are; half of the others
# are in the stream's last tenth, where the VM changes hands.

. /root/lib.sh
begin
seed=$1
count=$2
shift 2
random=$seed
bytes=0
back=0

draw() {	# a number below $1, in $drawn
	random=$(((random * 1103515245 + 12345) % 2147483648))
	drawn=$((random / 8 % $1))
}

have_guest() {
	if [ -n "$vm" ] && is $vm running; then
		return
	fi
	rm -f /tmp/v*.log /tmp/v*.err
	boot 256
}

# How long is the stream each way?
measure() {
	have_guest || return 1
	receive || return 1
	meddle /tmp/wire.sock /tmp/$next.sock up 0 count > /tmp/counted &
	wait_for 60 test -S /tmp/wire.sock
	gondola migrate $vm unix:/tmp/wire.sock > /tmp/move.out 2>&1 || return 1
	moved
	wait_for 60 grep -q up /tmp/counted || return 1
	bytes=$(sed 's/up \([0-9]*\).*/\1/' /tmp/counted)
	back=$(sed 's/.*down \([0-9]*\)/\1/' /tmp/counted)
	say "a move is $bytes bytes there and $back back"
}

choose() {
	draw 5
	if [ $drawn = 0 ]; then
		way=down
		draw "$back"
		at=$drawn
	else
		way=up
		draw 2
		if [ $drawn = 0 ]; then
			draw $((bytes / 10))
			at=$((bytes - drawn))
		else
			draw "$bytes"
			at=$drawn
		fi
	fi
	options=
	draw 2
	[ $drawn = 0 ] || options=--postcopy
}

inject() {	# one fault of kind $1
	case $1 in
	cut) what=cut ;;
	freeze) what=freeze ;;
	flip) what=flip ;;
	source) what=kill:$pid ;;
	target) what=kill:$next_pid ;;
	esac
	meddle /tmp/wire.sock /tmp/$next.sock $way $at $what > /dev/null 2>&1 &
	wire=$!
	wait_for 60 test -S /tmp/wire.sock || return 1
	# If the source or the target waits for the user, so does this.
	gondola migrate $vm unix:/tmp/wire.sock $options > /tmp/move.out 2>&1 &
	mover=$!
	wait_for 150 settled
}

settled() {
	case "$(state $vm)/$(state $next)" in
	running/gone | running/waiting | gone/waiting | gone/running | gone/gone | gone/paused | paused/*) return 0 ;;
	migrated/paused | migrated/gone) return 0 ;;
	migrated/running) told $vm && return 0 ;;
	esac
	return 1
}

recover() {
	gondola migrate-recover $next unix:/tmp/again.sock &&
		wait_for 60 test -S /tmp/again.sock &&
		gondola migrate-recover $vm unix:/tmp/again.sock &&
		wait_for 150 is $vm gone || { say "not recovered"; return 1; }
	moved
	goes_on $vm
}

# Is what is left one VM that runs, or one or two that say why they stand?
judge() {	# KIND
	# A source that ends before the VM has come leaves the target waiting for another one.
	is $next waiting && gondola stop $next
	both="$(state $vm)/$(state $next)"
	case $both in
	running/gone)
		goes_on $vm || { say "$vm does not go on"; return 1; }
		wait_for 60 grep -q . /tmp/move.out ;;
	gone/running)
		was=$vm
		moved
		goes_on $vm || { say "$vm does not go on"; return 1; } ;;
	paused/running | paused/paused | migrated/running)
		# The target has it, and its word was lost.
		told $vm && recover ;;
	paused/gone)
		# In doubt, or the target was killed as it took over: the user has looked.
		told $vm && gondola migrate-recover $vm --take-back && goes_on $vm ;;
	migrated/paused)
		told $next && recover ;;
	migrated/gone)
		[ "$1" = target ] && wait_for 60 grep -q 'needs pages from here\|all pages were sent' \
			/tmp/$vm.err ;;
	gone/paused)
		[ "$1" = source ] && told $next ;;
	gone/gone)
		# The killed side had the VM.
		case $1 in
		source) grep -q 'stays where it was\|was received' /tmp/$next.err ;;
		target | memory) grep -q 'migrated to' /tmp/$vm.err ;;
		*) false ;;
		esac ;;
	*) false ;;
	esac
}

one() {		# KIND
	have_guest || { say "no guest"; return 1; }
	choose
	if [ "$1" = memory ]; then
		draw 2000000
		at=$drawn
		receive_in_group $drawn || { is $next gone && return; }
		gondola migrate $vm unix:/tmp/$next.sock $options > /tmp/move.out 2>&1 &
		mover=$!
		wait_for 150 settled
	else
		receive || return 1
		inject "$1"
	fi
	judge "$1"
	verdict=$?
	outcomes="$outcomes $both"
	echo "$(cut -d ' ' -f 1 /proc/uptime): $1 $i, $way $at $options: $both"
	if [ $verdict != 0 ]; then
		say "seed $seed, $1 number $i, $way $at $options: $both"
		tail -n 2 /tmp/move.out /tmp/$vm.err /tmp/$next.err | sed 's/^/# /'
	fi
	kill -9 $wire $mover 2> /dev/null
	[ $verdict = 0 ] && is "$vm" running && is_alone || start_anew
	rm -f /tmp/wire.sock /tmp/$next.sock
	return $verdict
}

is_alone() {
	[ "$(cat /sys/kernel/debug/gondola/vms)" = 1 ] || wait_for 60 one_vm
}

one_vm() {
	[ "$(cat /sys/kernel/debug/gondola/vms)" = 1 ]
}

echo "TAP version 13"
measure || { cat /tmp/move.out; echo "Bail out! no move works"; exit 1; }
for kind in "$@"; do
	bad=0
	outcomes=
	i=0
	while [ $i -lt $count ]; do
		i=$((i + 1))
		one $kind || bad=$((bad + 1))
	done
	say "$kind: source/target afterwards:$(echo $outcomes | tr ' ' '\n' | sort | uniq -c | sed 's/ *\([0-9]*\) \(.*\)/ \2 \1 times/' | tr '\n' ',')"
	[ $bad = 0 ]
	tap_result $? "$count moves with fault \"$kind\", seed $seed"
done
! broken
tap_result $? "no guest found a fault"
[ -z "$vm" ] || end $vm
start_anew
rmmod gondola
tap_result $? "nothing is left"
tap_end
