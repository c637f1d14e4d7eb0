# SPDX-License-Identifier: BSD-2-Clause
#
# What guests do with the devices they have: called with the kind of host, and the
# places of the devices there in $EDU, $IVSHMEM, $NVME, $E1000E, $VIRTIO, "" for none.

# --- edu -----------------------------------------------------------------------------

test_edu() {
	for test in edu_registers edu_moves_with_its_bar edu_msi edu_line \
		edu_line_comes_again_until_served edu_line_can_be_disabled edu_dma_both_ways \
		edu_dma_tells_of_its_end edu_dma_needs_bus_mastering; do
		payload "$EDU" $test
	done
}

# The page is the host's own, and the device of the guest is told to write to it.
test_edu_outside() {
	mark_log
	cat >"$scratch/outside" <<-END
	bhyveload -m 64M -k /with/payload.elf -a "edu_dma_does_not_reach_the_host \$PAGE" $vm &&
		timeout 60 bhyve -m 64M -A -s 3,passthru,$EDU -l testdev $vm
	END
	/with/host_page sh "$scratch/outside" >"$scratch/output" 2>&1
	is "$kind.dma-outside-does-not-land" $? 33
	destroy
}

# --- ivshmem -------------------------------------------------------------------------

# The machine starts again with the device as it was given: another VMM process, the same VM.
test_reboot() {
	load_payload edu_msi && run_payload "$EDU"
	is "$kind.before-reboot" $? 33
	load_payload edu_msi && run_payload "$EDU"
	is "$kind.after-reboot" $? 33
	destroy
}

# read_host ADDRESS: 32 bits of the host's physical address space.
read_host() {
	devmem "$(printf '0x%x' "$1")" 32
}

test_ivshmem() {
	bar=$(awk 'NR == 3 { print $1 }' "/sys/bus/pci/devices/$IVSHMEM_NAME/resource")
	last=$(printf '0x%x' $((bar + 0x3ffffc)))
	devmem "$bar" 32 0x12345678
	devmem "$last" 32 0x12345678
	payload "$IVSHMEM" ivshmem_is_shared_with_the_host
	is "$kind.ivshmem-host-sees-the-guest" "$(read_host $((bar + 4)))" 0x9ABCDEF0
	is "$kind.ivshmem-to-its-end" "$(read_host $((bar + 0x3ffff8)))" 0x9ABCDEF0

	load_payload ivshmem_without_exits && run_payload "$IVSHMEM"
	is "$kind.ivshmem-half-a-million-accesses" $? 33
	bhyvectl --vm=$vm --get-stats >"$scratch/stats"
	destroy
	exits=$(awk '/^total number of vm exits/ { print $NF }' "$scratch/stats")
	check "$kind.ivshmem-without-exits" \
		"${exits:-no count of} exits: $(head -n 3 "$scratch/stats")" \
		[ "${exits:-1000000}" -lt 3000 ]
}

# --- Linux ---------------------------------------------------------------------------

# The disk of an NVMe controller that the host's driver has, once it is there.
disk_of() {
	for i in $(seq 100); do
		for controller in /sys/bus/pci/devices/"$1"/nvme/nvme*; do
			disk=/dev/$(basename "$controller")n1
			[ -b "$disk" ] && echo "$disk" && return
		done
		sleep 0.2
	done
	return 1
}

# Killed while it writes: the disk works for the host afterwards.
test_nvme_killed() {
	linux_guest nvme '
wait_until test -b /dev/nvme0n1
while :; do dd if=/dev/zero of=/dev/nvme0n1 bs=1M seek=4 count=8 conv=fsync 2>/dev/null; done
' -s "4,passthru,$NVME" &
	for i in $(seq 100); do
		sleep 0.3
		[ "$(interrupts_of_ppt)" -gt 200 ] && break
	done
	is "$kind.nvme-killed-busy" "$(owner "$NVME_NAME")" $vm
	kill -9 $(pidof bhyve)
	wait
	bhyvectl --ppt-detach="$NVME"
	disk=$(disk_of "$NVME_NAME")
	yes "after the guest" | head -c 65536 >"$scratch/pattern"
	dd if="$scratch/pattern" of="$disk" bs=64k conv=fsync 2>/dev/null
	echo 3 >/proc/sys/vm/drop_caches
	is "$kind.nvme-killed-host-uses-it" "$(dd if="$disk" bs=64k count=1 2>/dev/null | md5sum)" \
		"$(md5sum <"$scratch/pattern")"
	bhyvectl --ppt-attach="$NVME"
}

interrupts_of_ppt() {
	awk '$NF == "ppt" { for (i = 2; i <= NF && $i ~ /^[0-9]+$/; i++) sum += $i }
		END { print sum + 0 }' /proc/interrupts
}

