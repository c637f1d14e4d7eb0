# SPDX-License-Identifier: BSD-2-Clause
#
# Sourced in an emulated host, after results.sh: how a test boots a Linux guest. The guest is
# that of `make run` (lab/files/guest-init), which runs a script /test and turns itself off.

. /lab/emulated

# Uncompressed where the host is slow.
guest_kernel=/guest/vmlinuz
[ ! -e /guest/vmlinux ] || guest_kernel=/guest/vmlinux

# load_linux VM [KERNEL-PARAMETERS]: loads the kernel, and its root file system with what is
# in $scratch/root added.
load_linux() {
	(cd "$scratch/root" && find . | cpio -o -H newc 2>/dev/null) >"$scratch/extra"
	cat /guest/initrd "$scratch/extra" >"$scratch/initrd"
	bhyveload -m 256M -k $guest_kernel -i "$scratch/initrd" \
		-a "console=ttyS0 quiet panic=-1 $EMULATED ${2:-}" "$1"
}

# run_linux SECONDS CPUS VM BHYVE-OPTIONS...: what load_linux has loaded; its console is the
# standard output. The status is bhyve's.
run_linux() {
	run_seconds=$1 run_cpus=$2 run_vm=$3
	shift 3
	timeout "$run_seconds" bhyve -c "$run_cpus" -m 256M -A -H -P -s 0,hostbridge -s 31,lpc \
		-l com1,stdio "$@" "$run_vm" </dev/null 2>&1
}

# The value a guest printed as "NAME=VALUE"; its console is in $scratch/output.
printed() {
	sed -n "s/^$1=//p" "$scratch/output" | tail -n 1
}
