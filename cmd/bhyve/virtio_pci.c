// SPDX-License-Identifier: BSD-2-Clause
/*
 * The registers of virtio devices: in memory for drivers of version 1 (Virtio 1.2, 4.1.4),
 * among I/O ports for older ones (4.1.4.10).
 */
#include "virtio_pci.h"
#include "pci_capability.h"

#include <string.h>

#define VENDOR_VIRTIO  0x1af4
#define DEVICE_VERSION 0 /* of a transitional device's PCI header */

#define BAR_PORTS  0
#define BAR_MSIX   1
#define BAR_MEMORY 4

/* The memory BAR: one page for each of its four structures. */
#define MEMORY_COMMON 0x0000u
#define MEMORY_ISR    0x1000u
#define MEMORY_DEVICE 0x2000u
#define MEMORY_NOTIFY 0x3000u
#define MEMORY_LENGTH 0x4000u
#define NOTIFY_STRIDE 4u
#define PAGE	      0x1000u

#define PORTS_LENGTH	  256u
#define PORTS_CONFIG	  20u /* without MSI-X; with it two vectors come before */
#define PORTS_CONFIG_MSIX 24u

/* Capabilities' types (4.1.4). */
#define CAPABILITY_VENDOR 0x09
#define CAPABILITY_COMMON 1
#define CAPABILITY_NOTIFY 2
#define CAPABILITY_ISR	  3
#define CAPABILITY_DEVICE 4
#define CAPABILITY_ACCESS 5

/* Within a capability. */
#define CAPABILITY_LENGTH 2
#define CAPABILITY_TYPE	  3
#define CAPABILITY_BAR	  4
#define CAPABILITY_OFFSET 8
#define CAPABILITY_SIZE	  12
#define CAPABILITY_DATA	  16
#define CAPABILITY_PLAIN  16
#define CAPABILITY_EXTRA  20

/* --- the device's own configuration --------------------------------------- */

/* Drivers may ask for more than there is: zeros. */
static uint32_t device_config_read(const struct virtio *virtio, unsigned offset, unsigned bytes)
{
	uint32_t value = 0;

	if (offset >= virtio->config_length)
		return 0;
	if (bytes > virtio->config_length - offset)
		bytes = virtio->config_length - offset;
	memcpy(&value, (const uint8_t *)virtio->config + offset, bytes);
	return value;
}

/* --- the common structure (4.1.4.3) --------------------------------------- */

enum common_register {
	COMMON_DEVICE_FEATURE_SELECT = 0,
	COMMON_DEVICE_FEATURE = 4,
	COMMON_DRIVER_FEATURE_SELECT = 8,
	COMMON_DRIVER_FEATURE = 12,
	COMMON_CONFIG_VECTOR = 16,
	COMMON_QUEUES = 18,
	COMMON_STATUS = 20,
	COMMON_GENERATION = 21,
	COMMON_QUEUE_SELECT = 22,
	COMMON_QUEUE_SIZE = 24,
	COMMON_QUEUE_VECTOR = 26,
	COMMON_QUEUE_ENABLE = 28,
	COMMON_QUEUE_NOTIFY = 30,
	COMMON_QUEUE_DESCRIPTORS = 32,
	COMMON_QUEUE_AVAILABLE = 40,
	COMMON_QUEUE_USED = 48,
	COMMON_END = 56,
};

/* The queue that is selected, or NULL. */
static struct virtio_queue *selected_queue(struct virtio *virtio)
{
	return virtio->queue_select < virtio->queues ? &virtio->queue[virtio->queue_select] : NULL;
}

static uint32_t feature_word(uint64_t features, uint32_t select)
{
	return select < 2 ? (uint32_t)(features >> (32 * select)) : 0;
}

static uint16_t accepted_vector(const struct virtio *virtio, uint32_t vector)
{
	return vector < virtio->interrupt.vectors ? (uint16_t)vector : PCI_NO_VECTOR;
}

static uint32_t half_of(uint64_t value, unsigned offset)
{
	return (uint32_t)(value >> (offset % 8 * 8));
}

