package control

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMain lets this binary be a server that is killed, and a client that is killed.
func TestMain(m *testing.M) {
	path := os.Getenv("TICKWIRE_CONTROL_PATH")
	switch os.Getenv("TICKWIRE_CONTROL_ROLE") {
	case "server":
		s, err := Listen(path, Options{})
		if err != nil {
			os.Exit(1)
		}
		s.Handle("GET /pid", func(*http.Request) (any, error) { return os.Getpid(), nil })
		_ = s.Serve(context.Background())
	case "client":
		a, err := NewClient(path).Attach(context.Background(), "POST", "/hold", nil)
		if err != nil {
			os.Exit(1)
		}
		var v any
		_ = a.Next(&v)
		_ = a.Next(&v) // never comes
	default:
		os.Exit(m.Run())
	}
}

const patience = 20 * time.Second

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}
func (s *syncBuffer) String() string { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

// serve starts a server with some commands; what it logs is in log.
func serve(t *testing.T, path string) (s *Server, log *syncBuffer) {
	t.Helper()
	log = &syncBuffer{}
	s, err := Listen(path, Options{Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Error("does not end")
		}
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("the socket is still there: %v", err)
		}
	})
	s.Handle("POST /echo", func(r *http.Request) (any, error) {
		var v struct{ Text string }
		if err := Decode(r, &v); err != nil {
			return nil, err
		}
		return v, nil
	})
	s.Handle("POST /refuse", func(*http.Request) (any, error) { return nil, Errorf(http.StatusConflict, "lane 0 is busy") })
	s.Handle("POST /fail", func(*http.Request) (any, error) { return nil, errors.New("disk full") })
	s.Handle("POST /panic", func(*http.Request) (any, error) { panic("a defect") })
	s.Handle("POST /who", func(r *http.Request) (any, error) { return PeerOf(r.Context()), nil })
	go func() { done <- s.Serve(ctx) }()
	return s, log
}

func TestCommands(t *testing.T) {
	path := Path(filepath.Join(t.TempDir(), "run"), "nasdaq")
	_, log := serve(t, path)
	c := NewClient(path)
	ctx := context.Background()
	var out struct{ Text string }
	if err := c.Do(ctx, "POST", "/echo", map[string]string{"Text": "hello"}, &out); err != nil || out.Text != "hello" {
		t.Errorf("echo: %v, %+v", err, out)
	}
	for _, tc := range []struct {
		method, path string
		in           any
		code         int
		want         string
	}{
		{"POST", "/refuse", nil, 409, "lane 0 is busy"},
		{"POST", "/fail", nil, 500, "disk full"},
		{"POST", "/panic", nil, 500, "failed badly"},
		{"POST", "/nosuch", nil, 404, "POST /nosuch is no command"},
		{"POST", "/echo", map[string]string{"Txet": "x"}, 400, "Txet"},
		{"POST", "/echo", map[string]string{"Text": strings.Repeat("x", MaxBody)}, 400, "too large"},
		{"POST", "/echo", nil, 400, "body"},
	} {
		err := c.Do(ctx, tc.method, tc.path, tc.in, nil)
		var e *Error
		if !errors.As(err, &e) || e.Code != tc.code || !strings.Contains(e.Message, tc.want) {
			t.Errorf("%s %s: %v, want %d %q", tc.method, tc.path, err, tc.code, tc.want)
		}
	}
	var who Peer
	if err := c.Do(ctx, "POST", "/who", nil, &who); err != nil || who.PID != os.Getpid() || who.UID != uint32(os.Getuid()) {
		t.Errorf("the kernel says %+v, %v", who, err)
	}
	eventually(t, "the log", func() bool {
		s := log.String()
		return strings.Contains(s, "POST /echo") && strings.Contains(s, "lane 0 is busy") && strings.Contains(s, "a defect")
	})
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o660 {
		t.Errorf("socket %v, %v; want 0660", st.Mode(), err)
	}
}

// A socket that a killed process left is taken over; that of a live one is not.
func TestStaleSocket(t *testing.T) {
	path := Path(t.TempDir(), "f")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(exe)
	child.Env = append(os.Environ(), "TICKWIRE_CONTROL_ROLE=server", "TICKWIRE_CONTROL_PATH="+path)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	c := NewClient(path)
	pid := 0
	eventually(t, "the child's server", func() bool { return c.Do(context.Background(), "GET", "/pid", nil, &pid) == nil })
	_, err = Listen(path, Options{})
	var busy *BusyError
	if !errors.As(err, &busy) || busy.PID != pid {
		t.Fatalf("beside a live one: %v, want that %d is named", err, pid)
	}
	_ = child.Process.Kill()
	_ = child.Wait()
	if err := c.Do(context.Background(), "GET", "/pid", nil, nil); err == nil || !strings.Contains(err.Error(), "is gone") {
		t.Errorf("a dead one's socket: %v", err)
	}
	serve(t, path)
	if err := c.Do(context.Background(), "POST", "/who", nil, nil); err != nil {
		t.Errorf("after it was taken over: %v", err)
	}
	none := NewClient(Path(t.TempDir(), "x"))
	if err := none.Do(context.Background(), "GET", "/", nil, nil); err == nil || !strings.Contains(err.Error(), "does not run") {
		t.Errorf("no socket: %v", err)
	}
	if err := os.WriteFile(path+"2", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path+"2", Options{}); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("a file in the way: %v", err)
	}
	if _, err := Listen("/tmp/"+strings.Repeat("x", 120), Options{}); err == nil || !strings.Contains(err.Error(), "shorter run_dir") {
		t.Errorf("a long path: %v", err)
	}
}

