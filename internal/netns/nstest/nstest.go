// Package nstest gives tests network namespaces of their own.
package nstest

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/internal/netns"
)

// Pair makes a pair that is removed when the test ends. Without the right to make namespaces the test is skipped and
// says so; where CI is set it fails, since CI has it.
func Pair(t testing.TB, o netns.Options) *netns.Pair {
	t.Helper()
	use := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, t.Name())
	p, err := netns.NewPair(use, o)
	if err != nil {
		if os.Getenv("CI") == "" && (errors.Is(err, os.ErrPermission) || errors.Is(err, unix.EPERM)) {
			t.Skipf("network namespaces cannot be made here: %v", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// Inside runs f on a thread inside a namespace, with a /sys of its own: that of the machine goes on showing the interfaces of the
// namespace in which it was mounted. The mount ends with the thread.
func Inside(t testing.TB, n *netns.NS, f func() error) {
	t.Helper()
	if err := n.Do(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return err
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return err
		}
		if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
			return err
		}
		return f()
	}); err != nil {
		t.Fatal(err)
	}
}
