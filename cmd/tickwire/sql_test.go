//go:build cgo

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/testvec"
	"github.com/tickwire/tickwire/nic/afxdp"
)

func sampleDay(t *testing.T) string {
	return filepath.Join(testvec.Dir(t, "nasdaq"), "ex20101224.TEST_ITCH_50.framed.gz")
}

// TestSQLFrom: the public sample through the whole pipeline; counts as its own description has them.
func TestSQLFrom(t *testing.T) {
	day := sampleDay(t)
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"SELECT symbol, count(*), min(price), max(price) FROM orders GROUP BY symbol ORDER BY symbol"},
			"symbol,count,min,max\nALC,3242,19.540000000,30.320000000\nBOB,5404,5.241700000,7.075000000\nCHAR,3610,17.600000000,26.225000000\n"},
		{[]string{"SELECT count(*) FROM definitions"}, "count\n3\n"},
		{[]string{"--symbols", "BOB", "SELECT count(*), count(DISTINCT symbol), min(symbol) FROM orders"}, "count,count,min\n5404,1,BOB\n"},
		{[]string{"SELECT 1 + 1 AS two"}, "two\n2\n"},
		{[]string{"--symbols", "ALC", "SELECT count(*) > 100 AS some, max(bid_px_0) IS NULL AS none FROM depth"}, "some,none\nt,f\n"},
	} {
		code, out, errs := command(t, append([]string{"sql", "--from", day, "--format", "csv"}, tc.args...)...)
		if code != exitOK || out != tc.want {
			t.Errorf("%v: exit %d\n%s%s", tc.args, code, out, errs)
		}
	}
	left, err := filepath.Glob(fmt.Sprintf("/dev/shm/tickwire-offline-%d-*", os.Getpid()))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestSQLBetween: a window of the day is the whole day's rows in it.
func TestSQLBetween(t *testing.T) {
	day := sampleDay(t)
	ask := func(args ...string) string {
		code, out, errs := command(t, append([]string{"sql", "--from", day, "--format", "csv"}, args...)...)
		if code != exitOK {
			t.Fatalf("%v: exit %d: %s", args, code, errs)
		}
		return out
	}
	const count = "SELECT count(*), min(ts_ns), max(ts_ns), sum(order_id) FROM orders"
	whole := ask(count + " WHERE ts >= '2010-12-24 15:00:00+00' AND ts < '2010-12-24 16:30:00.5+00'")
	if part := ask("--between", "10:00,11:30:00.5", count); part != whole || strings.Contains(part, "\n0,") {
		t.Errorf("window %s, whole day %s", part, whole)
	}
}

// TestSQLFaults: what is wrong, where, and exit codes.
func TestSQLFaults(t *testing.T) {
	day := sampleDay(t)
	for _, tc := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--from", day, "SELECT nosuch FROM orders"}, exitFailed, "ERROR 42703: Referenced column \"nosuch\" not found in FROM clause!\nLINE 1: SELECT nosuch FROM orders\n               ^"},
		{[]string{"--from", day + "x", "SELECT 1"}, exitFailed, "no such file"},
		{[]string{"--from", day, "--format", "xml", "SELECT 1"}, exitUsage, "--format"},
		{[]string{"--from", day, "--between", "11:00,10:00", "SELECT count(*) FROM orders"}, exitUsage, "--between"},
		{[]string{"--from", day, "--memory", "lots", "SELECT 1"}, exitUsage, "--memory"},
		{[]string{"--from", day, "SELECT * FROM depth"}, exitUsage, "--symbols"},
		{[]string{"--from", day, "--addr", "127.0.0.1:1", "SELECT 1"}, exitUsage, "exclude"},
		{[]string{"--addr", "127.0.0.1:1", "SELECT 1"}, exitFailed, "no answer from 127.0.0.1:1"},
		{[]string{"--from", day}, exitUsage, "no statement"},
		{[]string{"--from", day, "COPY orders TO '/tmp/x'"}, exitFailed, "42501"},
		{[]string{"--from", day, "SELECT $1"}, exitFailed, "42P02"},
	} {
		code, _, errs := command(t, append([]string{"sql"}, tc.args...)...)
		if code != tc.code || !strings.Contains(errs, tc.want) {
			t.Errorf("%v: exit %d, %q; want %d, %q", tc.args, code, errs, tc.code, tc.want)
		}
	}
}

