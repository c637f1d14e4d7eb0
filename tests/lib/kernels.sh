# SPDX-License-Identifier: BSD-2-Clause
#
# Sourced by tests that boot an emulated host for each kernel, all at once: where one keeps less
# than a processor busy, and no clock is looked at (those are in tests/host, one after the other).

# on_each_kernel COMMAND: runs COMMAND KERNEL for each of $KERNELS, and prints what each prints,
# one after the other and as it comes. Fails if one fails.
on_each_kernel() {
	local kernel outputs result=0
	local -A running
	outputs=$(mktemp -d)
	for kernel in ${KERNELS:-6.1 6.12}; do
		: >"$outputs/$kernel"
		"$1" "$kernel" >"$outputs/$kernel" 2>&1 &
		running[$kernel]=$!
	done
	for kernel in ${KERNELS:-6.1 6.12}; do
		tail -f -n +1 --pid="${running[$kernel]}" "$outputs/$kernel"
		wait "${running[$kernel]}" || result=1
	done
	rm -rf "$outputs"
	return $result
}
