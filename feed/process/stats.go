package process

import (
	"reflect"
	"strings"
	"unicode"

	"github.com/tickwire/tickwire/ringbuf"
)

// exporter copies a lane's counters to the process's .stats file. The lane itself does it, between two passes: its
// counters are plain words that nobody else may look at.
type exporter struct {
	file    *ringbuf.StatsWriter
	entries []exported
	next    uint64
}

type exported struct {
	handle int
	from   *uint64
}

const exportEveryNs = 10_000_000

// add registers every uint64 field of *counters, and every element of its arrays that is not zero later, under prefix.
func (e *exporter) add(prefix string, counters any) error {
	v := reflect.ValueOf(counters).Elem()
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		if f.Kind() != reflect.Uint64 || !unicode.IsUpper(rune(name[0])) {
			continue
		}
		kind := ringbuf.StatCounter
		if strings.HasPrefix(name, "Live") || strings.HasSuffix(name, "At") || strings.HasPrefix(name, "Max") {
			kind = ringbuf.StatGauge
		}
		handle, err := e.file.Add(prefix+"."+snake(name), kind)
		if err != nil {
			return err
		}
		e.entries = append(e.entries, exported{handle, (*uint64)(f.Addr().UnsafePointer())})
	}
	return nil
}

// export copies the values when it is time to, without allocation and without entering the kernel.
func (e *exporter) export(now uint64) {
	if now < e.next {
		return
	}
	e.next = now + exportEveryNs
	for _, x := range e.entries {
		e.file.Set(x.handle, *x.from)
	}
}

// snake turns LostMessages into lost_messages.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
