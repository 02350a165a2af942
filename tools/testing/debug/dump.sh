# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Dumps of the stock kernel, alive and dead, with its symbols: GDB with Linux's scripts, and crash. Read by run,
# which has $symbols, $output with the files kept/core.gz and kept/panic.gz, and $cpus.

core=$output/dump
gzip -dc "$output/kept/core.gz" > "$core"

# dump_said FILE NAME PATTERN: among what was printed
dump_said() {
	said=0
	grep -Eq "$3" "$output/kept/$1" || said=1
	tap_result $said "debug: $1: $2" "$output/kept/$1"
}

# The kernel says in its own words how far it was moved.
moved=0x$(strings "$core" | sed -n 's/^KERNELOFFSET=//p' | head -n 1)
gdb -nx -batch -ex "core-file $core" -ex "add-symbol-file $symbols/vmlinux -o $moved -s .data..percpu 0" \
	-ex "source $symbols/vmlinux-gdb.py" -ex lx-version -ex lx-ps \
	-ex 'print $lx_per_cpu("current_task", 0).comm' > "$output/kept/gdb-dump" 2>&1 || :
dump_said gdb-dump "the kernel's version out of a dump" "^Linux version 6"
dump_said gdb-dump "the processes in a dump" "^0xffff[0-9a-f]+ +2 +kthreadd"
dump_said gdb-dump "the process of vCPU 0" '^\$1 = "'

if command -v crash > /dev/null; then
	# This crash finds only the processes that run: struct pid has changed since.
	printf '%s\n' sys "log | head -n 1" "struct task_struct.comm init_task" "sym init_task" quit > "$output/commands"
	crash -s -i "$output/commands" "$symbols/vmlinux" "$core" > "$output/kept/crash" 2>&1 < /dev/null || :
	dump_said crash "the machine" "^ +CPUS: $cpus"
	dump_said crash "the kernel's release" "^ +RELEASE: 6"
	dump_said crash "the kernel's log" "Linux version 6"
	dump_said crash "a variable" 'comm = "swapper/0'
	dump_said crash "its address, as far as the kernel was moved" "^ffffffff[0-9a-f]+ \([A-Z]\) init_task"

	gzip -dc "$output/kept/panic.gz" > "$core"
	printf '%s\n' sys "bt -a" "log | tail -n 40" quit > "$output/commands"
	crash -s -i "$output/commands" "$symbols/vmlinux" "$core" > "$output/kept/crash-panic" 2>&1 < /dev/null || :
	# The quotation marks are its own; what stands before them differs with what it makes of the log.
	dump_said crash-panic "why a kernel died" '"Kernel panic - not syncing: sysrq triggered crash"'
	dump_said crash-panic "the calls that led to a panic" "sysrq_handle_crash"
else
	say "without crash: tools/testing/machine/packages debug installs it"
fi
