// ISINs, which name securities: a country's two letters, nine letters or digits, and a check digit. US0378331005 is one. In small letters, and with spaces and -
// within, as people write them, they are read too; written they are as they are normal.
import { Column, Layout, COLUMN, OP } from "./tickwire";
export { tw_abi } from "./tickwire";

const ROWS = 1024;
const STRIDE: usize = 32;
const ISIN: usize = 12;

const text = memory.data(32 * ROWS, 64);
const a = memory.data(32 * ROWS, 64);
const b = memory.data(32 * ROWS, 64);
const written = memory.data(32 * ROWS, 64);
const result = changetype<Column<i64>>(memory.data(8 * ROWS, 64));
const bad = changetype<Column<u8>>(memory.data(ROWS, 64));
const normal = memory.data(32);

const call = changetype<Layout>(memory.data(Layout.BYTES, 64));
call.begin(ROWS);
call.readTexts(COLUMN.ARG, text, STRIDE);
call.bothTexts(COLUMN.ARG + 1, a, STRIDE);
call.readTexts(COLUMN.ARG + 2, b, STRIDE);
call.writeTexts(COLUMN.ARG + 3, written, STRIDE);
call.write<i64>(COLUMN.RESULT, result);
call.write<u8>(COLUMN.RESULT_NULL, bad);

export function tw_layout(unit: i32): usize {
  return unit == 0 ? changetype<usize>(call) : 0;
}

function digit(c: u8): bool {
  return c >= 0x30 && c <= 0x39;
}

/** Letters are numbers of two digits, A is 10. From the right each second digit counts twice; the digits of all that add up to a multiple of ten. */
function checked(isin: usize): bool {
  let sum = 0;
  let twice = 0;
  for (let i = ISIN; i > 0; i--) {
    const c = load<u8>(isin + i - 1);
    let v: i32 = digit(c) ? c - 0x30 : c - 0x41 + 10;
    do {
      const d = (v % 10) << twice;
      sum += d / 10 + (d % 10);
      twice ^= 1;
      v /= 10;
    } while (v > 0);
  }
  return sum % 10 == 0;
}

/** Reads an ISIN; false: it is none, and to is empty. */
function read(from: usize, to: usize): bool {
  let n: usize = 0;
  memory.fill(to, 0, STRIDE);
  for (let i: usize = 0; i < STRIDE; i++) {
    let c = load<u8>(from + i);
    if (c == 0) break;
    if (c >= 0x61 && c <= 0x7a) c -= 0x20;
    if (c == 0x20 || c == 0x2d) continue;
    if (n < ISIN && ((c >= 0x41 && c <= 0x5a) || (n >= 2 && digit(c)))) store<u8>(to + n++, c);
    else n = ISIN + 1; // no room for more: it is none
  }
  if (n == ISIN && digit(load<u8>(to, ISIN - 1)) && checked(to)) return true;
  memory.fill(to, 0, STRIDE);
  return false;
}

function hash(s: usize): i64 {
  let h: u64 = 14695981039346656037; // FNV-1a
  for (let i: usize = 0; i < ISIN; i++) h = (h ^ load<u8>(s + i)) * 1099511628211;
  return h;
}

export function tw_type(unit: i32, op: i32, n: i32): i32 {
  if (op < OP.VALIDATE || op > OP.HASH) return -1;
  for (let i = 0; i < n; i++) {
    const at = <usize>i * STRIDE;
    switch (op) {
      case OP.VALIDATE:
        result[i] = read(text + at, normal) ? 1 : 0;
        break;
      case OP.NORMALISE:
        bad[i] = read(text + at, written + at) ? 0 : 1;
        break;
      case OP.PARSE:
        bad[i] = read(text + at, a + at) ? 0 : 1;
        break;
      case OP.FORMAT:
        bad[i] = read(a + at, written + at) ? 0 : 1;
        break;
      case OP.COMPARE: {
        const order = memory.compare(a + at, b + at, ISIN);
        result[i] = order < 0 ? -1 : order > 0 ? 1 : 0;
        break;
      }
      case OP.HASH:
        result[i] = hash(a + at);
    }
  }
  return n;
}
