package process

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/bpf"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/afxdp"
	"github.com/tickwire/tickwire/nic/link"
)

// TestDocumentedCounters: every counter that docs/receive-path.md sends people to is one.
func TestDocumentedCounters(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "receive-path.md"))
	if err != nil {
		t.Fatal(err)
	}
	fields := func(counters ...any) (names []string) {
		for _, c := range counters {
			for _, f := range reflect.VisibleFields(reflect.TypeOf(c)) {
				names = append(names, snake(f.Name))
			}
		}
		return names
	}
	queue, program := "0.afxdp.interface.<interface>.queue.<n>", "0.xdp.interface.<interface>"
	known := map[string][]string{
		"0.link.interface.<interface>": fields(link.Counters{}),
		queue:                          fields(afxdp.KernelCounters{}), program: fields(bpf.Counters{}), "0.afxdp": fields(afxdp.Counters{}), "0.udp": fields(nic.Counters{}),
		"0.channel.<name>.line.<A or B>": fields(session.LineCounters{}),
	}
	seen, group := 0, ""
	for _, m := range regexp.MustCompile("`((?:0[a-zAB .<>]*)?)\\.([a-z_]+)`").FindAllStringSubmatch(string(text), -1) {
		if m[1] != "" {
			group = m[1]
		}
		seen++
		if !slices.Contains(known[group], m[2]) {
			t.Errorf("docs/receive-path.md: there is no counter %s.%s", group, m[2])
		}
	}
	if seen < 14 || !strings.Contains(string(text), "`<lane>.afxdp.interface.<interface>.queue.<queue>.mode`") {
		t.Errorf("only %d counters are named: the page has changed its manner, and this test with it sees less", seen)
	}
}
