#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# In the test machine: the packets of client.py, then GDB with the stock kernel as its guest. Prints TAP.
#
# usage: in-machine.sh ENGINE SYMBOLS KEEP
# SYMBOLS: a directory of the computer with the kernel's symbols, "line" for a GDB outside, or nothing
# KEEP: "dump", to keep it, or nothing
. /root/tap.sh
. "$(dirname "$0")/symbols.sh"
export PATH=/usr/bin:$PATH HOME=/root PYTHONHOME=/usr GONDOLA_HOME=/tmp/home
cd /root || exit
mkdir -p "$GONDOLA_HOME"
ifconfig lo 127.0.0.1 2> /dev/null
[ "$1" = ring3 ] && options="engine=ring3"
insmod /gondola.ko $options || exit
cpus=$(nproc)

console=/output/console
gondola create debian --kernel /boot/vmlinuz --initrd /boot/initrd-guest --mem 128M --cpus "$cpus" \
	--append "console=ttyS0 quiet" --console $console > /output/log 2>&1 &&
	gondola start debian --detach >> /output/log 2>&1
tap_result $? "debug: a stock guest starts" /output/log

# Meanwhile it boots.
python3 client.py "$1" > /output/packets 2>&1
tap_relay /output/packets
# This engine needs no hardware, so its turn can be in any machine.
if [ "$1" = svm ]; then
	python3 client.py ring3 > /output/packets-ring3 2>&1
	tap_relay /output/packets-ring3 "ring3: "
fi

# counts N: it has opened its file N times after this was called
# The last line may be there in part.
at_count() {
	sed -n '$!s/^DEBUG count //p' $console | tail -n 1
}
for _ in $(seq 6000); do
	[ -n "$(at_count)" ] && break
	sleep 0.1
done
at=$(sed -n 's/^DEBUG at \(0x[0-9a-f]*\).*/\1/p' $console)
sed "s/AT\$/$at/" session.gdb > /output/session.gdb
gdb -nx -batch -x /output/session.gdb > /output/session 2>&1
tap_result $? "debug: GDB's session ends well" /output/session

# said NAME PATTERN: in the session
said() {
	grep -Eq "$2" /output/session
	tap_result $? "debug: GDB: $1" /output/session
}
said "vCPUs are threads" "Thread $cpus \(vCPU $((cpus - 1))\)"
said "a breakpoint in the kernel" "hit Breakpoint 1, $at|Breakpoint 1, $at"
said "a string of the program that called" '"/proc/uptime"'
said "the page tables of its address" "physical 0x[0-9a-f]+, in a page of 0x1000 bytes, u"
said "the vCPU's exits" "exception (module|debug)|interpret"
said "a watchpoint" "^New value = "
said "what the kernel's addresses map to" "^ffffffff[0-9a-f]+-ffffffff[0-9a-f]+ [0-9a-f]+ --?-?x?|^ffffffff.* -"
said "it is detached" "detached"

# "inspected" reads them outside, where Python has a parser.  Linux with PTI keeps its text out of the tables of a
# program, which may run at that moment: then another look is taken.
for what in registers interrupts history map shadows; do
	gondola inspect debian $what --json > "/output/inspect-$what" 2>&1
done
for _ in $(seq 100); do
	gondola inspect debian walk "$at" --json > /output/inspect-walk 2>&1
	grep -q '"result":"mapped"' /output/inspect-walk && break
done

# What the guest holds, in a file: its kernel describes itself, and GDB reads its text there.
gondola dump debian /tmp/core > /output/dump 2>&1 && grep -q 'describes itself' /output/dump
tap_result $? "debug: the guest is dumped" /output/dump
gdb -nx -batch -ex "info threads" -ex "x/4xb $at" -c /tmp/core > /output/core 2>&1
grep -q "LWP $cpus" /output/core && grep -Eq "^$at:(.0x[0-9a-f]{2}){4}" /output/core
tap_result $? "debug: GDB reads the dump: vCPUs as threads, and the kernel's text" /output/core
[ -z "$3" ] || gzip -1 < /tmp/core > /output/core.gz
rm /tmp/core

# With symbols, in the machine or from outside: then its line is GDB's.
case $2 in
'') ;;
line)
	say "the line is served"
	gondola gdb debian <> /dev/line >&0 2> /output/line
	;;
*)
	mkdir -p /mnt
	mount -t hostfs none /mnt -o "$2"
	symbols_session "| gondola gdb debian" /mnt /bin/gondola . 300 /output
	symbols_judge /output/symbols "$1"
	;;
esac

before=$(at_count)
for _ in $(seq 6000); do
	[ "$(at_count)" -gt "$before" ] && break
	sleep 0.1
done
[ "$(at_count)" -gt "$before" ]
tap_result $? "debug: the guest goes on afterwards" $console
gondola kill debian

# A stock kernel that panics tells of it by its own driver, is dumped where it stands, and resets itself afterwards.
gondola run --name panics --kernel /boot/vmlinuz --initrd /boot/initrd-guest --mem 96M --panic-dump /tmp/core \
	--append "console=ttyS0 quiet guest=panic panic=1" --console /output/console-panic > /output/panic 2>&1
[ $? = 10 ] && grep -q "the guest's kernel has panicked" /output/panic &&
	grep -q 'its memory and registers are in /tmp/core' /output/panic
tap_result $? "debug: a stock kernel's panic is dumped, and the guest goes on" /output/panic
# Only a kernel that has panicked has these words next to each other.
python3 -c 'core = open("/tmp/core", "rb").read()
exit(core[:4] != b"\x7fELF" or min(map(core.find, (b"VMCOREINFO\0", b"not syncing: sysrq triggered crash"))) < 0)'
tap_result $? "debug: the dump of a panic has notes, and the log up to the panic" /output/panic
gdb -nx -batch -ex "info threads" -ex "x/i \$pc" -c /tmp/core > /output/gdb-panic 2>&1
grep -q "LWP 1" /output/gdb-panic && grep -Eq "^=> 0xffff[0-9a-f]+:.[a-z]" /output/gdb-panic
tap_result $? "debug: GDB reads the dump of a panic, and the code that the kernel was at" /output/gdb-panic
[ -z "$3" ] || gzip -1 < /tmp/core > /output/panic.gz
tap_end
