#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# One of two linked machines: a guest that checks itself moves to and fro between them, by TCP.
#
# usage: linked.sh here|there TURNS GUEST [PAGES [OPTIONS]]: "here" boots the guest; a turn is a
# move there and one back. GUEST: "walk", which is tiny and goes through PAGES of memory, or a
# workload of the stock guest. OPTIONS: of each move

. /root/lib.sh
begin
side=$1
turns=$2
guest=$3
options=${5:-}
port=4711
peer=10.0.0.2
[ "$side" = here ] || peer=10.0.0.1

note() {
	echo "linked, $side, $(cut -d ' ' -f 1 /proc/uptime): $*"
}

fail() {
	note "$*"
	tail -n 5 /tmp/v*.err /tmp/move.out
	cat /tmp/v*.log | tail -n 10
	exit 1
}

seconds() {	# (or passes) that the guest has counted, as $vm tells
	n=$(tail -c 4096 /tmp/$vm.log |
		sed -n 's/.*CHECK seconds=\([0-9]*\) .*/\1/p; s/.*walk \([0-9]*\)$/\1/p' |
		tail -n 1)
	echo "${n:-0}"
}

counts_to() {
	[ "$(seconds)" -ge "$1" ]
}

send() {
	tries=400
	until gondola migrate $vm tcp:$peer:$port $options --json > /tmp/move.out 2>&1; do
		grep -q 'cannot connect' /tmp/move.out || fail "a move failed"
		tries=$((tries - 1))
		[ $tries -gt 0 ] || fail "nobody is there"
		sleep 0.5
	done
	moves=$((moves + 1))
	note "$vm has left"
	tail -n 1 /tmp/move.out > /output/$side-$moves.json
}

come_or_gone() {
	is $vm running || ! kill -0 $pid 2> /dev/null
}

take() {
	last=$((last + 1))
	vm=v$last
	gondola receive $vm tcp::$port --console /tmp/$vm.log < /dev/null 2> /tmp/$vm.err &
	pid=$!
	note "waits for $vm"
	wait_for 400 come_or_gone
	is $vm running || fail "the guest does not come"
	wait_for 60 counts_to 1 || fail "the guest stands"
	wait_for 60 counts_to $(($(seconds) + 2)) || fail "the guest stands"
	! grep -h 'CHECK-ERROR\|BROKEN' /tmp/v*.log || fail "the guest found an error"
	note "$vm has come, and counts $(seconds) s"
}

append="console=ttyS0 quiet nokaslr mitigations=off tsc=reliable random.trust_cpu=on"
moves=0
if [ "$side" = here ]; then
	if [ $guest = walk ]; then
		boot "${4:-256}"
	else
		last=1
		vm=v1
		gondola run --kernel /boot/vmlinuz --initrd /boot/initrd-guest --mem 128M \
			--name v1 --append "$append load=$guest" --console /tmp/v1.log \
			< /dev/null 2> /tmp/v1.err &
	fi
	wait_for 300 counts_to 3 || fail "the guest does not start"
fi
while [ $turns -gt 0 ]; do
	if [ "$side" = here ]; then
		send
		take
	else
		take
		send
	fi
	turns=$((turns - 1))
done
[ "$side" = there ] || end $vm
wait_for 20 no_vms || fail "VMs are left"
cat /tmp/v*.log > /output/$side.log
rmmod gondola || fail "the module does not unload"
note "done"
