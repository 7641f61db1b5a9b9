package metrics

import (
	"strings"

	"github.com/tickwire/tickwire/ringbuf"
)

// From the dotted name of a counter file to a family and its labels:
//
//	nasdaq.stats                                            tickwire_…
//	0.lane.messages                                         lane_messages_total{feed="nasdaq",lane="0"}
//	0.channel.itch.lost_messages                            channel_lost_messages_total{feed,lane,channel="itch"}
//	0.channel.itch.line.A.packets                           line_packets_total{feed,lane,channel="itch",line="A"}
//	0.afxdp.interface.eth1.queue.3.rx_dropped               afxdp_queue_rx_dropped_total{feed,lane,interface="eth1",queue="3"}
//	0.plugin.price-band.rows                                plugin_rows_total{feed,lane,plugin="price-band"}
//	0.itch.type.A                                           itch_messages_by_type_total{feed,lane,type="A"}
//	0.book.unknown.exec                                     book_unknown_total{feed,lane,kind="exec"}
//	serve.stats
//	store.rows                                              store_rows_total{process="serve"}
//
// A word of labelWords makes the words behind it, up to the next such word or the last word, a label; the family has the plain
// words, the last of the label words, and the last word. The first word is a lane where the process has lanes. Gauges have no _total;
// _ns becomes _seconds, and _at (a time) _timestamp_seconds.

// labelWords are those whose next words are a value.
var labelWords = map[string]bool{"channel": true, "line": true, "interface": true, "queue": true, "server": true, "group": true, "program": true, "plugin": true}

// lastWords are those whose value is the last word: what the family is called, and the label.
var lastWords = map[string][2]string{"type": {"messages_by_type", "type"}, "unknown": {"unknown", "kind"}, "verdict": {"verdicts", "verdict"}}

// levels are values that go down although their counter file calls them counters.
var levels = map[string]bool{"book_orders": true, "book_levels": true, "book_blocks": true, "book_pages": true, "book_bytes": true, "pricebook_instruments": true, "pricebook_bytes": true}

// label is a name and a value.
type label struct{ name, value string }

// sample is one value of a family.
type sample struct {
	family  string
	labels  []label
	pattern string // the dotted name with <label> for each value
	gauge   bool
	value   float64
}

// lanesOf finds the lanes of a process: each has counters <lane>.lane.….
func lanesOf(stats []ringbuf.Stat) map[string]bool {
	lanes := map[string]bool{}
	for _, s := range stats {
		if lane, rest, ok := strings.Cut(s.Name, "."); ok && strings.HasPrefix(rest, "lane.") {
			lanes[lane] = true
		}
	}
	return lanes
}

// place splits a dotted name into labels and words. words has the family's, without prefix and suffix; pattern is the name
// with placeholders.
func place(process string, lanes map[string]bool, dotted string) (words []string, labels []label, pattern string) {
	segs := strings.Split(dotted, ".")
	var shown []string
	if len(lanes) == 0 {
		labels = append(labels, label{"process", process})
	} else {
		labels = append(labels, label{"feed", process})
		if lanes[segs[0]] && len(segs) > 1 {
			labels = append(labels, label{"lane", segs[0]})
			shown = append(shown, "<lane>")
			segs = segs[1:]
		}
	}
	key := ""
	last := len(segs) - 1
	for i := 0; i <= last; i++ {
		word := segs[i]
		if special, ok := lastWords[word]; ok && i == last-1 {
			labels = append(labels, label{special[1], segs[last]})
			shown = append(shown, word, "<"+special[1]+">")
			if key != "" {
				words = append(words, key)
			}
			return append(words, special[0]), labels, strings.Join(shown, ".")
		}
		if labelWords[word] && i+1 < last {
			end := i + 2 // one word at least; more until the next label
			for end < last && !labelWords[segs[end]] && lastWords[segs[end]][0] == "" {
				end++
			}
			labels = append(labels, label{word, strings.Join(segs[i+1:end], ".")})
			shown = append(shown, word, "<"+word+">")
			key = word
			i = end - 1
			continue
		}
		if i == last && key != "" {
			words = append(words, key)
		}
		words = append(words, word)
		shown = append(shown, word)
	}
	return words, labels, strings.Join(shown, ".")
}

const prefix = "tickwire_"

// toSample places one counter.
func toSample(process string, lanes map[string]bool, s ringbuf.Stat) sample {
	words, labels, pattern := place(process, lanes, s.Name)
	name := clean(strings.Join(words, "_"))
	if name == "" {
		name = "unnamed"
	}
	out := sample{labels: labels, pattern: pattern, value: float64(s.Value), gauge: s.Kind != ringbuf.StatCounter || levels[name]}
	if rest, ok := strings.CutSuffix(name, "_at"); ok {
		name, out.value, out.gauge = rest+"_timestamp_seconds", out.value/1e9, true
	} else if rest, ok := strings.CutSuffix(name, "_ns"); ok {
		name, out.value = rest+"_seconds", out.value/1e9
	}
	if !out.gauge && !strings.HasSuffix(name, "_total") {
		name += "_total"
	}
	out.family = prefix + name
	return out
}

// clean makes a word fit for the name of a family.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '_'
	}, s)
}
