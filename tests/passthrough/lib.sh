# SPDX-License-Identifier: BSD-2-Clause
#
# For the scripts that run in an emulated host with an IOMMU: results, small guests
# and Linux guests that have devices of the host.

. /lab/emulated

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0
vm=ppt-test

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

# The kernel's log since mark_log.
mark_log() {
	dmesg | wc -l >"$scratch/log-mark"
}
new_log() {
	dmesg | tail -n "+$(($(cat "$scratch/log-mark") + 1))"
}

# logged NAME WORDS: the kernel's log since mark_log has these words.
logged() {
	check "$1" "no '$2' in the log: $(new_log | tail -n 3 | tr '\n' ';')" \
		sh -c 'grep -qF -e "$1" "$2"' - "$2" "$(new_log >"$scratch/log"; echo "$scratch/log")"
}

destroy() {
	bhyvectl --vm=$vm --destroy
}

# owner DEVICE, driver DEVICE: by its name in sysfs.
owner() {
	cat "/sys/bus/pci/devices/$1/ppt_owner"
}
driver() {
	basename "$(readlink "/sys/bus/pci/devices/$1/driver")" 2>/dev/null
}

# load_payload TEST [ARGUMENT]
load_payload() {
	bhyveload -m 64M -k /with/payload.elf -a "$*" $vm
}

# run_payload PLACE: the status is bhyve's.
run_payload() {
	timeout 60 bhyve -m 64M -A -s 0,hostbridge -s "3,passthru,$1" -l testdev $vm \
		</dev/null >"$scratch/output" 2>&1
}

# payload PLACE TEST [ARGUMENT]: a test of payload.elf with that device in slot 3.
payload() {
	payload_place=$1 payload_test=$2
	shift
	load_payload "$@" && run_payload "$payload_place"
	status=$?
	destroy
	check "$kind.$payload_test" "$(tail -n 1 "$scratch/output") (status $status)" [ $status -eq 33 ]
}

# linux_guest MODULES SCRIPT BHYVE-OPTIONS...: Linux with SCRIPT as its first work, and
# those modules loaded. What it prints is in $scratch/output.
linux_guest() {
	linux_modules=$1 linux_script=$2
	shift 2
	rm -rf "$scratch/root"
	mkdir -p "$scratch/root/modules"
	{
		for module in $linux_modules; do
			for file in $(cat "/with/modules/$module.order"); do
				name=${file%%,*}
				[ -e "$scratch/root/modules/$name" ] || echo "insmod /modules/$file" | tr , ' '
				cp "/with/modules/$name" "$scratch/root/modules"
			done
		done
		echo "$linux_script"
	} >"$scratch/root/test"
	(cd "$scratch/root" && find . | cpio -o -H newc 2>/dev/null) >"$scratch/extra"
	cat /guest/initrd "$scratch/extra" >"$scratch/initrd"
	bhyveload -m 256M -k /guest/vmlinuz -i "$scratch/initrd" \
		-a "console=ttyS0 quiet panic=-1 $EMULATED" $vm || return
	timeout 600 bhyve -c 2 -m 256M -A -H -P -s 0,hostbridge -s 31,lpc -l com1,stdio "$@" $vm \
		</dev/null 2>&1 | tr -d '\r' >"$scratch/output"
	destroy
}

# The value a guest printed as "NAME=VALUE".
printed() {
	sed -n "s/^$1=//p" "$scratch/output" | tail -n 1
}

# guest_says NAME WORD EXPECTED: what it printed.
guest_says() {
	check "$1" "$2 is '$(printed "$2")', not '$3': $(tail -n 5 "$scratch/output" | tr '\n' ';')" \
		[ "$(printed "$2")" = "$3" ]
}

# For guests: interrupts of those that match, however many processors there are.
COUNT_INTERRUPTS='count_interrupts() {
	awk -v name="$1" "\$0 ~ name { for (i = 2; i <= NF && \$i ~ /^[0-9]+\$/; i++) sum += \$i }
		END { print sum + 0 }" /proc/interrupts
}
kind_of_interrupt() {
	grep "$1" /proc/interrupts | grep -oE "PCI-MSI[X-]*|IO-APIC" | sort -u | head -n 1
}'
