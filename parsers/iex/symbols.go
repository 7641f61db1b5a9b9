package iex

import "encoding/binary"

// symbols gives each symbol a number, 1 and up, in the order in which they are met: open addressing over the eight characters as a word.
// It doubles when it is half full, which is when a new symbol is met, never otherwise.
type symbols struct {
	keys  []uint64 // 0: free
	ids   []uint32
	count uint32
	shift uint8

	states []state // by number; as long as is needed
}

// mostSymbols bounds what a sender of nonsense can make us remember: ten times the listed issues.
const mostSymbols = 1 << 17

func (s *symbols) reset() {
	const bits = 15
	s.keys, s.ids = make([]uint64, 1<<bits), make([]uint32, 1<<bits)
	s.count, s.shift = 0, 64-bits
	s.states = make([]state, 1<<(bits-1)+1)
}

// state is what is known of trading in a symbol that has a number.
func (s *symbols) state(id uint32) *state {
	if int(id) >= len(s.states) {
		s.states = append(s.states, make([]state, int(id)-len(s.states)+1)...)
	}
	return &s.states[id]
}

func (s *symbols) at(key uint64) uint32 {
	mask := uint32(len(s.keys) - 1)
	i := uint32(key * 0x9E3779B97F4A7C15 >> s.shift)
	for s.keys[i&mask] != key && s.keys[i&mask] != 0 {
		i++
	}
	return i & mask
}

// id gives a symbol's number; fresh: it was just given out. 0: there is no room for another, or the symbol is eight zeros, which is none.
func (s *symbols) id(symbol []byte) (id uint32, fresh bool) {
	key := binary.LittleEndian.Uint64(symbol)
	if key == 0 {
		return 0, false
	}
	i := s.at(key)
	if s.keys[i] == key {
		return s.ids[i], false
	}
	if s.count == mostSymbols {
		return 0, false
	}
	if s.count*2 >= uint32(len(s.keys)) {
		s.grow()
		i = s.at(key)
	}
	s.count++
	s.keys[i], s.ids[i] = key, s.count
	return s.count, true
}

func (s *symbols) grow() {
	keys, ids := s.keys, s.ids
	s.keys, s.ids = make([]uint64, 2*len(keys)), make([]uint32, 2*len(ids))
	s.shift--
	for i, key := range keys {
		if key != 0 {
			to := s.at(key)
			s.keys[to], s.ids[to] = key, ids[i]
		}
	}
}
