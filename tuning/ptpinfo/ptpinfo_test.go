package ptpinfo

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
	"github.com/tickwire/tickwire/tuning"
	"github.com/tickwire/tickwire/tuning/fakeroot"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRequest is what pmc sends for GET TIME_STATUS_NP, but for its own number.
func TestRequest(t *testing.T) {
	want := unhex(t, `0d 02 0036 18 00 0000 0000000000000000 00000000 0000000000000000 04d2 0007 04 7f
		ffffffffffffffff ffff 00 00 00 00   0001 0002 c000`)
	if got := request(idTimeStatus, 24, 7, 1234); !bytes.Equal(got, want) {
		t.Errorf("%x\nwant\n%x", got, want)
	}
}

// respond makes an answer to a request.
func respond(req []byte, port int, data []byte) []byte {
	b := append(bytes.Clone(req), data...)
	b[46] = actionRes
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[28:], uint16(port))
	binary.BigEndian.PutUint16(b[50:], uint16(2+len(data)))
	return b
}

// Data sets as a ptp4l sends them that is SLAVE on port 1, -3 ns from 001b21.fffe.aabbcc, and FAULTY on port 2.
var dataSets = map[uint16][]string{
	idDefault:        {"02 00 0002 80 f8 fe ffff 80 a0369ffffe112233 00 00"},
	idCurrent:        {"0001 fffffffffffd0000 0000000002370000"},
	idParent:         {"001b21fffeaabbcc 0001 00 00 ffff 7fffffff 64 06 21 4e5d 80 001b21fffeaabbcc"},
	idTimeProperties: {"0025 3c 20"},
	idPort: {"a0369ffffe112233 0001 09 00 0000000000000000 01 03 00 01 00 02",
		"a0369ffffe112233 0002 02 00 0000000000000000 01 03 00 01 00 02"},
	idTimeStatus:     {"fffffffffffffffd 17b8c3f1d2e30000 00000000 00000000 0000 0000 0000000000000000 0000 00000001 001b21fffeaabbcc"},
	idPortProperties: {"a0369ffffe112233 0001 09 01 04 65746832", "a0369ffffe112233 0002 02 00 04 65746833"},
}

