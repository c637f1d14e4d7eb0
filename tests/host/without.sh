# SPDX-License-Identifier: BSD-2-Clause
#
# The same Linux guest on a module that does not use optional features of the processor.

. /with/tests/lib.sh

# boots_without NAME PARAMETER: with the module loaded like that, the guest reports and
# turns itself off.
boots_without() {
	rmmod vmm && load_vmm "$2" || not_ok "without.$1-loads" "$2"
	linux_guest 2 'echo cpus=$(grep -c ^processor /proc/cpuinfo)'
	is "without.$1-powers-off" $? 1
	is "without.$1-cpus-online" "$(printed cpus)" 2
}

# Bits as in module/vmx/features.h, or of CPUID 8000_000AH EDX.
case $(cat /proc/sys/hw/vmm/backend) in
VMX)
	# The lab switches APICv off anyway, for a quirk of Bochs 2.7 (lab/hosts/intel.py).
	boots_without apicv-and-preemption-timer vmx_disable_features=0x204
	;;
SVM)
	boots_without options svm_disable_features=0xfffffffe
	;;
esac
exit $failed
