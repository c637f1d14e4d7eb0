# SPDX-License-Identifier: BSD-2-Clause
#
# A host that cannot keep a device within its guest: without an IOMMU, or without
# interrupt remapping.

. /with/lib.sh

kind=$1
case $kind in
no-iommu) log="no IOMMU would keep its DMA away" says="there is no IOMMU" ;;
no-remapping) log="could forge interrupts" says="no interrupt remapping" ;;
esac

mark_log
bhyvectl --vm=$vm --create
bhyve -s 3,passthru,0/7/0 $vm >"$scratch/output" 2>&1
is $kind.refused $? 4
holds $kind.says-why "$scratch/output" "$says"
logged $kind.log "0000:00:07.0: $vm cannot have it: "
logged $kind.log-says-why "$log"
is $kind.nobody-has-it "$(owner 0000:00:07.0)" ""
destroy

# The parameter named to frighten helps with interrupts, not with DMA.
rmmod vmm
modprobe vmm pptdevs=0/7/0 unsafe_interrupts_let_guests_attack_this_host=1
mark_log
load_payload edu_dma_both_ways && run_payload 0/7/0
status=$?
destroy
if [ $kind = no-iommu ]; then
	is $kind.unsafe-interrupts-do-not-help $status 4
else
	is $kind.unsafe-interrupts-allow $status 33
	logged $kind.unsafe-interrupts-are-named "can forge interrupts of the host"
fi
exit $failed
