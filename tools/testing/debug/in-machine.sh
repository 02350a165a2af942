#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# In the test machine: the packets of client.py, then GDB with the stock kernel as its guest. Prints TAP.
#
# usage: in-machine.sh ENGINE SYMBOLS KEEP
# SYMBOLS: a directory of the computer with the kernel's symbols, or nothing; KEEP: "dump", to keep it, or nothing
. /root/tap.sh
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
said=session
said() {
	grep -Eq "$2" /output/$said
	tap_result $? "debug: GDB: $1" /output/$said
}
said "vCPUs are threads" "Thread $cpus \(vCPU $((cpus - 1))\)"
said "a breakpoint in the kernel" "hit Breakpoint 1, $at|Breakpoint 1, $at"
said "a string of the program that called" '"/proc/uptime"'
said "the page tables of its address" "physical 0x[0-9a-f]+, in a page of 0x1000 bytes, u"
said "the vCPU's exits" "exception (module|debug)|interpret"
said "a watchpoint" "^New value = "
said "what the kernel's addresses map to" "^ffffffff[0-9a-f]+-ffffffff[0-9a-f]+ [0-9a-f]+ --?-?x?|^ffffffff.* -"
said "it is detached" "detached"

# What the guest holds, in a file: its kernel describes itself, and GDB reads its text there.
gondola dump debian /tmp/core > /output/dump 2>&1 && grep -q 'describes itself' /output/dump
tap_result $? "debug: the guest is dumped" /output/dump
gdb -nx -batch -ex "info threads" -ex "x/4xb $at" -c /tmp/core > /output/core 2>&1
grep -q "LWP $cpus" /output/core && grep -Eq "^$at:(.0x[0-9a-f]{2}){4}" /output/core
tap_result $? "debug: GDB reads the dump: vCPUs as threads, and the kernel's text" /output/core
[ -z "$3" ] || gzip -1 < /tmp/core > /output/core.gz

if [ -n "$2" ]; then
	mkdir -p /mnt
	mount -t hostfs none /mnt -o "$2"
	gdb -nx -batch -x symbols.gdb > /output/symbols 2>&1
	tap_result $? "debug: GDB's session with symbols ends well" /output/symbols
	said=symbols
	said "symbols of another kernel are refused" "belongs to another kernel: its build ID is [0-9a-f]+; the guest runs 6"
	said "the guest's processes, by Linux's own script" "^0xffff[0-9a-f]+ +2 +kthreadd"
	said "the process that called" '= "init'
	said "the name that it opens" '0x[0-9a-f]+ "/proc/uptime"'
	case $(grep -m 1 " in section " /output/symbols) in
	asm_* | '') false ;;
	esac
	tap_result $? "debug: GDB: no interrupt comes between steps" /output/symbols
	said "it comes with \"continue\"" "^asm_sysvec_apic_timer_interrupt in section"
	said "a variable is watched" "watchpoint [0-9]+: jiffies_64"
fi

before=$(at_count)
for _ in $(seq 6000); do
	[ "$(at_count)" -gt "$before" ] && break
	sleep 0.1
done
[ "$(at_count)" -gt "$before" ]
tap_result $? "debug: the guest goes on afterwards" $console
gondola kill debian
tap_end
