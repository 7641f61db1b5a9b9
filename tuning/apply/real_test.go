package apply

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/tuning"
)

// TestRealNamespace changes what a namespace of the test's own has, by the kernel's own files and calls: a veth's settings and
// sysctls. The work is done by a child in that namespace with a /sys of its own; what it finds wrong it says.
func TestRealNamespace(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("namespaces need root")
	}
	p, err := netns.NewPair("apply", netns.Options{Queues: 2})
	if err != nil {
		t.Skipf("no namespaces here: %v", err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), envReal+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	var out []byte
	if err := p.Rx.Do(func() (err error) { out, err = cmd.CombinedOutput(); return err }); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// realChild is TestRealNamespace's child; its exit code is not 0 when something was wrong.
func realChild() int {
	code := 0
	fault := func(format string, args ...any) { fmt.Printf(format+"\n", args...); code = 1 }
	if err := errors.Join(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), unix.Mount("sysfs", "/sys", "sysfs", 0, "")); err != nil {
		fault("a /sys of its own: %v", err)
		return code
	}
	h, err := tuning.Open("/", nil)
	if err != nil {
		fault("%v", err)
		return code
	}
	sleeper := exec.Command("/bin/sleep", "600")
	if err := sleeper.Start(); err != nil {
		fault("%v", err)
		return code
	}
	defer func() { _ = sleeper.Process.Kill(); _ = sleeper.Wait() }()

	const nic = "feed0"
	file := func(name, value string, risk tuning.Risk) tuning.Change {
		return tuning.Change{Check: "test", Kind: tuning.WriteFile, Target: name, Value: value, Risk: risk}
	}
	driver := func(key, value string) tuning.Change {
		return tuning.Change{Check: "test", Kind: tuning.Ethtool, Target: nic, Key: key, Value: value, Risk: tuning.R2, NIC: nic}
	}
	changes := []tuning.Change{
		file("/proc/sys/net/ipv4/igmp_max_memberships", "512", tuning.R1),
		file("/proc/sys/net/ipv4/conf/"+nic+"/force_igmp_version", "2", tuning.R1),
		file("/sys/class/net/"+nic+"/mtu", "1400", tuning.R2),
		file("/sys/class/net/"+nic+"/queues/rx-0/rps_cpus", "1", tuning.R1),
		file("/sys/class/net/"+nic+"/napi_defer_hard_irqs", "100", tuning.R1),
		file("/sys/class/net/"+nic+"/gro_flush_timeout", "200000", tuning.R1),
		driver("features.rx-gro", "on"), driver("features.tx-checksum-ip-generic", "off"), driver("channels.rx", "1"),
		{Check: "test", Kind: tuning.Affinity, Target: strconv.Itoa(sleeper.Process.Pid), Key: "sleep", Value: "0", Risk: tuning.R1},
	}
	// What is there is told without package apply: by netlink, by files, and by ethtool where that is installed.
	look := func() string {
		var b strings.Builder
		l, err := netlink.LinkByName(nic)
		if err != nil {
			fault("%v", err)
			return ""
		}
		fmt.Fprintf(&b, "mtu %d\n", l.Attrs().MTU)
		for _, c := range changes {
			if c.Kind == tuning.WriteFile {
				text, err := os.ReadFile(c.Target)
				if err != nil {
					fault("%v", err)
				}
				fmt.Fprintf(&b, "%s %s", c.Target, text)
			}
		}
		var set unix.CPUSet
		if err := unix.SchedGetaffinity(sleeper.Process.Pid, &set); err != nil {
			fault("%v", err)
		}
		fmt.Fprintf(&b, "cores %d\n", set.Count())
		for _, flag := range []string{"-k", "-l"} {
			if out, err := exec.Command("/usr/sbin/ethtool", flag, nic).Output(); err == nil {
				b.Write(out)
			}
		}
		return b.String()
	}
	o := Options{Dir: os.Getenv(envReal), MaxRisk: tuning.R2, Confirm: -1, Guard: SelfGuard}
	before := look()
	out, err := Run(context.Background(), h, changes, o)
	if err != nil || out.Count(Done)+out.Count(Already) != len(changes) || out.Count(Done) < len(changes)-2 {
		fault("run: %v\n%s", err, show(out))
	}
	after := look()
	for _, want := range []string{"mtu 1400\n", "igmp_max_memberships 512\n", "force_igmp_version 2\n", "napi_defer_hard_irqs 100\n", "cores 1\n"} {
		if !strings.Contains(after, want) {
			fault("%q is missing in\n%s", want, after)
		}
	}
	if again, err := Run(context.Background(), h, changes, o); err != nil || again.Run != 0 {
		fault("again: %v\n%s", err, show(again))
	}
	u, err := Revert(h, Which{All: true}, o)
	if err != nil || u.Count(Undone) != out.Count(Done) {
		fault("revert: %v\n%s", err, u.Text())
	}
	if now := look(); now != before {
		fault("after all is\n%s\nand was\n%s", now, before)
	}

	// The kernel refuses an MTU that veth cannot have: what came before it is undone.
	bad := append(changes[:2:2], file("/sys/class/net/"+nic+"/mtu", "70000", tuning.R2))
	if out, err := Run(context.Background(), h, bad, o); !errors.Is(err, ErrUndone) || !errors.Is(err, unix.EINVAL) {
		fault("a bad MTU: %v\n%s", err, show(out))
	}
	if now := look(); now != before {
		fault("after a bad MTU is\n%s\nand was\n%s", now, before)
	}

	// The interface of the session is not touched, and neither is that of a default route.
	own := o
	own.Session = "10.203.0.2"
	if out, err := Run(context.Background(), h, changes[2:3], own); err != nil || out.Count(Refused) != 1 {
		fault("the session's interface: %v\n%s", err, show(out))
	}
	// That address may be known only by the interface's own, where routes of a VRF lead to it.
	if err := os.Setenv("SSH_CONNECTION", "192.0.2.7 5000 10.203.0.1 22"); err != nil {
		fault("%v", err)
	}
	if out, err := Run(context.Background(), h, changes[2:3], o); err != nil || out.Count(Refused) != 1 {
		fault("the interface that has the session's address: %v\n%s", err, show(out))
	}
	if err := os.Unsetenv("SSH_CONNECTION"); err != nil {
		fault("%v", err)
	}
	link, err := netlink.LinkByName(nic)
	if err == nil {
		vrf := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: net.IPv4(10, 203, 0, 2), Table: 100}
		err = netlink.RouteAdd(vrf)
		if out, err2 := Run(context.Background(), h, changes[2:3], o); err != nil || err2 != nil || out.Count(Refused) != 1 {
			fault("the only default route, of another table: %v %v\n%s", err, err2, show(out))
		}
		if err == nil {
			err = netlink.RouteDel(vrf)
		}
	}
	if err == nil {
		err = netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: net.IPv4(10, 203, 0, 2)})
	}
	if out, err2 := Run(context.Background(), h, changes[2:3], o); err != nil || err2 != nil || out.Count(Refused) != 1 {
		fault("the default route's interface: %v %v\n%s", err, err2, show(out))
	}

	// Nobody confirms: the guard, a process of its own, sets it back.
	o.AllowMgmt, o.Confirm = true, 200*time.Millisecond
	if out, err := Run(context.Background(), h, changes[2:3], o); err != nil || out.Count(Done) != 1 {
		fault("with a guard: %v\n%s", err, show(out))
	}
	for end := time.Now().Add(2 * time.Minute); look() != before; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			fault("the guard did nothing for two minutes")
			break
		}
	}
	o = o.withDefaults()
	m, err := newMachine(h, &o)
	for end := time.Now().Add(2 * time.Minute); err == nil && m.guardLives() && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
	}
	fmt.Print(show(out))
	return code
}

