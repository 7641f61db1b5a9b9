//go:build wasip1

package tickwire

import "unsafe"

// What the host gives. A function that is not used is not imported.

//go:wasmimport tickwire log
func hostLog(level int32, text unsafe.Pointer, n int32)

//go:wasmimport tickwire config
func hostConfig(key unsafe.Pointer, n int32, to unsafe.Pointer, room int32) int32

//go:wasmimport tickwire metric
func hostMetric(key unsafe.Pointer, n int32, add int64)

//go:wasmimport tickwire now
func hostNow() int64

//go:wasmimport tickwire lookup
func hostLookup(instrument int32, to unsafe.Pointer, room int32) int32

//go:wasmimport tickwire define
func hostDefine(instrument int32, symbol unsafe.Pointer, n int32) int32

// Levels of Log.
const (
	Debug int32 = iota
	Info
	Warn
	Error
)

// Log says something.
func Log(level int32, text string) {
	hostLog(level, unsafe.Pointer(unsafe.StringData(text)), int32(len(text)))
}

// Config is a parameter's value as text, appended to dst; false: there is none, or dst has no room for it.
func Config(key string, dst []byte) ([]byte, bool) {
	room := dst[len(dst):cap(dst)]
	n := hostConfig(unsafe.Pointer(unsafe.StringData(key)), int32(len(key)), unsafe.Pointer(unsafe.SliceData(room)), int32(len(room)))
	if n < 0 || int(n) > len(room) {
		return dst, false
	}
	return dst[:len(dst)+int(n)], true
}

// Metric adds to a counter, plugin.<name>.<key>.
func Metric(key string, add int64) {
	hostMetric(unsafe.Pointer(unsafe.StringData(key)), int32(len(key)), add)
}

// Now is the batch's time, ns since the Unix epoch.
func Now() int64 { return hostNow() }

// Lookup is an instrument's symbol, appended to dst; false: not known, or dst has no room for it.
func Lookup(instrument uint32, dst []byte) ([]byte, bool) {
	room := dst[len(dst):cap(dst)]
	n := hostLookup(int32(instrument), unsafe.Pointer(unsafe.SliceData(room)), int32(len(room)))
	if n < 0 || int(n) > len(room) {
		return dst, false
	}
	return dst[:len(dst)+int(n)], true
}

// Define names an instrument: parsers, outside of rows.
func Define(instrument uint32, symbol string) bool {
	return hostDefine(int32(instrument), unsafe.Pointer(unsafe.StringData(symbol)), int32(len(symbol))) == 0
}
