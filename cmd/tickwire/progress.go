package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// progress is one line on a terminal that is written over; on anything else it is silent.
type progress struct {
	out   io.Writer
	on    bool
	last  time.Time
	began time.Time
	shown bool
}

func newProgress(out io.Writer) *progress {
	f, ok := out.(*os.File)
	return &progress{out: out, on: ok && term.IsTerminal(int(f.Fd())), began: time.Now()}
}

const progressEvery = 100 * time.Millisecond

func (p *progress) due() bool {
	if !p.on || time.Since(p.last) < progressEvery {
		return false
	}
	p.last = time.Now()
	return true
}

// note shows a sentence.
func (p *progress) note(format string, args ...any) {
	if !p.on {
		return
	}
	fmt.Fprintf(p.out, "\r\x1b[K"+format, args...)
	p.shown = true
}

// bar shows how much of a whole is done. A whole of 0 is not known.
func (p *progress) bar(what string, done, whole int64) {
	if !p.due() {
		return
	}
	if whole <= 0 {
		p.note("%s %s", what, sizeText(done))
		return
	}
	const width = 30
	share := min(1, float64(done)/float64(whole))
	full := int(share * width)
	left := ""
	if took := time.Since(p.began); share > 0.02 && took > time.Second {
		left = fmt.Sprintf(", %s left", time.Duration(float64(took)*(1-share)/share).Round(time.Second))
	}
	p.note("%s %s%s %3.0f %%%s", what, strings.Repeat("█", full), strings.Repeat("░", width-full), share*100, left)
}

// done wipes the line.
func (p *progress) done() {
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = false
	}
}

func sizeText(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d B", n)
}
