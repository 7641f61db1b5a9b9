package control

import (
	"encoding/json"
	"net/http"
	"time"
)

// Stream is a command that lasts: the answer is JSON values, one a line, and the connection stays open.
type Stream struct {
	*http.Request
	w    http.ResponseWriter
	sent bool
}

// Send sends one value. It fails when the other end is gone.
func (st *Stream) Send(v any) error {
	if !st.sent {
		st.sent = true
		st.w.Header().Set("Content-Type", "application/x-ndjson")
	}
	c := http.NewResponseController(st.w)
	if err := c.SetWriteDeadline(time.Now().Add(answerTime)); err != nil { // each value has its own
		return err
	}
	if err := json.NewEncoder(st.w).Encode(v); err != nil {
		return err
	}
	return c.Flush()
}

// HandleStream answers a pattern with a stream. f lasts as long as it likes; Context ends when the other end is gone, however it
// went, and when the server stops. An error before the first Send is answered as Handle does it.
func (s *Server) HandleStream(pattern string, f func(st *Stream) error) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // the read that notices the other end's death waits for ever
		st := &Stream{Request: r, w: w}
		peer := PeerOf(r.Context())
		s.log.Info("control: begins", "command", r.Method+" "+r.URL.Path, "uid", peer.UID, "pid", peer.PID)
		err := f(st)
		s.say(r, err)
		if err != nil && !st.sent {
			answer(w, nil, err)
		}
	})
}
