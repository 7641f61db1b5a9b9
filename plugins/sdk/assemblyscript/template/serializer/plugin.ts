// Rows as JSON, an object a line:
//
//    {"ts":1700000000000000000,"symbol":"AAPL","side":"B","price":100.500000000,"size":300}
//
// No price is null. In texts what is no plain ASCII is written as \u00.., byte by byte, so a line is JSON whatever a symbol holds.
import { Column, Layout, COLUMN, UNDEF_PRICE, put, putU64, putPrice } from "./tickwire";
export { tw_abi } from "./tickwire";

const ROWS = 1024;
const STRIDE = 72; // the longest symbol that there is, and a NUL: none is cut
const MOST_LINE = 560; // bytes: 20, 432, 6, 21 and 20 for the values, 47 around them

const out = memory.data(ROWS * MOST_LINE, 64);
const tsEvent = changetype<Column<u64>>(memory.data(8 * ROWS, 64));
const symbol = memory.data(STRIDE * ROWS, 64);
const side = changetype<Column<u8>>(memory.data(ROWS, 64));
const price = changetype<Column<i64>>(memory.data(8 * ROWS, 64));
const size = changetype<Column<u64>>(memory.data(8 * ROWS, 64));

const rows = changetype<Layout>(memory.data(Layout.BYTES, 64));
rows.begin(ROWS);
rows.read<u64>(COLUMN.TS_EVENT, tsEvent);
rows.readTexts(COLUMN.SYMBOL, symbol, STRIDE);
rows.read<u8>(COLUMN.SIDE, side);
rows.read<i64>(COLUMN.PRICE, price);
rows.read<u64>(COLUMN.SIZE, size);
rows.output(out, ROWS * MOST_LINE);

export function tw_layout(unit: i32): usize {
  return unit == 0 ? changetype<usize>(rows) : 0;
}

function putHalf(to: usize, v: u8): usize {
  store<u8>(to, v < 10 ? 0x30 + v : 0x57 + v); // 0 to 9, a to f
  return to + 1;
}

function putCharacter(to: usize, c: u8): usize {
  if (c >= 0x20 && c < 0x7f && c != 0x22 && c != 0x5c) {
    store<u8>(to, c);
    return to + 1;
  }
  return putHalf(putHalf(put(to, "\\u00"), c >> 4), c & 15);
}

export function tw_serialize(unit: i32, n: i32): i32 {
  let to = out;
  for (let i = 0; i < n; i++) {
    to = putU64(put(to, '{"ts":'), tsEvent[i]);
    to = put(to, ',"symbol":"');
    const text = symbol + <usize>(i * STRIDE);
    for (let at = text; at < text + STRIDE && load<u8>(at) != 0; at++) to = putCharacter(to, load<u8>(at));
    to = putCharacter(put(to, '","side":"'), side[i]);
    to = put(to, '","price":');
    to = price[i] == UNDEF_PRICE ? put(to, "null") : putPrice(to, price[i]);
    to = putU64(put(to, ',"size":'), size[i]);
    to = put(to, "}\n");
  }
  return <i32>(to - out);
}
