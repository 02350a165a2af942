// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "cmd.h"
#include "base/fail.h"

static const char overview[] =
"gondola - run virtual machines by the kernel module gondola.ko\n"
"\n"
"USAGE\n"
"  gondola run --kernel FILE [OPTION]...   boot a guest, its console on this terminal\n"
"  gondola create|start|list|status|pause|unpause|suspend|resume|stop|kill|delete|\n"
"          console|events [NAME] ...       VMs with names; see gondola help COMMAND\n"
"  gondola balloon NAME [SIZE]             take memory from a running guest, or give it\n"
"                                          back; show its statistics\n"
"  gondola balance                         keep moving memory to where it is needed\n"
"  gondola receive [NAME] ADDRESS          wait for a VM that another host sends\n"
"  gondola migrate NAME ADDRESS            move a running VM to such a host; migrate-cancel\n"
"                                          lets it stay, migrate-recover mends a lost link\n"
"  gondola probe                           say which engines can be used here, and why not\n"
"  gondola help [COMMAND]                  this text, or all about one command\n"
"  gondola --version\n"
"\n"
"The module executes guests by an engine: vmx (Intel VT-x), svm (AMD-V) or interp\n"
"(software). It needs no nested paging: guest memory is mapped by shadow page\n"
"tables. This program gives a guest its memory, devices and kernel.\n"
"\n"
"EXAMPLES\n"
"  insmod gondola.ko; gondola probe\n"
"        the first thing to do on a machine\n"
"  gondola run --kernel /boot/vmlinuz --append \"console=ttyS0 panic=-1\"\n"
"        boot a stock kernel as far as it comes without a disk; Ctrl-A x ends it\n"
"  gondola create vm1 --kernel vmlinuz --disk vm1.img; gondola start vm1 --detach\n"
"        a VM with a name; gondola suspend vm1 saves it, gondola resume vm1 goes on\n"
"  gondola run --kernel vmlinuz --initrd initrd.img --mem 1G --append console=ttyS0\n"
"        boot it to its userspace\n"
"\n"
"EXIT STATUS\n"
"  Even numbers are the launcher's own, odd ones come from the guest:\n"
"    0  the guest powered itself off (run); an engine is usable (probe)\n"
"    2  wrong usage: an unknown option or a bad value\n"
"    4  no usable engine, or no /dev/gondola\n"
"    6  the kernel, initrd or a module cannot be loaded, or a saved VM not be\n"
"       resumed here\n"
"    8  the guest triple-faulted; the vCPU's state is printed\n"
"   10  the guest reset itself\n"
"   12  stopped by a signal, or by Ctrl-A x\n"
"   14  an error of the launcher or the module, or a guest they cannot run\n"
"   16  the host has not enough memory\n"
"   18  the VM was suspended, or runs on another host now\n"
"   20  the VM is not in a state for this, or there is none of that name\n"
"   30  a balloon stopped at the guest's floor (balloon --wait)\n"
"   32  its deadline was over\n"
"   34  the guest refused it, or runs no balloon driver\n"
"   36  the guest had no pages to give\n"
"   38  another request took its place\n"
"  odd  the guest wrote v to the debug-exit port: (v << 1) | 1, of which the\n"
"       shell sees the low 8 bits\n";

static int run_help(int argc, char **argv)
{
	const struct command *command;

	if (argc < 2) {
		fputs(overview, stdout);
		return EXIT_CODE_OK;
	}
	command = find_command(argv[1]);
	if (!command)
		fail(EXIT_CODE_USAGE, "\"%s\" is not a command (see gondola help)", argv[1]);
	fputs(command == &command_help ? overview : command->help, stdout);
	return EXIT_CODE_OK;
}

const struct command command_help = {
	.name = "help",
	.summary = "explain",
	.help = overview,
	.run = run_help,
};
