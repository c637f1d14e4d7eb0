// SPDX-License-Identifier: BSD-2-Clause
/*
 * The machine as ACPI describes it. What differs between machines (which ports
 * exist, where the bridge is) is read from a few bytes that acpi.c writes at
 * DSDT_INFO_BASE: struct dsdt_info there is INFO here.
 */
DefinitionBlock ("", "DSDT", 2, "BHYVE ", "BVDSDT  ", 1)
{
	OperationRegion (INFO, SystemMemory, 0x000F2000, 0x20)
	Field (INFO, ByteAcc, NoLock, Preserve)
	{
		HCO1, 8,	// COM1 exists
		HCO2, 8,	// COM2 exists
		HFWC, 8,	// the firmware configuration device exists
		LPCS, 8,	// slot of the bridge to the ISA bus
		WBAS, 32,	// memory window of bus 0: first address
		WLIM, 32,	// and last
		WIOB, 32,	// its ports: the first, up to 0xFFFF
		W64B, 64,	// its memory above 4 GiB: first address
		W64L, 64	// and length, 0 if there is none
	}

	// SLP_TYP of soft off: PM_SLEEP_TYPE_S5
	Name (_S5, Package () { 5, 0, 0, 0 })

	Scope (_SB)
	{
		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A08"))
			Name (_CID, EisaId ("PNP0A03"))
			Name (_UID, 0)
			Name (_BBN, 0)

			Name (RSRC, ResourceTemplate ()
			{
				WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
					0, 0, 0, 0, 1)
				IO (Decode16, 0x0CF8, 0x0CF8, 1, 8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode,
					EntireRange, 0, 0x0000, 0x0CF7, 0, 0x0CF8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode,
					EntireRange, 0, 0x2000, 0xFFFF, 0, 0xE000, , , PORT)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
					NonCacheable, ReadWrite,
					0, 0xC0000000, 0xDFFFFFFF, 0, 0x20000000, , , WIND)
			})

			Name (HIGH, ResourceTemplate ()
			{
				QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
					Cacheable, ReadWrite,
					0, 0x800000000, 0x8FFFFFFFF, 0, 0x100000000, , , WIN6)
			})

			Method (_CRS, 0, Serialized)
			{
				CreateDWordField (RSRC, \_SB.PCI0.WIND._MIN, WMIN)
				CreateDWordField (RSRC, \_SB.PCI0.WIND._MAX, WMAX)
				CreateDWordField (RSRC, \_SB.PCI0.WIND._LEN, WLEN)
				WMIN = WBAS
				WMAX = WLIM
				WLEN = WLIM - WBAS + 1
				CreateWordField (RSRC, \_SB.PCI0.PORT._MIN, PMIN)
				CreateWordField (RSRC, \_SB.PCI0.PORT._LEN, PLEN)
				PMIN = WIOB
				PLEN = 0x10000 - WIOB
				If (W64L == 0)
				{
					Return (RSRC)
				}
				CreateQWordField (HIGH, \_SB.PCI0.WIN6._MIN, HMIN)
				CreateQWordField (HIGH, \_SB.PCI0.WIN6._MAX, HMAX)
				CreateQWordField (HIGH, \_SB.PCI0.WIN6._LEN, HLEN)
				HMIN = W64B
				HMAX = W64B + W64L - 1
				HLEN = W64L
				Return (ConcatenateResTemplate (RSRC, HIGH))
			}

			// Pin P of slot S is I/O APIC input 16 + (S + P) modulo 8: acpi_intx_pin().
			Name (_PRT, Package ()
			{
				Package () { 0x0000FFFF, 0, 0, 16 },
				Package () { 0x0000FFFF, 1, 0, 17 },
				Package () { 0x0000FFFF, 2, 0, 18 },
				Package () { 0x0000FFFF, 3, 0, 19 },
				Package () { 0x0001FFFF, 0, 0, 17 },
				Package () { 0x0001FFFF, 1, 0, 18 },
				Package () { 0x0001FFFF, 2, 0, 19 },
				Package () { 0x0001FFFF, 3, 0, 20 },
				Package () { 0x0002FFFF, 0, 0, 18 },
				Package () { 0x0002FFFF, 1, 0, 19 },
				Package () { 0x0002FFFF, 2, 0, 20 },
				Package () { 0x0002FFFF, 3, 0, 21 },
				Package () { 0x0003FFFF, 0, 0, 19 },
				Package () { 0x0003FFFF, 1, 0, 20 },
				Package () { 0x0003FFFF, 2, 0, 21 },
				Package () { 0x0003FFFF, 3, 0, 22 },
				Package () { 0x0004FFFF, 0, 0, 20 },
				Package () { 0x0004FFFF, 1, 0, 21 },
				Package () { 0x0004FFFF, 2, 0, 22 },
				Package () { 0x0004FFFF, 3, 0, 23 },
				Package () { 0x0005FFFF, 0, 0, 21 },
				Package () { 0x0005FFFF, 1, 0, 22 },
				Package () { 0x0005FFFF, 2, 0, 23 },
				Package () { 0x0005FFFF, 3, 0, 16 },
				Package () { 0x0006FFFF, 0, 0, 22 },
				Package () { 0x0006FFFF, 1, 0, 23 },
				Package () { 0x0006FFFF, 2, 0, 16 },
				Package () { 0x0006FFFF, 3, 0, 17 },
				Package () { 0x0007FFFF, 0, 0, 23 },
				Package () { 0x0007FFFF, 1, 0, 16 },
				Package () { 0x0007FFFF, 2, 0, 17 },
				Package () { 0x0007FFFF, 3, 0, 18 },
				Package () { 0x0008FFFF, 0, 0, 16 },
				Package () { 0x0008FFFF, 1, 0, 17 },
				Package () { 0x0008FFFF, 2, 0, 18 },
				Package () { 0x0008FFFF, 3, 0, 19 },
				Package () { 0x0009FFFF, 0, 0, 17 },
				Package () { 0x0009FFFF, 1, 0, 18 },
				Package () { 0x0009FFFF, 2, 0, 19 },
				Package () { 0x0009FFFF, 3, 0, 20 },
				Package () { 0x000AFFFF, 0, 0, 18 },
				Package () { 0x000AFFFF, 1, 0, 19 },
				Package () { 0x000AFFFF, 2, 0, 20 },
				Package () { 0x000AFFFF, 3, 0, 21 },
				Package () { 0x000BFFFF, 0, 0, 19 },
				Package () { 0x000BFFFF, 1, 0, 20 },
				Package () { 0x000BFFFF, 2, 0, 21 },
				Package () { 0x000BFFFF, 3, 0, 22 },
				Package () { 0x000CFFFF, 0, 0, 20 },
				Package () { 0x000CFFFF, 1, 0, 21 },
				Package () { 0x000CFFFF, 2, 0, 22 },
				Package () { 0x000CFFFF, 3, 0, 23 },
				Package () { 0x000DFFFF, 0, 0, 21 },
				Package () { 0x000DFFFF, 1, 0, 22 },
				Package () { 0x000DFFFF, 2, 0, 23 },
				Package () { 0x000DFFFF, 3, 0, 16 },
				Package () { 0x000EFFFF, 0, 0, 22 },
				Package () { 0x000EFFFF, 1, 0, 23 },
				Package () { 0x000EFFFF, 2, 0, 16 },
				Package () { 0x000EFFFF, 3, 0, 17 },
				Package () { 0x000FFFFF, 0, 0, 23 },
				Package () { 0x000FFFFF, 1, 0, 16 },
				Package () { 0x000FFFFF, 2, 0, 17 },
				Package () { 0x000FFFFF, 3, 0, 18 },
				Package () { 0x0010FFFF, 0, 0, 16 },
				Package () { 0x0010FFFF, 1, 0, 17 },
				Package () { 0x0010FFFF, 2, 0, 18 },
				Package () { 0x0010FFFF, 3, 0, 19 },
				Package () { 0x0011FFFF, 0, 0, 17 },
				Package () { 0x0011FFFF, 1, 0, 18 },
				Package () { 0x0011FFFF, 2, 0, 19 },
				Package () { 0x0011FFFF, 3, 0, 20 },
				Package () { 0x0012FFFF, 0, 0, 18 },
				Package () { 0x0012FFFF, 1, 0, 19 },
				Package () { 0x0012FFFF, 2, 0, 20 },
				Package () { 0x0012FFFF, 3, 0, 21 },
				Package () { 0x0013FFFF, 0, 0, 19 },
				Package () { 0x0013FFFF, 1, 0, 20 },
				Package () { 0x0013FFFF, 2, 0, 21 },
				Package () { 0x0013FFFF, 3, 0, 22 },
				Package () { 0x0014FFFF, 0, 0, 20 },
				Package () { 0x0014FFFF, 1, 0, 21 },
				Package () { 0x0014FFFF, 2, 0, 22 },
				Package () { 0x0014FFFF, 3, 0, 23 },
				Package () { 0x0015FFFF, 0, 0, 21 },
				Package () { 0x0015FFFF, 1, 0, 22 },
				Package () { 0x0015FFFF, 2, 0, 23 },
				Package () { 0x0015FFFF, 3, 0, 16 },
				Package () { 0x0016FFFF, 0, 0, 22 },
				Package () { 0x0016FFFF, 1, 0, 23 },
				Package () { 0x0016FFFF, 2, 0, 16 },
				Package () { 0x0016FFFF, 3, 0, 17 },
				Package () { 0x0017FFFF, 0, 0, 23 },
				Package () { 0x0017FFFF, 1, 0, 16 },
				Package () { 0x0017FFFF, 2, 0, 17 },
				Package () { 0x0017FFFF, 3, 0, 18 },
				Package () { 0x0018FFFF, 0, 0, 16 },
				Package () { 0x0018FFFF, 1, 0, 17 },
				Package () { 0x0018FFFF, 2, 0, 18 },
				Package () { 0x0018FFFF, 3, 0, 19 },
				Package () { 0x0019FFFF, 0, 0, 17 },
				Package () { 0x0019FFFF, 1, 0, 18 },
				Package () { 0x0019FFFF, 2, 0, 19 },
				Package () { 0x0019FFFF, 3, 0, 20 },
				Package () { 0x001AFFFF, 0, 0, 18 },
				Package () { 0x001AFFFF, 1, 0, 19 },
				Package () { 0x001AFFFF, 2, 0, 20 },
				Package () { 0x001AFFFF, 3, 0, 21 },
				Package () { 0x001BFFFF, 0, 0, 19 },
				Package () { 0x001BFFFF, 1, 0, 20 },
				Package () { 0x001BFFFF, 2, 0, 21 },
				Package () { 0x001BFFFF, 3, 0, 22 },
				Package () { 0x001CFFFF, 0, 0, 20 },
				Package () { 0x001CFFFF, 1, 0, 21 },
				Package () { 0x001CFFFF, 2, 0, 22 },
				Package () { 0x001CFFFF, 3, 0, 23 },
				Package () { 0x001DFFFF, 0, 0, 21 },
				Package () { 0x001DFFFF, 1, 0, 22 },
				Package () { 0x001DFFFF, 2, 0, 23 },
				Package () { 0x001DFFFF, 3, 0, 16 },
				Package () { 0x001EFFFF, 0, 0, 22 },
				Package () { 0x001EFFFF, 1, 0, 23 },
				Package () { 0x001EFFFF, 2, 0, 16 },
				Package () { 0x001EFFFF, 3, 0, 17 },
				Package () { 0x001FFFFF, 0, 0, 23 },
				Package () { 0x001FFFFF, 1, 0, 16 },
				Package () { 0x001FFFFF, 2, 0, 17 },
				Package () { 0x001FFFFF, 3, 0, 18 }
			})

			Device (LPC)
			{
				Method (_ADR)
				{
					Return (LPCS << 16)
				}

				// Ports of the chipset that no driver claims.
				Device (SYSR)
				{
					Name (_HID, EisaId ("PNP0C02"))
					Name (_UID, 1)
					Name (_CRS, ResourceTemplate ()
					{
						IO (Decode16, 0x0080, 0x0080, 1, 1)
						IO (Decode16, 0x0092, 0x0092, 1, 1)
						IO (Decode16, 0x00B2, 0x00B2, 1, 1)
						IO (Decode16, 0x0400, 0x0400, 1, 16)
					})
				}

				Device (PIC)
				{
					Name (_HID, EisaId ("PNP0000"))
					Name (_CRS, ResourceTemplate ()
					{
						IO (Decode16, 0x0020, 0x0020, 1, 2)
						IO (Decode16, 0x00A0, 0x00A0, 1, 2)
						IO (Decode16, 0x04D0, 0x04D0, 1, 2)
						IRQNoFlags () { 2 }
					})
				}

				Device (TIMR)
				{
					Name (_HID, EisaId ("PNP0100"))
					Name (_CRS, ResourceTemplate ()
					{
						IO (Decode16, 0x0040, 0x0040, 1, 4)
						IRQNoFlags () { 0 }
					})
				}

				Device (RTC)
				{
					Name (_HID, EisaId ("PNP0B00"))
					Name (_CRS, ResourceTemplate ()
					{
						IO (Decode16, 0x0070, 0x0070, 1, 2)
						IRQNoFlags () { 8 }
					})
				}

				Device (SPKR)
				{
					Name (_HID, EisaId ("PNP0800"))
					Name (_CRS, ResourceTemplate ()
					{
						IO (Decode16, 0x0061, 0x0061, 1, 1)
					})
				}

				Device (COM1)
				{
					Name (_HID, EisaId ("PNP0501"))
					Name (_UID, 1)
					Method (_STA)
					{
						If (HCO1)
						{
							Return (0x0F)
						}
						Return (0)
					}
					Name (_CRS, ResourceTemplate ()
					{
						IO (Decode16, 0x03F8, 0x03F8, 1, 8)
						IRQNoFlags () { 4 }
					})
				}

				Device (COM2)
				{
					Name (_HID, EisaId ("PNP0501"))
					Name (_UID, 2)
					Method (_STA)
					{
						If (HCO2)
						{
							Return (0x0F)
						}
						Return (0)
					}
					Name (_CRS, ResourceTemplate ()
					{
						IO (Decode16, 0x02F8, 0x02F8, 1, 8)
						IRQNoFlags () { 3 }
					})
				}
			}
		}

		// The configuration space in memory, which MCFG tells of.
		Device (ECAM)
		{
			Name (_HID, EisaId ("PNP0C02"))
			Name (_UID, 2)
			Name (_CRS, ResourceTemplate ()
			{
				Memory32Fixed (ReadWrite, 0xE0000000, 0x00100000)
			})
		}

		Device (HPET)
		{
			Name (_HID, EisaId ("PNP0103"))
			Name (_UID, 0)
			Name (_CRS, ResourceTemplate ()
			{
				Memory32Fixed (ReadWrite, 0xFED00000, 0x400)
			})
		}

		Device (FWCF)
		{
			Name (_HID, "QEMU0002")
			Method (_STA)
			{
				If (HFWC)
				{
					Return (0x0B)
				}
				Return (0)
			}
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0510, 0x0510, 1, 12)
			})
		}
	}
}