// TestRealHost changes two things of the machine itself, and sets them back at once: transparent huge pages, and where an
// interrupt may land.
func TestRealHost(t *testing.T) {
	const thp = "/sys/kernel/mm/transparent_hugepage/enabled"
	lock, err := os.OpenFile(thp, os.O_RDWR, 0)
	if err != nil {
		t.Skipf("nothing of this machine may be changed: %v", err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil { // another run of this test
		t.Skip(err)
	}
	h, err := tuning.Open("/", nil)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Dir: t.TempDir(), Confirm: -1}
	text := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	there := func(name, value string) {
		t.Helper()
		was := text(name)
		t.Cleanup(func() { // also when something goes wrong; the word that was chosen is what is written
			if now := text(name); now != was {
				t.Errorf("%s was %q, is %q", name, was, now)
				word, _ := chosen(was)
				_ = os.WriteFile(name, []byte(strings.TrimSpace(word)), 0)
			}
		})
		out, err := Run(context.Background(), h, []tuning.Change{{Check: "test", Kind: tuning.WriteFile, Target: name, Value: value, Risk: tuning.R1}}, o)
		if errors.Is(err, unix.EIO) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EROFS) {
			t.Logf("%s: %v", name, err)
			return
		}
		if err != nil || out.Count(Done) != 1 {
			t.Fatalf("%v\n%s", err, show(out))
		}
		if now := text(name); now == was {
			t.Errorf("%s still is %q", name, now)
		}
		u, err := Revert(h, Which{All: true}, o)
		if err != nil || u.Count(Undone) != 1 {
			t.Fatalf("%v\n%s", err, u.Text())
		}
		t.Logf("%s: %s → %s and back", name, strings.TrimSpace(was), value)
	}
	if word, _ := chosen(text(thp)); word == "never" {
		there(thp, "madvise")
	} else {
		there(thp, "never")
	}
	lists, _ := filepath.Glob("/proc/irq/*/smp_affinity_list")
	tried := 0
	for _, name := range lists {
		set, err := tuning.ParseCPUs(strings.TrimSpace(text(name)))
		if err != nil || len(set) < 2 {
			continue
		}
		there(name, strconv.Itoa(set[0]))
		if tried++; tried == 2 {
			break
		}
	}
}
