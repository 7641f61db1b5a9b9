package ringbuf

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Who reads a ring is known from two sides:
//
//	readers/*.progress        what readers say of themselves: name, place, losses; the owner is the kernel's word
//	/proc/<pid>/maps          who has the ring's file mapped: pid and uid, nothing more; as far as we may look
//
// A mapping of a process whose reports of that ring are as many as its mappings is one that is known already.

// Attached is one reader of one ring.
type Attached struct {
	Instance string
	Ring     string // <feed>.<lane>.<kind>
	UID      uint32
	PID      int
	Name     string // its own word; of one that does not report, the name of its program
	Reports  bool   // the following are known
	Next     uint64 // number of the record it reads next
	Lag      uint64 // records known to lie ahead of it
	Lost     uint64 // records it missed
	Epoch    uint64
	Silence  time.Duration // since its last heartbeat; readers that sleep or are stopped do not beat
}

// AttachedTo lists the readers of the given rings, sorted by ring, uid and pid. Rings that cannot be looked at are passed
// over. It reads the memory maps of all processes that we may look into: not for the hot path, and not each second on a
// host with thousands of processes.
func AttachedTo(ringDir string, rings []Entry) []Attached {
	var found []Attached
	infos := make([]Info, 0, len(rings))
	place := make(map[string]int) // by instance/ring
	instances := make(map[string]bool)
	for _, e := range rings {
		info, err := Look(e.Path)
		if err != nil {
			continue
		}
		place[e.Instance+"/"+ringName(e.Path)] = len(infos)
		infos = append(infos, info)
		instances[e.Instance] = true
	}
	type key struct {
		ring int
		pid  int
	}
	reported := make(map[key]int)
	names := make([]string, len(infos))
	for name, i := range place {
		names[i] = name
	}
	for instance := range instances {
		for _, p := range Reports(ringDir, instance) {
			i, ok := place[instance+"/"+p.Ring]
			if !ok || infos[i].UUID != p.UUID { // of a ring that another file has taken the name of
				continue
			}
			reported[key{i, p.PID}]++
			found = append(found, Attached{
				Instance: instance, Ring: p.Ring, UID: p.UID, PID: p.PID, Name: p.Name, Reports: true,
				Next: p.Next, Lag: infos[i].LagOf(p.Next), Lost: p.Lost, Epoch: p.Epoch,
				Silence: time.Duration(max(0, int64(MonotonicNow()-p.Beat))),
			})
		}
	}
	for _, m := range mappings(infos) {
		if m.count <= reported[key{m.ring, m.pid}] {
			continue
		}
		instance, ring, _ := strings.Cut(names[m.ring], "/")
		found = append(found, Attached{Instance: instance, Ring: ring, UID: m.uid, PID: m.pid, Name: m.name})
	}
	slices.SortFunc(found, func(a, b Attached) int {
		return cmp.Or(cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.Ring, b.Ring), cmp.Compare(a.UID, b.UID), cmp.Compare(a.PID, b.PID), cmp.Compare(a.Name, b.Name))
	})
	return found
}

// mapping by a process.
type mapped struct {
	ring  int // index into infos
	pid   int
	uid   uint32
	name  string
	count int
}

// mappings finds read-only mappings of the rings in /proc. A producer's are writable and no reader's.
func mappings(infos []Info) (found []mapped) {
	if len(infos) == 0 {
		return nil
	}
	byInode := make(map[uint64][]int, len(infos))
	for i := range infos {
		byInode[infos[i].ino] = append(byInode[infos[i].ino], i)
	}
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		counts := countMaps(filepath.Join("/proc", d.Name(), "maps"), infos, byInode)
		if len(counts) == 0 {
			continue
		}
		uid, name := processOf(d.Name())
		for ring, count := range counts {
			found = append(found, mapped{ring, pid, uid, name, count})
		}
	}
	return found
}

// countMaps counts the read-only mappings of rings in a process's map, of lines such as
//
//	7f2c40000000-7f2c44001000 r--s 00000000 00:19 1234    /dev/shm/tickwire/main/nasdaq.0.mbo.ring
func countMaps(path string, infos []Info, byInode map[uint64][]int) map[int]int {
	f, err := os.Open(path)
	if err != nil {
		return nil // gone, or not ours to look into
	}
	defer f.Close()
	var counts map[int]int
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 || fields[1] != "r--s" || fields[2] != "00000000" {
			continue
		}
		ino, err := strconv.ParseUint(fields[4], 10, 64)
		if err != nil {
			continue
		}
		start, end, _ := strings.Cut(fields[0], "-")
		from, err1 := strconv.ParseUint(start, 16, 64)
		to, err2 := strconv.ParseUint(end, 16, 64)
		for _, i := range byInode[ino] {
			if err1 != nil || err2 != nil || to-from < infos[i].FileBytes { // a monitor that looks at the header only
				continue
			}
			// A file system may show another device here than in stat (overlay, btrfs): then the name decides.
			if fields[3] == device(infos[i].dev) || filepath.Base(fields[5]) == filepath.Base(infos[i].Path) {
				if counts == nil {
					counts = make(map[int]int)
				}
				counts[i]++
			}
		}
	}
	return counts
}

func device(dev uint64) string { return fmt.Sprintf("%02x:%02x", unix.Major(dev), unix.Minor(dev)) }

// processOf says whose a process is (its effective uid) and what it calls itself.
func processOf(pid string) (uid uint32, name string) {
	text, err := os.ReadFile(filepath.Join("/proc", pid, "status"))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			name = "?"
		}
		return 0, name
	}
	for line := range strings.Lines(string(text)) {
		what, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		switch {
		case what == "Name":
			name = printable(strings.TrimSpace(value))
		case what == "Uid" && len(fields) >= 2:
			if n, err := strconv.ParseUint(fields[1], 10, 32); err == nil {
				uid = uint32(n)
			}
			return uid, name
		}
	}
	return uid, name
}
