// Package hwtest qualifies a machine for a profile (colo, lab, vm): it makes groups of tests, each with a threshold, a verdict and the raw
// figures, and reports them for the terminal, as JSON, and as one HTML page.
//
//	Options ──► Run ──► group after group ──► Report ──► Text, JSON, HTML, Compare
//	               │
//	               ├─ package tuning          the catalogue of checks: inventory, static, persistence
//	               ├─ tuning/measure, jitter  cores, memory, disks, clocks by themselves
//	               └─ wires ───────────────── packets: two lines, A and B
//	                    sender ══ veth pairs in namespaces of our own, or ports with a cable ══ receiver
//	                    liveload, sim/exchange                                                   nic/afxdp, a feed process
//
//	options.go  what is asked for      report.go   Report, Group, Test          text.go html.go   how it is shown
//	run.go      group after group      limits.go   thresholds by profile        compare.go        two reports
//	wires.go    what packets go over   load.go     who sends them               receive.go        who takes them
//	ports.go    ports that are named
//	feed.go     a feed process and an exchange     groups: static.go nic.go rate.go latency.go failover.go soak.go persist.go machine.go
//
// Promises, each with its test:
//   - What could not be made is named with the reason, and never counts as passed (TestWithoutRights, TestVerdict).
//   - A veth pair is called one: figures over it qualify no NIC (TestQuick).
//   - Whatever ends a run but SIGKILL, namespaces, processes, shared memory and ports are as before (TestNothingIsLeft, TestPortGivenBack); what a
//     killed one leaves, ports excepted, the next one takes away (TestKilled).
//   - Counts balance: sent = taken + counted losses, or the test says what is unexplained (TestQuick).
package hwtest