// server answers on a socket as ptp4l does, by what each request is to get: nothing, or some datagrams. It ends with the test.
func server(t testing.TB, socket string, answers func(req []byte) [][]byte) {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFromUnix(b)
			if err != nil {
				return
			}
			for _, a := range answers(b[:n]) {
				if _, err := conn.WriteToUnix(a, from); err != nil {
					t.Errorf("answering: %v", err)
				}
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
}

// good answers every request with its data sets, after noise that others may write to our socket.
func good(t testing.TB) func(req []byte) [][]byte {
	return func(req []byte) (all [][]byte) {
		all = append(all, []byte("noise"), bytes.Repeat([]byte{0xd}, 200), respond(request(idCurrent, 0, 0xfffe, 1), 1, make([]byte, 18)))
		for i, text := range dataSets[binary.BigEndian.Uint16(req[52:])] {
			all = append(all, respond(req, i+1, unhex(t, text)))
		}
		return all
	}
}

// tree is a root of the test's with a folder for sockets, whose names have to be short.
func tree(t testing.TB) (h *tuning.Host, socket string) {
	t.Helper()
	root, err := os.MkdirTemp("", "ptp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	if err := os.MkdirAll(filepath.Join(root, "var/run"), 0o755); err != nil {
		t.Fatal(err)
	}
	if h, err = tuning.Open(root, nil); err != nil {
		t.Fatal(err)
	}
	return h, h.Path("/var/run/ptp4l")
}

// TestAsk has a whole conversation, in the midst of noise, and leaves no file behind.
func TestAsk(t *testing.T) {
	_, socket := tree(t)
	server(t, socket, good(t))
	s, err := Ask(context.Background(), socket, 0)
	if err != nil {
		t.Fatal(err)
	}
	if d := s.Default; d == nil || d.Ports != 2 || d.Identity.String() != "a0369f.fffe.112233" || d.Class != 248 || !d.SlaveOnly || d.Priority1 != 128 {
		t.Errorf("default %+v", d)
	}
	if c := s.Current; c == nil || *c != (Current{1, -3, 567}) {
		t.Errorf("current %+v", c)
	}
	if p := s.Parent; p == nil || p.Grandmaster.String() != "001b21.fffe.aabbcc" || p.Class != 6 || p.Accuracy != 0x21 || p.Priority1 != 100 || p.Priority2 != 128 || p.Port != 1 {
		t.Errorf("parent %+v", p)
	}
	if x := s.Time; x == nil || *x != (TimeProperties{UTCOffset: 37, Valid: true, PTPScale: true, Traceable: true, Source: 32}) {
		t.Errorf("time %+v", x)
	}
	if x := s.Status; x == nil || x.OffsetNs != -3 || !x.Present || x.Grandmaster.String() != "001b21.fffe.aabbcc" {
		t.Errorf("status %+v", x)
	}
	if len(s.Ports) != 2 || s.Ports[0] != (Port{1, "SLAVE", 0, 2, "eth2", "hardware"}) || s.Ports[1] != (Port{2, "FAULTY", 0, 2, "eth3", "software"}) {
		t.Errorf("ports %+v", s.Ports)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(socket), "ticktune*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// TestBadServers: one that is not there, does not answer, refuses, or answers with half of it. Nothing hangs, nothing is invented.
func TestBadServers(t *testing.T) {
	cut := func(n int) func([]byte) [][]byte {
		return func(req []byte) [][]byte {
			all := good(t)(req)
			for i, a := range all {
				if i > 2 && binary.BigEndian.Uint16(req[52:]) == idTimeStatus {
					all[i] = respond(req, 1, a[headBytes:len(a)-n])
				}
			}
			return all
		}
	}
	t.Run("half an answer", func(t *testing.T) {
		_, socket := tree(t)
		server(t, socket, cut(1))
		s, err := Ask(context.Background(), socket, 0)
		if !errors.Is(err, errShort) || s == nil || s.Status != nil || s.Current == nil {
			t.Errorf("%+v, %v", s, err)
		}
	})
	t.Run("refuses", func(t *testing.T) {
		_, socket := tree(t)
		server(t, socket, func(req []byte) [][]byte {
			id := binary.BigEndian.Uint16(req[52:])
			if id != idTimeStatus && id != idPortProperties {
				return good(t)(req)
			}
			b := respond(req, 1, []byte{byte(id >> 8), byte(id), 0, 0, 0, 0})
			binary.BigEndian.PutUint16(b[48:], tlvError)
			binary.BigEndian.PutUint16(b[52:], 2)
			return [][]byte{b}
		})
		s, err := Ask(context.Background(), socket, 0)
		if err != nil || s.Status != nil || len(s.Ports) != 2 || s.Ports[0].Interface != "" {
			t.Errorf("%+v, %v", s, err)
		}
	})
	t.Run("silent", func(t *testing.T) {
		h, socket := tree(t)
		server(t, socket, func([]byte) [][]byte { return nil })
		if s, err := Ask(context.Background(), socket, 0); !errors.Is(err, ErrSilent) || s != nil {
			t.Errorf("%+v, %v", s, err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := Look(ctx, h, Options{}); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		r, err := Look(context.Background(), h, Options{Domain: 5})
		if err != nil || len(r.Servers) != 1 || !strings.Contains(r.Servers[0].Error, "is its domain 5?") || strings.Contains(r.Servers[0].Error, h.Root) {
			t.Errorf("%+v, %v", r, err)
		}
	})
	t.Run("nobody listens", func(t *testing.T) {
		_, socket := tree(t)
		conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		conn.Close() // the file stays
		if _, err := Ask(context.Background(), socket, 0); !errors.Is(err, ErrSilent) {
			t.Errorf("%v", err)
		}
		if _, err := Ask(context.Background(), socket+"x", 0); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%v", err)
		}
	})
	t.Run("too many ports", func(t *testing.T) {
		_, socket := tree(t)
		server(t, socket, func(req []byte) [][]byte {
			all := good(t)(req)
			if binary.BigEndian.Uint16(req[52:]) == idDefault {
				binary.BigEndian.PutUint16(all[3][headBytes+2:], 65535)
			}
			return all
		})
		start := time.Now()
		s, err := Ask(context.Background(), socket, 0)
		if !errors.Is(err, ErrSilent) || len(s.Ports) != 2 {
			t.Errorf("%+v, %v after %s", s, err, time.Since(start))
		}
	})
}

// TestLook is a machine with a NIC's clock, a ptp4l that its configuration moved, a phc2sys and a log.
func TestLook(t *testing.T) {
	h, _ := tree(t)
	if err := fakeroot.Write(h.Root, os.DirFS("testdata"), "slave.txtar"); err != nil {
		t.Fatal(err)
	}
	server(t, h.Path("/var/run/ptp4l-eth2"), good(t))
	r, err := Look(context.Background(), h, Options{Domain: -1})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := r.Text(&b); err != nil {
		t.Fatal(err)
	}
	want := `system   tsc, synchronised, offset 120 ns, frequency -1.500 ppm, max error 900 µs, TAI-UTC 0 s
ptp2     ice-0000:3b:00.0 (eth2): keeps TAI, +150 ns from the system's, read in 800 ns
nic      eth2: can stamp all packets, and does, clock ptp2
ptp4l    /var/run/ptp4l-eth2: clock a0369f.fffe.112233, domain 0, priority 128, class 248
         port 1 (eth2, hardware stamps): SLAVE
         port 2 (eth3, software stamps): FAULTY
         master offset -3 ns, grandmaster 001b21.fffe.aabbcc
         1 steps from the grandmaster, path delay 567 ns
         TAI-UTC 37 s (vouched for)
daemon   ptp4l, process 700  -f /etc/linuxptp/ptp4l.conf
daemon   phc2sys, process 710  -a -r
log      ptp4l: port 1 (eth2) is SLAVE
log      ptp4l: master -3 ns, locked, frequency +4321 ppb
log      phc2sys: CLOCK_REALTIME +2200 ns, unlocked, frequency -1234 ppb
note     a clock keeps TAI and the kernel's offset to it is 0: whoever converts is 37 s off
note     /var/run/ptp4l-eth2: port 2 is FAULTY
note     phc2sys: CLOCK_REALTIME is not locked (unlocked, offset 2200 ns)
`
	if b.String() != want {
		t.Errorf("%s\nwant\n%s", b.String(), want)
	}
}

// TestNothing: a machine with no clock and no daemon is told as such.
func TestNothing(t *testing.T) {
	h, err := tuning.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Look(context.Background(), h, Options{})
	if err != nil || len(r.Servers) != 0 || len(r.Clocks) != 0 || r.System.Error == "" {
		t.Errorf("%+v, %v", r, err)
	}
	if r.Unseen == "" {
		t.Error("processes that cannot be seen are not none")
	}
	r, err = Look(context.Background(), h, Options{Sockets: []string{"/run/none"}})
	if err != nil || len(r.Servers) != 1 || r.Servers[0].Error == "" {
		t.Errorf("a socket that was asked for: %+v, %v", r, err)
	}
}

// TestScale: which time a clock keeps, by its distance to the system's.
func TestScale(t *testing.T) {
	for _, tc := range []struct {
		offset int64
		tai    int
		want   string
		away   int64
	}{{150, 37, "UTC", 150}, {37e9 - 40, 37, "TAI", -40}, {37e9 + 5, 0, "TAI", 5}, {5e9, 37, "neither", -32e9}, {38e9, 37, "neither", 1e9}} {
		if scale, away := scale(tc.offset, tc.tai); scale != tc.want || away != tc.away {
			t.Errorf("%+v: %s %d", tc, scale, away)
		}
	}
}

// TestParseLine reads lines as the programs and syslog write them.
func TestParseLine(t *testing.T) {
	for line, want := range map[string]Line{
		"ptp4l[5374.683]: master offset         -3 s2 freq   +4321 path delay       567":                               {Program: "ptp4l", Subject: "master", OffsetNs: -3, Servo: "locked", FreqPPB: 4321, DelayNs: 567, UptimeS: 5374.683},
		"phc2sys[526.662]: CLOCK_REALTIME phc offset       -12 s3 freq   -1234 delay   1023\n":                         {Program: "phc2sys", Subject: "CLOCK_REALTIME", OffsetNs: -12, Servo: "locked stable", FreqPPB: -1234, DelayNs: 1023, UptimeS: 526.662},
		"Nov 26 04:05:06 host phc2sys[900]: [526.662] eth1 sys offset 12 s0 freq +0 delay 900":                         {Program: "phc2sys", Subject: "eth1", OffsetNs: 12, Servo: "unlocked", DelayNs: 900, UptimeS: 526.662},
		"2026-11-26T04:05:06.123456+00:00 host ptp4l: [17.123] [ptp4l.0.config] rms    8 max  -13 freq  -1200 +/-   5": {Program: "ptp4l", Subject: "master", Summary: true, OffsetNs: 8, MaxNs: -13, FreqPPB: -1200, UptimeS: 17.123},
		"ptp4l[17.123]: port 1 (eth1): UNCALIBRATED to SLAVE on MASTER_CLOCK_SELECTED":                                 {Program: "ptp4l", Subject: "port 1 (eth1)", State: "SLAVE", UptimeS: 17.123},
		"ts2phc[9.5]: /dev/ptp1 offset 4 s1 freq -7":                                                                   {Program: "ts2phc", Subject: "/dev/ptp1", OffsetNs: 4, Servo: "step", FreqPPB: -7, UptimeS: 9.5},
	} {
		if got, ok := ParseLine(line); !ok || got != want {
			t.Errorf("%q\n%+v\nwant\n%+v", line, got, want)
		}
	}
	for _, line := range []string{"", "ptp4l[1.0]: selected /dev/ptp0 as PTP clock", "kernel: ptp4l offset", "chronyd[5]: offset 3 s2 freq 1", "ptp4l[1.0]: master offset x s2 freq 1", "ptp4l[1.0]: " + strings.Repeat("a", maxLine)} {
		if got, ok := ParseLine(line); ok {
			t.Errorf("%q gives %+v", line, got)
		}
	}
}

// TestRealPTP4L talks to the real program where there is one: two of them in namespaces of the test's, joined by a veth pair, with software
// stamps and clocks that they leave alone (free_running). One becomes the master; the other follows it as far
// as it may: to be SLAVE it would have to set a clock.
func TestRealPTP4L(t *testing.T) {
	program, err := exec.LookPath("ptp4l")
	if err != nil {
		t.Skip("no ptp4l here: apt install linuxptp")
	}
	version, err := exec.Command(program, "-v").Output()
	if err != nil {
		t.Fatal(err)
	}
	second := !strings.HasPrefix(string(version), "3.") // since 4 there is a socket for those who only read, too
	p := nstest.Pair(t, netns.Options{})
	dir, err := os.MkdirTemp("", "ptp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	start := func(ns *netns.NS, face string, args ...string) string {
		socket := filepath.Join(dir, face)
		args = append([]string{"-i", face, "-S", "-4", "-m", "-q", "--free_running=1", "--uds_address=" + socket, "--domainNumber=24"}, args...)
		if second {
			args = append(args, "--uds_ro_address="+socket+"ro")
		}
		if err := ns.Do(func() error {
			cmd := exec.Command(program, args...)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				return err
			}
			t.Cleanup(func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
				if t.Failed() {
					t.Logf("%s: %s", face, out.String())
				}
			})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return socket
	}
	master := start(p.Tx, "gen0", "--priority1=10")
	slave := start(p.Rx, "feed0", "--slaveOnly=1")
	// steps: so many from the grandmaster, which is told once a sync came.
	wait := func(socket, state string, steps int) *Server {
		t.Helper()
		for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			s, err := Ask(context.Background(), socket, 24)
			if err == nil && len(s.Ports) == 1 && s.Ports[0].State == state && s.Current != nil && s.Current.Steps == steps {
				return s
			}
		}
		t.Fatalf("%s did not become %s", socket, state)
		return nil
	}
	m, s := wait(master, "MASTER", 0), wait(slave, "UNCALIBRATED", 1)
	if m.Default.Priority1 != 10 || m.Default.Domain != 24 || m.Ports[0].Interface != "gen0" || m.Ports[0].Stamping != "software" {
		t.Errorf("master %+v %+v", m.Default, m.Ports)
	}
	if s.Parent == nil || s.Parent.Grandmaster != m.Default.Identity || s.Status == nil || !s.Status.Present || s.Status.Grandmaster != m.Default.Identity || s.Current == nil || s.Current.Steps != 1 {
		t.Errorf("slave %+v %+v %+v, master %s", s.Parent, s.Status, s.Current, m.Default.Identity)
	}
	if _, err := Ask(context.Background(), slave, 25); !errors.Is(err, ErrSilent) {
		t.Errorf("another domain: %v", err)
	}
}

// FuzzParse: answers of anybody: no panic, and data never longer than what came.
func FuzzParse(f *testing.F) {
	for id, all := range dataSets {
		for _, text := range all {
			f.Add(respond(request(id, 0, 1, 1), 1, unhex(f, text)))
		}
	}
	f.Add([]byte{})
	f.Add(request(idPort, 0, 1, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parse(b)
		if err != nil {
			return
		}
		if len(a.data) > len(b)-headBytes {
			t.Fatalf("%d bytes of data in %d", len(a.data), len(b))
		}
		for _, d := range []interface{ decode([]byte) error }{new(Default), new(Current), new(Parent), new(TimeProperties), new(Port), new(TimeStatus)} {
			_ = d.decode(a.data)
		}
		if _, _, face, err := properties(a.data); err == nil && strings.Contains(face, "/") {
			t.Fatalf("interface %q", face)
		}
	})
}

// FuzzParseLine: lines of logs, and configurations.
func FuzzParseLine(f *testing.F) {
	for _, s := range []string{"ptp4l[5374.683]: master offset -3 s2 freq +4321 path delay 567", "phc2sys[1.2]: eth0 sys offset 999999999999999999 s0 freq -1 delay 3", "ptp4l[1.1]: rms 1 max 2 freq 3 +/- 4",
		"[global]\ndomainNumber 24\nuds_address /run/x\n[eth0]\ndomainNumber 3\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, l := range Last(s) {
			if l.Program == "" || l.Subject == "" {
				t.Fatalf("%q gives %+v", s, l)
			}
		}
		var c config
		c.read(s)
		if c.domain < 0 || c.domain > 255 || len(c.sockets) > 16 {
			t.Fatalf("%q gives %+v", s, c)
		}
	})
}
