// SPDX-License-Identifier: BSD-2-Clause
/*
 * The local APIC without exits, where the processor can play it (SDM vol. 3, chapter
 * 29): it works on the APIC's own page of registers, answers reads from there, delivers
 * what is requested and ends it. Exits are left for writes that something follows from.
 *
 * Registers in memory are one page of the VM's, at the address where they are after
 * reset, that only marks the place. A vCPU that has left xAPIC mode finds that page
 * there, which holds nothing but what the VM puts there.
 */
#include "vmx/vcpu.h"

#include "dev/lapic.h"
#include "x86/exits/exits.h"

#define APIC_VIRTUAL (SECONDARY_APIC_REGISTERS | SECONDARY_VIRTUAL_INTERRUPT)

static bool vmx_apic_is_virtual(void)
{
	return vmx_has(VMX_OPTION_APICV);
}

/* --- interrupts --- */

/* Level-triggered ones are ended by an exit, for the I/O APIC to hear of it. */
static void vmx_write_level_vectors(struct vcpu *vcpu, struct vmx_vcpu *vmx)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(vmx->level_vectors); i++) {
		uint64_t vectors = lapic_level_vectors(vcpu, i);

		if (likely(vectors == vmx->level_vectors[i]))
			continue;
		vmx->level_vectors[i] = vectors;
		os_vmwrite(VMCS_EOI_EXIT0 + 2 * i, vectors);
	}
}

bool vmx_apic_interrupt(struct vcpu *vcpu, int vector)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);

	if (!(vmx->field[FIELD_SECONDARY_CONTROLS] & SECONDARY_VIRTUAL_INTERRUPT))
		return false;
	vmx_write_level_vectors(vcpu, vmx);
	os_vmwrite(VMCS_GUEST_INTR_STATUS,
		   INTR_STATUS(vector < 0 ? 0 : vector, lapic_in_service(vcpu)));
	return true;
}

/* --- modes --- */

static bool vmx_apic_has_registers_in_memory(struct vcpu *vcpu)
{
	return lapic_mmio_base(vcpu) == LAPIC_DEFAULT_BASE;
}

/*
 * An APIC that is off, by its base or by software, or elsewhere in memory is played by
 * software: a processor would send an interrupt to itself that such an APIC does not
 * take. What is cached of the page depends on the mode (28.4.1).
 */
void vmx_apic_mode_changed(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);
	bool enabled = lapic_is_enabled(vcpu);
	bool xapic = vmx_apic_has_registers_in_memory(vcpu);
	bool x2apic = enabled && (lapic_get_base(vcpu) & LAPIC_BASE_X2APIC);

	if (!vmx_apic_is_virtual())
		return;
	vmx_set_bits(vmx, FIELD_SECONDARY_CONTROLS, SECONDARY_VIRTUAL_X2APIC, x2apic);
	vmx_set_bits(vmx, FIELD_SECONDARY_CONTROLS, SECONDARY_VIRTUAL_APIC_ACCESS, xapic);
	vmx_set_bits(vmx, FIELD_SECONDARY_CONTROLS, APIC_VIRTUAL, enabled && (xapic || x2apic));
	vmx_set(vmx, FIELD_MSR_BITMAP, vmx_msr_bitmap_pa(x2apic));
	vmx->flush_nested = true;
	vmx->flush_linear = true;
}

/* --- the page in memory --- */

int vmx_apic_create(struct vm *vm)
{
	if (!vmx_apic_is_virtual())
		return 0;
	vm->backend_state = os_page_alloc();
	return vm->backend_state ? 0 : -ENOMEM;
}

void vmx_apic_destroy(struct vm *vm)
{
	os_page_free(vm->backend_state);
	vm->backend_state = NULL;
}

void vmx_apic_write_fields(const struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);

	if (vmx_has(VMX_OPTION_TPR_SHADOW))
		os_vmwrite(VMCS_VIRTUAL_APIC, os_virt_to_phys(vmx->virtual_apic));
	if (!vmx_apic_is_virtual())
		return;
	os_vmwrite(VMCS_APIC_ACCESS, os_virt_to_phys(vcpu->vm->backend_state));
	os_vmwrite(VMCS_GUEST_INTR_STATUS, 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(vmx->level_vectors); i++)
		os_vmwrite(VMCS_EOI_EXIT0 + 2 * i, vmx->level_vectors[i]);
}

/* Memory that userspace has mapped there goes first. Out of tables: the access is emulated. */
bool vmx_apic_map(struct vcpu *vcpu, uint64_t gpa)
{
	struct vm *vm = vcpu->vm;

	if (!vmx_apic_is_virtual() || (gpa & ~(OS_PAGE_SIZE - 1)) != LAPIC_DEFAULT_BASE)
		return false;
	if (!vmx_apic_has_registers_in_memory(vcpu) || memory_lookup(vm, gpa))
		return false;
	return npt_map(&vm->npt, &vcpu->npt_cache, LAPIC_DEFAULT_BASE,
		       os_virt_to_phys(vm->backend_state), NPT_LEVEL_4K,
		       VM_PROT_READ | VM_PROT_WRITE, NPT_MEMORY_WB) == 0;
}

/* --- exits --- */

/* An access that the processor does not play: the instruction is emulated. */
enum exit_action vmx_exit_apic_access(struct vcpu *vcpu)
{
	uint64_t info = vmx_exit_field(VMCS_EXIT_QUALIFICATION);
	unsigned int type = APIC_QUALIFICATION_TYPE(info);
	int prot = VM_PROT_READ;

	if (type == APIC_TYPE_WRITE)
		prot = VM_PROT_WRITE;
	else if (type == APIC_TYPE_FETCH)
		prot = VM_PROT_EXEC;
	return x86_exit_nested_fault(vcpu, LAPIC_DEFAULT_BASE + APIC_QUALIFICATION_OFFSET(info),
				     prot);
}

/* The write is done, and in the page: what follows from it is software's. */
enum exit_action vmx_exit_apic_write(struct vcpu *vcpu)
{
	uint64_t info = vmx_exit_field(VMCS_EXIT_QUALIFICATION);

	vcpu->next_rip = 0;
	return lapic_virtual_write(vcpu, APIC_QUALIFICATION_OFFSET(info)) ? EXIT_USERSPACE :
									    EXIT_RESUME;
}

enum exit_action vmx_exit_virtual_eoi(struct vcpu *vcpu)
{
	lapic_virtual_eoi(vcpu, (uint8_t)vmx_exit_field(VMCS_EXIT_QUALIFICATION));
	return EXIT_RESUME;
}
