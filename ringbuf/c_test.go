package ringbuf

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/tick"
)

const exampleTail = "../examples/ring-reader-c/ring_tail.c"

// The header is C99 and C++11 without a warning, alone and in the example.
func TestHeaderCompiles(t *testing.T) {
	for _, tc := range [][2]string{{"gcc", "c99"}, {"gcc", "gnu11"}, {"g++", "c++11"}, {"g++", "c++20"}, {"clang", "c99"}, {"clang++", "c++11"}} {
		t.Run(tc[0]+" "+tc[1], func(t *testing.T) {
			if strings.HasPrefix(tc[0], "clang") {
				if _, err := exec.LookPath(tc[0]); err != nil {
					t.Skipf("no %s on this machine", tc[0])
				}
			}
			buildC(t, tc[0], tc[1], exampleTail)
		})
	}
}

// The example prints what was published: order events, and the status and gap records between them.
func TestExampleTail(t *testing.T) {
	prog := buildC(t, "gcc", "c99", exampleTail)
	path := filepath.Join(shmDir(t), "x.a.mbo.ring")
	w := mustCreate(t, path, Options{Kind: KindMbo, Slots: 1024})
	recs := make([]tick.Mbo, 3)
	recs[0] = tick.Mbo{Header: tick.Header{RType: tick.RTypeMbo, InstrumentID: 42, TsEvent: 1000}, OrderID: 99, Price: 150_250_000_000, Size: 300, Flags: tick.FlagLast, Action: 'A', Side: 'B'}
	PutStatusMbo(&recs[1], &tick.Status{Header: tick.Header{RType: tick.RTypeStatus, InstrumentID: 42, TsEvent: 1001}, Action: tick.StatusHalt, IsTrading: 'N'})
	PutGapMbo(&recs[2], &tick.Gap{Header: tick.Header{RType: tick.RTypeGap, TsEvent: 1002}, First: 7, Last: 9, State: tick.GapLost})
	first := PublishSlice(w, recs)
	_ = w.Close()
	out, err := exec.Command(prog, path, "oldest").CombinedOutput()
	want := []string{
		" 1000 A 42 B id 99 300 @ 150.250000000",
		" 1001 status 42 action 8 trading N",
		" 1002 gap 7 to 9 state 3",
	}
	for i := range want {
		want[i] = strconv.FormatUint(first+uint64(i), 10) + want[i]
	}
	if err != nil || strings.TrimSpace(string(out)) != strings.Join(want, "\n") {
		t.Errorf("%v:\n%s\nwant\n%s", err, out, strings.Join(want, "\n"))
	}
	if out, err := exec.Command(prog, path, "live", "0").CombinedOutput(); err != nil || len(out) != 0 {
		t.Errorf("no records asked for: %v, %s", err, out)
	}
}

// What Go refuses, C refuses, each for the same reason.
func TestCOpenRefuses(t *testing.T) {
	prog := buildC(t, "gcc", "c99", "testdata/ringcheck.c")
	good, path := ringFile(t)
	for _, tc := range badFiles {
		if err := os.WriteFile(path, tc.change(append([]byte(nil), good...)), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(prog, path, "0").CombinedOutput()
		var exit *exec.ExitError
		if (err == nil) != (tc.want == nil) || err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) || !strings.Contains(string(out), tc.code) {
			t.Errorf("%s: %v, %q; want %q", tc.name, err, out, tc.code)
		}
	}
}

// The offsets in the C header are those in layout.go.
func TestCOffsets(t *testing.T) {
	text, err := os.ReadFile("c/tickring.h")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^#define (TW_OFF_\w+) (\d+)`).FindAllStringSubmatch(string(text), -1) {
		got[m[1]], _ = strconv.Atoi(m[2])
	}
	for name, want := range map[string]int{
		"STAMPS": offStamps, "MAGIC": offMagic, "MAJOR": offMajor, "MINOR": offMinor, "HEADER_BYTES": offHeaderBytes, "BYTE_ORDER": offByteOrder, "SLOT_BYTES": offSlotBytes,
		"SLOTS": offSlots, "SLOTS_OFFSET": offSlotsOffset, "FILE_BYTES": offFileBytes, "SCHEMA": offSchema, "DBN_VERSION": offDBNVersion, "KIND": offKind,
		"PUBLISHER": offPublisher, "CHANNEL": offChannel, "CREATED": offCreated, "UUID": offUUID, "NAME": offName, "DATASET": offDataset,
		"RING_FLAGS": offRingFlags, "EPOCH_INTENT": offEpochIntent, "EPOCH": offEpoch, "FIRST": offFirst, "START_MONO": offStartMono,
		"REAL_OFFSET": offRealOffset, "PID": offPID, "STATE": offState, "BOOT_ID": offBootID, "UNUSED": offUnused, "CURSOR": offCursor,
		"CURSOR_TS": offCursorTs, "HEARTBEAT": offHeartbeat, "DOORBELL": offDoorbell,
	} {
		if g, ok := got["TW_OFF_"+name]; !ok || g != want {
			t.Errorf("TW_OFF_%s is %d (%v), layout.go has %d", name, g, ok, want)
		}
	}
}

// The race detector of gcc finds nothing in the C reader and the written protocol. It sees that every shared word is
// accessed atomically; it does not model free-standing fences, so the order on arm64 stays an argument (ABI.md 3).
func TestProtocolUnderThreadSanitizer(t *testing.T) {
	prog := filepath.Join(t.TempDir(), "tsanring")
	cmd := exec.Command(cCompiler(t, "gcc"), "-std=gnu99", "-O1", "-g", "-Wall", "-Wextra", "-fsanitize=thread", "-I", "c", "-o", prog, "testdata/tsanring.c", "-pthread")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("no thread sanitizer here: %v\n%s", err, out)
	}
	out, err := exec.Command(prog).CombinedOutput()
	if strings.Contains(string(out), "unexpected memory mapping") {
		t.Skipf("the sanitizer does not know this kernel's address layout: %s", out)
	}
	var got, bad, lost uint64
	if _, scanErr := fmt.Sscan(string(out), &got, &bad, &lost); err != nil || scanErr != nil || bad != 0 || got+lost != 200_000 || got == 0 {
		t.Errorf("%v: %s", err, out)
	}
	t.Logf("%d read, %d lost", got, lost)
}

// TestExampleQuote: a late starter's two questions, answered by the example.
func TestExampleQuote(t *testing.T) {
	prog := buildC(t, "gcc", "c99", "../examples/ring-reader-c/quote.c")
	w := newSideWorld(t)
	w.write(300)
	w.snapshot(t)
	out, err := exec.Command(prog, filepath.Join(w.dir, "f.0"), "2", "AAPL").CombinedOutput()
	want := fmt.Sprintf("100 of 100 resting orders are its own, as of record %d; the ring goes on at %d\n", w.ring.Next()-1, w.ring.Next())
	if err != nil || !strings.HasSuffix(string(out), want) || !strings.HasPrefix(string(out), "AAPL 0 @ ") {
		t.Errorf("%v: %s\nwant the end %s", err, out, want)
	}
	if out, err := exec.Command(prog, filepath.Join(w.dir, "f.0"), "2", "NONE").CombinedOutput(); err == nil || !strings.Contains(string(out), "no such instrument") {
		t.Errorf("an unknown symbol: %v, %s", err, out)
	}
	_ = w.ring.Close()
}
