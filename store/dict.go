package store

import (
	"sync"
	"sync/atomic"
)

// Dict gives texts numbers, from 1 on; 0 is NULL. Numbers are never given back: a day has some ten thousand symbols. Reading
// takes no lock.
type Dict struct {
	mu    sync.Mutex
	codes map[string]uint32
	texts atomic.Pointer[[]string] // by number; only ever replaced by a longer one with the same beginning
}

func newDict() *Dict {
	d := &Dict{codes: make(map[string]uint32)}
	d.texts.Store(&[]string{""})
	return d
}

// String is the text of a number, empty for 0 and for one that was never given.
func (d *Dict) String(code uint32) string {
	texts := *d.texts.Load()
	if int(code) >= len(texts) {
		return ""
	}
	return texts[code]
}

// Code finds a text's number.
func (d *Dict) Code(text string) (code uint32, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	code, ok = d.codes[text]
	return code, ok
}

// add gives a text a number, or finds the one it has. The empty text is NULL.
func (d *Dict) add(text string) uint32 {
	if text == "" {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if code, ok := d.codes[text]; ok {
		return code
	}
	texts := append(*d.texts.Load(), text) // readers see the old length until the new one is stored
	code := uint32(len(texts) - 1)
	d.codes[text] = code
	d.texts.Store(&texts)
	return code
}

// Len is how many numbers have been given, NULL included.
func (d *Dict) Len() int { return len(*d.texts.Load()) }
