// SPDX-License-Identifier: BSD-2-Clause
/*
 * What all virtio devices do: feature negotiation, status, queues, interrupts. The
 * registers that lead here are in virtio_pci.c.
 */
#include "virtio_pci.h"
#include "diag.h"

#include <stdlib.h>
#include <string.h>

#define ISR_QUEUE  0x1u
#define ISR_CONFIG 0x2u

/* --- interrupts ----------------------------------------------------------- */

static void isr_set(struct virtio *virtio, uint8_t bit)
{
	pthread_mutex_lock(&virtio->isr_lock);
	virtio->isr |= bit;
	pci_interrupt_line(&virtio->interrupt, true);
	pthread_mutex_unlock(&virtio->isr_lock);
}

uint8_t virtio_isr_take(struct virtio *virtio)
{
	uint8_t isr;

	pthread_mutex_lock(&virtio->isr_lock);
	isr = virtio->isr;
	virtio->isr = 0;
	pci_interrupt_line(&virtio->interrupt, false);
	pthread_mutex_unlock(&virtio->isr_lock);
	return isr;
}

static void virtio_interrupt(struct virtio *virtio, uint16_t vector, uint8_t isr)
{
	if (pci_interrupt_uses_msix(&virtio->interrupt))
		pci_interrupt_send(&virtio->interrupt, vector);
	else
		isr_set(virtio, isr);
}

void virtio_queue_interrupt(struct virtio *virtio, unsigned queue)
{
	struct virtio_queue *virtio_queue = &virtio->queue[queue];

	if (virtqueue_wants_interrupt(&virtio_queue->queue))
		virtio_interrupt(virtio, __atomic_load_n(&virtio_queue->vector, __ATOMIC_RELAXED),
				 ISR_QUEUE);
}

void virtio_config_changed(struct virtio *virtio)
{
	uint16_t vector;

	pthread_mutex_lock(&virtio->lock);
	virtio->generation++;
	vector = virtio->config_vector;
	pthread_mutex_unlock(&virtio->lock);
	virtio_interrupt(virtio, vector, ISR_CONFIG);
}

/* Its lock is held, so the device's lock is not to be taken: status is atomic for this. */
void virtio_broken(struct virtio *virtio, unsigned queue)
{
	if (!__atomic_exchange_n(&virtio->complained, true, __ATOMIC_RELAXED))
		complain("-s %u:%u: the guest's driver has broken queue %u; it has to reset the "
			 "device (said once)",
			 virtio->function->slot, virtio->function->number, queue);
	virtio->queue[queue].queue.ready = false;
	__atomic_fetch_or(&virtio->status, VIRTIO_STATUS_NEEDS_RESET, __ATOMIC_SEQ_CST);
	virtio_interrupt(virtio, __atomic_load_n(&virtio->config_vector, __ATOMIC_RELAXED),
			 ISR_CONFIG);
}

/* --- queues --------------------------------------------------------------- */

void virtio_queue_enable(struct virtio *virtio, unsigned index)
{
	struct virtio_queue *virtio_queue = &virtio->queue[index];
	int error = 0;

	pthread_mutex_lock(&virtio_queue->lock);
	virtio_queue->queue.event_index = virtio_has(virtio, VIRTIO_FEATURE_EVENT_INDEX);
	if (!virtio_queue->queue.ready)
		error = virtqueue_start(&virtio_queue->queue, virtio->ctx);
	if (error)
		virtio_broken(virtio, index);
	pthread_mutex_unlock(&virtio_queue->lock);
}

void virtio_notify(struct virtio *virtio, unsigned index)
{
	struct virtio_queue *virtio_queue;

	if (index >= virtio->queues)
		return;
	virtio_queue = &virtio->queue[index];
	pthread_mutex_lock(&virtio_queue->lock);
	if (virtio_queue->queue.ready)
		virtio->type->notify(virtio, index);
	pthread_mutex_unlock(&virtio_queue->lock);
}

/* --- status --------------------------------------------------------------- */

/* First no queue gives any more requests, then none is in flight, then all is forgotten. */
static void virtio_reset(struct virtio *virtio)
{
	for (unsigned i = 0; i < virtio->queues; i++) {
		pthread_mutex_lock(&virtio->queue[i].lock);
		virtio->queue[i].queue.ready = false;
		pthread_mutex_unlock(&virtio->queue[i].lock);
	}
	if (virtio->type->drain)
		virtio->type->drain(virtio);
	for (unsigned i = 0; i < virtio->queues; i++) {
		pthread_mutex_lock(&virtio->queue[i].lock);
		virtqueue_reset(&virtio->queue[i].queue);
		virtio->queue[i].vector = PCI_NO_VECTOR;
		pthread_mutex_unlock(&virtio->queue[i].lock);
	}
	virtio->driver_features = 0;
	virtio->feature_select = virtio->driver_feature_select = 0;
	virtio->queue_select = 0;
	virtio->config_vector = PCI_NO_VECTOR;
	__atomic_store_n(&virtio->status, 0, __ATOMIC_SEQ_CST);
	(void)virtio_isr_take(virtio);
}

/* The driver asks whether its choice will do: version 1, and nothing that is not offered. */
static bool features_acceptable(const struct virtio *virtio)
{
	return virtio_has(virtio, VIRTIO_FEATURE_VERSION_1) &&
	       !(virtio->driver_features & ~virtio->features);
}

void virtio_set_status(struct virtio *virtio, uint8_t status)
{
	uint8_t old = __atomic_load_n(&virtio->status, __ATOMIC_SEQ_CST);

	if (status == 0) {
		virtio_reset(virtio);
		return;
	}
	if ((status & ~old & VIRTIO_STATUS_FEATURES_OK) && !features_acceptable(virtio))
		status &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
	/* Older drivers have no such question: theirs is settled when they are ready. */
	if ((status & ~old & (VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK)) &&
	    virtio->type->features_set)
		virtio->type->features_set(virtio);
	__atomic_store_n(&virtio->status, status | (old & VIRTIO_STATUS_NEEDS_RESET),
			 __ATOMIC_SEQ_CST);
}

void virtio_init(struct virtio *virtio, const struct virtio_type *type,
		 struct pci_function *function, uint64_t features, unsigned queues,
		 const void *config, unsigned config_length)
{
	virtio->type = type;
	virtio->function = function;
	virtio->features = features | VIRTIO_FEATURE_VERSION_1 | VIRTIO_FEATURE_INDIRECT |
			   VIRTIO_FEATURE_EVENT_INDEX;
	virtio->queues = queues;
	virtio->config = config;
	virtio->config_length = config_length;
	virtio->config_vector = PCI_NO_VECTOR;
	pthread_mutex_init(&virtio->lock, NULL);
	pthread_mutex_init(&virtio->isr_lock, NULL);
	for (unsigned i = 0; i < queues; i++) {
		pthread_mutex_init(&virtio->queue[i].lock, NULL);
		virtqueue_reset(&virtio->queue[i].queue);
		virtio->queue[i].vector = PCI_NO_VECTOR;
	}
	function->state = virtio;
	virtio_pci_init(virtio);
}

void virtio_start(struct pci_function *function, struct vmctx *ctx)
{
	struct virtio *virtio = function->state;

	virtio->ctx = ctx;
	pci_interrupt_start(&virtio->interrupt, ctx);
}
