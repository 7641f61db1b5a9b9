// Package capture records what the receive path sees, without slowing it.
//
//	lane: Poll ─► Tap.Take(packets) ─► <feed>.<lane>.tap ─► Reader ─► Files: pcapng, rotated     another process: tickwire capture
//	              off: one load          overwritten bytes   whole or lost, counted
//
// The lane copies each packet into a ring of bytes in shared memory and goes on: it never waits, asks nobody, and does not know
// whether somebody reads. A reader that is too slow is lapped; it learns exactly how many packets it missed, and the
// capture says so. Frames that a source does not have (plain sockets) are made again from what it has, by the reader.
//
// The ring exists while a capture wants it: Host makes it on a command of the control socket and removes it when the
// capturing process is gone, however it went.
package capture
