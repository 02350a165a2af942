#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# A stock Debian guest of 128 MiB that checks itself moves to and fro between two launchers of
# one machine. Runs in the test machine; what each move reports lies in /output/WORKLOAD-N.json
# afterwards, the guest's console in /output/WORKLOAD.log.
#
# usage: workload.sh [--cpu MODEL] WORKLOAD OPTIONS...: one move for each OPTIONS ("-": none; "suspend":
# instead of a move it is saved to a file, and resumed by another process; "suspend=ENGINE" and
# "move=ENGINE": that process uses this engine)

. /root/lib.sh
begin
cpu=host
if [ "$1" = --cpu ]; then
	cpu=$2
	shift 2
fi
load=$1
shift

fail() {
	echo "workload $load: $*"
	gondola list
	tail -n 5 /tmp/v*.err /tmp/move.err 2> /dev/null
	cat /tmp/v*.log | tail -n 20
	cat /tmp/v*.log > /output/$load.log
	# Where does it stand? Its registers and timers are in there.
	gondola suspend $vm --file /output/$load-failed.vm
	exit 1
}

seconds() {	# that the guest has counted
	n=$(cat /tmp/v*.log | sed -n 's/.*CHECK seconds=\([0-9]*\) .*/\1/p' | tail -n 1)
	echo "${n:-0}"
}

counts_to() {
	[ "$(seconds)" -ge "$1" ]
}

suspend() {	# [OPTION of resume]...
	gondola suspend $vm && is $vm suspended || fail "it is not suspended"
	gondola resume $vm --detach "$@" && wait_for 60 is $vm running || fail "it is not resumed"
}

# move_with OPTIONS [OPTION of receive]...: of move number $move; its exit status is in $status
move_with() {
	with=$1
	shift
	receive "$@" || fail "nobody receives"
	gondola migrate $vm unix:/tmp/$next.sock $with --json --report /output/$load-$move.svg \
		> /tmp/move.out 2> /tmp/move.err
	status=$?
	tail -n 1 /tmp/move.out > /output/$load-$move.json
	if [ $status = 0 ]; then
		moved
	else
		cat /tmp/move.err > /output/$load-$move.refused
		wait_for 20 is $next gone || fail "the target stays"
	fi
}

last=1
vm=v1
gondola run --kernel /boot/vmlinuz --initrd /boot/initrd-guest --mem 128M --name v1 --cpu $cpu \
	--append "console=ttyS0 quiet nokaslr mitigations=off tsc=reliable random.trust_cpu=on load=$load" \
	--console /tmp/v1.log < /dev/null 2> /tmp/v1.err &
wait_for 300 counts_to 3 || fail "the guest does not start"
[ "$load" != adversarial ] || wait_for 100 grep -q 'work=[1-9]' /tmp/v1.log || fail "it does not work"
move=0
for options in "$@"; do
	move=$((move + 1))
	status=0
	case $options in
	suspend) suspend ;;
	suspend=*) suspend --engine ${options#*=} ;;
	move=*) move_with "" --engine ${options#*=} ;;
	-) move_with "" ;;
	*) move_with "$options" ;;
	esac
	is $vm running || fail "$vm does not run after move $move"
	wait_for 120 counts_to $(($(seconds) + 2)) || fail "the guest stands after move $move"
	! grep -h CHECK-ERROR /tmp/v*.log || fail "the guest found an error after move $move"
	echo "workload $load: move $move ($options): status $status, the guest counts $(seconds) s"
done
gondola kill $vm
wait_for 10 no_vms || fail "VMs are left"
cat /tmp/v*.log > /output/$load.log
nothing_left && rmmod gondola || fail "something is left"
