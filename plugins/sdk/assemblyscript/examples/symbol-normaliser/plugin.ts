// Writes symbols one way, whichever way venues do: capital letters, and one dot where there is a space, slash, hyphen, underscore or dot, none at the ends.
// "brk/b", "BRK B" and " BRK-B " are BRK.B. One of which nothing is left, or that has
// other bytes than printable ASCII, is none: it is emptied, and the instrument keeps the symbol that it has.
import { Layout, COLUMN } from "../../tickwire";
export { tw_abi } from "../../tickwire";

const STRIDE: i32 = 72; // the longest symbol that there is, and a NUL: none is cut

const symbol = memory.data(72 * 1024, 64);
const out = memory.data(72);

const rows = changetype<Layout>(memory.data(Layout.BYTES, 64));
rows.begin(1024);
rows.bothTexts(COLUMN.SYMBOL, symbol, STRIDE);

export function tw_layout(unit: i32): usize {
  return unit == 0 ? changetype<usize>(rows) : 0;
}

function parts(c: u8): bool {
  return c == 0x20 || c == 0x2f || c == 0x2d || c == 0x5f || c == 0x2e;
}

function normalise(s: usize): void {
  let len: usize = 0;
  let dot = false;
  memory.fill(out, 0, STRIDE);
  for (let i = 0; i < STRIDE; i++) {
    let c = load<u8>(s + <usize>i);
    if (c == 0) break;
    if (parts(c)) {
      dot = len > 0;
      continue;
    }
    if (c < 0x21 || c > 0x7e) {
      memory.fill(s, 0, STRIDE);
      return;
    }
    if (dot) store<u8>(out + len++, 0x2e);
    dot = false;
    if (c >= 0x61 && c <= 0x7a) c -= 0x20;
    store<u8>(out + len++, c);
  }
  memory.copy(s, out, STRIDE);
}

export function tw_transform(unit: i32, n: i32): i32 {
  for (let i = 0; i < n; i++) normalise(symbol + <usize>(i * STRIDE));
  return n;
}
