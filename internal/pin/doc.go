// Package pin keeps a thread on its core, and the runtime's hands off it.
//
//	Thread, Class        the kernel: this thread on that core, in that scheduling class
//	Window               the runtime: its processor (P) stays with this goroutine, but for windows
//
//	 pinned ────────────────────────────┐ open ┐ pinned ───────────┐ open (wanted)      ┐ pinned ──
//	 polls, works; nobody interrupts    │      │                   │ until want is      │
//	                                    │      │                   │ taken back         │
//	                              quantum over: 200 µs        Want(true): a collection is due
//
// Why. The runtime asks every goroutine that has run for 10 ms to yield, and one that is locked to its thread pays for
// that with two context switches, up to a hundred times a second, on an idle core too. A goroutine that has pinned its P
// (runtime.procPin) is not asked. In return it must not stand in the way of what stops the world: the collector first of
// all. Hence the windows.
//
// # What may run while the P is pinned
//
// Read in the source of Go 1.26 (runtime/proc.go, panic.go, mgc.go, mgcmark.go, malloc.go, stack.go); pinning is m.locks++.
//
//   - Plain code, atomics, assembly, the growing of a stack, deferred calls, RawSyscall, page faults, reading the time: yes.
//   - Allocation, and with it maps and append: harmless. The collector is not started (gcStart returns when m.locks > 1) and
//     no assistance is asked for (gcAssistAlloc returns when m.locks > 0); memory comes from the heap as ever. It is slow,
//     so the steady state has none, but the rare path may.
//   - Sending to a channel under select with default, unlocking a mutex: harmless; whoever waits is put in a queue.
//   - Whatever parks: a mutex that somebody holds, a channel that is full, time.Sleep, runtime.Gosched: NEVER. The
//     scheduler throws ("schedule: holding locks"), and the process is dead. sync.Pool and fmt may lock.
//   - unix.Syscall, so files, sockets, mmap, madvise: NEVER. When the call takes longer than the monitor's patience
//     (20 µs to 10 ms) its P is given away, and the way back parks.
//   - A panic: kills the process though somebody would recover ("panic holding locks"; its value is printed). So no guest
//     code, and nothing whose panic is meant to be survived.
//
// Whoever must do such a thing in the middle of pinned work goes out for it:
//
//	was := w.Out()
//	…
//	w.In(was)
//
// # Windows
//
// In a window the goroutine does what it always does; it is only that the runtime may now stop it, which it does at the
// next function call. So a window in which nobody wants anything costs nothing: no Gosched, no context switch. It opens
// when somebody has raised want (then it stays open until want is taken back), and after a quantum whether somebody has
// or not: a collection that the memory limit starts, or a profile, then waits for a quantum and not for ever. If a window
// turns out to have been used, it stays open a little longer, because a collection needs the goroutine about four times.
package pin