// TestSQLMemory: when the bound is reached a sentence says so, and what is left can be asked.
func TestSQLMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "20260105.itch")
	if code, _, errs := command(t, "gen", "itch", "--messages", "2000000", "--symbols", "100", "--out", path); code != exitOK {
		t.Fatal(errs)
	}
	code, out, errs := command(t, "sql", "--from", path, "--memory", "64MiB", "--format", "csv", "SELECT count(*) > 500000 AS many FROM orders")
	if code != exitOK || out != "many\nt\n" || !strings.Contains(errs, "memory's bound is reached: the oldest") {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
}

// TestSQLCutDay: what came before the fault is answered, and the exit code tells.
func TestSQLCutDay(t *testing.T) {
	day, err := os.ReadFile(sampleDay(t))
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "20101224.gz")
	if err := os.WriteFile(cut, day[:len(day)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := command(t, "sql", "--from", cut, "--format", "csv", "SELECT count(*) > 1000 AS many FROM orders")
	if code != exitFailed || out != "many\nt\n" || !strings.Contains(errs, "messages before it are") {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
}

// TestLostMessagesAreGaps: a capture whose lines both lack packets: table gaps names exactly what is missing.
func TestLostMessagesAreGaps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lossy.pcap")
	if code, _, errs := command(t, "gen", "itch", "--messages", "60000", "--symbols", "20", "--loss-a", "5", "--loss-b", "5", "--out", path); code != exitOK {
		t.Fatal(errs)
	}
	missing := missingNumbers(t, path)
	if len(missing) == 0 {
		t.Fatal("nothing is missing on both lines: this test shows nothing")
	}
	code, out, errs := command(t, "sql", "--from", path, "--format", "csv", "SELECT first, last FROM gaps WHERE kind = 'lost' ORDER BY first")
	if code != exitOK {
		t.Fatal(errs)
	}
	var want strings.Builder
	want.WriteString("first,last\n")
	for i := 0; i < len(missing); {
		k := i
		for k+1 < len(missing) && missing[k+1] == missing[k]+1 {
			k++
		}
		fmt.Fprintf(&want, "%d,%d\n", missing[i], missing[k])
		i = k + 1
	}
	if out != want.String() {
		t.Errorf("gaps\n%swant\n%s", out, want.String())
	}
}

// TestRefusedMessagesAreGaps: a message that came and cannot be read, since it is shorter than its type, is in gaps like one that did not come.
func TestRefusedMessagesAreGaps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spoilt.pcap")
	if code, _, errs := command(t, "gen", "itch", "--messages", "20000", "--symbols", "20", "--out", path); code != exitOK {
		t.Fatal(errs)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	spoilt := uint64(0)
	for at := 24; at < len(b) && spoilt == 0; {
		n := int(binary.LittleEndian.Uint32(b[at+8:]))
		mold := b[at+16+42 : at+16+n]
		for i, m := uint64(0), mold[20:]; len(m) > 2; i++ {
			length := binary.BigEndian.Uint16(m)
			if m[2] == 'D' && at > len(b)/2 {
				m[2], spoilt = 'A', binary.BigEndian.Uint64(mold[10:])+i // 19 bytes, and an A has 36
				break
			}
			m = m[2+length:]
		}
		at += 16 + n
	}
	if err := os.WriteFile(path, b, 0o600); err != nil || spoilt == 0 {
		t.Fatalf("no message was spoilt, %v", err)
	}
	code, out, errs := command(t, "sql", "--from", path, "--format", "csv", "SELECT kind, first, last, messages FROM gaps")
	if want := fmt.Sprintf("kind,first,last,messages\nlost,%d,%[1]d,1\n", spoilt); code != exitOK || out != want {
		t.Errorf("exit code %d, gaps\n%swant\n%s%s", code, out, want, errs)
	}
	if !strings.Contains(errs, "1 messages are shorter than their type: refused, table gaps names them") {
		t.Errorf("said:\n%s", errs)
	}
}

// missingNumbers walks a capture by hand: 60,000 messages less those of every packet.
func missingNumbers(t *testing.T, path string) (missing []uint64) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[uint64]bool{}
	for at := 24; at < len(b); {
		n := int(binary.LittleEndian.Uint32(b[at+8:]))
		mold := b[at+16+42 : at+16+n] // Ethernet, IPv4 and UDP headers
		if count := binary.BigEndian.Uint16(mold[18:]); count != 0xFFFF {
			for i := range uint64(count) {
				seen[binary.BigEndian.Uint64(mold[10:])+i] = true
			}
		}
		at += 16 + n
	}
	for n := uint64(1); n <= 60_000; n++ {
		if !seen[n] {
			missing = append(missing, n)
		}
	}
	return missing
}

