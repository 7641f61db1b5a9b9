// Flags (or refuses) orders and trades whose price is further than band_bp basis points from the instrument's last trade. The trade itself is the last one from
// then on, so the band follows the market whatever was said of it. Before an instrument's first trade there is nothing to go by.
import { Column, Layout, COLUMN, KIND, VERDICT, UNDEF_PRICE, metric, paramBool, paramI64 } from "../../tickwire";
export { tw_abi } from "../../tickwire";

const kind = changetype<Column<u8>>(memory.data(1024, 64));
const instrument = changetype<Column<u32>>(memory.data(4 * 1024, 64));
const price = changetype<Column<i64>>(memory.data(8 * 1024, 64));
const rowCtl = changetype<Column<u8>>(memory.data(1024, 64));
const reason = changetype<Column<u8>>(memory.data(1024, 64));

const rows = changetype<Layout>(memory.data(Layout.BYTES, 64));
rows.begin(1024);
rows.read<u8>(COLUMN.KIND, kind);
rows.read<u32>(COLUMN.INSTRUMENT_ID, instrument);
rows.read<i64>(COLUMN.PRICE, price);
rows.write<u8>(COLUMN.ROW_CTL, rowCtl);
rows.write<u8>(COLUMN.REASON, reason);

export function tw_layout(unit: i32): usize {
  return unit == 0 ? changetype<usize>(rows) : 0;
}

// Last trades: an open hash of instruments, 0 is a free slot. One that finds no slot within PROBES is not judged, and counted.
const SLOT_BITS: u32 = 14;
const SLOTS: u32 = 16384;
const PROBES: u32 = 16;

const lastInstrument = changetype<Column<u32>>(memory.data(4 * 16384, 64));
const lastPrice = changetype<Column<i64>>(memory.data(8 * 16384, 64));

const UNTRACKED = memory.data<u8>([0x75, 0x6e, 0x74, 0x72, 0x61, 0x63, 0x6b, 0x65, 0x64]); // "untracked"

const OUTSIDE: u8 = 0;

let bandBP: i64 = 500;
let verdict: u8 = VERDICT.FLAG;

const room = memory.data(1024);

export function tw_alloc(bytes: u32): usize {
  return bytes <= 1024 ? room : 0;
}

export function tw_init(params: usize, len: i32): i32 {
  bandBP = paramI64(params, len, "band_bp", 500);
  verdict = paramBool(params, len, "refuse") ? VERDICT.REFUSE : VERDICT.FLAG;
  return 0;
}

/** The slot of an instrument, -1: there is none. */
function slotOf(id: u32): i32 {
  let at = (id * 2654435761) >> (32 - SLOT_BITS);
  for (let i: u32 = 0; i < PROBES; i++) {
    if (lastInstrument[at] == 0) lastInstrument[at] = id;
    if (lastInstrument[at] == id) return <i32>at;
    at = (at + 1) % SLOTS;
  }
  return -1;
}

function isTrade(k: u8): bool {
  return k == KIND.EXEC || k == KIND.EXEC_AT || k == KIND.TRADE;
}

function isOrder(k: u8): bool {
  return k == KIND.ADD || k == KIND.REPLACE || k == KIND.MODIFY;
}

function outside(px: i64, last: i64): bool {
  const apart = px > last ? <u64>px - <u64>last : <u64>last - <u64>px;
  return last > 0 && apart > <u64>((last / 10000) * bandBP);
}

export function tw_validate(unit: i32, n: i32): i32 {
  let notKept = 0;
  for (let i = 0; i < n; i++) {
    const px = price[i];
    const trade = isTrade(kind[i]);
    if (instrument[i] == 0 || px == UNDEF_PRICE || (!trade && !isOrder(kind[i]))) continue;
    const slot = slotOf(instrument[i]);
    if (slot < 0) {
      metric(UNTRACKED, 9, 1);
      continue;
    }
    if (outside(px, lastPrice[slot])) {
      rowCtl[i] = verdict;
      reason[i] = OUTSIDE;
      notKept++;
    }
    if (trade) lastPrice[slot] = px;
  }
  return notKept;
}
