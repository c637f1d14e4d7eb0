# SPDX-License-Identifier: BSD-2-Clause
#
# Where a guest's exits go: the tracepoint and the counters, which have to agree. The
# guest is one of the guest tests: it writes its name to a port, one byte at a time.

. /with/tests/lib.sh

trace=/sys/kernel/tracing
events=$trace/events/vmm/vmm_exit

# As the processor's manual has them: IN or OUT, and a fault in the nested table.
case $LAB_HOST in
intel) port=0x1e fault=0x30 ;;
*) port=0x7b fault=0x400 ;;
esac

# count PATTERN: lines of the trace that have it.
count() {
	grep -c "vmm_exit: vm=traced vcpu=0 $1" "$scratch/trace"
}

# counter NAME: of the VM's vCPU.
counter() {
	bhyvectl --vm=traced --get-stats --cpu=0 |
		awk -F '\t' -v name="$1" '{ sub(/ *$/, "", $1) } $1 == name { print $2 }'
}

echo 0 >$trace/tracing_on
echo 8192 >$trace/buffer_size_kb
echo 1 >$events/enable
echo >$trace/trace
echo 1 >$trace/tracing_on
# The name of no test: the payload says so, and ends.
bhyveload -m 64M -k /with/payload.elf -a "no-test-of-this-name" traced >"$scratch/output" 2>&1
bhyve -m 64M -A -l testdev traced >>"$scratch/output" 2>&1 </dev/null
echo 0 >$trace/tracing_on
echo 0 >$events/enable
cat $trace/trace >"$scratch/trace"

holds traces.guest-ran "$scratch/output" "no such test"
is traces.ports-as-counted "$(count "reason=$port ")" "$(counter "number of times in/out was intercepted")"
is traces.faults-as-counted "$(count "reason=$fault ")" "$(counter "exit: nested page fault")"
is traces.exits-as-counted "$(count "reason=")" "$(counter "total number of vm exits")"
# Port 0xe9 is in bits 16 to 31 of info1 with both vendors; the address of the first fault on
# the image in info2.
check traces.port-is-told "$(grep "reason=$port " "$scratch/trace" | head -n 1)" \
	grep -q "reason=$port .*info1=0xe9[0-9a-f][0-9a-f][0-9a-f][0-9a-f] " "$scratch/trace"
check traces.fault-address-is-told "$(grep "reason=$fault " "$scratch/trace" | head -n 1)" \
	grep -q "reason=$fault .*info2=0x[1-9a-f]" "$scratch/trace"
bhyvectl --vm=traced --destroy
exit $failed
