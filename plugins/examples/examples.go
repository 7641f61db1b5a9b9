// Package examples has a working plugin of each kind: source in C, manifest, and the module that was built of them, so that nothing has to be installed to try one.
//
//	folder             kind        what it shows
//	price-normaliser   transform   parameters, a custom column, flagged rows
//	symbol-normaliser  transform   texts
//	price-band         validator   state per instrument, which lives on over a reload; a counter of its own
//	microprice         function    SQL, NULL as an answer
//	vwap               aggregate   SQL, exact states that are merged in any order
//	acme               parser      a private wire format: framing, recognition, errors
//	csv                serializer  bytes before the first row, texts that must be quoted
//	treasury           type        110-16+
//	delta              codec       differences as varints
//	zonemap            index       ranges of rows, and when it is not worth it
//	by-symbol          partition   a hash of texts
//
// Modules are what Debian's clang 14 makes, byte for byte: `go generate ./plugins/examples` builds them anew, and continuous integration compares.
package examples

//go:generate go run ./generate
