// A partition for each day (UTC) and one of 16 groups of instruments: all of an instrument's day lies together, and no partition has all of a day.
import { Column, Layout, COLUMN } from "./tickwire";
export { tw_abi } from "./tickwire";

const DAY: u64 = 86400000000000; // ns
const GROUPS: u64 = 16;

const tsEvent = changetype<Column<u64>>(memory.data(8 * 1024, 64));
const instrument = changetype<Column<u32>>(memory.data(4 * 1024, 64));
const key = changetype<Column<u64>>(memory.data(8 * 1024, 64));

const rows = changetype<Layout>(memory.data(Layout.BYTES, 64));
rows.begin(1024);
rows.read<u64>(COLUMN.TS_EVENT, tsEvent);
rows.read<u32>(COLUMN.INSTRUMENT_ID, instrument);
rows.write<u64>(COLUMN.RESULT, key);

export function tw_layout(unit: i32): usize {
  return unit == 0 ? changetype<usize>(rows) : 0;
}

export function tw_partition(unit: i32, n: i32): i32 {
  // Numbers of neighbours fall into groups far apart: the upper bits of a product with 2^32 / φ.
  for (let i = 0; i < n; i++) key[i] = (tsEvent[i] / DAY) * GROUPS + <u64>((instrument[i] * 2654435769) >> 28);
  return n;
}
