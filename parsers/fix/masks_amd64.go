//go:build amd64 && !purego

package fix

import "golang.org/x/sys/cpu"

//go:generate go run -C asm . -out ../masks_amd64.s

var best = func() int {
	if cpu.X86.HasAVX2 {
		return avx2
	}
	return portable
}()

// ways are those that this machine has; the first one is the definition.
func ways() []int {
	if best == portable {
		return []int{portable}
	}
	return []int{portable, avx2}
}

//go:noescape
func masksAVX2(p *byte, blocks int, out *uint64)

//go:noescape
func sumAVX2(p *byte, blocks int) uint64

func blockMasks(b []byte, masks []uint64, way int) {
	if way == avx2 {
		_ = b[len(masks)*blockBytes-1] // assembly does not look
		masksAVX2(&b[0], len(masks), &masks[0])
		return
	}
	blockMasksPortable(b, masks)
}

func blockSum(b []byte, way int) byte {
	if way == avx2 {
		return byte(sumAVX2(&b[0], len(b)/blockBytes))
	}
	return blockSumPortable(b)
}
