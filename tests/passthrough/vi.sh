# SPDX-License-Identifier: BSD-2-Clause
#
# A host with AMD-Vi; the devices are those of run, on bus 0.

. /with/lib.sh
. /with/guests.sh

kind=$1
EDU=0/7/0
NVME=0/4/0 NVME_NAME=0000:00:04.0
VIRTIO=0/5/0
E1000E=0/6/0

# Some kernels have this driver built in, so that it was first.
bhyvectl --ppt-attach=$VIRTIO
is $kind.sysctl-counts "$(cat /proc/sys/hw/vmm/ppt/devices)" 3
bhyvectl --ppt-attach=$NVME
is $kind.attach "$(driver $NVME_NAME)" ppt
test_edu
test_reboot
test_edu_outside
test_nvme
test_nvme_killed
test_e1000e
test_virtio
exit $failed