static uint32_t queue_register_read(struct virtio *virtio, unsigned offset)
{
	const struct virtio_queue *queue = selected_queue(virtio);

	if (!queue)
		return 0;
	switch (offset & ~(offset >= COMMON_QUEUE_DESCRIPTORS ? 7u : 0u)) {
	case COMMON_QUEUE_SIZE:
		return queue->queue.size;
	case COMMON_QUEUE_VECTOR:
		return queue->vector;
	case COMMON_QUEUE_ENABLE:
		return queue->queue.ready;
	case COMMON_QUEUE_NOTIFY:
		return virtio->queue_select;
	case COMMON_QUEUE_DESCRIPTORS:
		return half_of(queue->queue.descriptors_gpa, offset);
	case COMMON_QUEUE_AVAILABLE:
		return half_of(queue->queue.available_gpa, offset);
	default:
		return half_of(queue->queue.used_gpa, offset);
	}
}

static uint32_t common_read(struct virtio *virtio, unsigned offset)
{
	switch (offset) {
	case COMMON_DEVICE_FEATURE_SELECT:
		return virtio->feature_select;
	case COMMON_DEVICE_FEATURE:
		return feature_word(virtio->features, virtio->feature_select);
	case COMMON_DRIVER_FEATURE_SELECT:
		return virtio->driver_feature_select;
	case COMMON_DRIVER_FEATURE:
		return feature_word(virtio->driver_features, virtio->driver_feature_select);
	case COMMON_CONFIG_VECTOR:
		return virtio->config_vector;
	case COMMON_QUEUES:
		return virtio->queues;
	case COMMON_STATUS:
		return __atomic_load_n(&virtio->status, __ATOMIC_SEQ_CST);
	case COMMON_GENERATION:
		return virtio->generation;
	case COMMON_QUEUE_SELECT:
		return virtio->queue_select;
	default:
		return offset < COMMON_END ? queue_register_read(virtio, offset) : 0;
	}
}

static void set_half(uint64_t *to, unsigned offset, uint32_t value)
{
	unsigned shift = offset % 8 * 8;

	*to = (*to & ~((uint64_t)UINT32_MAX << shift)) | (uint64_t)value << shift;
}

/* What a queue is made of does not change while it is in use. */
static void queue_address_write(struct virtio_queue *queue, unsigned offset, uint32_t value)
{
	if (queue->queue.ready)
		return;
	if (offset < COMMON_QUEUE_AVAILABLE)
		set_half(&queue->queue.descriptors_gpa, offset, value);
	else if (offset < COMMON_QUEUE_USED)
		set_half(&queue->queue.available_gpa, offset, value);
	else if (offset < COMMON_END)
		set_half(&queue->queue.used_gpa, offset, value);
}

static void queue_register_write(struct virtio *virtio, unsigned offset, uint32_t value)
{
	struct virtio_queue *queue = selected_queue(virtio);

	if (!queue)
		return;
	switch (offset) {
	case COMMON_QUEUE_SIZE:
		if (!queue->queue.ready)
			queue->queue.size = (uint16_t)value;
		return;
	case COMMON_QUEUE_VECTOR:
		__atomic_store_n(&queue->vector, accepted_vector(virtio, value), __ATOMIC_RELAXED);
		return;
	case COMMON_QUEUE_ENABLE:
		if (value == 1)
			virtio_queue_enable(virtio, virtio->queue_select);
		return;
	default:
		if (offset >= COMMON_QUEUE_DESCRIPTORS)
			queue_address_write(queue, offset, value);
	}
}

