//go:build cgo

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/internal/testguest"
	"github.com/tickwire/tickwire/nic/pcap"
	w "github.com/tickwire/tickwire/plugins/wasm/wasmtest"
)

const pluginExamples = "../../plugins/examples/"

// guestCache keeps compiled modules out of the user's folder.
func guestCache(t *testing.T) {
	t.Helper()
	t.Setenv("TICKWIRE_PLUGINS__CACHE_DIR", filepath.Join(t.TempDir(), "cache"))
	t.Setenv("TICKWIRE_PLUGINS__DIR", filepath.Join(t.TempDir(), "set"))
}

// TestSQLPlugins: rows of a capture pass plugins; what they add are columns, what they have are functions.
func TestSQLPlugins(t *testing.T) {
	guestCache(t)
	day := sampleDay(t)
	limit := filepath.Join(t.TempDir(), "limit.wasm")
	if err := os.WriteFile(limit, testguest.Refuse("limit", "1.0.0", 5000, 0, "pass"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		plugins []string
		args    []string
		want    string
		says    string
	}{
		{nil, []string{"SELECT count(*) FROM ticks WHERE (flags & 2) <> 0"}, "count\n0\n", ""},
		{[]string{limit}, []string{"SELECT count(*) FILTER (size >= 5000) > 0 AS some, count(*) FILTER ((flags & 2 <> 0) <> (size >= 5000)) AS wrong FROM ticks WHERE action <> 'C'"},
			"some,wrong\nt,0\n", "plugin limit 1.0.0: of 12012 rows 0 flagged, "},
		{[]string{pluginExamples + "price-band"}, []string{"SELECT count(*) > 0 AS some FROM ticks WHERE (flags & 2) <> 0"}, "some\nt\n", "plugin price-band 1.0.0: of 12012 rows 85 flagged"},
		{[]string{pluginExamples + "price-normaliser"}, []string{"SELECT count(*) > 5000 AS many, count(raw_price) = count(*) AS every, count(*) FILTER (round(raw_price / 100, 9) <> price) AS wrong FROM ticks"},
			"many,every,wrong\nt,t,0\n", ""},
		{[]string{pluginExamples + "price-normaliser"}, []string{"--plugin-param", "price-normaliser.divisor=1", "SELECT count(*) FILTER (raw_price <> price) AS wrong FROM ticks"}, "wrong\n0\n", ""},
		{[]string{pluginExamples + "price-normaliser", pluginExamples + "vwap"}, []string{"SELECT name, type, plugin FROM tickwire.custom_fields"}, "name,type,plugin\nraw_price,price,price-normaliser\n", ""},
		{nil, []string{"SELECT count(*) FROM tickwire.custom_fields"}, "count\n0\n", ""},
		{[]string{pluginExamples + "price-normaliser"}, []string{"SELECT data_type, ordinal_position > 20 AS last FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'ticks' AND column_name = 'raw_price'"},
			"data_type,last\n\"DECIMAL(18,9)\",t\n", ""},
		{[]string{pluginExamples + "vwap/vwap.wasm", pluginExamples + "microprice"}, []string{`SELECT count(*) FILTER (v <> w) AS wrong, count(*) AS n FROM (SELECT (vwap(price, size)::DECIMAL(38,9) * 1000000000)::HUGEINT AS v,
			sum((price::DECIMAL(28,9) * 1000000000)::HUGEINT * size)::HUGEINT // sum(size)::HUGEINT AS w FROM trades GROUP BY symbol)`}, "wrong,n\n0,3\n", ""},
		{[]string{pluginExamples + "microprice"}, []string{"SELECT count(*) FILTER (m NOT BETWEEN bid_px AND ask_px) AS wrong, count(m) > 10 AS many FROM (SELECT bid_px, ask_px, microprice(bid_px, ask_px, bid_sz, ask_sz) AS m FROM ticks)"},
			"wrong,many\n0,t\n", ""},
	} {
		args := []string{"sql", "--from", day, "--format", "csv"}
		for _, p := range tc.plugins {
			args = append(args, "--plugin", p)
		}
		code, out, errs := command(t, append(args, tc.args...)...)
		if code != exitOK || out != tc.want || !strings.Contains(errs, tc.says) {
			t.Errorf("%v: exit %d\n%s%s", append(tc.plugins, tc.args...), code, out, errs)
		}
	}
}

// TestPluginFaults: what cannot be is said, and nothing runs.
func TestPluginFaults(t *testing.T) {
	guestCache(t)
	day := sampleDay(t)
	module := func(name string, b []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	band, normaliser := pluginExamples+"price-band", pluginExamples+"price-normaliser"
	for _, tc := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"sql", "--plugin", band, "SELECT 1"}, exitUsage, "--plugin goes with --from"},
		{[]string{"sql", "--from", day, "--plugin", "/nosuch", "SELECT 1"}, exitFailed, "/nosuch"},
		{[]string{"sql", "--from", day, "--plugin", module("x.wasm", []byte("no module")), "SELECT 1"}, exitFailed, ""},
		{[]string{"sql", "--from", day, "--plugin", band, "--plugin", band, "SELECT 1"}, exitFailed, "price-band is there twice"},
		{[]string{"sql", "--from", day, "--plugin", band, "--plugin-param", "band_bp=1", "SELECT 1"}, exitUsage, "want PLUGIN.NAME=VALUE"},
		{[]string{"sql", "--from", day, "--plugin", band, "--plugin-param", "price-band.nosuch=1", "SELECT 1"}, exitFailed, `no parameter "nosuch"`},
		{[]string{"sql", "--from", day, "--plugin", band, "--plugin-param", "price-band.band_bp=0", "SELECT 1"}, exitFailed, "below 1"},
		{[]string{"sql", "--from", day, "--plugin-param", "a.b=1", "SELECT 1"}, exitUsage, "--plugin-param goes with --plugin"},
		{[]string{"sql", "--from", day, "--plugin", module("y.wasm", testguest.MarkColumn("m", "1.0.0", "bid_ct_9", 1, 0)), "--plugin", normaliser, "SELECT max(bid_ct_9), count(raw_price) > 0 FROM ticks"}, exitOK, ""},
		{[]string{"sql", "--from", day, "--plugin", module("z.wasm", testguest.MarkColumn("m", "1.0.0", "ts_ns", 1, 0)), "SELECT 1"}, exitUsage, "column ts_ns of plugin m: ticks has a column of that name"},
		{[]string{"sql", "--from", day, "--plugin", module("r.wasm", testguest.Requiring("r", "1.0.0", "other", "^1")), "SELECT 1"}, exitFailed, "other"},
		{[]string{"sql", "--from", day, "--plugin", module("s.wasm", testguest.Refuse("s", "1.0.0", 1<<40, 100, "stop_feed")), "SELECT count(*) FROM ticks"}, exitFailed, "stop_feed"},
		{[]string{"convert", day, "--to", "csv", "--out", "-", "--plugin", "/nosuch"}, exitFailed, "/nosuch"},
		{[]string{"replay", day, "--plugin", "/nosuch"}, exitFailed, "/nosuch"},
		{[]string{"replay", day, "--interface", "lo", "--group", "239.1.1.1:1", "--plugin", band}, exitUsage, "--plugin is for rows"},
	} {
		code, out, errs := command(t, tc.args...)
		if code != tc.code || !strings.Contains(errs, tc.says) {
			t.Errorf("%v: exit %d, %s%s", tc.args, code, out, errs)
		}
	}
}

