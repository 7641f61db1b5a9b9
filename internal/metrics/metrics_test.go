package metrics

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	"github.com/tickwire/tickwire/internal/hist"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

var rewrite = flag.Bool("rewrite", false, "write the tables of docs/metrics.md")

// world is an instance with a feed that runs, one that ended, one that died, and a file that is none.
func world(t *testing.T) (dir string, reader *ringbuf.Reader, beat func()) {
	t.Helper()
	dir = t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	stats := func(process string, names ...string) *ringbuf.StatsWriter {
		w, err := ringbuf.CreateStats(ringbuf.SidePath(dir, "main", process, "", ringbuf.ExtStats), 0, ringbuf.SideOptions{})
		must(err)
		for i, name := range names {
			kind := ringbuf.StatCounter
			if rest, ok := strings.CutPrefix(name, "gauge:"); ok {
				name, kind = rest, ringbuf.StatGauge
			}
			h, err := w.Add(name, kind)
			must(err)
			w.Set(h, uint64(100+i))
		}
		return w
	}
	run := stats("nasdaq", "0.lane.messages", "0.book.orders", "0.book.unknown.exec", "0.itch.type.A", "0.channel.itch.lost_messages",
		"0.channel.itch.line.A.packets", "0.channel.itch.line.B.packets", "gauge:0.channel.itch.line.B.last_at", "0.afxdp.interface.eth1.100.queue.3.rx_dropped",
		"0.udp.kernel_drops", "runtime.collections", "0.lane.stalled_ns", "0.lane.Messages", "1.lane.messages")
	t.Cleanup(func() { _ = run.Close() })
	var h hist.Hist
	var skew [40]uint64
	e, err := hist.Register(run, "0.lane", "stamp_to_poll", &h)
	must(err)
	p, err := hist.RegisterPowers(run, "0.channel.itch", "skew", skew[:])
	must(err)
	for _, ns := range []uint64{10, 20, 1000, 1 << 40} {
		h.Record(ns)
	}
	h.Span(5, 4)
	skew[3] = 8
	e.Publish()
	p.Publish()
	must(stats("bats", "0.lane.messages").Close())
	dead := stats("dead", "0.lane.messages", "store.rows")
	t.Cleanup(func() { _ = dead.Close() })
	serve := stats("serve", "store.rows", "gauge:sql.connections")
	t.Cleanup(func() { _ = serve.Close() })
	must(os.WriteFile(filepath.Join(dir, "main", "bad.stats"), []byte("rubbish"), 0o600))
	must(os.WriteFile(filepath.Join(dir, "main", "f.0.mbo.ring"), []byte("rubbish"), 0o600))

	path := ringbuf.Path(dir, "main", "nasdaq", "0", ringbuf.KindMbo)
	w, err := ringbuf.Create(path, ringbuf.Options{Kind: ringbuf.KindMbo, Slots: 1024})
	must(err)
	t.Cleanup(func() { _ = w.Close() })
	ringbuf.PublishSlice(w, make([]tick.Mbo, 50))
	w.PublishHint()
	w.Beat(ringbuf.MonotonicNow())
	reader, err = ringbuf.Open(path, ringbuf.ReaderOptions{Join: ringbuf.JoinOldest, Report: "strategy"})
	must(err)
	must(reader.Reported())
	t.Cleanup(func() { _ = reader.Close() })
	for { // the dead one has not beaten for so long
		r, err := ringbuf.OpenStats(ringbuf.SidePath(dir, "main", "dead", "", ringbuf.ExtStats))
		must(err)
		silence := r.Silence()
		must(r.Close())
		if silence > aliveWithin+50*time.Millisecond {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return dir, reader, func() { run.Beat(); serve.Beat(); w.Beat(ringbuf.MonotonicNow()) }
}

// gather is one scrape, as lines name{labels} value; histograms as their count, sum and cumulated buckets.
func gather(t *testing.T, c prometheus.Collector) (lines map[string]float64, families []*dto.MetricFamily) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	lines = map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			slices.Sort(labels)
			key := f.GetName() + "{" + strings.Join(labels, ",") + "}"
			switch {
			case m.Histogram != nil:
				lines[key+" count"], lines[key+" sum"] = float64(m.Histogram.GetSampleCount()), m.Histogram.GetSampleSum()
				for _, b := range m.Histogram.Bucket {
					lines[fmt.Sprintf("%s le=%g", key, b.GetUpperBound())] = float64(b.GetCumulativeCount())
				}
			case m.Counter != nil:
				lines[key+" counter"] = m.Counter.GetValue()
			default:
				lines[key] = m.Gauge.GetValue()
			}
		}
	}
	return lines, families
}

