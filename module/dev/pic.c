// SPDX-License-Identifier: BSD-2-Clause
/*
 * The pair of 8259A interrupt controllers, after Intel's data sheet. The slave's
 * output is the master's input 2.
 */
#include "vm/vcpu.h"
#include "dev/ioapic.h"
#include "dev/pic.h"

#define MASTER	    0
#define SLAVE	    1
#define CASCADE	    2
#define CASCADE_BIT (1u << CASCADE)

#define ICW1_INIT	   0x10
#define ICW1_LEVEL	   0x08
#define ICW1_SINGLE	   0x02
#define ICW1_NEED_ICW4	   0x01
#define ICW4_AUTO_EOI	   0x02
#define ICW4_NESTED	   0x10 /* special fully nested mode */
#define OCW3		   0x08
#define OCW3_POLL	   0x04
#define OCW3_READ	   0x02 /* bit 0 chooses ISR over IRR */
#define OCW3_SET_MASK_MODE 0x40 /* bit 5 is the mode */

/* Inputs that are edge-triggered whatever ELCR says: timer, keyboard, cascade; RTC, FPU. */
#define ELCR_MASTER 0xf8
#define ELCR_SLAVE  0xde

struct chip {
	uint8_t irr;	/* requests, latched */
	uint8_t isr;	/* in service */
	uint8_t imr;	/* masked */
	uint8_t elcr;	/* level-triggered */
	uint8_t lowest; /* input of lowest priority */
	uint8_t vector; /* of input 0 */
	uint8_t icw;	/* next initialization word expected: 2, 3, 4; 0 none */
	bool ready;	/* initialized */
	bool single;	/* no slave, hence no ICW3 */
	bool need_icw4;
	bool level_mode; /* ICW1: all inputs level-triggered */
	bool auto_eoi;
	bool rotate_auto_eoi;
	bool nested;
	bool special_mask;
	bool poll; /* the next read is an acknowledge */
	bool read_isr;
	uint32_t asserts[8]; /* how many sources drive each input */
};

struct pic {
	struct vm *vm; /* constant */
	struct os_spinlock lock;
	struct chip chip[2]; /* lock */
	uint32_t output;     /* written under lock, read atomically */
};

int pic_create(struct vm *vm)
{
	struct pic *pic = os_alloc(sizeof(*pic));

	if (!pic)
		return -ENOMEM;
	pic->vm = vm;
	os_spin_init(&pic->lock);
	vm->pic = pic;
	pic_reset(vm);
	return 0;
}

void pic_destroy(struct vm *vm)
{
	os_free(vm->pic);
	vm->pic = NULL;
}

void pic_reset(struct vm *vm)
{
	struct pic *pic = vm->pic;
	unsigned long flags = os_spin_lock(&pic->lock);

	for (int i = 0; i < 2; i++)
		pic->chip[i] = (struct chip){ .lowest = 7, .imr = 0xff };
	__atomic_store_n(&pic->output, 0, __ATOMIC_SEQ_CST);
	os_spin_unlock(&pic->lock, flags);
}

/* --- one chip; the lock is held --------------------------------------------------- */

static bool pic_is_level(const struct chip *chip, unsigned int input)
{
	return chip->level_mode || (chip->elcr >> input & 1);
}

/* The highest-priority input of 'set', -1 if empty. Priority falls from lowest + 1 on. */
static int pic_highest_input(const struct chip *chip, uint8_t set)
{
	for (unsigned int i = 1; i <= 8; i++) {
		unsigned int input = (chip->lowest + i) & 7;

		if (set >> input & 1)
			return (int)input;
	}
	return -1;
}

/* Distance from the top of the priority order; 8 for none. */
static unsigned int pic_input_rank(const struct chip *chip, int input)
{
	return input < 0 ? 8 : ((unsigned int)input - chip->lowest - 1) & 7;
}

/*
 * The input that raises the chip's output, -1 if none. What is in service blocks its
 * own and lower priorities: not if it is masked in special mask mode, and not the
 * master's cascade in special fully nested mode.
 */
