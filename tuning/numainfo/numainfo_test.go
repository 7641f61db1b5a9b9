package numainfo

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/tuning"
	"github.com/tickwire/tickwire/tuning/fakeroot"
)

func machine(t *testing.T, name string, plan *tuning.Plan) *tuning.Host {
	t.Helper()
	root := t.TempDir()
	if err := fakeroot.Write(root, os.DirFS("testdata"), name+".txtar"); err != nil {
		t.Fatal(err)
	}
	h, err := tuning.Open(root, plan)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestTwoNodes shows a machine of two nodes, the plan of which is on the wrong one.
func TestTwoNodes(t *testing.T) {
	h := machine(t, "two", &tuning.Plan{Hot: tuning.CPUs{1, 2}, NAPI: tuning.CPUs{6}, Interfaces: []tuning.Interface{{Name: "eth2"}}})
	var b strings.Builder
	if err := Look(h).Text(&b); err != nil {
		t.Fatal(err)
	}
	want := `node  cores  plan     memory   free    huge pages (free)        distances  NICs
0     0-3    HOT 1-2  15.5GiB  512MiB  64×2MiB (0), 0×1GiB (0)  10 21      eth1
1     4-7    NAPI 6   0KiB     0KiB    32×2MiB (30)             21 10      eth2
L3 shared by 0-3; 4-7
offline: 8-9
note: eth2 is on node 1, and cores 1-2 of the plan are not: each packet crosses between sockets
note: HOT 1-2 and NAPI 6 share no L3 cache
note: node 0 has cores of the plan and no free huge page
note: node 1 has no memory: what its cores need lies elsewhere
`
	if b.String() != want {
		t.Errorf("%s\nwant\n%s", b.String(), want)
	}
}

// TestGoodPlan: a plan that fits has nothing said against it.
func TestGoodPlan(t *testing.T) {
	h := machine(t, "two", &tuning.Plan{Hot: tuning.CPUs{5}, NAPI: tuning.CPUs{6}, Interfaces: []tuning.Interface{{Name: "eth2"}}})
	r := Look(h)
	if got := strings.Join(r.Notes, "\n"); got != "node 1 has no memory: what its cores need lies elsewhere" {
		t.Error(got)
	}
	if !slices.Equal(r.Nodes[1].Hot, []int{5}) || r.NICs[1].Node != 1 || r.NICs[1].BDF != "0000:3b:00.0" {
		t.Errorf("%+v", r)
	}
}

// TestNoNUMA: a kernel without it is one node of all cores; without anything to read nothing is invented.
func TestNoNUMA(t *testing.T) {
	r := Look(machine(t, "one", nil))
	if len(r.Nodes) != 1 || r.Nodes[0].Cores.String() != "0-1" || r.Nodes[0].TotalKiB != 2048 || r.Nodes[0].FreeKiB != -1 || len(r.Nodes[0].Huge) != 1 || r.Nodes[0].Huge[0] != (Huge{2048, 3, 1}) {
		t.Errorf("%+v", r.Nodes)
	}
	h, err := tuning.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if r := Look(h); len(r.Nodes) != 1 || r.Nodes[0].TotalKiB != -1 || len(r.NICs) != 0 {
		t.Errorf("%+v", r)
	}
}

// TestThisMachine: the real one has cores and memory.
func TestThisMachine(t *testing.T) {
	h, err := tuning.Open("/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r := Look(h)
	cores, memory := 0, int64(0)
	for _, n := range r.Nodes {
		cores += len(n.Cores)
		memory += n.TotalKiB
	}
	if cores != len(h.Online()) || memory <= 0 {
		t.Errorf("%d cores, %d KiB", cores, memory)
	}
}

// FuzzMemory reads whatever meminfo holds.
func FuzzMemory(f *testing.F) {
	f.Add("Node 0 MemTotal:       16 kB\nNode 0 MemFree: 3 kB\n")
	f.Add("MemTotal:\nMemFree: -5 kB")
	f.Add("MemTotal: 99999999999999999999 kB")
	f.Fuzz(func(t *testing.T, s string) {
		if n := memory(s, "MemTotal:"); n < -1 {
			t.Fatalf("%q gives %d", s, n)
		}
	})
}
