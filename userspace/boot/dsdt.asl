// SPDX-License-Identifier: GPL-2.0-only
// Tells the guest of the devices that it cannot find by itself.
DefinitionBlock ("dsdt.aml", "DSDT", 2, "GONDLA", "GONDOLA", 1)
{
	// Soft off: SLEEP_TYPE_S5 in device/device.h
	Name (\_S5, Package () { 5, 0, 0, 0 })

	// Which interrupt controllers the guest uses: 0: the two PICs, 1: the I/O APIC
	Name (PICM, 1)
	Method (\_PIC, 1)
	{
		PICM = Arg0
	}

	Scope (\_SB)
	{
		// Resources of a virtio device. The line is an edge, since that is what an irqfd
		// makes of each signal.
		Name (RES, ResourceTemplate () {
			Memory32Fixed (ReadWrite, 0, 0x1000, PAGE)
			Interrupt (ResourceConsumer, Edge, ActiveHigh, Shared,,, LINE) { 0 }
		})
		CreateDWordField (RES, PAGE._BAS, BASE)
		CreateDWordField (RES, LINE._INT, IRQ)
		// The gpa of its page, its GSI, its line of the PIC
		Method (VIRT, 3, Serialized)
		{
			BASE = Arg0
			If (PICM) {
				IRQ = Arg1
			} Else {
				IRQ = Arg2
			}
			Return (RES)
		}

		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 1)
			Name (_CRS, ResourceTemplate () {
				IO (Decode16, 0x3f8, 0x3f8, 1, 8)
				IRQNoFlags () { 4 }
			})
		}

		// The guest's kernel says here that it has panicked: PANIC_PORT in device/device.h
		Device (PNIC)
		{
			Name (_HID, "QEMU0001")
			Name (_CRS, ResourceTemplate () {
				IO (Decode16, 0x505, 0x505, 1, 1)
			})
		}

		// The VM's generation ID: GENERATION_GPA in device/device.h, in two halves
		Device (VGEN)
		{
			Name (_HID, "GNDL0001")
			Name (_CID, "VM_Gen_Counter")
			Name (_DDN, "VM_Gen_Counter")
			Name (ADDR, Package () { 0xef000, 0 })
		}

		// Its line says that the ID has changed: GENERATION_IRQ
		Device (GED)
		{
			Name (_HID, "ACPI0013")
			Name (_CRS, ResourceTemplate () {
				Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { 13 }
			})
			Method (_EVT, 1, Serialized)
			{
				Notify (VGEN, 0x80)
			}
		}

		Device (RTC)
		{
			Name (_HID, EisaId ("PNP0B00"))
			Name (_CRS, ResourceTemplate () {
				IO (Decode16, 0x70, 0x70, 1, 2)
				IRQNoFlags () { 8 }
			})
		}
	}
}
