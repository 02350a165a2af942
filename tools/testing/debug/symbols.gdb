# A newcomer's session with the kernel's symbols. symbols.sh puts in what is written in capitals.
set pagination off
set confirm off
set auto-load python-scripts off
# An emulated machine takes its time.
set remotetimeout 600
target remote TARGET
source SCRIPTS/gondola.py
monitor kernel
python
def try_to(command):
    try:
        gdb.execute(command)
    except gdb.error as error:
        print(error)
try_to("gondola-symbols ANOTHER")
end
gondola-symbols SYMBOLS/vmlinux
source SYMBOLS/vmlinux-gdb.py
lx-ps
break do_sys_openat2
continue
print $lx_current().comm
print (char *)filename
eval "monitor walk 0x%lx", filename
delete
break asm_sysvec_apic_timer_interrupt
# This takes longer than a tick, many times, but no step meets the breakpoint.
stepi STEPS
info symbol $pc
continue
info symbol $pc
delete
watch jiffies_64
python try_to("continue")
info symbol $pc
delete
detach
