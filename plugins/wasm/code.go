package wasm

import (
	"errors"
	"fmt"
)

// reader walks over bytes of a module; base is where they are in it.
type reader struct {
	b       []byte
	at      int
	base    int
	targets uint32   // of branch tables that were stepped over
	number  uint32   // the index that the latest instruction with one has
	table   []uint32 // labels of the latest branch table
}

// Instructions that instrumentation looks at. Those behind a prefix are 0xfc00 + number.
const (
	opBlock = 0x02
	opLoop  = 0x03
	opIf    = 0x04
	opElse  = 0x05
	opEnd   = 0x0b

	opUnreachable = 0x00
	opBr          = 0x0c
	opBrIf        = 0x0d
	opBrTable     = 0x0e
	opReturn      = 0x0f

	opCall      = 0x10
	opGlobalGet = 0x23
	opGlobalSet = 0x24
	opRefFunc   = 0xd2

	opMemoryInit = 0xfc08
	opMemoryCopy = 0xfc0a
	opMemoryFill = 0xfc0b
	opTableInit  = 0xfc0c
	opTableCopy  = 0xfc0e
	opTableGrow  = 0xfc0f
	opTableFill  = 0xfc11
)

const (
	funcRef   = 0x70
	externRef = 0x6f
)

// Immediates of an instruction.
type immediate uint8

const (
	unknown immediate = iota // zero: not an instruction, or of a proposal that is not taken
	plain
	blockType
	index       // u32
	twoIndexes  // call_indirect, table.init, table.copy
	branchTable // br_table
	memArg
	reserved // one byte, 0
	valTypes // select t*
	refType
	const32
	const64
	float32
	float64
	prefixFC
	prefixFD
)

var immediates = func() (t [256]immediate) {
	set := func(what immediate, from, to int) {
		for op := from; op <= to; op++ {
			t[op] = what
		}
	}
	set(plain, 0x00, 0x01)     // unreachable, nop
	set(blockType, 0x02, 0x04) // block, loop, if
	t[0x05] = plain            // else
	t[0x0b] = plain            // end
	set(index, 0x0c, 0x0d)     // br, br_if
	t[0x0e] = branchTable
	t[0x0f] = plain        // return
	t[0x10] = index        // call
	t[0x11] = twoIndexes   // call_indirect
	set(plain, 0x1a, 0x1b) // drop, select
	t[0x1c] = valTypes     // select t
	set(index, 0x20, 0x26) // local.get, .set, .tee, global.get, .set, table.get, .set
	set(memArg, 0x28, 0x3e)
	set(reserved, 0x3f, 0x40) // memory.size, memory.grow
	t[0x41], t[0x42], t[0x43], t[0x44] = const32, const64, float32, float64
	set(plain, 0x45, 0xc4) // comparisons, arithmetic, conversions, sign extension
	t[0xd0] = refType      // ref.null
	t[0xd1] = plain        // ref.is_null
	t[0xd2] = index        // ref.func
	t[0xfc], t[0xfd] = prefixFC, prefixFD
	return t
}()

// instruction steps over one instruction and says which it was. It must step exactly as far as the engine does, or a loop could hide in what one of them takes
// for an immediate: encodings of which only one side knows, such as longer ones than need be behind a prefix, or typed references, are refused.
func (r *reader) instruction() (op int, err error) {
	at := r.at
	b, err := r.byte()
	if err != nil {
		return 0, err
	}
	op = int(b)
	switch immediates[b] {
	case plain:
	case blockType:
		err = r.blockType()
	case index:
		r.number, err = r.u32()
	case twoIndexes:
		if _, err = r.u32(); err == nil {
			_, err = r.u32()
		}
	case branchTable:
		var n uint32
		if n, err = r.count(); err == nil {
			r.targets, r.table = r.targets+n, r.table[:0]
			for range n + 1 {
				var label uint32
				if label, err = r.u32(); err != nil {
					break
				}
				r.table = append(r.table, label)
			}
		}
	case memArg:
		err = r.memArg()
	case reserved:
		err = r.zero()
	case valTypes:
		var n byte
		if n, err = r.byte(); err == nil && n != 1 {
			err = r.failAt(at, "a select of more than one type")
		}
		if err == nil {
			err = r.valueType()
		}
	case refType:
		err = r.valueType()
	case const32:
		_, err = r.leb(5)
	case const64:
		_, err = r.leb(10)
	case float32:
		_, err = r.bytes(4)
	case float64:
		_, err = r.bytes(8)
	case prefixFC:
		return r.bulk(at)
	case prefixFD:
		return op, r.simd(at)
	default:
		err = r.failAt(at, fmt.Sprintf("instruction 0x%02x is not known", b))
	}
	return op, err
}