static int pic_requesting_input(const struct chip *chip, bool master)
{
	int input = pic_highest_input(chip, chip->irr & ~chip->imr);
	uint8_t service = chip->isr;

	if (!chip->ready)
		return -1;
	if (chip->special_mask)
		service &= (uint8_t)~chip->imr;
	if (chip->nested && master)
		service &= ~CASCADE_BIT;
	return pic_input_rank(chip, input) <
			       pic_input_rank(chip, pic_highest_input(chip, service)) ?
		       input :
		       -1;
}

/* Takes the request into service, as the acknowledge does. */
static void pic_acknowledge_input(struct chip *chip, int input)
{
	uint8_t bit = (uint8_t)(1u << input);

	if (!pic_is_level(chip, (unsigned int)input))
		chip->irr &= ~bit;
	if (!chip->auto_eoi)
		chip->isr |= bit;
	else if (chip->rotate_auto_eoi)
		chip->lowest = (uint8_t)input;
}

/* --- the pair; the lock is held ---------------------------------------------------- */

/* The slave's output is a level on the master's input 2. */
static bool pic_output_high(struct pic *pic)
{
	struct chip *master = &pic->chip[MASTER];

	if (pic_requesting_input(&pic->chip[SLAVE], false) >= 0)
		master->irr |= CASCADE_BIT;
	else
		master->irr &= (uint8_t)~CASCADE_BIT;
	return pic_requesting_input(master, true) >= 0;
}

/* After any change: tell the processors when the output rises. */
static void pic_update_output(struct pic *pic)
{
	uint32_t high = pic_output_high(pic);
	uint32_t was = __atomic_exchange_n(&pic->output, high, __ATOMIC_SEQ_CST);

	if (high && !was)
		lapic_pic_output(pic->vm);
}

static enum irq_outcome pic_raise_input(struct pic *pic, unsigned int irq)
{
	struct chip *chip = &pic->chip[irq / 8];
	unsigned int input = irq % 8;
	uint8_t bit = (uint8_t)(1u << input);
	bool rising = chip->asserts[input] == 0;
	bool pending = chip->irr & bit;

	if (chip->asserts[input] < UINT32_MAX)
		chip->asserts[input]++;
	if (rising)
		chip->irr |= bit;
	pic_update_output(pic);
	if (!chip->ready || (chip->imr & bit))
		return IRQ_IGNORED;
	return pending ? IRQ_COALESCED : IRQ_DELIVERED;
}

/* An edge stays latched: a pulse is a whole interrupt. */
static void pic_lower_input(struct pic *pic, unsigned int irq)
{
	struct chip *chip = &pic->chip[irq / 8];
	unsigned int input = irq % 8;

	if (chip->asserts[input] && --chip->asserts[input] == 0 && pic_is_level(chip, input)) {
		chip->irr &= (uint8_t) ~(1u << input);
		pic_update_output(pic);
	}
}

static bool pic_valid_irq(int irq)
{
	return irq >= 0 && irq < PIC_IRQS && irq != CASCADE;
}

/* --- inputs and output ---------------------------------------------------- */

int pic_assert(struct vm *vm, int irq)
{
	struct pic *pic = vm->pic;
	unsigned long flags;

	if (!pic_valid_irq(irq))
		return -EINVAL;
	flags = os_spin_lock(&pic->lock);
	(void)pic_raise_input(pic, (unsigned int)irq);
	os_spin_unlock(&pic->lock, flags);
	return 0;
}

int pic_deassert(struct vm *vm, int irq)
{
	struct pic *pic = vm->pic;
	unsigned long flags;

	if (!pic_valid_irq(irq))
		return -EINVAL;
	flags = os_spin_lock(&pic->lock);
	pic_lower_input(pic, (unsigned int)irq);
	os_spin_unlock(&pic->lock, flags);
	return 0;
}

enum irq_outcome pic_tick(struct vm *vm, int irq)
{
	struct pic *pic = vm->pic;
	enum irq_outcome outcome;
	unsigned long flags;

	if (!pic_valid_irq(irq))
		return IRQ_IGNORED;
	flags = os_spin_lock(&pic->lock);
	outcome = pic_raise_input(pic, (unsigned int)irq);
	pic_lower_input(pic, (unsigned int)irq);
	os_spin_unlock(&pic->lock, flags);
	return outcome;
}

