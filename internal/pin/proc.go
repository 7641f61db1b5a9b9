//go:build !tickwire_noprocpin

package pin

import _ "unsafe" // go:linkname

// The runtime keeps both names and signatures for packages that link to them (golang/go#67401). A toolchain that does not
// fails to link here: build with -tags tickwire_noprocpin, and lanes are pinned to their cores but not to their P.

// linked says whether the P can be pinned at all.
const linked = true

//go:linkname procPin runtime.procPin
func procPin() int

//go:linkname procUnpin runtime.procUnpin
func procUnpin()
