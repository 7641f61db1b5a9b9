package ringbuf

import "path/filepath"

// Extensions of the files beside the rings of a lane.
const (
	ExtInst        = "inst"
	ExtLast        = "last"
	ExtSnap        = "snap"
	ExtDefinitions = "definitions.dbn"
	ExtStats       = "stats"
)

// SidePath names a file beside the rings of a lane: <ring_dir>/<instance>/<feed>.<lane>.<ext>. The lane is empty for
// what belongs to a whole process.
func SidePath(ringDir, instance, feed, lane, ext string) string {
	name := feed
	if lane != "" {
		name += "." + lane
	}
	return filepath.Join(ringDir, instance, name+"."+ext)
}