// TestDemo is the main job: everything at once over multicast on lo.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	sources := []string{"udp", "replay"}
	if afxdp.Missing() == "" && os.Geteuid() == 0 {
		sources = append(sources, "afxdp")
	} else if os.Getenv("CI") != "" {
		t.Errorf("source afxdp cannot be tried: %s", afxdp.Missing())
	}
	for _, source := range sources {
		var out, errs bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		o := &demoOptions{span: 3 * time.Second, plain: true, rate: 20_000, source: source, names: 50}
		err := demoWith(ctx, tickwireBinary(t), o, &out, &errs)
		cancel()
		if err != nil {
			t.Fatalf("%s: %v\n%s%s", source, err, out.String(), errs.String())
		}
		var rows, messages, gaps int
		for line := range strings.Lines(out.String()) {
			_, _ = fmt.Sscanf(line, "rows queryable: %d", &rows)
			_, _ = fmt.Sscanf(line, "messages received: %d", &messages)
			_, _ = fmt.Sscanf(line, "gaps: %d", &gaps)
		}
		if messages < 20_000 || rows < 20_000 || gaps != 0 {
			t.Errorf("%s: %d messages, %d rows, %d gaps\n%s", source, messages, rows, gaps, out.String())
		}
	}
	mine := filepath.Join("/dev/shm", fmt.Sprintf("%s%d", demoPrefix, os.Getpid())) // others may run a demo at this moment
	if _, err := os.Stat(mine); !os.IsNotExist(err) {
		t.Errorf("left behind: %s, %v", mine, err)
	}
	left, _ := filepath.Glob(fmt.Sprintf("/run/netns/%s%d-demo-*", netns.Prefix, os.Getpid()))
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestDemoClearsUp: what a killed demo left is removed by the next one; a living one's stays.
func TestDemoClearsUp(t *testing.T) {
	dead := filepath.Join("/dev/shm", demoPrefix+"999999999")
	if err := os.MkdirAll(dead, 0o700); err != nil {
		t.Skip("no /dev/shm here: ", err)
	}
	alive := filepath.Join("/dev/shm", fmt.Sprintf("%s%d", demoPrefix, os.Getppid()))
	if err := os.MkdirAll(alive, 0o700); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(alive)
	d := &demoRun{demoOptions: &demoOptions{}}
	if err := d.place(); err != nil {
		t.Fatal(err)
	}
	defer d.clean()
	if _, err := os.Stat(dead); !os.IsNotExist(err) {
		t.Error("the dead one's folder is still there")
	}
	if _, err := os.Stat(alive); err != nil {
		t.Error("the living one's folder is gone")
	}
}

// TestServeRefusals: a taken port and a missing certificate, in words.
func TestServeRefusals(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	config := filepath.Join(dir, "c.toml")
	write := func(text string) {
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(fmt.Sprintf("[instance]\nring_dir = %q\n[serve]\nsql = %q\n", dir, l.Addr()))
	if code, _, errs := command(t, "serve", "--config", config); code != exitFailed || !strings.Contains(errs, "address already in use") || !strings.Contains(errs, "ss -ltnp") {
		t.Errorf("exit %d, %q", code, errs)
	}
	write(fmt.Sprintf("[instance]\nring_dir = %q\n[serve]\ntls_cert = \"/none\"\ntls_key = \"/none\"\n", dir))
	if code, _, errs := command(t, "serve", "--config", config); code != exitFailed || !strings.Contains(errs, "certificate") {
		t.Errorf("exit %d, %q", code, errs)
	}
	write("[serve]\nsql = 5\nnosuch = 1\n")
	if code, _, errs := command(t, "serve", "--config", config); code != exitUsage || !strings.Contains(errs, "line") {
		t.Errorf("exit %d, %q", code, errs)
	}
}
