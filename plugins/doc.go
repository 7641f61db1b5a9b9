// Package plugins runs WebAssembly modules on the decode path, and wherever else tickwire calls foreign code: ABI.md says what they and the host say to
// each other.
//
//	plugin.wasm ─► wasm.Sections ─► manifest.Parse ─► wasm.Instrument ─► wazero ─► Instance ── one a lane, spares made beforehand
//	                                                      fuel           compiled,     │
//	                                                                     cached        ▼
//	tick.Batch ══ columns that the manifest names ══════════════════════════════► linear memory ══ call ══► columns back
//
// Columns are copied, not shared: what a plugin does to memory of its own cannot reach the batch, so a call that fails leaves the rows as they were
// without anything being restored.
//
// A Host compiles a module to a Plugin; an Instance of it belongs to one goroutine. On a lane a Chain owns the instances of its plugins and a spare of each,
// and a Seat is where the lane finds its chain and others put the next one:
//
//	control ── NewChain ─► Seat.Set                         lane, each pass: c := seat.Take(); c.Pass(batch, now)
//	                                                             │ a call fails: rows marked, the spare at the next slice
//	keeper (a goroutine of the chain's) ◄── dead instances ──────┘
//	     └─ logs, closes, makes spares, takes a plugin out after failures
//
// A chain of NewReader reads packets in the place of passing rows: a parser, with the same spare, keeper, seat and figures.
//
// Promises, each with its test:
//   - A pass neither allocates nor waits nor takes a lock while plugins behave (TestSteadyState).
//   - A call that fails in whatever way leaves the batch as it was but for the mark (TestFailures).
//   - A batch is handled by one version of a plugin, whatever is reloaded meanwhile (TestReloadUnderLoad).
//   - What the policy does not grant a plugin of files and environment is not there for it, and no path leaves a folder (TestGrantedFolder, FuzzFiles).
//   - How long a call may run is bounded by fuel (package wasm, FuzzInstrument; TestBudget).
package plugins
