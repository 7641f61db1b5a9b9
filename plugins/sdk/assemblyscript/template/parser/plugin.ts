// A wire format of trades over UDP, little-endian. A packet is a header and as many messages as it says, none is a heartbeat:
//
//    0          8       12       16
//    | sequence | count | "TRD1" | messages …      sequence of the first message, of a heartbeat the next one's
//
//    0            4      8              16                    24
//    | instrument | size | price, 1e-9  | time, ns since 1970 |
import { Column, Layout, Frame, COLUMN, KIND, fail } from "./tickwire";
export { tw_abi, tw_error } from "./tickwire";

const ROWS = 1024;
const PACKET = 65536;
const HEADER = 16;
const MESSAGE = 24;
const MAGIC: u32 = 0x31445254;

const bytesIn = memory.data(PACKET, 64);
const frame = changetype<Frame>(memory.data(Frame.BYTES, 64));
const kind = changetype<Column<u8>>(memory.data(ROWS, 64));
const side = changetype<Column<u8>>(memory.data(ROWS, 64));
const instrument = changetype<Column<u32>>(memory.data(4 * ROWS, 64));
const tsEvent = changetype<Column<u64>>(memory.data(8 * ROWS, 64));
const sequence = changetype<Column<u64>>(memory.data(8 * ROWS, 64));
const price = changetype<Column<i64>>(memory.data(8 * ROWS, 64));
const size = changetype<Column<u64>>(memory.data(8 * ROWS, 64));

const rows = changetype<Layout>(memory.data(Layout.BYTES, 64));
rows.begin(ROWS);
rows.write<u8>(COLUMN.KIND, kind);
rows.write<u8>(COLUMN.SIDE, side);
rows.write<u32>(COLUMN.INSTRUMENT_ID, instrument);
rows.write<u64>(COLUMN.TS_EVENT, tsEvent);
rows.write<u64>(COLUMN.SEQUENCE, sequence);
rows.write<i64>(COLUMN.PRICE, price);
rows.write<u64>(COLUMN.SIZE, size);
rows.input(bytesIn, PACKET);
rows.output(changetype<usize>(frame), Frame.BYTES);

export function tw_layout(unit: i32): usize {
  return unit == 0 ? changetype<usize>(rows) : 0;
}

export function tw_looks(unit: i32, len: i32): i32 {
  return len >= HEADER && load<u32>(bytesIn, 12) == MAGIC ? 90 : 0;
}

export function tw_frame(unit: i32, len: i32): i32 {
  if (tw_looks(unit, len) == 0) return fail("the packet has no header of this format");
  frame.sequence = load<u64>(bytesIn);
  frame.count = load<u32>(bytesIn, 8);
  frame.kind = frame.count == 0 ? 1 : 0;
  frame.at = HEADER;
  return 0;
}

export function tw_parse(unit: i32, len: i32, first: i64, count: i32): i32 {
  if (count < 0 || count > ROWS || len != count * MESSAGE) return fail("the packet has not as many messages as its header says");
  for (let i = 0; i < count; i++) {
    const at = bytesIn + <usize>(i * MESSAGE);
    kind[i] = KIND.TRADE;
    side[i] = 0x4e; // N
    instrument[i] = load<u32>(at);
    size[i] = load<u32>(at, 4);
    price[i] = load<i64>(at, 8);
    tsEvent[i] = load<u64>(at, 16);
    sequence[i] = <u64>first + <u64>i;
  }
  return count;
}
