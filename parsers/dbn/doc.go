// Package dbn reads and writes DBN, Databento's binary encoding: files, fragments and streams, versions 1 to 3 read,
// version 3 written, plain or under zstd.
//
//	[zstd] metadata header │ record │ record │ …        little-endian, no framing, no checksum, no trailer
//
// A record says its own length (byte 0, in 32-bit words) and type (byte 1), so a reader steps over what it does not
// know. Older versions are upgraded in flight: whoever reads here sees version 3 records only (upgrade.go).
//
// Parsing is pure: ParseMetadata and Next take bytes; Reader and Writer only feed them from and to a stream.
package dbn
