# SPDX-License-Identifier: BSD-2-Clause
#
# Sourced in the emulated host, after results.sh and linux_guest.sh: systems of other people that
# bhyveload starts.

# run_until SECONDS PATTERN BHYVE-OPTIONS...: runs the VM "guest", which has been loaded, until
# its console has PATTERN, and destroys it. The console is in $scratch/raw.
run_until() {
	until_end=$(($(cut -d . -f 1 /proc/uptime) + $1)) until_pattern=$2
	shift 2
	bhyve -A -H -s 0,hostbridge -s 31,lpc -l com1,stdio "$@" guest </dev/null \
		>"$scratch/raw" 2>&1 &
	until_pid=$!
	while [ "$(cut -d . -f 1 /proc/uptime)" -lt $until_end ] &&
		! grep -qaE -- "$until_pattern" "$scratch/raw" && kill -0 $until_pid 2>/dev/null; do
		sleep 0.5
	done
	kill -9 $until_pid 2>/dev/null
	wait $until_pid
	bhyvectl --vm=guest --destroy 2>/dev/null # killed, it has taken the VM along
}

# memtest MEMORY PATTERN: memtest86+ with 2 CPUs, until its screen has PATTERN. What it says of
# CPUs and errors, each value once, is in $memtest_cpus and $memtest_errors.
memtest() {
	memtest_cpus= memtest_errors=
	bhyveload -m "$1" -k "/with/memtest86+x64.bin" -a "console=ttyS0,115200" guest || return
	run_until 900 "$2" -c 2 -m "$1"
	memtest_cpus=$(grep -aoE '[0-9]+T \(PAR\)' "$scratch/raw" | sort -u)
	memtest_errors=$(grep -aoE 'Errors: *[0-9]+' "$scratch/raw" | sed 's/.* //' | sort -u)
}

# xen: with the lab's Linux as dom0, up to that one's first message. Without SMAP: QEMU 7.2 reads
# the stack of an IRET at CPL 3 as if it were the kernel, and dom0 dies of it.
xen() {
	bhyveload -m 512M -k /with/xen -a "console=com1 com1=115200,8n1 noreboot smap=0" \
		-M "$guest_kernel=console=hvc0 earlyprintk=xen" -M /guest/initrd guest || return
	run_until 300 'Linux version' -c 2 -m 512M
	sed -i 's/\r$//' "$scratch/raw"
}
