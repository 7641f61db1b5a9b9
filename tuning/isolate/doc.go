// Package isolate puts a process in place: which cores its threads run on, how they are scheduled, and, where there is cgroup
// v2, a partition of cores on which nothing else runs.
//
//	process, its threads ─┐
//	cores, policies ──────┼─► Plan ─► Placement: each thread, from where to where; what else a person should know
//	cgroups, nodes ───────┘              └─► [] tuning.Change ─► tuning/apply, with its journal: it can be taken back
//
// Cores are never guessed, and never all of a NUMA node's: something has to do the rest of the work.
//
// Affinities come before the cgroup. Taken back last first, each is then set while the cores may still be used: the kernel cuts
// an affinity to what the cgroup has, and what it had cut would read back as another than was asked for.
package isolate
