package plugins

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/sign"
	"github.com/tickwire/tickwire/plugins/wasm"
)

// Options of a host. The zero value works: no cache on disk, ABI.md's limits, slog's default logger.
type Options struct {
	CacheDir string       // compiled modules are kept there, at most 256 MiB, made with mode 0700: who can write there runs code in this process. "": compiled anew by each process
	Policy   Policy       // what plugins may have
	Trust    *sign.Policy // what it grants modules (files, environment), validated; whether they may load is its owner's to ask. The default is nothing
	Log      *slog.Logger // what plugins say and what becomes of them. Written from a goroutine of the host's, never from a lane

	// OnFailure is told of failed calls of chains, with the instance that died of it: to keep what it was given. On a goroutine of the chain's, not the lane.
	OnFailure func(Dead)

	// For tools, at a price: where a failure was (Failure.At), and who is told of each function's beginning and end.
	Mark  bool
	Trace experimental.FunctionListenerFactory
}

// Policy bounds what a plugin gets, whatever it declares. Fields that are 0 have ABI.md's values.
type Policy struct {
	LanePages     int           // memory on a lane, in pages of 64 KiB. The default is 64, 1,024 with wasi
	Pages         int           // memory elsewhere. The default is 1,024
	LaneFuel      int64         // a call on a lane, at most. The default is 400,000: some 1 ms
	Fuel          int64         // a call elsewhere, at most. The default is 40,000,000: some 0.1 s
	InitFuel      int64         // _initialize, tw_init and the rest until an instance is ready, each. The default is 40,000,000
	InitFuelWASI  int64         // the same with wasi, where a language's runtime starts. The default is 1,000,000,000
	MaxFailures   int           // batches in a row that fail and so take a plugin out. The default is 3
	MostFailures  int           // so many within FailureWindow take it out too, though others went well between: each is an instance made anew. The default is 20, or MaxFailures if that is more
	FailureWindow time.Duration // The default is a minute
	LogLines      int           // a second and plugin. The default is 100
	ModuleBytes   int           // The default is 4 MiB, 16 MiB with wasi
	RefuseWASI    bool          // modules with `wasi` do not load
}

const (
	fuelBase   = 4096 // of a call, beside its rows
	fuelBytes  = 16   // so many bytes count as a row
	wasiPages  = 1024
	wasiModule = 16 << 20
)

func (p Policy) filled() Policy {
	p.Pages = orElse(p.Pages, 1024)
	p.LaneFuel = orElse(p.LaneFuel, 400_000)
	p.Fuel = orElse(p.Fuel, 40_000_000)
	p.InitFuel = orElse(p.InitFuel, 40_000_000)
	p.InitFuelWASI = orElse(p.InitFuelWASI, 1_000_000_000)
	p.MaxFailures = orElse(p.MaxFailures, 3)
	p.MostFailures = orElse(p.MostFailures, 20)
	p.FailureWindow = orElse(p.FailureWindow, time.Minute)
	p.LogLines = orElse(p.LogLines, 100)
	return p
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

func (p *Policy) moduleBytes(wasi bool) int {
	if wasi {
		return orElse(p.ModuleBytes, wasiModule)
	}
	return orElse(p.ModuleBytes, 4<<20)
}

func (p *Policy) pages(m *manifest.Manifest, lane bool) int {
	most := p.Pages
	if lane {
		most = p.LanePages
		if most == 0 {
			if most = 64; m.WASI {
				most = wasiPages
			}
		}
	}
	return min(m.Limits.MemoryPages, most)
}

// Host compiles plugins. It may be used from several goroutines.
type Host struct {
	policy   Policy
	trust    *sign.Policy // nil: nothing is granted
	runtime  wazero.Runtime
	cache    wazero.CompilationCache // nil: none on disk
	cacheDir string
	speaker  *speaker
	dead     func(Dead) // nil: nobody wants to know
	mark     bool
	trace    experimental.FunctionListenerFactory

	mu      sync.Mutex
	metrics map[string]*metrics // by plugin's name
}

// New makes a host. An error says that CacheDir cannot be used or is open to others, or that this machine's architecture has no compiler.
func New(o Options) (*Host, error) {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		return nil, fmt.Errorf("plugins: no compiler for %s: plugins need amd64 or arm64", runtime.GOARCH)
	}
	ctx := context.Background()
	// Lines of debug information are wrong once the code is rewritten, and reading it is work that a hostile module sets.
	config := wazero.NewRuntimeConfigCompiler().WithDebugInfoEnabled(false)
	h := &Host{policy: o.Policy.filled(), trust: o.Trust, metrics: map[string]*metrics{}, dead: o.OnFailure, mark: o.Mark, trace: o.Trace}
	if o.CacheDir != "" {
		if err := private(o.CacheDir); err != nil {
			return nil, err
		}
		cache, err := wazero.NewCompilationCacheWithDir(o.CacheDir)
		if err != nil {
			return nil, fmt.Errorf("plugins: cache: %w", err)
		}
		h.cache, h.cacheDir = cache, o.CacheDir
		config = config.WithCompilationCache(cache)
	}
	h.runtime = wazero.NewRuntimeWithConfig(ctx, config)
	if err := errors.Join(importsInto(ctx, h.runtime), wasiInto(ctx, h.runtime)); err != nil {
		h.closeEngine()
		return nil, fmt.Errorf("plugins: %w", err)
	}
	h.speaker = newSpeaker(o.Log)
	return h, nil
}

