package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of a request.
const (
	MaxBody     = 1 << 20 // bytes of a request, and of an answer that the client believes
	maxConns    = 64      // at a time; more wait
	readTime    = 10 * time.Second
	answerTime  = 30 * time.Second
	idleTime    = 60 * time.Second
	maxHeader   = 16 << 10
	maxSockPath = 107 // bytes of sun_path, without its NUL
)

// Path is the socket of a process: <run_dir>/<process>.sock.
func Path(runDir, process string) string { return filepath.Join(runDir, process+".sock") }

// Options of a Server. The zero value works.
type Options struct {
	// Group may command the process, by name or number. The default is the process's own.
	Group string
	// Log gets a line for each command. The default is none.
	Log *slog.Logger
}

// Error is an answer that is no 200: the code of HTTP, and a sentence.
type Error struct {
	Code    int    `json:"-"`
	Message string `json:"error"`
}

func (e *Error) Error() string { return e.Message }

// Errorf makes an Error.
func Errorf(code int, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// BusyError says that another process listens there.
type BusyError struct {
	Path string
	PID  int // 0: it has not said yet
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("control: %s belongs to process %d, which runs; a second one of the same name is not started", e.Path, e.PID)
}

// Peer is who opened a connection, as the kernel says. PID is 0 for one of another pid namespace.
type Peer struct {
	UID, GID uint32
	PID      int
}

type peerKey struct{}

// PeerOf is who sent a request.
func PeerOf(ctx context.Context) Peer {
	p, _ := ctx.Value(peerKey{}).(Peer)
	return p
}

// Server listens on one socket. Register handlers, then Serve.
type Server struct {
	path string
	l    net.Listener
	lock *os.File
	mux  *http.ServeMux
	http *http.Server
	log  *slog.Logger
	once sync.Once
	err  error
}

// Listen takes the socket path, which a process that died may have left there; one of a process that lives is left alone (*BusyError).
// Folders that are missing are made, 0755.
func Listen(path string, o Options) (*Server, error) {
	if len(path) > maxSockPath {
		return nil, fmt.Errorf("control: %s has %d bytes, a socket's path has at most %d: choose a shorter run_dir", path, len(path), maxSockPath)
	}
	gid, err := lookupGroup(o.Group)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("control: run_dir: %w", err)
	}
	if err := trusted(filepath.Dir(path)); err != nil {
		return nil, err
	}
	lock, err := lockPath(path)
	if err != nil {
		return nil, err
	}
	l, err := bind(path, gid)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	s := &Server{path: path, l: l, lock: lock, mux: http.NewServeMux(), log: o.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.http = &http.Server{
		Handler: s, ReadTimeout: readTime, WriteTimeout: answerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			p, err := peer(c)
			if err != nil {
				s.log.Warn("control: who is at the socket cannot be told", "err", err)
			}
			return context.WithValue(ctx, peerKey{}, p)
		},
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	return s, nil
}

// trusted refuses a folder in which somebody else could put another socket under our name.
func trusted(dir string) error {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return fmt.Errorf("control: run_dir %s: %w", dir, err)
	}
	switch {
	case st.Uid != 0 && int(st.Uid) != os.Geteuid():
		return fmt.Errorf("control: run_dir %s belongs to user %d, who could command in our name: choose another, or remove it", dir, st.Uid)
	case st.Mode&0o002 != 0 && st.Mode&unix.S_ISVTX == 0:
		return fmt.Errorf("control: run_dir %s may be written by everybody: `chmod o-w %s`", dir, dir)
	}
	return nil
}

// lockPath is the lock of a live server. It ends with the process.
func lockPath(path string) (*os.File, error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("control: lock on %s: %w", f.Name(), err)
		}
		var text [16]byte
		n, _ := f.ReadAt(text[:], 0)
		pid, _ := strconv.Atoi(string(text[:n]))
		return nil, &BusyError{Path: path, PID: pid}
	}
	err = errors.Join(f.Truncate(0), writeText(f, strconv.Itoa(os.Getpid())))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("control: %w", err), f.Close())
	}
	return f, nil
}

func writeText(f *os.File, s string) error {
	_, err := f.WriteAt([]byte(s), 0)
	return err
}

