// Flags (or refuses) orders and trades whose price is further than band_bp basis points from the instrument's last trade. The trade itself is the last one from
// then on, so the band follows the market whatever was said of it. Before an instrument's first trade there is nothing to go by.
const OUTSIDE = 0;
const { ADD, EXEC, EXEC_AT, MODIFY, REPLACE, TRADE } = tickwire.KIND;
const trades = new Set([EXEC, EXEC_AT, TRADE]), orders = new Set([ADD, REPLACE, MODIFY]);

// Last trades: an open hash of instruments, 0 is a free slot. One that finds no slot within PROBES is not judged. A Map would do as well, but for the batch in which
// it grows: that would take more than a call has.
const SLOT_BITS = 14, SLOTS = 1 << SLOT_BITS, PROBES = 16;
const instruments = new Uint32Array(SLOTS), prices = new BigInt64Array(SLOTS);

/** The slot of an instrument, -1: there is none. */
function slotOf(id) {
  let at = Math.imul(id, 2654435761) >>> (32 - SLOT_BITS);
  for (let k = 0; k < PROBES; k++) {
    const here = instruments[at];
    if (here === id) return at;
    if (here === 0) {
      instruments[at] = id;
      return at;
    }
    at = (at + 1) & (SLOTS - 1);
  }
  return -1;
}

tickwire.validator((n, { kind, instrument_id, price, row_ctl, reason }, { band_bp, refuse }) => {
  const verdict = refuse ? tickwire.REFUSE : tickwire.FLAG;
  for (let i = 0; i < n; i++) {
    const px = price[i], id = instrument_id[i], trade = trades.has(kind[i]);
    if (id === 0 || px === tickwire.UNDEF_PRICE || (!trade && !orders.has(kind[i]))) continue;
    const slot = slotOf(id);
    if (slot < 0) continue;
    const last = prices[slot];
    if (last > 0n && (px > last ? px - last : last - px) > (last / 10000n) * band_bp) {
      row_ctl[i] = verdict;
      reason[i] = OUTSIDE;
    }
    if (trade) prices[slot] = px;
  }
});
