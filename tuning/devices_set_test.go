package tuning

import (
	"net/netip"
	"slices"
	"testing"
)

// FuzzSet: what Set takes as text comes to what the kernel is told, or to an error; a rule that is written is read as it was.
func FuzzSet(f *testing.F) {
	f.Add("4", 8)
	f.Add("table 0,1,2,3,0,1,2,9", 8)
	f.Add("table 0,-1", 2)
	f.Add("233.54.12.111:26477 4", 128)
	f.Add("[::1]:1 4", 1)
	f.Add("233.54.12.111:26477", 0)
	f.Fuzz(func(t *testing.T, text string, size int) {
		if size = min(max(size, 0), 1024); size > 0 {
			if table, err := parseRSS(text, size); err == nil {
				again, err := parseRSS(RSS{table}.text(), size)
				if err != nil || !slices.Equal(again, table) {
					t.Fatalf("%q is %v, and by way of %q %v (%v)", text, table, RSS{table}.text(), again, err)
				}
			}
		}
		to, queue, err := parseInsert(text)
		if err != nil || queue < 0 {
			return
		}
		spec := make([]byte, rxnfcBytes-rxnfcSpec)
		putRule(spec, to, queue, 7)
		if r := parseRule(spec, 7); r.Queue != queue || r.Group != to.String() {
			t.Fatalf("%q is written, and read as %+v", text, r)
		}
	})
}

// TestSettable: each field that Set takes is one that Field can read back, on a machine that has all of them.
func TestSettable(t *testing.T) {
	h := ownMachine(t, "ice")
	dev := h.Devices.(Setter)
	all := Fields(dev, "eth2")
	for _, name := range []string{"rings.rx_pending", "coalesce.rx_usecs", "coalesce.adaptive_rx", "pause.rx", "channels.combined", "fec.configured", "hwtstamp.rx_filter", "rss.equal",
		"features.rx-lro", "private.fw-lldp-agent"} {
		if all[name] == "" {
			t.Errorf("%s cannot be read", name)
		}
	}
	if Settable("rings", "rx_max") || Settable("stats", "x") || Settable("driver", "version") || Settable("features", "") {
		t.Error("more can be set than is")
	}
	for _, bad := range []struct{ group, field, value string }{{"rings", "rx_pending", "-1"}, {"rings", "rx_pending", "many"}, {"rss", "equal", "0"}, {"rules", "insert", "x 1"}, {"features", "nosuch", "on"}, {"driver", "version", "1"}} {
		if err := dev.Set("eth2", bad.group, bad.field, bad.value); err == nil {
			t.Errorf("%s.%s = %q was taken", bad.group, bad.field, bad.value)
		}
	}
	// A table that is not spread evenly comes back as it was.
	const odd = "table 3,0,0,1"
	if err := dev.Set("eth2", "rss", "equal", odd); err != nil {
		t.Fatal(err)
	}
	if v, err := Field(dev, "eth2", "rss", "equal"); v != odd || err != nil {
		t.Errorf("%q (%v)", v, err)
	}
	const group = "233.54.12.11:26477"
	for _, value := range []string{group + " 3", group} {
		if err := dev.Set("eth2", "rules", "insert", value); err != nil {
			t.Fatal(err)
		}
		if v, err := Field(dev, "eth2", "rules", "insert "+netip.MustParseAddrPort(group).String()); v != value || err != nil {
			t.Errorf("%q (%v), want %q", v, err, value)
		}
	}
}
