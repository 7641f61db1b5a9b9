//go:build tickwire_noprocpin

package pin

const linked = false

func procPin() int { return 0 }

func procUnpin() {}
