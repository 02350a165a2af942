# A newcomer's session with GDB: AT is where the guest's kernel has do_sys_openat2().
set pagination off
set confirm off
set can-use-hw-watchpoints 0
target remote | gondola gdb debian
info threads
break *AT
continue
info registers rip rdi rsi cr3
x/s $rsi
x/i $pc
eval "monitor walk 0x%lx", $rsi
stepi
stepi
monitor exits
delete
print $xmm0.uint128
watch -location *(unsigned long *)($rsp - 8)
continue
delete
monitor info tlb 0xffffffff80000000
detach
