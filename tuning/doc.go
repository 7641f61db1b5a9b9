// Package tuning knows what a host must be like for a lane that spins on a core of it: a catalogue of checks, each of which
// reads what is, says what is wanted and why, and which changes would bring it about. It changes nothing itself: package
// tuning/apply carries changes out.
//
//	/proc, /sys ─┐                                       ┌─► text, JSON, JUnit
//	drivers ─────┼─► Host ─► Check.Look ─► Finding ──► Report
//	system calls ┘    ▲         │ reads        │          └─► [] Change ─► tuning/apply
//	           Plan ──┘         └─► evidence ──┘
//
//	cpus.go     sets of cores, lists and masks        plan.go       what a person decided for this machine
//	host.go     all reading goes through it           devices.go    what is asked of drivers and the kernel by call
//	                                                  devices_set.go  what apply sets by call
//	check.go    Check, Finding, Change                run.go        the catalogue over a host: a Report
//	cat_*.go    the catalogue, one file a group       report_*.go   how a Report is shown
//	over.go     counters over an interval             spell.go      changes as commands that are right here
//
// Promises, each with its test:
//   - Looking changes nothing, needs no root for most, and says what it could not see (TestUnprivileged, TestRefusals).
//   - What a check read is in its evidence, word for word (TestEvidence). The kernel's command line never is: it may hold
//     secrets, so only named parameters are taken from it.
//   - What cannot be known is never PASS: a missing file is SKIP with the reason, a refused one is ERROR.
//   - Cores are never guessed: without a plan the checks that need one are SKIP.
//
// A root other than "/" is a tree of files that stands for a machine; what calls would answer is in fake/ of it (devices.go).
package tuning
