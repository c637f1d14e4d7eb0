/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio devices as functions of bus 0 (Virtio 1.2, 4.1): transitional ones, which a driver
 * of version 1 finds in a memory BAR and an older one in an I/O BAR.
 */
#ifndef BHYVE_VIRTIO_H
#define BHYVE_VIRTIO_H

#include "pci.h"
#include "pci_interrupt.h"
#include "virtqueue.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define VIRTIO_QUEUES_MAX 33u

/* Feature bits of every device (6). */
#define VIRTIO_FEATURE_INDIRECT	   (UINT64_C(1) << 28)
#define VIRTIO_FEATURE_EVENT_INDEX (UINT64_C(1) << 29)
#define VIRTIO_FEATURE_VERSION_1   (UINT64_C(1) << 32)

struct virtio;

/* A kind of device; constant. All are called in vCPUs' threads. */
struct virtio_type {
	uint16_t id;		 /* Virtio 1.2, 5 */
	uint16_t transitional;	 /* its PCI device id for older drivers (4.1.2.1) */
	uint8_t class, subclass; /* PCI's */
	/* Features have been agreed on (virtio->driver_features). With virtio->lock. */
	void (*features_set)(struct virtio *virtio);
	/* The guest has put requests into a queue that is ready. With the queue's lock. */
	void (*notify)(struct virtio *virtio, unsigned queue);
	/*
	 * Reset: wait until no request is in flight. No queue is ready meanwhile. With
	 * virtio->lock, but without any queue's.
	 */
	void (*drain)(struct virtio *virtio);
};

struct virtio_queue {
	pthread_mutex_t lock; /* serving it: 'queue' but for what the guest sets up */
	struct virtqueue queue;
	uint16_t vector; /* atomic */
};

struct virtio {
	const struct virtio_type *type; /* constant, like the next seven */
	struct pci_function *function;
	struct vmctx *ctx; /* once started */
	void *state;	   /* the device's own */
	uint64_t features; /* that are offered */
	unsigned queues;
	const void *config; /* the device's own; drivers' writes are lost */
	unsigned config_length;
	struct pci_interrupt interrupt;
	struct virtio_queue queue[VIRTIO_QUEUES_MAX];
	unsigned access_capability; /* reaches the BAR through configuration space */

	pthread_mutex_t lock; /* taken before queues' locks; for the rest */
	uint64_t driver_features;
	uint32_t feature_select, driver_feature_select;
	uint16_t queue_select;
	uint16_t config_vector;
	uint8_t status;
	uint8_t generation; /* of the device's configuration */

	pthread_mutex_t isr_lock; /* innermost but for the interrupt's own */
	uint8_t isr;

	bool complained; /* atomic; about a broken queue: once is enough */
};

/*
 * Make a function a virtio device with that many queues and that configuration of its own,
 * which the device changes with virtio->lock. In the driver's init; 'virtio' must stay, and be
 * function->state.
 */
void virtio_init(struct virtio *virtio, const struct virtio_type *type,
		 struct pci_function *function, uint64_t features, unsigned queues,
		 const void *config, unsigned config_length);

/* The entries of a virtio device's struct pci_driver. */
void virtio_start(struct pci_function *function, struct vmctx *ctx);
uint32_t virtio_pci_config_read(struct pci_function *function, unsigned offset, unsigned bytes);
void virtio_pci_config_write(struct pci_function *function, unsigned offset, unsigned bytes,
			     uint32_t value);
uint64_t virtio_bar_read(struct pci_function *function, unsigned bar, uint64_t offset,
			 unsigned bytes);
void virtio_bar_write(struct pci_function *function, unsigned bar, uint64_t offset, unsigned bytes,
		      uint64_t value);

/* Has the driver agreed on a feature? */
static inline bool virtio_has(const struct virtio *virtio, uint64_t feature)
{
	return virtio->driver_features & feature;
}

/* Interrupt the guest if it wants that, after requests were given. With the queue's lock. */
void virtio_queue_interrupt(struct virtio *virtio, unsigned queue);
/* The device's configuration has changed by itself. Any thread, without the device's locks. */
void virtio_config_changed(struct virtio *virtio);
/*
 * The guest has broken a queue: nothing is served any more until it resets the device, which
 * is told so. With that queue's lock.
 */
void virtio_broken(struct virtio *virtio, unsigned queue);

#endif
