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
package plugins
