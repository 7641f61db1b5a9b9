package plugins

import (
	"sync"
	"sync/atomic"
)

const mostMetrics = 64

// metrics are the counters of a plugin's name: versions and instances share them. Reading and adding take no lock, a new name does.
type metrics struct {
	mu   sync.Mutex
	list atomic.Pointer[[]*metric]
}

type metric struct {
	name  string
	value atomic.Int64
}

func (m *metrics) add(name []byte, by int64) {
	if c := m.find(name); c != nil {
		c.value.Add(by)
		return
	}
	if all := m.list.Load(); all != nil && len(*all) >= mostMetrics {
		return // for good: no lock for names that will never be there
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.find(name); c != nil {
		c.value.Add(by)
		return
	}
	var all []*metric
	if old := m.list.Load(); old != nil {
		all = *old
	}
	if len(all) >= mostMetrics {
		return
	}
	c := &metric{name: string(name)}
	c.value.Add(by)
	all = append(all[:len(all):len(all)], c)
	m.list.Store(&all)
}

func (m *metrics) find(name []byte) *metric {
	if all := m.list.Load(); all != nil {
		for _, c := range *all {
			if c.name == string(name) {
				return c
			}
		}
	}
	return nil
}

func (m *metrics) values() map[string]int64 {
	out := map[string]int64{}
	if all := m.list.Load(); all != nil {
		for _, c := range *all {
			out[c.name] = c.value.Load()
		}
	}
	return out
}
