// Whole numbers as differences: each from the one before it (the first from 0), zigzag so that small negative ones are small too, as varints of 7 bits a byte, low
// ones first. Times and prices of neighbours become one to three bytes.
import { Column, Layout, COLUMN, fail } from "./tickwire";
export { tw_abi, tw_error } from "./tickwire";

const ROWS = 4096;
const MOST_BYTES = 10;

const bytesIn = memory.data(ROWS * MOST_BYTES, 64);
const bytesOut = memory.data(ROWS * MOST_BYTES, 64);
const values = changetype<Column<i64>>(memory.data(8 * ROWS, 64));
const decoded = changetype<Column<i64>>(memory.data(8 * ROWS, 64));

const block = changetype<Layout>(memory.data(Layout.BYTES, 64));
block.begin(ROWS);
block.read<i64>(COLUMN.ARG, values);
block.write<i64>(COLUMN.RESULT, decoded);
block.input(bytesIn, ROWS * MOST_BYTES);
block.output(bytesOut, ROWS * MOST_BYTES);

export function tw_layout(unit: i32): usize {
  return unit == 0 ? changetype<usize>(block) : 0;
}

export function tw_encode(unit: i32, n: i32): i32 {
  let to = bytesOut;
  let before: i64 = 0;
  for (let i = 0; i < n; i++) {
    const difference = values[i] - before;
    let v = <u64>((difference << 1) ^ (difference >> 63));
    before = values[i];
    for (; v >= 0x80; v >>= 7) store<u8>(to++, <u8>v | 0x80);
    store<u8>(to++, <u8>v);
  }
  return <i32>(to - bytesOut);
}

export function tw_decode(unit: i32, len: i32): i32 {
  let value: u64 = 0;
  let n = 0;
  let v: u64 = 0;
  let shift: u64 = 0;
  for (let i = 0; i < len; i++) {
    const b = load<u8>(bytesIn + <usize>i);
    if (shift == 63 && b > 1) return fail("a number has more than 64 bits");
    v |= <u64>(b & 0x7f) << shift;
    shift += 7;
    if (b & 0x80) continue;
    if (n == ROWS) return fail("more numbers than a block has");
    value += (v >> 1) ^ (0 - (v & 1));
    decoded[n++] = <i64>value;
    v = 0;
    shift = 0;
  }
  if (shift > 0) return fail("a number is cut off");
  return n;
}
