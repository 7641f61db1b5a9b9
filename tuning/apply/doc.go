// Package apply carries out what package tuning proposes, and takes it back.
//
//	[]tuning.Change ──► plan ──► journal ──► write ──► read back ──► verify ──► kept
//	                     │          │           └── fails ──► undone, last first
//	                     │          └── a crash: the next run, or the guard, undoes what is in doubt
//	                     └── refused: not understood, somebody else's, too risky, the operator's own interface
//
//	apply.go    Options, Run, Outcome           place.go    a place that holds a value: files, drivers, tasks
//	plan.go     order, and what is refused      text.go     entries of drop-ins that are ours
//	journal.go  the file that knows what was    boot.go     kernel command line, by the boot loader's own tool
//	revert.go   backwards; interrupted runs     unit.go     systemd, tuned
//	guard.go    network changes that nobody     settle.go   what is run once for many, and the machine's own tools
//	            confirms are undone             isolate.go  how threads are scheduled, cgroups
//	snapshot.go what the machine's settings     rivals.go   who else sets the same, and the operator's own interface
//	            are, and how two differ
//
// Promises, each with its test:
//   - All or nothing: a run that fails, or is killed at any point, ends with everything done or everything as before
//     (TestFailAnywhere, TestKillAnywhere). Options.KeepGoing trades that for doing what can be done.
//   - The journal is on disk before the change is made; what is undone is undone only where the value still is ours: else it
//     is drift, which is told and left alone (TestDrift).
//   - A second run changes nothing and writes nothing (TestIdempotent).
//   - Changes of now are void after a reboot; those of files are not (TestOtherBoot).
//   - Network changes undo themselves, by a process that survives terminal and parent, unless confirmed (TestGuard).
package apply
