package config

import (
	"strings"
	"testing"
	"time"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/ringbuf"
)

const sample = `
[instance]
name = "colo1"
ring_dir = "/dev/shm/tw"

[[feed]]
name = "nasdaq"
protocol = "itch"
idle = "spin"

[feed.recovery]
wait = "500us"

[[feed.lane]]
name = "0"
core = 3

[[feed.channel]]
name = "totalview"

[[feed.channel.line]]
interface = "eth2"
group = "233.54.12.111:26477"

[[feed.channel.line]]
interface = "eth3"
group = "233.49.196.111:26477"

[serve]
memory = "4GiB"
`

func TestParse(t *testing.T) {
	c, err := Parse([]byte(sample), []string{"TICKWIRE_SERVE__SQL=127.0.0.1:7000", "TICKWIRE_FEED__0__LANE__0__MAX_PASS=128", "HOME=/", "TICKWIRE_VECTORS=/x"})
	if err != nil {
		t.Fatal(err)
	}
	f := c.Feed[0]
	switch {
	case c.Instance.Name != "colo1" || c.Instance.RingDir != "/dev/shm/tw":
		t.Errorf("instance %+v", c.Instance)
	case c.Serve.SQL != "127.0.0.1:7000" || c.Serve.Memory != 4<<30:
		t.Errorf("serve %+v", c.Serve)
	case f.Idle != "spin" || time.Duration(f.Recovery.Wait) != 500*time.Microsecond || *f.Lane[0].Core != 3 || f.Lane[0].MaxPass != 128:
		t.Errorf("feed %+v", f)
	case f.Source != "udp" || f.Publisher != 2 || f.Channel[0].Lane != "0" || f.Channel[0].Line[1].Name != "B":
		t.Errorf("defaults of feed %+v", f)
	case f.Channel[0].Line[0].Group.String() != "233.54.12.111:26477":
		t.Errorf("line %+v", f.Channel[0].Line[0])
	}
}

// Each fault is one sentence that names line or key; several faults are all reported.
func TestFaults(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		env        []string
		want       []string
	}{
		{"syntax", "[instance\n", nil, []string{"line 1"}},
		{"unknown key", "[serve]\nsql = \"127.0.0.1:1\"\nport = 3\n", nil, []string{"line 3", "serve.port"}},
		{"wrong type", "[serve]\nthreads = \"many\"\n", nil, []string{"line 2"}},
		{"bad duration", "[[feed]]\nname=\"x\"\n[feed.recovery]\nwait = \"2 moons\"\n", nil, []string{"2 moons"}},
		{"bad size", "[serve]\nmemory = \"lots\"\n", nil, []string{"lots"}},
		{"several", "[[feed]]\nname = \"a b\"\nprotocol = \"ouch\"\nidle = \"sleep\"\n", nil,
			[]string{`feed[0].name = "a b"`, `"ouch" is unknown; known: `, `"sleep"`, "feed[0].channel is missing"}},
		{"no interface", "[[feed]]\nname=\"a\"\n[[feed.channel]]\n[[feed.channel.line]]\ngroup = \"10.0.0.1:5\"\n", nil,
			[]string{"interface is missing", "no multicast"}},
		{"two of a name", "[[feed]]\nname=\"a\"\nsource=\"file\"\npath=\"x\"\n[[feed]]\nname=\"a\"\nsource=\"file\"\npath=\"y\"\n", nil, []string{"taken by another feed"}},
		{"ring", "[[feed]]\nname=\"a\"\nsource=\"file\"\npath=\"x\"\n[feed.rings]\nmbo = 1000\n", nil, []string{"feed[0].rings.mbo = 1000"}},
		{"lane", "[[feed]]\nname=\"a\"\n[[feed.channel]]\nlane=\"9\"\n", nil, []string{`channel[0].lane = "9"`, "line has 0 entries"}},
		{"pace", "[[feed]]\nname=\"a\"\nsource=\"file\"\npath=\"/x\"\npace=\"1\"\n", nil, []string{`pace = "1" is none of max, recorded, x10, 50000/s`}},
		{"afxdp", "[[feed]]\nname=\"a\"\nstamps=\"mine\"\nafxdp.mode=\"fast\"\nafxdp.frames=1000\nafxdp.ring=8192\n", nil,
			[]string{`stamps = "mine"`, `afxdp.mode = "fast"`, "frames = 1000 is no power of two", "at least twice ring"}},
		{"lane's class", "[[feed]]\nname=\"a\"\n[[feed.lane]]\nsched=\"rt\"\npriority=100\n", nil, []string{`sched = "rt"`, "priority = 100"}},
		{"no time to ask", "[[feed]]\nname=\"a\"\n[feed.recovery]\nwait=\"50ms\"\nservers=[\"10.0.0.1:5\", \"nobody\"]\nsnapshot=\"nowhere\"\nsnapshot_user=\"toolong\"\nsnapshot_session=\"mine\"\n", nil,
			[]string{"hold_max = 50ms leaves no time", `servers[1] = "nobody"`, `snapshot = "nowhere"`, "more than 6 characters", `snapshot_session = "mine"`}},
		{"snapshots of two channels", "[[feed]]\nname=\"a\"\nrecovery.snapshot=\"10.0.0.1:5\"\n[[feed.channel]]\n[[feed.channel]]\n", nil, []string{`lane "0" has 2`}},
		{"queue and vlan", "[[feed]]\nname=\"a\"\n[[feed.channel]]\n[[feed.channel.line]]\nqueue=-2\nvlan=4095\n", nil, []string{"queue = -2", "vlan = 4095"}},
		{"grants", "[[plugins.grant]]\nplugin = \"a\"\nsigner = \"b\"\n[[plugins.grant.dir]]\npath = \"maps\"\n", nil, []string{`grant[0] (a): signer "b"`, `path "maps" is no absolute path`}},
		{"aggregates of plugins", "[serve]\nplugin_aggregates = \"no\"\n", nil, []string{`serve.plugin_aggregates = "no"`}},
		{"plugins of serve", "[[serve.plugin]]\n[[serve.plugin]]\npath = \"/x\"\non_trap = \"pass\"\n[[serve.plugin]]\npath = \"/x\"\nmax_failures = 2\n", nil,
			[]string{"serve.plugin[0] has neither path nor name", "serve.plugin[1] has max_failures or on_trap", "serve.plugin[2] is plugin[1] again", "serve.plugin[2] has max_failures"}},
		{"environment", "", []string{"TICKWIRE_FEED__5__NAME=x"}, []string{"TICKWIRE_FEED__5__NAME", "no number 5"}},
		{"environment type", "", []string{"TICKWIRE_SERVE__THREADS=many"}, []string{"environment"}},
	} {
		_, err := Parse([]byte(tc.text), tc.env)
		if err == nil {
			t.Errorf("%s: accepted", tc.name)
			continue
		}
		for _, want := range tc.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", tc.name, err, want)
			}
		}
	}
}

