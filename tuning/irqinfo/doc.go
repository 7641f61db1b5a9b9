// Package irqinfo tells who interrupts which core, how often, and makes the changes that move interrupts.
//
//	/proc/interrupts ─► Snapshot ─┐
//	(twice, some time apart)      ├─► Between ─► Report: by core and by interrupt ─► table, JSON
//	/proc/irq/N, NICs ─► owners ──┘
//
//	Report ─► Pick ("120", "eth2", "eth2:1", "nvme*") ─► Move ─► [] tuning.Change ─► tuning/apply
//
// Counters that went back, or are of another device by now, count from zero, and a core that came online between the looks is
// not counted: no rate is ever negative, or of two devices at once.
package irqinfo
