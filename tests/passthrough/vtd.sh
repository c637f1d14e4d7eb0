# SPDX-License-Identifier: BSD-2-Clause
#
# A host with VT-d; the devices are those of run. The NVMe controllers are with the
# host's driver when the module comes, the others without one.

. /with/lib.sh
. /with/guests.sh

kind=${1:-vtd}
EDU=0/7/0
IVSHMEM=0/8/0 IVSHMEM_NAME=0000:00:08.0
NVME=1/0/0 NVME_NAME=0000:01:00.0
E1000E=2/0/0
VIRTIO=3/0/0
SRIOV_NAME=0000:06:00.0
VF=6/0/1 VF_NAME=0000:06:00.1

# --- what the parameters did -----------------------------------------------------------

dmesg >"$scratch/dmesg"
said() {
	check "$kind.$1" "not in the log: $2" grep -qF -e "$2" "$scratch/dmesg"
}
# Some kernels have this driver built in, so that it was first.
bhyvectl --ppt-attach=$VIRTIO
is $kind.sysctl-counts "$(cat /proc/sys/hw/vmm/ppt/devices)" 6
is $kind.maxcpu "$(cat /proc/sys/hw/vmm/maxcpu)" 4
said held-device-stays "pptdevs: 1/0/0: 0000:01:00.0 stays with its driver nvme"
said how-to-hand-over "bhyvectl --ppt-attach=1/0/0"
said malformed-entry "pptdevs2: 'nonsense' is not BUS/SLOT/FUNCTION"
said bridge "pptdevs2: 0/4/0: 0000:00:04.0 is a bridge"
said missing-device "pptdevs2: 0/31/7: there is no device 0000:00:1f.7"
is $kind.not-probed-by-others "$(driver 0000:02:00.0)" ppt
bhyvectl --ppt-list >"$scratch/list"
holds $kind.list "$scratch/list" '^0000:02:00.0 +8086:10d3 Ethernet controller +[0-9]+ +-$'

# --- handing over ------------------------------------------------------------------------

bhyvectl --ppt-attach=$NVME
is $kind.attach "$(driver $NVME_NAME)" ppt
bhyvectl --vm=$vm --create
if bhyve -s 3,passthru,1/0/0 -s 4,passthru,9/9/7 $vm >"$scratch/output" 2>&1; then
	not_ok $kind.no-such-device "it ran"
else
	holds $kind.no-such-device "$scratch/output" "no such device"
fi
is $kind.owner "$(owner $NVME_NAME)" $vm
bhyvectl --ppt-detach=$NVME 2>"$scratch/output"
is $kind.detach-in-use $? 1
holds $kind.detach-in-use-says "$scratch/output" "VM $vm has $NVME_NAME"
sh -c "echo $NVME_NAME >/sys/bus/pci/drivers/ppt/unbind" 2>"$scratch/output"
holds $kind.unbind-in-use "$scratch/output" "busy"
is $kind.unbind-in-use-keeps "$(owner $NVME_NAME)" $vm

# --- refusals ------------------------------------------------------------------------------

# refused NAME PLACE LOG-WORDS: another VM does not get the device, and the log says why.
refused() {
	mark_log
	bhyvectl --vm=other --create
	timeout 60 bhyve -s "3,passthru,$2" other >"$scratch/output" 2>&1
	holds "$kind.refused-$1" "$scratch/output" "passthru,$2: "
	logged "$kind.refused-$1-log" "$3"
	bhyvectl --vm=other --destroy
}
refused in-use $NVME "0000:01:00.0: other cannot have it: $vm has"
destroy
is $kind.free-again "$(owner $NVME_NAME)" ""
refused not-reserved 4/0/0 "0000:04:00.0: other cannot have it: it is not reserved"
refused bridge 0/4/0 "0000:00:04.0: other cannot have it: it is not reserved"
refused partly-owned-group 5/1/0 "0000:05:02.0, without a driver, is not reserved"
mark_log
bhyvectl --ppt-attach=0/4/0 2>"$scratch/output"
holds $kind.attach-bridge "$scratch/output" "is a bridge"
su alice -c "bhyvectl --vm=hers --create"
su alice -c "bhyve -s 3,passthru,$EDU hers" >"$scratch/output" 2>&1
holds $kind.refused-not-root "$scratch/output" "only root"
bhyvectl --vm=hers --destroy

# --- guests ----------------------------------------------------------------------------------

test_edu
test_reboot
test_edu_outside
logged $kind.fault-is-logged "DMAR: [DMA Write"
test_ivshmem
test_nvme
test_nvme_killed
test_e1000e
test_virtio

# The whole group: both cards behind the bridge.
bhyvectl --ppt-attach=5/2/0
network rtl8139 8139cp 5/1/0 IO-APIC -s 6,passthru,5/2/0
test_virtual_function

# --- killed in the middle of DMA --------------------------------------------------------------

killed() {
	load_payload edu_dma_forever || return
	bhyve -m 64M -A -s "3,passthru,$EDU" -l testdev $vm </dev/null >/dev/null 2>&1 &
	bhyve_pid=$!
	sleep 0.$((RANDOM % 9 + 1))
	kill -9 $bhyve_pid
	wait $bhyve_pid 2>/dev/null
	destroy
	[ -z "$(owner 0000:00:07.0)" ]
}
before=$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)
kills=0
while [ $kills -lt 50 ] && killed; do
	kills=$((kills + 1))
	[ $kills -ne 5 ] || before=$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)
done
is $kind.killed-50-times $kills 50
# Some of what a killed one held is freed later.
comes_back() {
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		after=$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)
		[ $((before - after)) -lt 16384 ] && return 0
		sleep 1
	done
	return 1
}
check $kind.killed-leaks-nothing "16 MiB of $before KiB have not come back" comes_back
payload $EDU edu_dma_both_ways

# --- the module goes, and comes back ------------------------------------------------------------

bhyvectl --vm=$vm --create
bhyve -s "3,passthru,$EDU" -s 4,passthru,9/9/7 $vm >/dev/null 2>&1
rmmod vmm 2>/dev/null
is $kind.unload-in-use $? 1
destroy
check $kind.unload "$(cat /sys/module/vmm/refcnt)" rmmod vmm
is $kind.unload-frees "$(driver 0000:00:07.0)" ""
modprobe vmm pptdevs=\"1/0/0 0/7/0 2/0/0\"
is $kind.three-by-one-line "$(cat /proc/sys/hw/vmm/ppt/devices)" 3
check $kind.nobody-cared "an interrupt" sh -c '! dmesg | grep -i "nobody cared"'
exit $failed
