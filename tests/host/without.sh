# SPDX-License-Identifier: BSD-2-Clause
#
# The same Linux guest on a module that does without what the processor offers.

. /with/tests/lib.sh

# boots_without NAME PARAMETER: with the module loaded like that, the guest reports and
# turns itself off.
boots_without() {
	rmmod vmm && modprobe vmm maxcpu=8 "$2" || not_ok "without.$1-loads" "$2"
	linux_guest 2 'echo cpus=$(grep -c ^processor /proc/cpuinfo)'
	is "without.$1-powers-off" $? 1
	is "without.$1-cpus-online" "$(printed cpus)" 2
}

# Bits as in module/vmx/features.h, or of CPUID 8000_000AH EDX.
case $(cat /proc/sys/hw/vmm/backend) in
VMX)
	# The emulated host is without APICv anyway (lab/hosts/intel.py).
	boots_without apicv-and-preemption-timer vmx_disable_features=0x204
	;;
SVM)
	boots_without options svm_disable_features=0xfffffffe
	;;
esac
exit $failed
