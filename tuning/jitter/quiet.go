package jitter

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/internal/pin"
	"github.com/tickwire/tickwire/tuning"
)

// prepare makes the process quiet, and tells what it cannot do anything about.
func (s *session) prepare() {
	s.siblings()
	was := runtime.GOMAXPROCS(len(s.cores) + besides)
	s.undo = append(s.undo, func() { runtime.GOMAXPROCS(was) })
	if err := pin.Works(); err != nil {
		s.note("mode host has the runtime's share in it: %v", err)
	} else {
		s.pinned = true
	}
	// What is thrown away by one mode is collected before the next one, when nobody measures.
	percent := debug.SetGCPercent(-1)
	s.undo = append(s.undo, func() { debug.SetGCPercent(percent) })
	if len(s.host.Online().Without(s.cores)) == 0 {
		s.note("all cores are measured: what this program does beside measuring runs on them, too")
		return
	}
	moved := s.moveAside()
	s.undo = append(s.undo, func() {
		for tid, set := range moved {
			_ = unix.SchedSetaffinity(tid, &set) // it may have ended
		}
		// Threads that were made meanwhile have the mask of the one that made them.
		for _, tid := range threads() {
			if _, known := moved[tid]; !known {
				set := moved[os.Getpid()]
				_ = unix.SchedSetaffinity(tid, &set)
			}
		}
	})
}

// siblings tells of measured cores whose hardware has another thread online: what runs there takes from both.
func (s *session) siblings() {
	online := s.host.Online()
	for _, cpu := range s.cores {
		set, err := s.host.List(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu))
		if others := set.Without(tuning.CPUs{cpu}).And(online); err == nil && len(others) > 0 {
			s.note("core %d shares its hardware with %s (cpu.smt): it is slower while those work, which is no gap", cpu, others)
		}
	}
}

// moveAside takes the threads of this process off the measured cores, and returns what they were allowed.
func (s *session) moveAside() map[int]unix.CPUSet {
	masks := map[int]unix.CPUSet{}
	for _, tid := range threads() {
		var was unix.CPUSet
		if unix.SchedGetaffinity(tid, &was) != nil {
			continue
		}
		masks[tid] = was
		to := was
		for _, c := range s.cores {
			to.Clear(c)
		}
		if to.Count() == 0 {
			s.note("this process may run on no core that is not measured: what it does beside measuring runs there, too")
			continue
		}
		_ = unix.SchedSetaffinity(tid, &to) // it may have ended
	}
	return masks
}

func threads() (tids []int) {
	names, _ := filepath.Glob("/proc/self/task/[0-9]*")
	for _, n := range names {
		if tid, err := strconv.Atoi(filepath.Base(n)); err == nil {
			tids = append(tids, tid)
		}
	}
	return tids
}

// allowed are the cores that a thread may use.
func allowed(tid int) (cores tuning.CPUs) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(tid, &set) != nil {
		return nil
	}
	for c := range len(set) * 64 {
		if set.IsSet(c) {
			cores = append(cores, c)
		}
	}
	return cores
}
