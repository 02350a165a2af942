# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# GDB's session with the kernel's symbols, and what it must have shown. Read by run, whose GDB is the computer's and
# reaches the guest through a line, and by in-machine.sh, where the machine reads the computer's files itself.

# symbols_session TARGET SYMBOLS ANOTHER SCRIPTS STEPS DIR: its commands and what they print are left in DIR.
# ANOTHER: a file that is not the guest's kernel; SCRIPTS: where gondola.py is; STEPS: so many of one instruction
symbols_session() {
	sed "s,TARGET,$1,; s,SYMBOLS,$2,; s,ANOTHER,$3,; s,SCRIPTS,$4,; s,STEPS,$5," \
		"${here:-.}/symbols.gdb" > "$6/symbols.gdb"
	gdb -nx -batch -x "$6/symbols.gdb" > "$6/symbols" 2>&1
}

# symbols_said FILE NAME PATTERN
symbols_said() {
	symbols_found=0
	grep -Eq "$3" "$1" || symbols_found=1
	tap_result $symbols_found "debug: GDB: $2" "$1"
}

# symbols_judge FILE ENGINE: what the session printed
symbols_judge() {
	symbols_said "$1" "symbols of another kernel are refused" \
		"belongs to another kernel: its build ID is [0-9a-f]+; the guest runs 6"
	symbols_said "$1" "the guest's processes, by Linux's own script" "^0xffff[0-9a-f]+ +2 +kthreadd"
	symbols_said "$1" "the process that called" '= "init'
	symbols_said "$1" "the name that it opens" '0x[0-9a-f]+ "/proc/uptime"'
	symbols_said "$1" "the page tables of its address" "physical 0x[0-9a-f]+, in a page of 0x1000 bytes, u"
	symbols_found=0
	case $(grep -m 1 " in section " "$1") in
	asm_* | '') symbols_found=1 ;;
	esac
	tap_result $symbols_found "debug: GDB: no interrupt comes between steps" "$1"
	symbols_said "$1" "it comes with \"continue\"" "^asm_sysvec_apic_timer_interrupt in section"
	if [ "$2" = svm ]; then
		symbols_said "$1" "a variable cannot be watched by this processor" "Could not insert hardware watchpoint"
	else
		symbols_said "$1" "a variable is watched" "watchpoint [0-9]+: jiffies_64"
	fi
	symbols_said "$1" "it is detached" "detached"
}