func TestSizeRoundTrip(t *testing.T) {
	for _, text := range []string{"4GiB", "512MiB", "3KiB", "1000000", "0"} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if b, _ := s.MarshalText(); string(b) != text {
			t.Errorf("%s came back as %s", text, b)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("[[feed]]\nname=\"a\"\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse(text, nil)
		if c == nil && err == nil {
			t.Error("neither a configuration nor a fault")
		}
	})
}

// TestFaultsTogether: an unknown key hides none of the other faults, and names its neighbours.
func TestFaultsTogether(t *testing.T) {
	_, err := Parse([]byte("[serve]\nmemroy = \"1GiB\"\nmemory = \"1MiB\"\n[[feed]]\nname = \"a b\"\n[feed.recovery]\nwiat = \"2ms\"\n"), nil)
	for _, want := range []string{"line 2: there is no key serve.memroy; there are fix, memory, metrics,", "serve.memory = 1048576", `feed[0].name = "a b"`, "line 7: there is no key feed.recovery.wiat; there are hold_max"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: without %q", err, want)
		}
	}
}

// TestDefaultsShown: what is left out is filled in with what the rooms below would take, so that `config show` tells the truth.
func TestDefaultsShown(t *testing.T) {
	c, err := Parse([]byte(sample), nil)
	if err != nil {
		t.Fatal(err)
	}
	f := c.Feed[0]
	switch {
	case f.Lane[0].MaxPass != pipeline.PassLive:
		t.Errorf("max_pass %d, a lane's is %d", f.Lane[0].MaxPass, pipeline.PassLive)
	case f.Recovery.HoldPackets == 0 || f.Recovery.HoldMessages == 0:
		t.Errorf("recovery %+v", f.Recovery)
	case f.Rings.Mbo != ringbuf.KindMbo.DefaultSlots() || f.Rings.Mbp10 != ringbuf.KindMbp10.DefaultSlots() || f.Rings.Instruments != ringbuf.DefaultInstruments:
		t.Errorf("rings %+v", f.Rings)
	}
	if c, _ := Parse(nil, nil); c.Serve.Memory < leastMemory || c.Serve.Threads < 1 {
		t.Errorf("serve %+v", c.Serve)
	}
}
