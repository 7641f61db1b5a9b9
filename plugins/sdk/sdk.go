// Package sdk holds what plugins in each language are written with: a file or two, and templates to begin from. Each folder's README tells how.
//
//	c               tickwire.h
//	cpp             tickwire.hpp, and c's
//	rust            tickwire.rs
//	go              package tickwire
//	assemblyscript  tickwire.ts
//	javascript      tickwire.js, which stands before a script, and tickwire.d.ts: interpreted, hundreds of times slower
//	python          tickwire.py, which runs before a script: by pipes, off the lanes
//
// Templates are under <language>/template/<kind>. conformance has the rows on which the three examples of all languages must give the same.
package sdk

import "embed"

// Files are the SDKs' own and their templates.
//
//go:embed c/tickwire.h c/template cpp/tickwire.hpp cpp/template rust/tickwire.rs rust/template go/*.go go/template
//go:embed assemblyscript/tickwire.ts assemblyscript/template javascript/tickwire.js javascript/tickwire.d.ts javascript/template python/tickwire.py python/template
var Files embed.FS
