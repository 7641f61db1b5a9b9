package plugins

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// speaker writes log lines from a goroutine of its own: lanes must not wait for a disk. Lines that do not fit are counted, and told with the next one.
type speaker struct {
	log   *slog.Logger
	lines chan line
	lost  atomic.Uint64
	done  chan struct{}
	once  sync.Once
}

type line struct {
	level slog.Level
	text  string
	attrs []slog.Attr
}

func newSpeaker(log *slog.Logger) *speaker {
	if log == nil {
		log = slog.Default()
	}
	s := &speaker{log: log, lines: make(chan line, 1024), done: make(chan struct{})}
	go s.run()
	return s
}

func (s *speaker) run() {
	defer close(s.done)
	for l := range s.lines {
		if n := s.lost.Swap(0); n > 0 {
			s.log.Warn("plugins: log lines lost", "lines", n)
		}
		s.log.LogAttrs(context.Background(), l.level, l.text, l.attrs...)
	}
}

func (s *speaker) say(level slog.Level, text string, attrs ...slog.Attr) {
	select {
	case s.lines <- line{level, text, attrs}:
	default:
		s.lost.Add(1)
	}
}

func (s *speaker) close() {
	s.once.Do(func() { close(s.lines) })
	<-s.done
}

// limiter allows so many lines a second of a plugin, all its instances together.
type limiter struct {
	second atomic.Int64 // since the epoch
	lines  atomic.Int64 // in that second
}

// allow says whether a line may be written, and with the first one of a second how many were not in the one before.
func (l *limiter) allow(most int) (ok bool, kept int64) {
	now := time.Now().Unix()
	if then := l.second.Load(); then != now && l.second.CompareAndSwap(then, now) {
		kept = max(l.lines.Swap(0)-int64(most), 0)
	}
	return l.lines.Add(1) <= int64(most), kept
}
