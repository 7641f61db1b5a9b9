// Package top shows, turn by turn, what cores, interfaces and feeds of a machine do and lose: differences between two looks at what the
// kernel and feeds count anyway. Looking disturbs nobody: it reads files, and shared memory of feeds through read-only mappings.
//
//	/proc, /sys ──────┐
//	.stats of feeds ──┼─► Look ─► Look ─► Between ─► View ──► text, screen, JSON
//	rings' headers ───┘
//
// What a core takes from a thread on it is estimated from what the scheduler counts: how often it was interrupted or switched, and
// how long threads that could run had to wait. A measurement takes the core (package tuning/jitter), and is done only where it is asked for.
//
//	read.go  the parsers      look.go  one moment      view.go  the difference      text.go  how it is shown
package top