// bulk steps over what follows 0xfc: saturating conversions, bulk memory, tables.
func (r *reader) bulk(at int) (op int, err error) {
	n, err := r.byte()
	if err != nil {
		return 0, err
	}
	switch n {
	case 0, 1, 2, 3, 4, 5, 6, 7: // i32.trunc_sat_f32_s …
	case 8: // memory.init
		if _, err = r.u32(); err == nil {
			err = r.zero()
		}
	case 10: // memory.copy
		if err = r.zero(); err == nil {
			err = r.zero()
		}
	case 11: // memory.fill
		err = r.zero()
	case 12, 14: // table.init, table.copy
		if _, err = r.u32(); err == nil {
			_, err = r.u32()
		}
	case 9, 13, 15, 16, 17: // data.drop, elem.drop, table.grow, .size, .fill
		_, err = r.u32()
	default:
		err = r.failAt(at, fmt.Sprintf("instruction 0xfc %d is not known", n))
	}
	return 0xfc00 + int(n), err
}

// simd steps over what follows 0xfd: 128-bit instructions. Their number is a LEB128 of one or two bytes, of which wazero reads the first and takes the
// second, always 1, for a nop.
func (r *reader) simd(at int) error {
	n, err := r.byte()
	if err != nil {
		return err
	}
	if n >= 0x80 {
		if b, err := r.byte(); err != nil || b != 1 {
			return errors.Join(err, r.failAt(at, "a vector instruction that is not known"))
		}
		return nil
	}
	switch {
	case n <= 11, n == 92, n == 93: // loads and stores
		return r.memArg()
	case n == 12, n == 13: // v128.const, i8x16.shuffle
		_, err = r.bytes(16)
		return err
	case 21 <= n && n <= 34: // extract and replace a lane
		_, err = r.byte()
		return err
	case 84 <= n && n <= 91: // load and store a lane
		if err = r.memArg(); err == nil {
			_, err = r.byte()
		}
		return err
	}
	return nil
}

// blockType steps over a block's type: none, a value type, or the index of a function type.
func (r *reader) blockType() error {
	at := r.at
	b, err := r.byte()
	switch {
	case err != nil || b == 0x40:
		return err
	case b >= 0x80: // an index of several bytes, as the signed LEB128 that it is
		if _, err = r.leb(4); err == nil && r.b[r.at-1]&0x40 != 0 {
			err = r.failAt(at, "a block's type that is not known")
		}
		return err
	case b&0x40 == 0:
		return nil
	}
	r.at = at
	return r.valueType()
}

// valueType steps over i32, i64, f32, f64, v128, funcref or externref.
func (r *reader) valueType() error {
	b, err := r.byte()
	if err == nil && (b < 0x7b || b > 0x7f) && b != funcRef && b != externRef {
		err = r.failAt(r.at-1, fmt.Sprintf("value type 0x%02x is not known", b))
	}
	return err
}

// memArg steps over alignment and offset. A sixth bit of the alignment would say that a memory's index follows.
func (r *reader) memArg() error {
	at := r.at
	align, err := r.u32()
	switch {
	case err != nil:
		return err
	case align >= 32:
		return r.failAt(at, "an alignment of 2^32 bytes or more, or a second memory")
	}
	_, err = r.u32()
	return err
}

func (r *reader) zero() error {
	b, err := r.byte()
	if err == nil && b != 0 {
		err = r.failAt(r.at-1, "a second memory")
	}
	return err
}

func (r *reader) byte() (byte, error) {
	if r.at >= len(r.b) {
		return 0, r.fail("cut off")
	}
	r.at++
	return r.b[r.at-1], nil
}

func (r *reader) bytes(n uint32) ([]byte, error) {
	if uint64(n) > uint64(len(r.b)-r.at) {
		return nil, r.fail("cut off")
	}
	r.at += int(n)
	return r.b[r.at-int(n) : r.at], nil
}

func (r *reader) u32() (uint32, error) {
	v, n := uvarint32(r.b[r.at:])
	if n == 0 {
		return 0, r.fail("no number of 32 bits")
	}
	r.at += n
	return v, nil
}

// leb steps over a LEB128 of at most so many bytes.
func (r *reader) leb(most int) (int, error) {
	for n := 1; n <= most; n++ {
		b, err := r.byte()
		if err != nil {
			return 0, err
		}
		if b < 0x80 {
			return n, nil
		}
	}
	return 0, r.fail("a number that does not end")
}

func (r *reader) name() (string, error) {
	n, err := r.u32()
	if err != nil {
		return "", err
	}
	b, err := r.bytes(n)
	return string(b), err
}

func (r *reader) end() error {
	if r.at != len(r.b) {
		return r.fail("more bytes than the section or the function has use for")
	}
	return nil
}

func (r *reader) fail(what string) error { return r.failAt(r.at, what) }

func (r *reader) failAt(at int, what string) error {
	return fmt.Errorf("offset %d: %s", r.base+at, what)
}