func TestScrape(t *testing.T) {
	dir, reader, beat := world(t)
	c := NewCollector(Options{RingDir: dir, Instance: "main", Feeds: []string{"nasdaq", "bats", "nyse"}, AttachedEvery: time.Nanosecond})
	beat()
	got, families := gather(t, c)
	uid := fmt.Sprint(os.Getuid())
	pid := fmt.Sprint(os.Getpid())
	rd := "{feed=nasdaq,kind=mbo,lane=0,name=strategy,pid=" + pid + ",uid=" + uid + ",user=" + c.user(uint32(os.Getuid()))
	for name, want := range map[string]float64{
		"tickwire_lane_messages_total{feed=nasdaq,lane=0} counter":                                     100,
		"tickwire_book_orders{feed=nasdaq,lane=0}":                                                     101,
		"tickwire_book_unknown_total{feed=nasdaq,kind=exec,lane=0} counter":                            102,
		"tickwire_itch_messages_by_type_total{feed=nasdaq,lane=0,type=A} counter":                      103,
		"tickwire_channel_lost_messages_total{channel=itch,feed=nasdaq,lane=0} counter":                104,
		"tickwire_line_packets_total{channel=itch,feed=nasdaq,lane=0,line=A} counter":                  105,
		"tickwire_line_packets_total{channel=itch,feed=nasdaq,lane=0,line=B} counter":                  106,
		"tickwire_line_last_timestamp_seconds{channel=itch,feed=nasdaq,lane=0,line=B}":                 107e-9,
		"tickwire_afxdp_queue_rx_dropped_total{feed=nasdaq,interface=eth1.100,lane=0,queue=3} counter": 108,
		"tickwire_udp_kernel_drops_total{feed=nasdaq,lane=0} counter":                                  109,
		"tickwire_runtime_collections_total{feed=nasdaq} counter":                                      110,
		"tickwire_lane_stalled_seconds_total{feed=nasdaq,lane=0} counter":                              111e-9,
		"tickwire_lane_messages_total{feed=nasdaq,lane=1} counter":                                     113,
		"tickwire_lane_messages_total{feed=bats,lane=0} counter":                                       100,
		"tickwire_lane_messages_total{feed=dead,lane=0} counter":                                       100, // its last value
		"tickwire_store_rows_total{process=serve} counter":                                             100,
		"tickwire_sql_connections{process=serve}":                                                      101,
		"tickwire_lane_latency_seconds{feed=nasdaq,lane=0,stage=stamp_to_poll} count":                  4,
		"tickwire_lane_latency_seconds{feed=nasdaq,lane=0,stage=stamp_to_poll} sum":                    float64(10+20+1000+1<<40) / 1e9,
		"tickwire_lane_latency_seconds{feed=nasdaq,lane=0,stage=stamp_to_poll} le=1.6e-08":             1,
		"tickwire_lane_latency_seconds{feed=nasdaq,lane=0,stage=stamp_to_poll} le=2.4e-08":             2,
		"tickwire_lane_latency_seconds{feed=nasdaq,lane=0,stage=stamp_to_poll} le=1.024e-06":           3,
		"tickwire_lane_latency_backwards_total{feed=nasdaq,lane=0,stage=stamp_to_poll} counter":        1,
		"tickwire_channel_skew_seconds{channel=itch,feed=nasdaq,lane=0} count":                         8,
		"tickwire_channel_skew_seconds{channel=itch,feed=nasdaq,lane=0} le=1.5e-08":                    8,
		"tickwire_channel_skew_seconds{channel=itch,feed=nasdaq,lane=0} le=7e-09":                      0,
		"tickwire_process_up{process=nasdaq}":                                                          1,
		"tickwire_process_up{process=bats}":                                                            0,
		"tickwire_process_state{process=nasdaq,state=running}":                                         1,
		"tickwire_process_state{process=bats,state=ended}":                                             1,
		"tickwire_process_state{process=dead,state=died}":                                              1,
		"tickwire_process_state{process=dead,state=running}":                                           0,
		"tickwire_process_state{process=nyse,state=absent}":                                            1,
		"tickwire_process_state{process=bad,state=bad}":                                                1,
		"tickwire_ring_records_total{feed=nasdaq,kind=mbo,lane=0} counter":                             50,
		"tickwire_ring_capacity_records{feed=nasdaq,kind=mbo,lane=0}":                                  1024,
		"tickwire_ring_epoch{feed=nasdaq,kind=mbo,lane=0}":                                             1,
		"tickwire_ring_state{feed=nasdaq,kind=mbo,lane=0,state=running}":                               1,
		"tickwire_ring_state{feed=nasdaq,kind=mbo,lane=0,state=stopped}":                               0,
		"tickwire_ring_reader_lag_records" + rd + "}":                                                  50,
		"tickwire_ring_reader_lost_records_total" + rd + "} counter":                                   0,
		"tickwire_metrics_skipped":                                                                     2, // 0.lane.Messages beside 0.lane.messages, and a ring that is none
	} {
		if !strings.Contains(name, "{") {
			name += "{}"
		}
		v, ok := got[name]
		if !ok || v < want*0.999999 || v > want*1.000001 {
			t.Errorf("%s is %v (%v), want %v", name, v, ok, want)
		}
	}
	if v := got["tickwire_ring_reader_attached{feed=nasdaq,kind=mbo,lane=0,name=strategy,pid="+pid+",reports=true,uid="+uid+",user="+c.user(uint32(os.Getuid()))+"}"]; v != 1 {
		t.Error("the reader is not there")
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	if t.Failed() {
		for _, k := range slices.Sorted(maps.Keys(got)) {
			if !strings.Contains(k, " le=") {
				t.Log(k, got[k])
			}
		}
	}
	// The next scrape tells of what happened meanwhile.
	recs := make([]tick.Mbo, 64)
	for range 2 {
		ringbuf.PollSlice(reader, recs)
	}
	beat()
	if got, _ = gather(t, c); got["tickwire_ring_reader_lag_records"+rd+"}"] != 0 {
		t.Error("the reader has caught up, and its lag is not 0")
	}
	_ = reader.Close()
	if got, _ = gather(t, c); got["tickwire_process_up{process=nasdaq}"] != 1 {
		t.Log("slow machine: the feed's heartbeat is old")
	}
	for k := range got {
		if strings.HasPrefix(k, "tickwire_ring_reader_lag") {
			t.Errorf("%s after it left", k)
		}
	}
}

// An instance that is not there is a scrape without values, not an error.
func TestNothing(t *testing.T) {
	got, _ := gather(t, NewCollector(Options{RingDir: filepath.Join(t.TempDir(), "nosuch"), Instance: "main", Feeds: []string{"f"}}))
	if got["tickwire_process_state{process=f,state=absent}"] != 1 || got["tickwire_process_up{process=f}"] != 0 {
		t.Errorf("%v", got)
	}
}

func TestServer(t *testing.T) {
	dir, _, beat := world(t)
	c := NewCollector(Options{RingDir: dir, Instance: "main"})
	for _, secure := range []bool{false, true} {
		client, scheme := http.Client{Timeout: 20 * time.Second}, "http"
		var server *tls.Config
		if secure {
			cert, pool := selfSigned(t)
			server, scheme = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, "https"
			client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
		}
		s, err := Listen(":0", server, c, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if host, _, _ := net.SplitHostPort(s.Addr()); host != "127.0.0.1" {
			t.Errorf("listens on %s, want loopback only", s.Addr())
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- s.Serve(ctx) }()
		get := func(path string) (int, string) {
			t.Helper()
			resp, err := client.Get(scheme + "://" + s.Addr() + path)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return resp.StatusCode, string(text)
		}
		beat()
		code, text := get("/metrics")
		for _, want := range []string{
			`tickwire_lane_messages_total{feed="nasdaq",lane="0"} 100`, "# TYPE tickwire_lane_latency_seconds histogram", "go_goroutines", "process_resident_memory_bytes", "tickwire_build_info{",
		} {
			if code != 200 || !strings.Contains(text, want) {
				t.Errorf("code %d, no %q in\n%.2000s", code, want, text)
			}
		}
		if code, text := get("/"); code != 200 || !strings.Contains(text, "/metrics") {
			t.Errorf("/: %d %s", code, text)
		}
		if code, _ := get("/debug/pprof/"); code != 404 {
			t.Errorf("a page that is nobody's business: %d", code)
		}
		if _, err := Listen(s.Addr(), nil, c, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "serve.metrics") {
			t.Errorf("a port that is taken: %v", err)
		}
		cancel()
		client.CloseIdleConnections()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tickwire"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

var described = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: "([^"]*)".*, constLabels: \{\}, variableLabels: \{(.*)\}\}$`)

// docs/metrics.md has every family that is fixed and every meaning: go test ./internal/metrics -rewrite
func TestDocumented(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "metrics.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| family | labels | what |\n|---|---|---|\n")
	for _, d := range fixed {
		m := described.FindStringSubmatch(d.String())
		if m == nil {
			t.Fatalf("%s", d)
		}
		labels := strings.ReplaceAll(m[3], ",", ", ")
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", m[1], labels, m[2])
	}
	b.WriteString("\nFrom counter files, among others:\n\n| family | what |\n|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(meanings)) {
		fmt.Fprintf(&b, "| `%s%s` | %s |\n", prefix, name, meanings[name])
	}
	const from, to = "<!-- families: go test ./internal/metrics -rewrite -->\n", "<!-- end of families -->\n"
	before, rest, ok := strings.Cut(string(text), from)
	_, after, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for its tables, between %q and %q", path, from, to)
	}
	want := before + from + b.String() + to + after
	if want == string(text) {
		return
	}
	if !*rewrite {
		t.Fatal("docs/metrics.md is not what the code tells: go test ./internal/metrics -rewrite")
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

var goodFamily = regexp.MustCompile(`^tickwire_[a-z0-9_]+$`)

// FuzzNames: whatever a counter file says, families have good names, and a scrape has no panic.
func FuzzNames(f *testing.F) {
	f.Add("nasdaq", "0.lane.x\n0.channel.itch.line.A.packets\n0.hist.a.le.5\n0.type.A\nchannel\nchannel.a\n.\n")
	f.Add("a.b", "x.lane.\nx.channel.a.channel.b.c\nx.unknown.\xff\n_ns\n_at\n\xff.hist.\xfe.le.inf")
	f.Fuzz(func(t *testing.T, process, names string) {
		var stats []ringbuf.Stat
		for i, name := range strings.Split(names, "\n") {
			stats = append(stats, ringbuf.Stat{Name: name, Kind: ringbuf.StatKind(i % 4), Value: uint64(i)})
		}
		lanes := lanesOf(stats)
		for _, s := range stats {
			if x := toSample(process, lanes, s); !goodFamily.MatchString(x.family) {
				t.Errorf("%q becomes %q", s.Name, x.family)
			}
		}
		_, _ = gather(t, fuzzed{process, stats})
	})
}

// fuzzed is a collector of one process's counters.
type fuzzed struct {
	process string
	stats   []ringbuf.Stat
}

func (fuzzed) Describe(chan<- *prometheus.Desc) {}
func (x fuzzed) Collect(out chan<- prometheus.Metric) {
	s := &scrape{out: out, seen: map[string]bool{}, families: map[string]family{}}
	s.state(x.process, stateRunning)
	s.stats(x.process, x.stats)
}

// TestRingStates: a ring is in exactly one of the states that are told, whichever it says.
func TestRingStates(t *testing.T) {
	for s := ringbuf.State(0); s.String() != "unknown"; s++ {
		if n := strings.Count(fmt.Sprint(ringStates), s.String()); n != 1 {
			t.Errorf("state %v is told %d times of %v", s, n, ringStates)
		}
	}
}
