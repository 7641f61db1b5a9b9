// Package host says what about a host will hurt a lane on a core of it: read from /proc and /sys when a feed starts, and told
// as sentences. It changes nothing. Each names the check of `ticktune check` that covers it; `ticktune check --explain ID` has
// the reasons, the fix and how to undo it.
//
//	/proc, /sys ──► Look(root, Plan) ──► [] Warning{Check, Text}
//
// A file that is not there, as in a container or a virtual machine, is no finding: nothing is said. Only what takes a few
// reads is looked at; what has to be measured, or asked of a driver, is ticktune's.
package host
