# SPDX-License-Identifier: BSD-2-Clause
#
# For the scripts that run in an emulated host: results, and Linux guests.

. /lab/emulated

# Uncompressed where the host is slow.
guest_kernel=/guest/vmlinuz
[ ! -e /guest/vmlinux ] || guest_kernel=/guest/vmlinux

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

ok() {
	echo "ok $1"
}

# not_ok NAME WHY
not_ok() {
	echo "not ok $1: $2"
	failed=1
}

# check NAME WHY COMMAND...: COMMAND succeeds.
check() {
	check_name=$1 check_why=$2
	shift 2
	if "$@"; then
		ok "$check_name"
	else
		not_ok "$check_name" "$check_why"
	fi
}

# is NAME ACTUAL EXPECTED: two words are the same.
is() {
	check "$1" "'$2', not '$3'" [ "$2" = "$3" ]
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
	(cd "$scratch/root" && find . | cpio -o -H newc 2>/dev/null) >"$scratch/extra"
	cat /guest/initrd "$scratch/extra" >"$scratch/initrd"
	bhyveload -m 256M -k $guest_kernel -i "$scratch/initrd" \
		-a "console=ttyS0 quiet panic=-1 $EMULATED ${3:-}" linux-test || return
	{
		timeout "$LINUX_SECONDS" bhyve -c "$1" -m 256M -A -H -P -s 0,hostbridge -s 31,lpc \
			-l com1,stdio linux-test </dev/null 2>&1
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

# The value a guest printed as "NAME=VALUE".
printed() {
	sed -n "s/^$1=//p" "$scratch/output" | tail -n 1
}
