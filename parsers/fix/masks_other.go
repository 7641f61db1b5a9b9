//go:build !amd64 || purego

package fix

const best = portable

func ways() []int { return []int{portable} }

func blockMasks(b []byte, masks []uint64, way int) { blockMasksPortable(b, masks) }

func blockSum(b []byte, way int) byte { return blockSumPortable(b) }