// TestPluginPolicy: what a configuration does not let load, commands do not run.
func TestPluginPolicy(t *testing.T) {
	guestCache(t)
	file := filepath.Join(t.TempDir(), "t.toml")
	if err := os.WriteFile(file, []byte("[plugins]\nunsigned = \"refuse\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TICKWIRE_CONFIG", file)
	day, band := sampleDay(t), pluginExamples+"price-band"
	for _, args := range [][]string{
		{"sql", "--from", day, "--plugin", band, "SELECT 1"}, {"convert", day, "--to", "csv", "--out", "-", "--plugin", band}, {"replay", day, "--plugin", band},
	} {
		if code, out, errs := command(t, args...); code == exitOK || !strings.Contains(errs, "signed") {
			t.Errorf("%v: exit %d, %s%s", args, code, out, errs)
		}
	}
}

// TestConvertPlugins: records carry what plugins made of their rows.
func TestConvertPlugins(t *testing.T) {
	guestCache(t)
	day := sampleDay(t)
	prices := func(args ...string) (all []string) {
		code, out, errs := command(t, append([]string{"convert", day, "--to", "csv", "--schema", "mbo", "--out", "-", "--raw"}, args...)...)
		if code != exitOK {
			t.Fatalf("%v: exit %d: %s", args, code, errs)
		}
		lines := strings.Split(strings.TrimSpace(out), "\n")
		header := strings.Split(lines[0], ",")
		price, action := slices.Index(header, "price"), slices.Index(header, "action")
		for _, l := range lines[1:] {
			if fields := strings.Split(l, ","); fields[action] == "A" { // C of a replaced order has the old price, which is not the row's
				all = append(all, fields[price])
			}
		}
		return all
	}
	plain, halved := prices(), prices("--plugin", pluginExamples+"price-normaliser", "--plugin-param", "price-normaliser.divisor=2")
	if len(plain) != len(halved) || len(plain) < 5000 {
		t.Fatalf("%d and %d records", len(plain), len(halved))
	}
	for i := range plain {
		var a, b int64
		fmt.Sscan(plain[i], &a)
		fmt.Sscan(halved[i], &b)
		if a != b*2 && a < 1<<62 {
			t.Fatalf("record %d: %d became %d", i, a, b)
		}
	}
}

// TestSerializerPlugin: --to names a serializer: all rows, in order, as plugins before it left them, once; of some symbols and behind a validator only those that are published.
func TestSerializerPlugin(t *testing.T) {
	guestCache(t)
	day := sampleDay(t)
	rows := func(args ...string) (all [][]string) {
		code, out, errs := command(t, append([]string{"convert", day, "--to", "csv_rows", "--out", "-", "--plugin", pluginExamples + "csv"}, args...)...)
		if code != exitOK {
			t.Fatalf("%v: exit %d: %s", args, code, errs)
		}
		for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
			all = append(all, strings.Split(strings.TrimSuffix(line, "\r"), ","))
		}
		return all
	}
	all := rows()
	if want := "sequence,ts_event,kind,symbol,side,price,size"; strings.Join(all[0], ",") != want || len(all) != 12_013 {
		t.Fatalf("%d lines, the first %q", len(all), all[0])
	}
	last := 0
	for _, r := range all[1:] {
		var n int
		fmt.Sscan(r[0], &n)
		if n <= last {
			t.Fatalf("row %d behind row %d", n, last)
		}
		last = n
	}
	bob := rows("--symbols", "BOB")
	count := 0
	for _, r := range all[1:] {
		if r[3] == "BOB" {
			count++
		}
	}
	if len(bob)-1 < count || len(bob) > count+20 { // rows of no instrument are everybody's
		t.Errorf("%d rows of BOB, %d of them", len(bob)-1, count)
	}
	limit := filepath.Join(t.TempDir(), "limit.wasm")
	if err := os.WriteFile(limit, testguest.Refuse("limit", "1.0.0", 0, 0, "pass"), 0o600); err != nil {
		t.Fatal(err)
	}
	if some := rows("--plugin", limit); len(some) >= len(all) || len(some) < 5000 {
		t.Errorf("%d rows of %d behind a validator that refuses all", len(some), len(all))
	}
	rename := filepath.Join(t.TempDir(), "rename.wasm")
	if err := os.WriteFile(rename, testguest.Rename("rename", "1.0.0", 'X'), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, r := range rows("--plugin", rename)[1:] {
		if was := all[i+1][3]; was != "" && r[3] != "X"+was {
			t.Fatalf("row %s: symbol %q behind a plugin that renames, %q without", r[0], r[3], was)
		}
	}
	for _, tc := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--to", "nosuch", "--plugin", pluginExamples + "csv"}, exitUsage, "nor of the plugins' serializers (csv_rows)"},
		{[]string{"--to", "csv_rows"}, exitUsage, "there is no --plugin"},
		{[]string{"--to", "csv_rows", "--plugin", pluginExamples + "csv", "--schema", "trades"}, exitUsage, "writes rows"},
	} {
		if code, _, errs := command(t, append([]string{"convert", day, "--out", "-"}, tc.args...)...); code != tc.code || !strings.Contains(errs, tc.says) {
			t.Errorf("%v: exit %d, %s", tc.args, code, errs)
		}
	}
}

