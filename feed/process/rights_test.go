package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
	"github.com/tickwire/tickwire/ringbuf"
)

// TestRights: a feed of user nobody with just the capabilities that docs/receive-path.md and the systemd unit give receives by AF_XDP; with one fewer it says
// which one, and with none of them source auto runs all the same.
func TestRights(t *testing.T) {
	p := nstest.Pair(t, netns.Options{Pairs: 2})
	const nobody = 65534
	all := map[string]uintptr{
		"CAP_NET_RAW": unix.CAP_NET_RAW, "CAP_NET_ADMIN": unix.CAP_NET_ADMIN, "CAP_BPF": unix.CAP_BPF, "CAP_PERFMON": unix.CAP_PERFMON, "CAP_IPC_LOCK": unix.CAP_IPC_LOCK,
	}
	unit, err := os.ReadFile("../../deploy/systemd/tickwire-feed@.service")
	must(t, err)
	page, err := os.ReadFile("../../docs/receive-path.md")
	must(t, err)
	for name := range all {
		if !strings.Contains(string(unit), name) || !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("%s is not both in the unit and in the page", name)
		}
	}
	home, err := os.MkdirTemp("", "tickwire-rights-") // the folders of a test are its user's alone
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(home)) })
	must(t, os.Chmod(home, 0o755))
	self := filepath.Join(home, "feed")
	binary, err := os.ReadFile(os.Args[0])
	must(t, err)
	must(t, os.WriteFile(self, binary, 0o755))

	run := func(t *testing.T, more string, without ...string) (text string, err error) {
		dir, err := os.MkdirTemp(home, "")
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, "tickwire.toml"), configOf(dir, more), 0o644))
		must(t, os.Chown(dir, nobody, nobody))
		out := &said{}
		c := exec.Command(self)
		c.Env = append(os.Environ(), spawned+"="+dir)
		c.Stdout, c.Stderr = out, out
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		for name, bit := range all {
			if !slices.Contains(without, name) {
				c.SysProcAttr.AmbientCaps = append(c.SysProcAttr.AmbientCaps, bit)
			}
		}
		must(t, p.Rx.Do(c.Start))
		ended := make(chan error, 1)
		go func() { ended <- c.Wait() }()
		for until := time.Now().Add(patience); ; {
			f, err := ringbuf.OpenStats(ringbuf.SidePath(dir, "t", "nq", "", ringbuf.ExtStats))
			if err == nil {
				polls := slices.ContainsFunc(f.Append(nil), func(s ringbuf.Stat) bool { return s.Name == "0.poll.polls" && s.Value > 0 })
				must(t, f.Close())
				if polls {
					must(t, c.Process.Signal(unix.SIGTERM))
					err := <-ended
					return out.String(), err
				}
			}
			select {
			case err := <-ended:
				return out.String(), err
			case <-time.After(5 * time.Millisecond):
			}
			if time.Now().After(until) {
				_ = c.Process.Kill()
				<-ended
				t.Fatalf("it neither comes up nor ends:\n%s", out)
			}
		}
	}

	t.Run("as documented", func(t *testing.T) {
		if said, err := run(t, "source = \"afxdp\"\nidle = \"busy-poll\""); err != nil || strings.Contains(said, "source udp is used") {
			t.Errorf("%v; it said:\n%s", err, said)
		}
	})
	for _, name := range []string{"CAP_NET_RAW", "CAP_NET_ADMIN", "CAP_BPF", "CAP_PERFMON"} {
		t.Run("without "+name, func(t *testing.T) {
			if said, err := run(t, `source = "afxdp"`, name); err == nil || !strings.Contains(said, "the process lacks "+name) {
				t.Errorf("%v; it said:\n%s", err, said)
			}
		})
	}
	t.Run("auto without any", func(t *testing.T) {
		if said, err := run(t, `source = "auto"`, "CAP_NET_RAW", "CAP_NET_ADMIN", "CAP_BPF", "CAP_PERFMON", "CAP_IPC_LOCK"); err != nil ||
			!strings.Contains(said, "source udp is used") || !strings.Contains(said, "the process lacks CAP_NET_RAW") {
			t.Errorf("%v; it said:\n%s", err, said)
		}
	})
}