// private makes the cache's folder, or sees that it is nobody else's to write: code is run from there.
func private(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("plugins: cache: %w", err)
	}
	st, err := os.Stat(dir)
	switch {
	case err != nil:
		return fmt.Errorf("plugins: cache: %w", err)
	case !st.IsDir():
		return fmt.Errorf("plugins: cache %s is no folder", dir)
	case !ours(st):
		return fmt.Errorf("plugins: cache %s belongs to another user, who could put code there that this process runs", dir)
	case st.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("plugins: cache %s has mode %o, so others could put code there that this process runs: chmod 700 it", dir, st.Mode().Perm())
	}
	return nil
}

// ours says that a file is this user's, or root's.
func ours(st os.FileInfo) bool {
	s, ok := st.Sys().(*syscall.Stat_t)
	return !ok || s.Uid == 0 || int(s.Uid) == os.Geteuid()
}

// Close frees what is compiled. Plugins, instances and chains must be closed before.
func (h *Host) Close() error {
	h.speaker.close()
	return h.closeEngine()
}

func (h *Host) closeEngine() error {
	err := h.runtime.Close(context.Background())
	if h.cache != nil {
		err = errors.Join(err, h.cache.Close(context.Background()))
	}
	return err
}

// Compile checks a module and compiles it: manifest, sizes, imports, exports and their signatures. Errors say what is wrong, and where.
// It takes from 0.3 ms (C) to 0.6 s (Go), a tenth of it from the cache. Never on a lane.
func (h *Host) Compile(module []byte) (*Plugin, error) {
	if len(module) > orElse(h.policy.ModuleBytes, wasiModule) {
		return nil, fmt.Errorf("plugins: the module has %d bytes, but at most %d", len(module), orElse(h.policy.ModuleBytes, wasiModule))
	}
	m, err := manifest.Of(module)
	if err != nil {
		return nil, fmt.Errorf("plugins: %w", err)
	}
	p := &Plugin{host: h, manifest: m, digest: sha256.Sum256(module)}
	if h.trust != nil {
		p.granted = h.trust.Granted(module)
		p.environ = p.granted.Environ()
	}
	fail := func(err error) (*Plugin, error) { return nil, fmt.Errorf("plugin %s %s: %w", m.Name, m.Version, err) }
	switch most := h.policy.moduleBytes(m.WASI); {
	case m.WASI && h.policy.RefuseWASI:
		return fail(errors.New("it needs wasi, which the policy refuses"))
	case len(module) > most:
		return fail(fmt.Errorf("the module has %d bytes, but at most %d", len(module), most))
	}
	if err := checkImports(module, m.WASI); err != nil {
		return fail(err)
	}
	if m.Command {
		if p.args, err = argsOf(module); err != nil {
			return fail(err)
		}
	}
	instrument, ctx := wasm.Instrument, context.Background()
	if h.mark {
		instrument = wasm.InstrumentMarked
	}
	if h.trace != nil {
		ctx = experimental.WithFunctionListenerFactory(ctx, h.trace)
	}
	code, noted := module, p.digest
	if m.Command { // interpreters are large, and the same in all plugins but for such sections: the cache has them once
		if code, err = wasm.Bare(module); err != nil {
			return fail(err)
		}
		noted = sha256.Sum256(code) // which no plugin that is removed takes along
	}
	code, err = instrument(code)
	if err != nil {
		return fail(err)
	}
	if p.compiled, err = h.compileModule(ctx, code, noted); err != nil {
		return fail(err)
	}
	if err := p.check(); err != nil {
		p.compiled.Close(context.Background())
		return fail(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.metrics[m.Name] == nil {
		h.metrics[m.Name] = &metrics{}
	}
	p.metrics = h.metrics[m.Name]
	return p, nil
}

// checkImports refuses what is not the host's to give, before anything is compiled.
func checkImports(module []byte, wasi bool) error {
	imports, err := wasm.Imports(module)
	if err != nil {
		return err
	}
	for _, i := range imports {
		known := i.Kind == wasm.KindFunction
		switch i.Module {
		case importModule:
			known = known && importNamed(i.Name) != nil
		case wasiModuleName:
			if !wasi {
				return fmt.Errorf("offset %d: it imports %s.%s, but its manifest does not say wasi", i.At, i.Module, i.Name)
			}
			_, there := wasiFunctions[i.Name]
			known = known && there
		default:
			known = false
		}
		if !known {
			return fmt.Errorf("offset %d: it imports the %s %q of %q, which is not to be had", i.At, wasm.KindName(i.Kind), i.Name, i.Module)
		}
	}
	return nil
}

// check looks at imports' signatures, memory and exports of what is compiled.
func (p *Plugin) check() error {
	for _, f := range p.compiled.ImportedFunctions() {
		module, name, _ := f.Import()
		want := ""
		if module == wasiModuleName {
			want = wasiFunctions[name]
		} else {
			want = importNamed(name).signature
		}
		if got := signature(f); got != want {
			return fmt.Errorf("import %s.%s has the signature %s, want %s", module, name, got, want)
		}
	}
	memories := p.compiled.ExportedMemories()
	memory, ok := memories["memory"]
	if !ok || len(memories) != 1 {
		return fmt.Errorf("it exports %d memories, want one with the name memory", len(memories))
	}
	if most := max(p.host.policy.pages(p.manifest, true), p.host.policy.pages(p.manifest, false)); int(memory.Min()) > most {
		return fmt.Errorf("its memory begins with %d pages, but it has at most %d: limits.memory_pages says %d", memory.Min(), most, p.manifest.Limits.MemoryPages)
	}
	if p.manifest.Command {
		start, ok := p.compiled.ExportedFunctions()["_start"]
		if !ok || signature(start) != ":" {
			return errors.New("it does not export _start, which a command needs")
		}
		return nil
	}
	return p.checkExports(p.compiled.ExportedFunctions())
}

func (p *Plugin) checkExports(have map[string]api.FunctionDefinition) error {
	there := func(e export) (bool, error) {
		f, ok := have[e.name]
		if !ok {
			return false, nil
		}
		if got := signature(f); got != e.signature {
			return true, fmt.Errorf("export %s has the signature %s, want %s", e.name, got, e.signature)
		}
		return true, nil
	}
	for _, e := range exports {
		ok, err := there(e)
		if err != nil {
			return err
		}
		needed := e.kind == "" && !e.optional
		for _, u := range p.manifest.Kinds {
			needed = needed || e.kind == u.Kind && !e.optional
		}
		if needed && !ok {
			if e.kind == "" {
				return fmt.Errorf("it does not export %s", e.name)
			}
			return fmt.Errorf("it does not export %s, which its kind %s needs", e.name, e.kind)
		}
	}
	_, save := have["tw_save"]
	_, restore := have["tw_restore"]
	_, init := have["tw_init"]
	_, alloc := have["tw_alloc"]
	switch {
	case save != restore:
		return errors.New("it exports one of tw_save and tw_restore: both or none")
	case !alloc && (restore || init && len(p.manifest.Params) > 0):
		return errors.New("it does not export tw_alloc, which parameters and tw_restore need")
	}
	return nil
}

// signature of a function, a letter for each parameter and result: "ii:l" is (i32, i32) -> i64.
func signature(f api.FunctionDefinition) string {
	letters := func(types []api.ValueType) (s string) {
		for _, t := range types {
			switch t {
			case api.ValueTypeI32:
				s += "i"
			case api.ValueTypeI64:
				s += "l"
			case api.ValueTypeF32:
				s += "f"
			case api.ValueTypeF64:
				s += "d"
			default:
				s += "?"
			}
		}
		return s
	}
	return letters(f.ParamTypes()) + ":" + letters(f.ResultTypes())
}

// export is a function that a module may have.
type export struct {
	name      string
	signature string
	kind      manifest.Kind // "": of every module
	optional  bool
}

// Indexes into exports.
const (
	fnInitialize = iota
	fnABI
	fnAlloc
	fnInit
	fnLayout
	fnHealth
	fnShutdown
	fnSave
	fnRestore
	fnError
	fnTransform
	fnValidate
	fnFunction
	fnAggStart
	fnAggUpdate
	fnAggMerge
	fnAggResult
	fnParse
	fnStart
	fnFrame
	fnLooks
	fnSerialize
	fnBegin
	fnEnd
	fnType
	fnEncode
	fnDecode
	fnIndexBuild
	fnIndexProbe
	fnIndexAdvise
	fnPartition
	fnCount
)

var exports = [fnCount]export{
	fnInitialize:  {"_initialize", ":", "", true},
	fnABI:         {"tw_abi", ":i", "", false},
	fnAlloc:       {"tw_alloc", "i:i", "", true},
	fnInit:        {"tw_init", "ii:i", "", true},
	fnLayout:      {"tw_layout", "i:i", "", false},
	fnHealth:      {"tw_health", ":i", "", true},
	fnShutdown:    {"tw_shutdown", ":", "", true},
	fnSave:        {"tw_save", ":l", "", true},
	fnRestore:     {"tw_restore", "ii:i", "", true},
	fnError:       {"tw_error", ":l", "", true},
	fnTransform:   {"tw_transform", "ii:i", manifest.Transform, false},
	fnValidate:    {"tw_validate", "ii:i", manifest.Validator, false},
	fnFunction:    {"tw_function", "ii:i", manifest.Function, false},
	fnAggStart:    {"tw_agg_start", "ii:i", manifest.Aggregate, false},
	fnAggUpdate:   {"tw_agg_update", "iii:i", manifest.Aggregate, false},
	fnAggMerge:    {"tw_agg_merge", "ii:i", manifest.Aggregate, false},
	fnAggResult:   {"tw_agg_result", "ii:i", manifest.Aggregate, false},
	fnParse:       {"tw_parse", "iili:i", manifest.Parser, false},
	fnStart:       {"tw_start", "il:i", manifest.Parser, true},
	fnFrame:       {"tw_frame", "ii:i", manifest.Parser, true},
	fnLooks:       {"tw_looks", "ii:i", manifest.Parser, true},
	fnSerialize:   {"tw_serialize", "ii:i", manifest.Serializer, false},
	fnBegin:       {"tw_begin", "i:i", manifest.Serializer, true},
	fnEnd:         {"tw_end", "i:i", manifest.Serializer, true},
	fnType:        {"tw_type", "iii:i", manifest.TypeKind, false},
	fnEncode:      {"tw_encode", "ii:i", manifest.Codec, false},
	fnDecode:      {"tw_decode", "ii:i", manifest.Codec, false},
	fnIndexBuild:  {"tw_index_build", "ii:i", manifest.Index, false},
	fnIndexProbe:  {"tw_index_probe", "ii:i", manifest.Index, false},
	fnIndexAdvise: {"tw_index_advise", "ii:i", manifest.Index, false},
	fnPartition:   {"tw_partition", "ii:i", manifest.Partition, false},
}
