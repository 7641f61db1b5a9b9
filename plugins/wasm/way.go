package wasm

// way counts the bytes of code that the longest way to an instruction has since fuel was taken last: a body can be half a megabyte without a loop, and a loop
// have all of it in it. Jumps lead forward, to a block's end, but for those to loops, which take fuel themselves.
type way struct {
	since  int // bytes
	labels []label
}

// label is a block that is open.
type label struct {
	loop bool
	most int // on the ways that jump to its end
	cond int // of an if: where its condition was
}

// step goes on by an instruction that was read, and says whether fuel is to be taken before it.
func (w *way) step(r *reader, op, bytes int) (take bool) {
	if take = w.since+bytes > ChargeBytes && w.since > 0; take {
		w.since = 0
	}
	w.since += bytes
	switch op {
	case opBlock:
		w.labels = append(w.labels, label{})
	case opIf:
		w.labels = append(w.labels, label{most: w.since, cond: w.since})
	case opLoop:
		w.labels, w.since = append(w.labels, label{loop: true}), 0
	case opElse:
		l := &w.labels[len(w.labels)-1]
		l.most, w.since = max(l.most, w.since), l.cond
	case opEnd:
		w.since = max(w.since, w.labels[len(w.labels)-1].most)
		w.labels = w.labels[:len(w.labels)-1]
	case opBr, opBrIf:
		w.jump(r.number)
	case opBrTable:
		for _, to := range r.table {
			w.jump(to)
		}
	}
	if op == opBr || op == opBrTable || op == opReturn || op == opUnreachable {
		w.since = 0 // what stands behind is reached by its label only
	}
	return take
}

func (w *way) jump(to uint32) {
	if int64(to) < int64(len(w.labels)) {
		l := &w.labels[len(w.labels)-1-int(to)]
		l.most = max(l.most, w.since)
	}
}
