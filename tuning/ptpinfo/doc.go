// Package ptpinfo tells how time comes into the machine: the NICs' clocks, who keeps them, and how far they are from the
// system's.
//
//	drivers, /sys/class/ptp ──► Clock: /dev/ptpN, its NICs, its offset to the system's clock
//	ptp4l's socket ───────────► Server: ports, grandmaster, offset (management messages of IEEE 1588, as pmc sends)
//	processes, logs ──────────► Daemon: phc2sys and others, and what they said last
//	adjtimex ─────────────────► System
//
// A management message is 34 bytes of head, 14 of management, and one TLV. All numbers are big-endian:
//
//	0      transport:4 type:4 (0xd)       34  target port: identity 8, number 2 (all ones: any)
//	1      version 2                      44  hops 2 (0)
//	2:2    length of all                  46  action: 0 get, 2 response
//	4      domain                         47  reserved
//	20:10  the sender's port              48:2  TLV: 1 management, 2 error
//	30:2   sequence number                50:2  its length after these four bytes
//	32     control (4)                    52:2  what is asked; in an error: what is wrong, then at 54 what was asked
//	33     interval (0x7f)                54    data
//
// Only GET is ever sent. Answers are taken from a socket that others may write to: nothing in them is believed beyond its length.
package ptpinfo