# The host has put a pattern on the disk, and finds what the guest has.
test_nvme() {
	bhyvectl --ppt-detach="$NVME"
	disk=$(disk_of "$NVME_NAME")
	yes "from the host" | head -c 1048576 >"$scratch/pattern"
	dd if="$scratch/pattern" of="$disk" bs=64k conv=fsync 2>/dev/null
	bhyvectl --ppt-attach="$NVME"
	is "$kind.nvme-taken-from-its-driver" "$(driver "$NVME_NAME")" ppt

	linux_guest nvme '
wait_until test -b /dev/nvme0n1
echo sum=$(dd if=/dev/nvme0n1 bs=64k count=16 2>/dev/null | md5sum | cut -c1-32)
yes "from the guest" | head -c 1048576 >/tmp/new
dd if=/tmp/new of=/dev/nvme0n1 bs=64k seek=16 conv=fsync 2>/dev/null
echo written=$?
echo kind=$(kind_of_interrupt nvme0q)
[ $(count_interrupts nvme0q) -gt 20 ] && echo enough=yes
' -s "4,passthru,$NVME"
	guest_says "$kind.nvme-guest-reads" sum "$(md5sum <"$scratch/pattern" | cut -c1-32)"
	guest_says "$kind.nvme-guest-writes" written 0
	guest_says "$kind.nvme-interrupts" enough yes
	guest_interrupted_by "$kind.nvme-msix" PCI-MSI

	bhyvectl --ppt-detach="$NVME"
	disk=$(disk_of "$NVME_NAME")
	is "$kind.nvme-back-with-its-driver" "$(driver "$NVME_NAME")" nvme
	yes "from the guest" | head -c 1048576 >"$scratch/pattern"
	is "$kind.nvme-host-reads" \
		"$(dd if="$disk" bs=64k skip=16 count=16 2>/dev/null | md5sum | cut -c1-32)" \
		"$(md5sum <"$scratch/pattern" | cut -c1-32)"
	bhyvectl --ppt-attach="$NVME"
}

NETWORK='
wait_until test -e /sys/class/net/eth0
ip link set eth0 up
wait_until grep -q 1 /sys/class/net/eth0/carrier
echo link=$(cat /sys/class/net/eth0/carrier)
ip addr add 10.0.2.15/24 dev eth0
ping -c 5 -i 0.3 -W 2 10.0.2.2 >/tmp/ping
echo pings=$(sed -n "s/.* \([0-9]*\) \(packets \)\{0,1\}received.*/\1/p" /tmp/ping)
'

# network NAME MODULES PLACE KIND-OF-INTERRUPT BHYVE-OPTIONS...
network() {
	network_name=$1 network_kind=$4 network_module=$2 network_place=$3
	shift 4
	linux_guest $network_module "$NETWORK"'
echo kind=$(kind_of_interrupt eth0)
[ $(count_interrupts eth0) -gt 3 ] && echo enough=yes' -s "5,passthru,$network_place" "$@"
	guest_says "$kind.$network_name-link" link 1
	guest_says "$kind.$network_name-pings" pings 5
	guest_says "$kind.$network_name-interrupts" enough yes
	guest_interrupted_by "$kind.$network_name-kind" "$network_kind"
}

test_e1000e() {
	network e1000e e1000e "$E1000E" PCI-MSI
	network e1000e-line e1000e-line "$E1000E" IO-APIC
}

test_virtio() {
	linux_guest "virtio_pci virtio_blk" '
wait_until test -b /dev/vda
echo hello through virtio >/tmp/out
dd if=/tmp/out of=/dev/vda bs=512 count=1 conv=sync,fsync 2>/dev/null
echo 3 >/proc/sys/vm/drop_caches
echo back=$(dd if=/dev/vda bs=512 count=1 2>/dev/null | head -n 1 | tr -d "\000")
echo kind=$(kind_of_interrupt virtio)
' -s "6,passthru,$VIRTIO"
	guest_says "$kind.virtio-blk" back "hello through virtio"
	guest_interrupted_by "$kind.virtio-blk-msix" PCI-MSI
}

# A virtual function: the module reserves it when it appears, for a parameter named it.
test_virtual_function() {
	controller=$(basename "$(disk_of "$SRIOV_NAME")" n1)
	yes "through the physical function" | head -c 65536 >"$scratch/pattern"
	dd if="$scratch/pattern" of="/dev/${controller}n1" bs=64k conv=fsync 2>/dev/null
	/with/nvme_virt "/dev/$controller" 0 1 1 0 && /with/nvme_virt "/dev/$controller" 0 0 1 0
	echo 1 >"/sys/class/nvme/$controller/reset_controller"
	echo 1 >"/sys/bus/pci/devices/$SRIOV_NAME/sriov_numvfs"
	/with/nvme_virt "/dev/$controller" 1 1 8 1 && /with/nvme_virt "/dev/$controller" 1 0 8 2 &&
		/with/nvme_virt "/dev/$controller" 1 0 9 0
	is "$kind.vf-reserved-when-it-appears" "$(driver "$VF_NAME")" ppt
	linux_guest nvme '
wait_until test -b /dev/nvme0n1
echo sum=$(dd if=/dev/nvme0n1 bs=64k count=1 2>/dev/null | md5sum | cut -c1-32)
' -s "4,passthru,$VF"
	guest_says "$kind.vf-guest-reads" sum "$(md5sum <"$scratch/pattern" | cut -c1-32)"
	echo 0 >"/sys/bus/pci/devices/$SRIOV_NAME/sriov_numvfs"
	is "$kind.vf-gone" "$(driver "$VF_NAME")" ""
}
