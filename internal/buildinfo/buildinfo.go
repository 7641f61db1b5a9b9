// Package buildinfo is the version that every door of tickwire names.
package buildinfo

// Version of this tree. Releases set it by -ldflags "-X …/internal/buildinfo.Version=v1.2.3".
var Version = "v0.1.0-dev"

// Revision is the commit of a build that does not note it by itself (-buildvcs=false), set by -ldflags as Version is.
var Revision string
