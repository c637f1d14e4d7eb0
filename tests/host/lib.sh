# SPDX-License-Identifier: BSD-2-Clause
#
# For the scripts that run in an emulated host: the module loaded as tests want it, and
# Linux guests.

. /with/results.sh
. /with/linux_guest.sh

# load_vmm [PARAMETER...]: as every test finds it.
load_vmm() {
	modprobe vmm maxcpu=8 "$@"
}

# What the module holds: KiB of guests' memory, KiB of its own, pieces of memory.
held() {
	echo $(cat /proc/sys/hw/vmm/guest_memory /proc/sys/hw/vmm/own_memory \
		/proc/sys/hw/vmm/own_objects)
}

# linux_guest CPUS SCRIPT [KERNEL-PARAMETERS]: boots Linux with SCRIPT as its first
# work. Its console is in $scratch/output, and with the host's uptime before each
# line in $scratch/stamped; the status is bhyve's.
linux_guest() {
	mkdir -p "$scratch/root"
	echo "$2" >"$scratch/root/test"
	cp /with/guest_* "$scratch/root"
	load_linux linux-test "${3:-}" || return
	{
		run_linux "$LINUX_SECONDS" "$1" linux-test
		echo $? >"$scratch/status"
	} | tr -d '\r' | while read -r line; do
		read -r now _ </proc/uptime
		echo "$line"
		echo "$now $line" >&3
	done >"$scratch/output" 3>"$scratch/stamped"
	bhyvectl --vm=linux-test --destroy
	return "$(cat "$scratch/status")"
}

# Seconds of the host's clock between two lines of the guest's console.
between() {
	awk -v from="$1" -v to="$2" '$2 == from { start = $1 } $2 == to { end = $1 }
		END { print end - start }' "$scratch/stamped"
}
