# SPDX-License-Identifier: GPL-2.0-only
"""What the world switches do about flaws that no emulated processor has, read from the module's code."""

import glob
import re
import subprocess

# Alternatives, by the names of <asm/cpufeatures.h>: what shuts the guest's predictions out on the way
# back, and clears buffers on the way in.
NEEDED = {
    "svm_run": ("RETPOLINE", "UNRET", "SRSO_ALIAS", "IBPB_ON_VMEXIT", "KERNEL_IBRS",
                "CLEAR_CPU_BUF_VM"),
    "vmx_run": ("RSB_VMEXIT", "RSB_VMEXIT_LITE", "KERNEL_IBRS", "CLEAR_BHB_LOOP_ON_VMEXIT",
                "CLEAR_CPU_BUF_VM"),
    "ring3_switch": ("RETPOLINE", "UNRET", "SRSO_ALIAS", "IBPB_ON_VMEXIT", "KERNEL_IBRS",
                     "CLEAR_BHB_LOOP"),
    "ring3_run": ("CLEAR_CPU_BUF",),
}
# The first instruction of each switch after the guest; with RAX and RSP the engine deals itself.
BACK = {"svm_run": "vmrun", "vmx_run": "vmresume", "ring3_switch": "ltr"}
REGISTERS = {"ecx", "edx", "ebx", "ebp", "esi", "edi", *("r%dd" % i for i in range(8, 16))}
# Where a prediction is made.
PREDICTED = re.compile(r"\t(call|ret|jmp +\*|wrmsr)")


def printed(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def feature_names(release):
    """The numbers of <asm/cpufeatures.h>."""
    names = {}
    for path in glob.glob("/usr/src/linux-headers-%s/arch/x86/include/asm/cpufeatures.h"
                          % re.sub(r"-(cloud-|rt-)?amd64$", "-common", release)):
        with open(path, encoding="ascii") as f:
            for name, word, bit in re.findall(r"#define X86_FEATURE_(\w+)\s+\(\s*(\d+)\*32 *\+ *(\d+)\)", f.read()):
                names[int(word) * 32 + int(bit)] = name
    return names


def functions(module):
    """Name, first byte and end of each function in .text."""
    text = re.search(r"\[ *(\d+)\] \.text ", printed("readelf", "-SW", module)).group(1)
    return [(name, int(at, 16), int(at, 16) + int(size)) for at, size, name in re.findall(
        r": (\w+) +(\d+) FUNC +\w+ +\w+ +%s (\S+)$" % text, printed("readelf", "-sW", module), re.MULTILINE)]


def alternatives(module, release):
    """The features that each function has alternatives for: struct alt_instr, by its relocations."""
    dump = printed("objdump", "-s", "-j", ".altinstructions", module)
    data = bytes.fromhex("".join("".join(line.split("  ")[0].split()[1:]) for line in dump.splitlines()
                                 if re.match(r" [0-9a-f]{4,} ", line)))
    relocations = printed("readelf", "-rW", module).partition(".rela.altinstructions")[2].partition("\n\n")[0]
    names, found = feature_names(release), {}
    for entry, at in re.findall(r"^([0-9a-f]{16}) .* \.text \+ ([0-9a-f]+)$", relocations, re.MULTILINE):
        number = int.from_bytes(data[int(entry, 16) + 8:][:2], "little")
        for name, start, end in functions(module):
            if start <= int(at, 16) < end:
                found.setdefault(name, set()).add(names.get(number, str(number)))
    return found


def forgotten(module, name):
    """The registers that are cleared between the guest and the first prediction."""
    code = printed("objdump", "-d", "--no-show-raw-insn", "--disassemble=" + name, module)
    if name == "vmx_run":
        code += printed("objdump", "-d", "--no-show-raw-insn", "--disassemble=vmx_exit", module)
    after = code[code.rindex("\t" + BACK[name]):] if "\t" + BACK[name] in code else ""
    guest = PREDICTED.split(after)[0]
    return {a for a, b in re.findall(r"\txor +%(\w+),%(\w+)", guest) if a == b}


def check(results, module, release):
    found = alternatives(module, release)
    for name, needed in NEEDED.items():
        missing = set(needed) - found.get(name, set())
        results.result(not missing, "%s has its mitigations" % name,
                       "none for " + ", ".join(sorted(missing)))
    for name in BACK:
        left = REGISTERS - forgotten(module, name)
        results.result(not left, "%s clears the guest's registers before anything is predicted" % name,
                       "left: " + ", ".join(sorted(left)))
