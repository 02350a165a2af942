// SPDX-License-Identifier: GPL-2.0-only
// Tells the guest of the devices that it cannot find by itself.
DefinitionBlock ("dsdt.aml", "DSDT", 2, "GONDLA", "GONDOLA", 1)
{
	// Soft off: SLEEP_TYPE_S5 in device/device.h
	Name (\_S5, Package () { 5, 0, 0, 0 })

	Scope (\_SB)
	{
		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 1)
			Name (_CRS, ResourceTemplate () {
				IO (Decode16, 0x3f8, 0x3f8, 1, 8)
				IRQNoFlags () { 4 }
			})
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
