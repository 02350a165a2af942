# SPDX-License-Identifier: GPL-2.0-only
# Shared by the tests of migration, in the test machine (busybox sh). VMs are called v1, v2 …
# and write to /tmp/vN.log (console) and /tmp/vN.err.

export GONDOLA_HOME=/tmp/home
last=0		# number of the last VM
. /root/tap.sh

uptime_s() {
	cut -d . -f 1 /proc/uptime
}

# wait_for SECONDS COMMAND...: until it succeeds
wait_for() {
	tries=$(($1 * 20))
	shift
	while ! "$@" 2> /dev/null; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.05
	done
}

state() {	# of VM $1, or "gone"
	s=$(gondola status "$1" 2> /dev/null | sed -n 's/^state  *//p')
	echo "${s:-gone}"
}

is() {		# VM STATE
	[ "$(state "$1")" = "$2" ]
}

told() {	# does VM $1 say why it stands?
	gondola status "$1" 2> /dev/null | grep -q '^because .*[a-z]'
}

passes() {	# of the walk in VM $1
	# A guest that lives long writes much.
	n=$(tail -c 4096 "/tmp/$1.log" 2> /dev/null | sed -n 's/.*walk \([0-9]*\)$/\1/p' | tail -n 1)
	echo "${n:-0}"
}

goes_on() {	# does the guest of VM $1 work?
	before=$(passes "$1")
	wait_for 150 more_than "$1" "$before"
}

more_than() {
	[ "$(passes "$1")" -gt "$2" ]
}

# boot PAGES [MEMORY]: a walking guest as VM v$last, with @extra options
boot() {
	last=$((last + 1))
	gondola run --kernel /root/walk --append "pages=$1 hot=16" --mem "${2:-8M}" --name v$last \
		--console /tmp/v$last.log $extra < /dev/null 2> /tmp/v$last.err &
	vm=v$last
	pid=$!
	wait_for 150 is $vm running && wait_for 150 more_than $vm 2
}

# receive [OPTION]...: the next VM waits at /tmp/vN.sock; @wrap runs before it
receive() {
	last=$((last + 1))
	next=v$last
	rm -f /tmp/$next.sock
	$wrap gondola receive $next unix:/tmp/$next.sock --console /tmp/$next.log "$@" \
		< /dev/null 2> /tmp/$next.err &
	next_pid=$!
	wait_for 60 test -S /tmp/$next.sock
}

# move OPTIONS: $vm to $next; then $vm is the one that moved
move() {
	gondola migrate $vm unix:/tmp/$next.sock "$@" > /tmp/move.out 2>&1
}

moved() {
	vm=$next
	pid=$next_pid
}

listens_or_gone() {
	[ -S /tmp/$next.sock ] || ! kill -0 $next_pid
}

# receive_in_group: likewise, and it gets little more memory than it has by then
receive_in_group() {
	group=/sys/fs/cgroup/small
	mount -t cgroup2 none /sys/fs/cgroup 2> /dev/null
	echo +memory > /sys/fs/cgroup/cgroup.subtree_control
	mkdir -p $group
	echo max > $group/memory.max
	last=$((last + 1))
	next=v$last
	sh -c "echo \$\$ > $group/cgroup.procs; exec gondola receive $next unix:/tmp/$next.sock \
		--console /tmp/$next.log" < /dev/null 2> /tmp/$next.err &
	next_pid=$!
	wait_for 60 listens_or_gone
	[ -S /tmp/$next.sock ] || return 1
	echo $(($(cat $group/memory.current) + ${1:-600000})) > $group/memory.max
}

# start_anew: whatever runs ends
start_anew() {
	killall -9 gondola meddle 2> /dev/null
	wait_for 60 no_vms
	sleep 0.2
	rm -rf /tmp/*.sock /tmp/home/run
}

# Remove all that is left of VM $1, but for its configuration.
end() {
	gondola kill "$1" 2> /dev/null
	wait_for 60 has_ended "$1"
}

has_ended() {
	is "$1" gone || is "$1" inactive
}

broken() {	# has any guest found a fault?
	grep -h BROKEN /tmp/v*.log
}

# nothing_left: no process, no VM in the module, no socket, no lock
nothing_left() {
	wait_for 60 no_vms || { say "VMs are left in the module"; return 1; }
	left=$(ls /tmp/home/run 2> /dev/null | grep -v '\.log$')
	[ -z "$left" ] || { say "left behind: $left"; return 1; }
	[ -z "$(ls /tmp/*.sock 2> /dev/null)" ] || { say "sockets are left"; return 1; }
	! pidof gondola > /dev/null || { say "processes are left"; return 1; }
}

no_vms() {
	[ "$(cat /sys/kernel/debug/gondola/vms)" = 0 ]
}

begin() {
	mount -t debugfs none /sys/kernel/debug 2> /dev/null
	insmod /gondola.ko || { echo "Bail out! insmod failed"; exit 1; }
}