static void common_write(struct virtio *virtio, unsigned offset, uint32_t value)
{
	switch (offset) {
	case COMMON_DEVICE_FEATURE_SELECT:
		virtio->feature_select = value;
		return;
	case COMMON_DRIVER_FEATURE_SELECT:
		virtio->driver_feature_select = value;
		return;
	case COMMON_DRIVER_FEATURE:
		if (virtio->driver_feature_select < 2 &&
		    !(virtio->status & VIRTIO_STATUS_FEATURES_OK))
			set_half(&virtio->driver_features, virtio->driver_feature_select * 4,
				 value);
		return;
	case COMMON_CONFIG_VECTOR:
		virtio->config_vector = accepted_vector(virtio, value);
		return;
	case COMMON_STATUS:
		virtio_set_status(virtio, (uint8_t)value);
		return;
	case COMMON_QUEUE_SELECT:
		virtio->queue_select = (uint16_t)value;
		return;
	default:
		queue_register_write(virtio, offset, value);
	}
}

/* --- the memory BAR ------------------------------------------------------- */

static uint32_t memory_read(struct virtio *virtio, unsigned offset, unsigned bytes)
{
	uint32_t value = 0;

	if (offset == MEMORY_ISR)
		return virtio_isr_take(virtio);
	pthread_mutex_lock(&virtio->lock);
	if (offset < MEMORY_COMMON + PAGE)
		value = common_read(virtio, offset - MEMORY_COMMON);
	else if (offset >= MEMORY_DEVICE && offset < MEMORY_DEVICE + PAGE)
		value = device_config_read(virtio, offset - MEMORY_DEVICE, bytes);
	pthread_mutex_unlock(&virtio->lock);
	return value;
}

static void memory_write(struct virtio *virtio, unsigned offset, uint32_t value)
{
	if (offset >= MEMORY_NOTIFY) {
		virtio_notify(virtio, (offset - MEMORY_NOTIFY) / NOTIFY_STRIDE);
		return;
	}
	pthread_mutex_lock(&virtio->lock);
	if (offset < MEMORY_COMMON + PAGE)
		common_write(virtio, offset - MEMORY_COMMON, value);
	pthread_mutex_unlock(&virtio->lock);
}

/* --- the ports of older drivers (4.1.4.10) -------------------------------- */

enum port_register {
	PORT_DEVICE_FEATURES = 0,
	PORT_DRIVER_FEATURES = 4,
	PORT_QUEUE_ADDRESS = 8,
	PORT_QUEUE_SIZE = 12,
	PORT_QUEUE_SELECT = 14,
	PORT_QUEUE_NOTIFY = 16,
	PORT_STATUS = 18,
	PORT_ISR = 19,
	PORT_CONFIG_VECTOR = 20,
	PORT_QUEUE_VECTOR = 22,
};

static unsigned ports_config(struct virtio *virtio)
{
	return pci_interrupt_uses_msix(&virtio->interrupt) ? PORTS_CONFIG_MSIX : PORTS_CONFIG;
}

static uint32_t port_register_read(struct virtio *virtio, unsigned offset)
{
	const struct virtio_queue *queue = selected_queue(virtio);

	switch (offset) {
	case PORT_DEVICE_FEATURES:
		return (uint32_t)virtio->features;
	case PORT_DRIVER_FEATURES:
		return (uint32_t)virtio->driver_features;
	case PORT_QUEUE_ADDRESS:
		return queue && queue->queue.ready ?
			       (uint32_t)(queue->queue.descriptors_gpa / PAGE) :
			       0;
	case PORT_QUEUE_SIZE:
		return queue ? queue->queue.size : 0;
	case PORT_QUEUE_SELECT:
		return virtio->queue_select;
	case PORT_STATUS:
		return __atomic_load_n(&virtio->status, __ATOMIC_SEQ_CST);
	case PORT_CONFIG_VECTOR:
		return virtio->config_vector;
	case PORT_QUEUE_VECTOR:
		return queue ? queue->vector : PCI_NO_VECTOR;
	default:
		return 0;
	}
}