int pic_pulse(struct vm *vm, int irq)
{
	if (!pic_valid_irq(irq))
		return -EINVAL;
	(void)pic_tick(vm, irq);
	return 0;
}

/* An input that becomes level-triggered requests as long as it is driven. */
static void pic_set_elcr(struct pic *pic, unsigned int index, uint8_t value)
{
	struct chip *chip = &pic->chip[index];
	uint8_t changed;

	value &= index == MASTER ? ELCR_MASTER : ELCR_SLAVE;
	changed = chip->elcr ^ value;
	chip->elcr = value;
	for (unsigned int input = 0; input < 8; input++) {
		if (!(changed >> input & 1) || !pic_is_level(chip, input))
			continue;
		if (chip->asserts[input])
			chip->irr |= (uint8_t)(1u << input);
		else
			chip->irr &= (uint8_t) ~(1u << input);
	}
	pic_update_output(pic);
}

int pic_set_trigger(struct vm *vm, int irq, enum vm_intr_trigger trigger)
{
	struct pic *pic = vm->pic;
	unsigned int index = (unsigned int)irq / 8;
	uint8_t bit = (uint8_t)(1u << (irq & 7));
	unsigned long flags;

	if (irq < 0 || irq >= PIC_IRQS || (trigger != EDGE_TRIGGER && trigger != LEVEL_TRIGGER))
		return -EINVAL;
	if (trigger == LEVEL_TRIGGER && !((index == MASTER ? ELCR_MASTER : ELCR_SLAVE) & bit))
		return -EINVAL;
	flags = os_spin_lock(&pic->lock);
	pic_set_elcr(pic, index,
		     trigger == LEVEL_TRIGGER ? pic->chip[index].elcr | bit :
						(uint8_t)(pic->chip[index].elcr & ~bit));
	os_spin_unlock(&pic->lock, flags);
	return 0;
}

bool pic_pending(struct vm *vm)
{
	return __atomic_load_n(&vm->pic->output, __ATOMIC_ACQUIRE);
}

/* A request that went away between output and acknowledge gives IRQ 7 of the chip asked. */
static int pic_acknowledge_chip(struct pic *pic, unsigned int index)
{
	struct chip *chip = &pic->chip[index];
	int input = pic_requesting_input(chip, index == MASTER);

	if (input >= 0)
		pic_acknowledge_input(chip, input);
	if (input == CASCADE && index == MASTER)
		return pic_acknowledge_chip(pic, SLAVE);
	return chip->vector | (input < 0 ? 7 : input);
}

int pic_intack(struct vm *vm)
{
	struct pic *pic = vm->pic;
	unsigned long flags = os_spin_lock(&pic->lock);
	int vector = pic_acknowledge_chip(pic, MASTER);

	/* What else is requested is a new rise of the output. */
	__atomic_store_n(&pic->output, 0, __ATOMIC_SEQ_CST);
	pic_update_output(pic);
	os_spin_unlock(&pic->lock, flags);
	return vector;
}

/* --- registers; the lock is held ------------------------------------------ */

static void pic_write_icw1(struct chip *chip, uint8_t value)
{
	struct chip fresh = {
		.lowest = 7,
		.icw = 2,
		.single = value & ICW1_SINGLE,
		.need_icw4 = value & ICW1_NEED_ICW4,
		.level_mode = value & ICW1_LEVEL,
		.elcr = chip->elcr,
	};

	memcpy(fresh.asserts, chip->asserts, sizeof(fresh.asserts));
	*chip = fresh;
	for (unsigned int input = 0; input < 8; input++)
		if (chip->asserts[input] && pic_is_level(chip, input))
			chip->irr |= (uint8_t)(1u << input);
}

/* The words after ICW1; ICW3 only names the cascade, which is wired. */
static void pic_write_next_icw(struct chip *chip, uint8_t value)
{
	switch (chip->icw) {
	case 2:
		chip->vector = value & 0xf8;
		chip->icw = chip->single ? 4 : 3;
		break;
	case 3:
		chip->icw = 4;
		break;
	default:
		chip->auto_eoi = value & ICW4_AUTO_EOI;
		chip->nested = value & ICW4_NESTED;
		chip->icw = 0;
		break;
	}
	if (chip->icw == 4 && !chip->need_icw4)
		chip->icw = 0;
	chip->ready = chip->icw == 0;
}