// bind makes the socket under another name and renames it: it is never there with wrong rights, and a dead one's goes.
func bind(path string, gid int) (net.Listener, error) {
	tmp := path + ".new"
	if len(tmp) > maxSockPath {
		tmp = path[:len(path)-1] + "~"
	}
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("control: %w", err)
	}
	if st, err := os.Lstat(path); err == nil && st.Mode().Type() != fs.ModeSocket {
		return nil, fmt.Errorf("control: %s is there and is no socket: remove it", path)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: tmp, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	l.SetUnlinkOnClose(false) // its name moves
	fail := func(err error) (net.Listener, error) {
		return nil, errors.Join(fmt.Errorf("control: %w", err), l.Close(), os.Remove(tmp))
	}
	if gid >= 0 {
		if err := os.Chown(tmp, -1, gid); err != nil {
			return fail(fmt.Errorf("%w; the process must be a member of group %d", err, gid))
		}
	}
	if err := os.Chmod(tmp, 0o660); err != nil {
		return fail(err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fail(err)
	}
	return newLimited(l, maxConns), nil
}

func lookupGroup(group string) (int, error) {
	if group == "" {
		return -1, nil
	}
	if gid, err := strconv.Atoi(group); err == nil && gid >= 0 {
		return gid, nil
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return 0, fmt.Errorf("control: group of the socket: %w", err)
	}
	return strconv.Atoi(g.Gid)
}

// peer asks the kernel who connected.
func peer(c net.Conn) (Peer, error) {
	if h, ok := c.(*held); ok {
		c = h.Conn
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return Peer{}, fmt.Errorf("a connection of type %T", c)
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	var cred *unix.Ucred
	var errCred error
	if err := raw.Control(func(fd uintptr) { cred, errCred = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return Peer{}, err
	}
	if errCred != nil {
		return Peer{}, os.NewSyscallError("SO_PEERCRED", errCred)
	}
	return Peer{UID: cred.Uid, GID: cred.Gid, PID: int(cred.Pid)}, nil
}

// Handle answers a pattern of net/http, such as "GET /status", with what f gives as JSON. An *Error goes out as it is,
// any other error as 500. f runs on a goroutine of its own, off the lanes.
func (s *Server) Handle(pattern string, f func(r *http.Request) (any, error)) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		v, err := f(r)
		s.say(r, err)
		answer(w, v, err)
	})
}

// Serve answers until ctx ends, then lets requests end (5 s), and removes the socket.
func (s *Server) Serve(ctx context.Context) error {
	s.http.BaseContext = func(net.Listener) context.Context { return ctx } // streams end with it
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if s.http.Shutdown(grace) != nil {
			_ = s.http.Close()
		}
	}()
	err := s.http.Serve(s.l)
	if errors.Is(err, http.ErrServerClosed) {
		<-done
		err = nil
	}
	return errors.Join(err, s.Close())
}

// Close removes the socket. Serve does it too.
func (s *Server) Close() error {
	s.once.Do(func() {
		_ = s.http.Close()
		s.err = os.Remove(s.path)
		if errors.Is(s.err, fs.ErrNotExist) {
			s.err = nil
		}
		if err := s.l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			s.err = errors.Join(s.err, err)
		}
		s.err = errors.Join(s.err, s.lock.Close())
	})
	return s.err
}

// ServeHTTP bounds a request and survives its handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("control: a command failed badly", "command", r.Method+" "+r.URL.Path, "panic", p, "stack", string(debug.Stack()))
			answer(w, nil, Errorf(http.StatusInternalServerError, "the command failed badly; the process's log has more"))
		}
	}()
	r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
	if _, pattern := s.mux.Handler(r); pattern == "" {
		answer(w, nil, Errorf(http.StatusNotFound, "%s %s is no command of this process", r.Method, r.URL.Path))
		return
	}
	s.mux.ServeHTTP(w, r)
}

// say logs a command.
func (s *Server) say(r *http.Request, err error) {
	p := PeerOf(r.Context())
	args := []any{"command", r.Method + " " + r.URL.Path, "uid", p.UID, "pid", p.PID}
	switch {
	case err != nil:
		s.log.Warn("control", append(args, "err", err)...)
	case r.Method == http.MethodGet: // looking changes nothing
		s.log.Debug("control", args...)
	default:
		s.log.Info("control", args...)
	}
}

func answer(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			e = &Error{http.StatusInternalServerError, err.Error()}
		}
		w.WriteHeader(e.Code)
		v = e
	}
	_ = json.NewEncoder(w).Encode(v) // whoever asked may be gone
}

// Decode reads a request's body as JSON into v, strictly: a field that is unknown is an error of the caller (400).
func Decode(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return Errorf(http.StatusBadRequest, "the request's body: %v", err)
	}
	return nil
}