/* An old queue's parts follow one another, the used ring at the next page (2.7.2). */
static void port_queue_enable(struct virtio *virtio, uint32_t page)
{
	struct virtio_queue *queue = selected_queue(virtio);
	uint64_t end;

	if (!queue || page == 0 || queue->queue.ready)
		return;
	queue->queue.descriptors_gpa = (uint64_t)page * PAGE;
	queue->queue.available_gpa = queue->queue.descriptors_gpa + 16ull * queue->queue.size;
	end = queue->queue.available_gpa + 2ull * (3 + queue->queue.size);
	queue->queue.used_gpa = (end + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	virtio_queue_enable(virtio, virtio->queue_select);
}

static void port_register_write(struct virtio *virtio, unsigned offset, uint32_t value)
{
	struct virtio_queue *queue = selected_queue(virtio);

	switch (offset) {
	case PORT_DRIVER_FEATURES:
		virtio->driver_features = value & virtio->features;
		return;
	case PORT_QUEUE_ADDRESS:
		port_queue_enable(virtio, value);
		return;
	case PORT_QUEUE_SELECT:
		virtio->queue_select = (uint16_t)value;
		return;
	case PORT_STATUS:
		virtio_set_status(virtio, (uint8_t)value);
		return;
	case PORT_CONFIG_VECTOR:
		virtio->config_vector = accepted_vector(virtio, value);
		return;
	case PORT_QUEUE_VECTOR:
		if (queue)
			__atomic_store_n(&queue->vector, accepted_vector(virtio, value),
					 __ATOMIC_RELAXED);
		return;
	}
}

static uint32_t ports_read(struct virtio *virtio, unsigned offset, unsigned bytes)
{
	unsigned config = ports_config(virtio);
	uint32_t value;

	if (offset == PORT_ISR)
		return virtio_isr_take(virtio);
	pthread_mutex_lock(&virtio->lock);
	value = offset >= config ? device_config_read(virtio, offset - config, bytes) :
				   port_register_read(virtio, offset);
	pthread_mutex_unlock(&virtio->lock);
	return value;
}

static void ports_write(struct virtio *virtio, unsigned offset, uint32_t value)
{
	unsigned config = ports_config(virtio);

	if (offset == PORT_QUEUE_NOTIFY) {
		virtio_notify(virtio, value & 0xffff);
		return;
	}
	pthread_mutex_lock(&virtio->lock);
	if (offset < config)
		port_register_write(virtio, offset, value);
	pthread_mutex_unlock(&virtio->lock);
}

/* --- all BARs ------------------------------------------------------------- */

uint64_t virtio_bar_read(struct pci_function *function, unsigned bar, uint64_t offset,
			 unsigned bytes)
{
	struct virtio *virtio = function->state;
	uint64_t value;

	if (bar == BAR_MSIX)
		return pci_interrupt_read(&virtio->interrupt, offset, bytes);
	if (bar == BAR_PORTS)
		return ports_read(virtio, (unsigned)offset, bytes);
	value = memory_read(virtio, (unsigned)offset, bytes < 8 ? bytes : 4);
	if (bytes == 8)
		value |= (uint64_t)memory_read(virtio, (unsigned)offset + 4, 4) << 32;
	return value;
}

void virtio_bar_write(struct pci_function *function, unsigned bar, uint64_t offset, unsigned bytes,
		      uint64_t value)
{
	struct virtio *virtio = function->state;

	if (bar == BAR_MSIX) {
		pci_interrupt_write(&virtio->interrupt, offset, bytes, value);
	} else if (bar == BAR_PORTS) {
		ports_write(virtio, (unsigned)offset, (uint32_t)value);
	} else {
		memory_write(virtio, (unsigned)offset, (uint32_t)value);
		if (bytes == 8)
			memory_write(virtio, (unsigned)offset + 4, (uint32_t)(value >> 32));
	}
}

/* --- configuration space -------------------------------------------------- */

/*
 * The capability through which firmware reaches a BAR before it has an address (4.1.4.9):
 * false if what it holds is no access to the memory BAR.
 */
static bool access_window(struct virtio *virtio, unsigned offset, unsigned *at, unsigned *bytes)
{
	const struct pci_function *function = virtio->function;
	unsigned capability = virtio->access_capability;

	if (offset != capability + CAPABILITY_DATA ||
	    function->config[capability + CAPABILITY_BAR] != BAR_MEMORY)
		return false;
	*at = pci_get32(function, capability + CAPABILITY_OFFSET);
	*bytes = pci_get32(function, capability + CAPABILITY_SIZE);
	return (*bytes == 1 || *bytes == 2 || *bytes == 4) && *at % *bytes == 0 &&
	       *at < MEMORY_LENGTH;
}

uint32_t virtio_pci_config_read(struct pci_function *function, unsigned offset, unsigned bytes)
{
	struct virtio *virtio = function->state;
	unsigned at, length;

	if (access_window(virtio, offset, &at, &length))
		return memory_read(virtio, at, length);
	return pci_register_read(function, offset, bytes);
}

void virtio_pci_config_write(struct pci_function *function, unsigned offset, unsigned bytes,
			     uint32_t value)
{
	struct virtio *virtio = function->state;
	unsigned at, length;

	pci_register_write(function, offset, bytes, value);
	pci_interrupt_config_written(&virtio->interrupt);
	if (access_window(virtio, offset, &at, &length))
		memory_write(virtio, at, value);
}

static unsigned add_structure(struct virtio *virtio, uint8_t type, uint32_t offset, uint32_t size)
{
	struct pci_function *function = virtio->function;
	bool extra = type == CAPABILITY_NOTIFY || type == CAPABILITY_ACCESS;
	unsigned length = extra ? CAPABILITY_EXTRA : CAPABILITY_PLAIN;
	unsigned at = pci_capability_add(function, CAPABILITY_VENDOR, length);

	function->config[at + CAPABILITY_LENGTH] = (uint8_t)length;
	function->config[at + CAPABILITY_TYPE] = type;
	function->config[at + CAPABILITY_BAR] = BAR_MEMORY;
	pci_set32(function, at + CAPABILITY_OFFSET, offset);
	pci_set32(function, at + CAPABILITY_SIZE, size);
	return at;
}

static void add_capabilities(struct virtio *virtio)
{
	struct pci_function *function = virtio->function;
	unsigned at;

	(void)add_structure(virtio, CAPABILITY_COMMON, MEMORY_COMMON, COMMON_END);
	(void)add_structure(virtio, CAPABILITY_ISR, MEMORY_ISR, 1);
	(void)add_structure(virtio, CAPABILITY_DEVICE, MEMORY_DEVICE, PAGE);
	at = add_structure(virtio, CAPABILITY_NOTIFY, MEMORY_NOTIFY,
			   virtio->queues * NOTIFY_STRIDE);
	pci_set32(function, at + CAPABILITY_DATA, NOTIFY_STRIDE);
	at = add_structure(virtio, CAPABILITY_ACCESS, 0, 0);
	function->writable[at + CAPABILITY_BAR] = 0xff;
	for (unsigned i = CAPABILITY_OFFSET; i < CAPABILITY_EXTRA; i++)
		function->writable[at + i] = 0xff;
	virtio->access_capability = at;
}

void virtio_pci_init(struct virtio *virtio)
{
	struct pci_function *function = virtio->function;

	pci_set16(function, PCI_VENDOR_ID, VENDOR_VIRTIO);
	pci_set16(function, PCI_DEVICE_ID, virtio->type->transitional);
	pci_set16(function, PCI_SUBVENDOR_ID, VENDOR_VIRTIO);
	pci_set16(function, PCI_SUBSYSTEM_ID, virtio->type->id);
	function->config[PCI_REVISION] = DEVICE_VERSION;
	function->config[PCI_CLASS] = virtio->type->class;
	function->config[PCI_SUBCLASS] = virtio->type->subclass;
	function->writable[PCI_COMMAND] = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	pci_bar_add(function, BAR_PORTS, PCI_BAR_IO, false, PORTS_LENGTH);
	pci_bar_add(function, BAR_MEMORY, PCI_BAR_MEMORY32, false, MEMORY_LENGTH);
	pci_interrupt_init(&virtio->interrupt, function, BAR_MSIX, virtio->queues + 1);
	add_capabilities(virtio);
}
