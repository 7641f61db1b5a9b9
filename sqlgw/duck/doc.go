// Package duck answers SQL with DuckDB over the hot columns of package store. It is the one package that links DuckDB, and
// is empty without cgo.
//
//	statement ──► DuckDB ──view orders──► tickwire_orders() ──bind, init──► store.Scan, held until the query ends
//	                 ▲                          │
//	                 └── vectors of 2,048 ◄─────┘ columns that the query reads, by several threads
//
// Each table has a table function, made with the exported C calls of the binding, and a view of its name. The function
// knows which columns are read; rows are filtered by DuckDB.
//
// Locked down from the start: no files, no network, no extensions, no changes of the configuration; sessions read, they do
// not define. What DuckDB may use of memory and threads is set by Options.
package duck
