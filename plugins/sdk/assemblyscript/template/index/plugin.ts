// The least and the greatest value of each 64 rows: a range that is looked for needs only the zones that may hold some of it. Good for what comes in order
// (times, sequences), of no use for what does not: that is what it advises by.
//
//    0        8                   16 × zones + 8
//    | rows   | least, greatest … |                  i64 each, little-endian
import { Column, Layout, COLUMN, fail } from "./tickwire";
export { tw_abi, tw_error } from "./tickwire";

const ROWS = 4096;
const ZONE = 64;
const WORDS = 1 + 2 * (ROWS / ZONE);

const given = changetype<Column<i64>>(memory.data(8 * WORDS, 64));
const made = changetype<Column<i64>>(memory.data(8 * WORDS, 64));
const values = changetype<Column<i64>>(memory.data(8 * ROWS, 64));
const least = changetype<Column<i64>>(memory.data(8 * ROWS, 64));
const greatest = changetype<Column<i64>>(memory.data(8 * ROWS, 64));
const from = changetype<Column<u32>>(memory.data(4 * ROWS, 64));
const behind = changetype<Column<u32>>(memory.data(4 * ROWS, 64));

const block = changetype<Layout>(memory.data(Layout.BYTES, 64));
block.begin(ROWS);
block.read<i64>(COLUMN.ARG, values);
block.read<i64>(COLUMN.ARG + 1, least);
block.read<i64>(COLUMN.ARG + 2, greatest);
block.write<u32>(COLUMN.ARG + 3, from);
block.write<u32>(COLUMN.ARG + 4, behind);
block.input(changetype<usize>(given), 8 * WORDS);
block.output(changetype<usize>(made), 8 * WORDS);

export function tw_layout(unit: i32): usize {
  return unit == 0 ? changetype<usize>(block) : 0;
}

const USE = 0; // strategies
const LEAVE = 1;

function zonesOf(rows: i32): i32 {
  return (rows + ZONE - 1) / ZONE;
}

function endOf(zone: i32, rows: i32): i32 {
  return min((zone + 1) * ZONE, rows);
}

/** The least and the greatest of rows, which it leaves in these two. */
let low: i64 = 0;
let high: i64 = 0;
function lookAt(first: i32, end: i32): void {
  low = high = values[first];
  for (let i = first + 1; i < end; i++) {
    if (values[i] < low) low = values[i];
    if (values[i] > high) high = values[i];
  }
}

export function tw_index_build(unit: i32, n: i32): i32 {
  let words = 1;
  made[0] = n;
  for (let z = 0; z < zonesOf(n); z++) {
    lookAt(z * ZONE, endOf(z, n));
    made[words++] = low;
    made[words++] = high;
  }
  return 8 * words;
}

export function tw_index_probe(unit: i32, len: i32): i32 {
  if (len < 8 || given[0] < 0 || given[0] > ROWS || len != 8 + 16 * zonesOf(<i32>given[0])) return fail("these are no bytes of an index");
  const rows = <i32>given[0];
  let ranges = 0;
  for (let z = 0; z < zonesOf(rows); z++) {
    if (given[2 + 2 * z] < least[0] || given[1 + 2 * z] > greatest[0]) continue;
    if (ranges == 0 || behind[ranges - 1] != <u32>(z * ZONE)) from[ranges++] = z * ZONE;
    behind[ranges - 1] = endOf(z, rows);
  }
  return ranges;
}

function width(first: i32, end: i32): f64 {
  lookAt(first, end);
  return <f64>high - <f64>low;
}

/** Of use where a zone covers less than a quarter of the values' range on average. */
export function tw_index_advise(unit: i32, n: i32): i32 {
  if (n <= ZONE) return LEAVE;
  let widths: f64 = 0;
  for (let z = 0; z < zonesOf(n); z++) widths += width(z * ZONE, endOf(z, n));
  return widths / <f64>zonesOf(n) < width(0, n) / 4 ? USE : LEAVE;
}
