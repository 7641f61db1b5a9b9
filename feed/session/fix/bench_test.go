package fix

import (
	"bytes"
	"io"
	"strconv"
	"testing"
	"time"
)

// BenchmarkGate is what the gate costs a message: framing, CheckSum, fields, envelope, and the copy that is kept. The library and two copies
// over lo come on top.
func BenchmarkGate(b *testing.B) {
	all := frameOf("35=A|34=1|49=VENUE|52=20261125-10:00:00|56=ME|98=0|108=30|")
	for seq := 2; seq < 10_000; seq++ {
		all = append(all, frameOf("35=X|34="+strconv.Itoa(seq)+"|49=VENUE|52=20261125-10:00:00.123|56=ME|262=r-1|268=2|279=2|269=0|55=SYM0001|270=100.25|"+
			"279=0|269=0|55=SYM0001|270=100.24|271=500|272=20261125|273=10:00:00.123|346=3|290=1|")...)
	}
	b.SetBytes(int64(len(all)))
	b.ReportAllocs()
	for b.Loop() {
		var c Counters
		k := newKeeper(0)
		g := newGate(scriptConn{r: bytes.NewReader(all)}, k, limits{}, &c, nil)
		for {
			if _, err := io.CopyN(io.Discard, onlyRead{g}, 1<<20); err != nil {
				break
			}
		}
		_ = g.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*9999), "ns/msg")
}

// BenchmarkChanges is what the server costs an entry: the book compared, the line written. The library comes on top, once an X.
func BenchmarkChanges(b *testing.B) {
	var was, now Book
	was.empty()
	for i := range 5 {
		was.Pairs[i].BidPx, was.Pairs[i].BidSz, was.Pairs[i].AskPx, was.Pairs[i].AskSz = int64(100-i)*1e9, 5, int64(101+i)*1e9, 5
	}
	now = was
	now.Pairs[2].BidSz, now.TsEvent = 7, uint64(time.Now().UnixNano())
	var x increments
	var lines []entry
	var s stamp
	rpt := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		lines = changes(changes(lines[:0], &was, &now, 5, '0'), &was, &now, 5, '1')
		x.lines, x.count = x.lines[:0], 0
		x.add(V44, "SYM0001", lines, &rpt, &s)
	}
}