// A folder where others may put sockets is refused.
func TestUntrustedFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(Path(dir, "f"), Options{}); err == nil || !strings.Contains(err.Error(), "chmod o-w") {
		t.Errorf("a folder that everybody writes: %v", err)
	}
	if os.Getuid() == 0 {
		if err := errors.Join(os.Chmod(dir, 0o755), os.Chown(dir, 65534, -1)); err != nil {
			t.Fatal(err)
		}
		if _, err := Listen(Path(dir, "f"), Options{}); err == nil || !strings.Contains(err.Error(), "65534") {
			t.Errorf("another user's folder: %v", err)
		}
	}
}

// A stream's context ends when its client is killed, when the client closes, and when the server stops; each time the
// handler gets to clean up.
func TestStream(t *testing.T) {
	path := Path(t.TempDir(), "f")
	s, err := Listen(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	open, ended := make(chan int, 10), make(chan int, 10)
	s.HandleStream("POST /hold", func(st *Stream) error {
		if err := st.Send(map[string]string{"path": "/dev/shm/x"}); err != nil {
			return err
		}
		open <- 1
		<-st.Context().Done()
		ended <- 1
		return nil
	})
	s.HandleStream("POST /no", func(*Stream) error { return Errorf(http.StatusConflict, "taken") })
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	wait := func(what string, c chan int) {
		t.Helper()
		select {
		case <-c:
		case <-time.After(patience):
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(exe)
	child.Env = append(os.Environ(), "TICKWIRE_CONTROL_ROLE=client", "TICKWIRE_CONTROL_PATH="+path)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	wait("the child's stream", open)
	_ = child.Process.Kill()
	_ = child.Wait()
	wait("its end", ended)

	c := NewClient(path)
	a, err := c.Attach(context.Background(), "POST", "/hold", nil)
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]string
	if err := a.Next(&v); err != nil || v["path"] != "/dev/shm/x" {
		t.Errorf("%v, %v", v, err)
	}
	wait("ours", open)
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	wait("its end", ended)
	if _, err := c.Attach(context.Background(), "POST", "/no", nil); err == nil || err.Error() != "taken" {
		t.Errorf("refused: %v", err)
	}

	if a, err = c.Attach(context.Background(), "POST", "/hold", nil); err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	wait("the last one", open)
	cancel()
	wait("its end with the server", ended)
	if err := a.Next(&v); err != nil {
		t.Error(err)
	}
	if err := a.Next(&v); !errors.Is(err, io.EOF) {
		t.Errorf("after the server's end: %v", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Connections that say nothing do not keep others out for ever, and never more than maxConns are open.
func TestManyConnections(t *testing.T) {
	path := Path(t.TempDir(), "f")
	serve(t, path)
	var silent []net.Conn
	for range maxConns {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		silent = append(silent, c)
	}
	ok := make(chan error, 1)
	go func() { ok <- NewClient(path).Do(context.Background(), "POST", "/who", nil, nil) }()
	select {
	case err := <-ok:
		t.Errorf("answered with %d connections open: %v", maxConns, err)
	case <-time.After(100 * time.Millisecond):
	}
	for _, c := range silent {
		_ = c.Close()
	}
	select {
	case err := <-ok:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("never answered")
	}
}

// FuzzRequest: whatever bytes come, the server lives.
func FuzzRequest(f *testing.F) {
	path := Path(f.TempDir(), "f")
	s, err := Listen(path, Options{})
	if err != nil {
		f.Fatal(err)
	}
	s.Handle("POST /echo", func(r *http.Request) (any, error) {
		var v map[string]any
		return v, Decode(r, &v)
	})
	ctx, cancel := context.WithCancel(context.Background())
	f.Cleanup(cancel)
	go func() { _ = s.Serve(ctx) }()
	f.Add([]byte("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"))
	f.Add([]byte("GET / HTTP/9\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(patience))
		_, _ = c.Write(b)
		_ = c.(*net.UnixConn).CloseWrite()
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
		if err := NewClient(path).Do(context.Background(), "POST", "/echo", map[string]int{}, nil); err != nil {
			t.Fatal(err)
		}
	})
}
