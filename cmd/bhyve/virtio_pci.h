/* SPDX-License-Identifier: BSD-2-Clause */
/* Between virtio.c and virtio_pci.c: what a device's registers do, and the registers. */
#ifndef BHYVE_VIRTIO_PCI_H
#define BHYVE_VIRTIO_PCI_H

#include "virtio.h"

/* Virtio 1.2, 2.1 */
#define VIRTIO_STATUS_DRIVER_OK	  0x04u
#define VIRTIO_STATUS_FEATURES_OK 0x08u
#define VIRTIO_STATUS_NEEDS_RESET 0x40u

/* virtio_pci.c: give the function its identity, BARs and capabilities. */
void virtio_pci_init(struct virtio *virtio);

/* virtio.c; with virtio->lock: a driver's write to the status; 0 resets. */
void virtio_set_status(struct virtio *virtio, uint8_t status);
/* The queue's addresses have been set. With virtio->lock. */
void virtio_queue_enable(struct virtio *virtio, unsigned index);
/* Without virtio->lock: a notification, and reading the ISR, which clears it. */
void virtio_notify(struct virtio *virtio, unsigned index);
uint8_t virtio_isr_take(struct virtio *virtio);

#endif
