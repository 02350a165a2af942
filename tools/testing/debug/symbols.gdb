# A newcomer's session with the kernel's symbols: /mnt has what "symbols" fetches.
set pagination off
set confirm off
set auto-load python-scripts off
target remote | gondola gdb debian
source gondola.py
monitor kernel
python
try:
    gdb.execute("gondola-symbols /bin/gondola")
except gdb.error as error:
    print(error)
end
gondola-symbols /mnt/vmlinux
source /mnt/vmlinux-gdb.py
lx-ps
break do_sys_openat2
continue
print $lx_current().comm
print (char *)filename
delete
break asm_sysvec_apic_timer_interrupt
# The time of a hundred ticks of the host, in which no step meets the breakpoint.
stepi 300
info symbol $pc
continue
info symbol $pc
delete
watch jiffies_64
continue
info symbol $pc
delete
detach
