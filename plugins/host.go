package plugins

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Options of a host. The zero value works: no cache on disk, ABI.md's limits, slog's default logger.
type Options struct {
	CacheDir string       // compiled modules are kept there, made with mode 0700: who can write there runs code in this process. "": compiled anew by each process
	Policy   Policy       // what plugins may have
	Log      *slog.Logger // what plugins say and what becomes of them. Written from a goroutine of the host's, never from a lane
}

// Policy bounds what a plugin gets, whatever it declares. Fields that are 0 have ABI.md's values.
type Policy struct {
	LanePages     int           // memory on a lane, in pages of 64 KiB. The default is 64, 1,024 with wasi
	Pages         int           // memory elsewhere. The default is 1,024
	LaneFuel      int64         // a call on a lane, at most. The default is 400,000: some 1 ms
	Fuel          int64         // a call elsewhere, at most. The default is 40,000,000: some 0.1 s
	InitFuel      int64         // _initialize, tw_init and the rest until an instance is ready, each. The default is 40,000,000
	InitFuelWASI  int64         // the same with wasi, where a language's runtime starts. The default is 1,000,000,000
	MaxFailures   int           // so many within FailureWindow take a plugin out. The default is 3
	FailureWindow time.Duration // The default is a minute
	LogLines      int           // a second and plugin. The default is 100
	ModuleBytes   int           // The default is 4 MiB, 16 MiB with wasi
	RefuseWASI    bool          // modules with `wasi` do not load
}

// Errors of calls on an instance.
var (
	ErrDead    = errors.New("the instance failed before or is closed")
	ErrNoUnit  = errors.New("the plugin has no such unit")
	ErrRows    = errors.New("more rows or bytes than the plugin takes in a call")
	ErrStopped = errors.New("a plugin with on_trap stop_feed failed")
)

// Host compiles plugins. It may be used from several goroutines.
type Host struct {
	ctx    context.Context
	policy Policy
}

// New makes a host. An error says that CacheDir cannot be used, or is open to others.
func New(o Options) (*Host, error) { return nil, errors.New("plugins: not built yet") }

// Close frees what is compiled. Plugins, instances and chains must be closed before.
func (h *Host) Close() error { return nil }

// Compile checks a module and compiles it: manifest, sizes, imports, exports and their signatures. Errors say what is wrong, and where.
// It takes from 0.3 ms (C) to 0.6 s (Go), a tenth of it from the cache. Never on a lane.
func (h *Host) Compile(module []byte) (*Plugin, error) {
	return nil, errors.New("plugins: not built yet")
}