/* In special mask mode masked inputs do not take part. */
static void pic_end_interrupt(struct chip *chip, int input)
{
	if (input >= 0)
		chip->isr &= (uint8_t) ~(1u << input);
}

static int pic_highest_in_service(const struct chip *chip)
{
	uint8_t candidates = chip->special_mask ? chip->isr & ~chip->imr : chip->isr;

	return pic_highest_input(chip, candidates);
}

/* Bits 7:5: rotate, specific, end of interrupt. */
static void pic_write_ocw2(struct chip *chip, uint8_t value)
{
	int input = value & 7;

	switch (value >> 5) {
	case 0: /* clear rotation in automatic EOI mode */
	case 4: /* set it */
		chip->rotate_auto_eoi = value >> 5 == 4;
		break;
	case 1: /* non-specific EOI */
	case 5: /* with rotation */
		input = pic_highest_in_service(chip);
		pic_end_interrupt(chip, input);
		if (value >> 5 == 5 && input >= 0)
			chip->lowest = (uint8_t)input;
		break;
	case 3: /* specific EOI */
	case 7: /* with rotation */
		pic_end_interrupt(chip, input);
		if (value >> 5 == 7)
			chip->lowest = (uint8_t)input;
		break;
	case 6: /* set priority */
		chip->lowest = (uint8_t)input;
		break;
	default: /* 2: no operation */
		break;
	}
}

static void pic_write_ocw3(struct chip *chip, uint8_t value)
{
	if (value & OCW3_SET_MASK_MODE)
		chip->special_mask = value & 0x20;
	if (value & OCW3_POLL)
		chip->poll = true;
	else if (value & OCW3_READ)
		chip->read_isr = value & 1;
}

static void pic_write_command(struct chip *chip, uint8_t value)
{
	if (value & ICW1_INIT)
		pic_write_icw1(chip, value);
	else if (value & OCW3)
		pic_write_ocw3(chip, value);
	else
		pic_write_ocw2(chip, value);
}

static void pic_write_data(struct chip *chip, uint8_t value)
{
	if (chip->icw)
		pic_write_next_icw(chip, value);
	else
		chip->imr = value;
}

/* A poll is an acknowledge of this chip alone: bit 7 tells whether it had a request. */
static uint8_t pic_read_poll(struct pic *pic, unsigned int index)
{
	struct chip *chip = &pic->chip[index];
	int input = pic_requesting_input(chip, index == MASTER);

	chip->poll = false;
	if (input < 0)
		return 0;
	pic_acknowledge_input(chip, input);
	pic_update_output(pic);
	return (uint8_t)(0x80 | input);
}

static uint8_t pic_read_chip(struct pic *pic, unsigned int index, bool data)
{
	struct chip *chip = &pic->chip[index];

	if (chip->poll)
		return pic_read_poll(pic, index);
	if (data)
		return chip->imr;
	return chip->read_isr ? chip->isr : chip->irr;
}

uint8_t pic_port_read(struct vm *vm, uint16_t port)
{
	struct pic *pic = vm->pic;
	unsigned long flags = os_spin_lock(&pic->lock);
	uint8_t value;

	if ((port & ~1u) == PIC_ELCR_PORT)
		value = pic->chip[port & 1].elcr;
	else
		value = pic_read_chip(pic, port & 0x80 ? SLAVE : MASTER, port & 1);
	os_spin_unlock(&pic->lock, flags);
	return value;
}

void pic_port_write(struct vm *vm, uint16_t port, uint8_t value)
{
	struct pic *pic = vm->pic;
	unsigned long flags = os_spin_lock(&pic->lock);
	struct chip *chip = &pic->chip[port & 0x80 ? SLAVE : MASTER];

	if ((port & ~1u) == PIC_ELCR_PORT)
		pic_set_elcr(pic, port & 1, value);
	else if (port & 1)
		pic_write_data(chip, value);
	else
		pic_write_command(chip, value);
	pic_update_output(pic);
	os_spin_unlock(&pic->lock, flags);
}
