# SPDX-License-Identifier: BSD-2-Clause
#
# For the scripts that run in an emulated host with an IOMMU: small guests and Linux guests
# that have devices of the host.

. /with/results.sh
. /with/linux_guest.sh

vm=ppt-test

# The kernel's log since mark_log.
mark_log() {
	dmesg | wc -l >"$scratch/log-mark"
}
new_log() {
	dmesg | tail -n "+$(($(cat "$scratch/log-mark") + 1))"
}

# logged NAME WORDS: the kernel's log since mark_log has these words.
logged() {
	new_log >"$scratch/log"
	check "$1" "no '$2' in the log: $(tail -n 3 "$scratch/log")" grep -qF -e "$2" "$scratch/log"
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
	check "$kind.$payload_test" "$(tail -n 1 "$scratch/output") (status $status)" \
		[ $status -eq 33 ]
}

# linux_guest MODULES SCRIPT BHYVE-OPTIONS...: Linux with SCRIPT as its first work, which has
# the functions below, and those modules loaded. What it prints is in $scratch/output.
linux_guest() {
	linux_modules=$1 linux_script=$2
	shift 2
	rm -rf "$scratch/root"
	mkdir -p "$scratch/root/modules"
	{
		for module in $linux_modules; do
			for file in $(cat "/with/modules/$module.order"); do
				name=${file%%,*}
				[ -e "$scratch/root/modules/$name" ] ||
					echo "insmod /modules/$file" | tr , ' '
				cp "/with/modules/$name" "$scratch/root/modules"
			done
		done
		echo "$GUEST_FUNCTIONS"
		echo "$linux_script"
	} >"$scratch/root/test"
	load_linux $vm || return
	run_linux 600 2 $vm "$@" | tr -d '\r' >"$scratch/output"
	destroy
}

# guest_says NAME WORD EXPECTED: what it printed.
guest_says() {
	check "$1" "$2 is '$(printed "$2")', not '$3': $(tail -n 5 "$scratch/output")" \
		[ "$(printed "$2")" = "$3" ]
}

# guest_interrupted_by NAME KIND: the kind of interrupt that it printed begins so.
guest_interrupted_by() {
	printed kind >"$scratch/kind"
	holds "$1" "$scratch/kind" "^$2"
}

# For guests: interrupts of the devices that match, of all processors; and how they come.
# wait_until COMMAND... waits for what a driver makes, at most ten seconds.
GUEST_FUNCTIONS='
count_interrupts() {
	awk -v name="$1" "\$0 ~ name { for (i = 2; i <= NF && \$i ~ /^[0-9]+\$/; i++) sum += \$i }
		END { print sum + 0 }" /proc/interrupts
}
kind_of_interrupt() {
	grep "$1" /proc/interrupts | grep -oE "PCI-MSI[X-]*|IO-APIC" | sort -u | head -n 1
}
wait_until() {
	for i in $(seq 50); do "$@" 2>/dev/null && break; sleep 0.2; done
}'