// acmeCapture has orders of the example parser's protocol.
func acmeCapture(t *testing.T, orders int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "20260105.pcap")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := pcap.NewWriter(f)
	for n := uint64(1); n <= uint64(orders)+1; n++ {
		b := append([]byte("AC\x01"), 1)
		b = binary.LittleEndian.AppendUint32(b, 7)
		b = binary.LittleEndian.AppendUint64(b, n)
		at := 34_200_000_000_000 + n
		if n == 1 {
			b = append(b, 'I', 32, 0, 0, 3, 0, 0, 0)
			b = binary.LittleEndian.AppendUint64(b, at)
			b = append(b, "ANVIL\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
		} else {
			b = append(b, 'A', 40, 'B', 0, 3, 0, 0, 0)
			b = binary.LittleEndian.AppendUint64(b, at)
			b = binary.LittleEndian.AppendUint64(b, n)
			b = binary.LittleEndian.AppendUint64(b, 1_000_000+n)
			b = binary.LittleEndian.AppendUint32(append(b, 100, 0, 0, 0), 0)
		}
		if err := w.WriteUDP(1_767_571_200_000_000_000+at, netip.MustParseAddrPort("10.0.0.1:1000"), netip.MustParseAddrPort("239.1.1.1:26477"), 0, b); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestSerializerCuts: a text that does not fit into a serializer's column is told of.
func TestSerializerCuts(t *testing.T) {
	guestCache(t)
	g := w.NewGuest(1)
	p := g.Layout(64, 0, 512, w.Column(30, 8, 1, 8))
	g.Func("tw_serialize", "ii:i", "", w.I32(int32(p.Out)), w.I32(int32(p.Col[30])), w.LocalGet(1), w.I32(3), w.I32Shl, w.MemoryCopy, w.LocalGet(1), w.I32(3), w.I32Shl)
	module := g.Plugin(`{"name": "names", "version": "1.0.0", "abi": 1, "limits": {"max_rows": 64}, "kinds": [{"kind": "serializer", "name": "names", "reads": ["symbol"], "extension": "n", "media_type": "x/y"}]}`)
	args := []string{"convert", acmeCapture(t, 50), "--protocol", "acme", "--to", "names", "--out", "-", "--plugin", pluginExamples + "acme"}
	modules := map[string][]byte{"names": module}
	for _, name := range []string{"a", "b", "c", "d"} { // of ANVIL they make XXXXANVIL
		modules[name] = testguest.Rename(name, "1.0.0", 'X')
	}
	for name, b := range modules {
		path := filepath.Join(t.TempDir(), name+".wasm")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--plugin", path)
	}
	code, out, errs := command(t, args...)
	if code != exitOK || strings.Count(out, "XXXXANVI") < 50 || !strings.Contains(errs, "plugin names 1.0.0: ") || !strings.Contains(errs, " texts were cut") {
		t.Errorf("exit %d, %q\n%s", code, out, errs)
	}
}

// TestParserPlugin: --protocol names a parser among the plugins.
func TestParserPlugin(t *testing.T) {
	guestCache(t)
	path := acmeCapture(t, 50)
	acme := []string{"--protocol", "acme", "--plugin", pluginExamples + "acme"}
	code, out, errs := command(t, append([]string{"sql", "--from", path, "--format", "csv", "SELECT symbol, count(*), max(price) FROM orders WHERE action = 'A' GROUP BY ALL"}, acme...)...)
	if code != exitOK || out != "symbol,count,max\nANVIL,50,100.005100000\n" {
		t.Errorf("sql: exit %d\n%s%s", code, out, errs)
	}
	code, out, errs = command(t, append([]string{"convert", path, "--to", "json", "--schema", "mbo", "--out", "-"}, acme...)...)
	if n := strings.Count(out, "\n"); code != exitOK || n < 50 {
		t.Errorf("convert: exit %d, %d lines\n%s", code, n, errs)
	}
	// Its packets are known as its own, also where it is only installed.
	rows := "SELECT count(*) FROM orders WHERE action = 'A'"
	code, out, errs = command(t, "sql", "--from", path, "--format", "csv", rows, "--plugin", pluginExamples+"acme")
	if code != exitOK || out != "count\n50\n" {
		t.Errorf("told by the plugin: exit %d\n%s%s", code, out, errs)
	}
	code, out, errs = command(t, "decode", path, "--plugin", pluginExamples+"acme")
	if code != exitOK || strings.Count(out, "\n") != 51 || !strings.Contains(out, `"protocol":"acme","sequence":51,"type":"1","length":0,"raw":"","fields":{`) || !strings.Contains(out, `"symbol":"ANVIL"`) {
		t.Errorf("decode: exit %d\n%s%s", code, out, errs)
	}
	for _, c := range [][]string{{"sql", "--from", path, rows}, {"decode", path}} {
		if code, _, errs = command(t, c...); code == exitOK || !strings.Contains(errs, "of no protocol that is known") && !strings.Contains(errs, "no packet is of a protocol that is known") {
			t.Errorf("%s, which nobody knows: exit %d\n%s", c[0], code, errs)
		}
	}
	plugin(t, exitOK, "acme 1.0.0 is enabled", "install", pluginExamples+"acme/acme.wasm", "--enable")
	code, out, errs = command(t, "sql", "--from", path, "--format", "csv", rows)
	if code != exitOK || out != "count\n50\n" {
		t.Errorf("told by an installed plugin: exit %d\n%s%s", code, out, errs)
	}
	if code, out, errs = command(t, "decode", path, "--protocol", "auto"); code != exitOK || strings.Count(out, `"protocol":"acme"`) != 51 {
		t.Errorf("decode, told by an installed plugin: exit %d\n%s%s", code, out, errs)
	}
	if code, _, errs = command(t, "replay", path, "--pace", "max", "--ring-dir", t.TempDir(), "--instance", "t", "--name", "acme"); code != exitOK {
		t.Errorf("replay, told by an installed plugin: exit %d\n%s", code, errs)
	}
	strange := filepath.Join(t.TempDir(), "strange.pcap")
	capture, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(strange, bytes.ReplaceAll(capture, []byte("AC\x01\x01"), []byte("XY\x01\x01")), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs = command(t, "sql", "--from", strange, rows); code == exitOK || !strings.Contains(errs, "plugins that were asked: acme): packet 1 to 239.1.1.1:26477, 48 bytes, begins with 58 59") {
		t.Errorf("packets of nobody's: exit %d\n%s", code, errs)
	}
	// One that does not start is told of and left out: nobody asked for it.
	g := w.NewGuest(1)
	g.Layout(16, 64, 0, w.Col{ID: 1, Type: 1, Access: 2})
	g.Func("tw_init", "ii:i", "", w.I32(1))
	g.Func("tw_parse", "iili:i", "", w.I32(0))
	broken := filepath.Join(t.TempDir(), "broken.wasm")
	if err := os.WriteFile(broken, g.Plugin(`{"name": "broken", "version": "1.0.0", "abi": 1, "limits": {"max_rows": 16, "memory_pages": 1}, "kinds": [{"kind": "parser", "name": "broken", "writes": ["kind"]}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	plugin(t, exitOK, "broken 1.0.0 is enabled", "install", broken, "--enable")
	code, out, errs = command(t, "sql", "--from", path, "--format", "csv", rows)
	if code != exitOK || out != "count\n50\n" || !strings.Contains(errs, "plugin broken is not asked whose packets these are: ") {
		t.Errorf("beside an installed plugin that does not start: exit %d\n%s%s", code, out, errs)
	}
	plugin(t, exitOK, "disabled", "disable", "broken")
	plugin(t, exitOK, "disabled", "disable", "acme")
	// One that traps on each packet is taken out, and that is told.
	traps := filepath.Join(t.TempDir(), "traps.wasm")
	if err := os.WriteFile(traps, testguest.Packets("traps"), 0o600); err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(t.TempDir(), "20260105.pcap")
	if err := os.WriteFile(bad, bytes.ReplaceAll(capture, []byte("AC\x01\x01"), []byte("!!\x01\x01")), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs = command(t, "sql", "--from", bad, "--format", "csv", rows, "--protocol", "traps", "--plugin", traps)
	if !strings.Contains(errs, "plugin traps 1.0.0: 0 packets read, ") || !strings.Contains(errs, "calls failed: plugin traps 1.0.0: ") || !strings.Contains(errs, "unreachable") {
		t.Errorf("a parser that traps: exit %d\n%s%s", code, out, errs)
	}
	if code, _, errs := command(t, "sql", "--from", path, "--protocol", "acme", "SELECT 1"); code == exitOK || !strings.Contains(errs, "acme") {
		t.Errorf("without the plugin: exit %d, %s", code, errs)
	}
}

// TestServePlugins: a server has the functions of its plugins, and the columns of the feeds'.
func TestServePlugins(t *testing.T) {
	guestCache(t)
	dir := t.TempDir()
	code, _, errs := command(t, "replay", sampleDay(t), "--pace", "max", "--ring-dir", dir, "--instance", "t", "--plugin", pluginExamples+"price-normaliser")
	if code != exitOK {
		t.Fatal(errs)
	}
	mark := filepath.Join(dir, "mark.wasm")
	if err := os.WriteFile(mark, testguest.Mark("mark", "1.0.0", 41, 0), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs = command(t, "replay", acmeCapture(t, 50), "--pace", "max", "--ring-dir", dir, "--instance", "t", "--name", "acme", "--protocol", "acme",
		"--plugin", pluginExamples+"acme", "--plugin", mark)
	if code != exitOK {
		t.Fatal(errs)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	_ = free.Close()
	examples, err := filepath.Abs(pluginExamples)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("[instance]\nname = \"t\"\nring_dir = %[1]q\nrun_dir = %[1]q\n[serve]\nsql = %[2]q\nmemory = \"256MiB\"\n[[serve.plugin]]\npath = %[3]q\n[[serve.plugin]]\npath = %[4]q\n",
		dir, addr, filepath.Join(examples, "vwap"), filepath.Join(examples, "microprice"))
	cfg, err := config.Parse([]byte(text), os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var log bytes.Buffer
	done := make(chan error, 1)
	go func() { done <- serve(ctx, cfg, nil, slog.New(slog.NewTextHandler(&log, nil))) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%v\n%s", err, log.String())
		}
	}()
	ask := func(sql string) (int, string, string) {
		return command(t, "sql", "--addr", addr, "--format", "csv", sql)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		_, out, errs := ask("SELECT count(raw_price) > 5000 AS there FROM ticks")
		if out == "there\nt\n" {
			if _, out, errs = ask("SELECT count(mark) FROM ticks"); out == "count\n50\n" {
				break
			}
		}
		if time.Now().After(end) {
			t.Fatalf("no rows: %s%s", out, errs)
		}
	}
	// Another feed comes, whose plugin adds a column that nobody knew: it is there for sessions that begin from now on, and one that was open goes on.
	open, err := pgx.Connect(t.Context(), "postgres://any@"+addr+"/any")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = open.Close(context.Background()) }()
	var marks int
	if err := open.QueryRow(t.Context(), "SELECT count(mark) FROM ticks").Scan(&marks); err != nil || marks != 50 { // with its first statement it has begun
		t.Fatalf("%d, %v", marks, err)
	}
	late := filepath.Join(dir, "late.wasm")
	if err := os.WriteFile(late, testguest.MarkColumn("late", "1.0.0", "late_mark", 43, 0), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := command(t, "replay", acmeCapture(t, 30), "--pace", "max", "--ring-dir", dir, "--instance", "t", "--name", "late", "--protocol", "acme",
		"--plugin", pluginExamples+"acme", "--plugin", late); code != exitOK {
		t.Fatal(errs)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		_, out, errs := ask("SELECT count(late_mark), min(late_mark), count(mark) FROM ticks")
		if out == "count,min,count\n30,43,50\n" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("no column that came later: %s%s", out, errs)
		}
	}
	if err := open.QueryRow(t.Context(), "SELECT count(mark) FROM ticks").Scan(&marks); err != nil || marks != 50 {
		t.Errorf("a session from before: %d, %v", marks, err)
	}
	if err := open.QueryRow(t.Context(), "SELECT count(late_mark) FROM ticks").Scan(&marks); err == nil {
		t.Error("a session from before has the column")
	}
	for sql, want := range map[string]string{
		"SELECT count(*) FILTER (round(raw_price / 100, 9) <> price) AS wrong FROM ticks":                     "wrong\n0\n",
		"SELECT plugin, name FROM tickwire.custom_fields ORDER BY 1":                                          "plugin,name\nlate,late_mark\nmark,mark\nprice-normaliser,raw_price\n",
		"SELECT symbol, min(mark), max(mark), count(raw_price) FROM ticks WHERE mark IS NOT NULL GROUP BY 1":  "symbol,min,max,count\nANVIL,41,41,0\n",
		"SELECT vwap(10.5, 3) AS v, microprice(1, 2, 1, 1) AS m":                                              "v,m\n10.500000000,1.500000000\n",
		"SELECT count(*) AS wrong FROM (SELECT vwap(price, size) v FROM trades GROUP BY symbol) WHERE v <= 0": "wrong\n0\n",
	} {
		if code, out, errs := ask(sql); code != exitOK || out != want {
			t.Errorf("%s: exit %d\n%s%s", sql, code, out, errs)
		}
	}
}
