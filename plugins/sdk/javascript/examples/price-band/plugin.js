// Flags (or refuses) orders and trades whose price is further than band_bp basis points from the instrument's last trade. The trade itself is the last one from
// then on, so the band follows the market whatever was said of it. Before an instrument's first trade there is nothing to go by.
const OUTSIDE = 0;
const { ADD, EXEC, EXEC_AT, MODIFY, REPLACE, TRADE } = tickwire.KIND;
const trades = new Set([EXEC, EXEC_AT, TRADE]), orders = new Set([ADD, REPLACE, MODIFY]);
const lastTrade = new Map(); // by instrument

tickwire.validator((n, { kind, instrument_id, price, row_ctl, reason }, { band_bp, refuse }) => {
  const verdict = refuse ? tickwire.REFUSE : tickwire.FLAG;
  for (let i = 0; i < n; i++) {
    const px = price[i], id = instrument_id[i], trade = trades.has(kind[i]);
    if (id === 0 || px === tickwire.UNDEF_PRICE || (!trade && !orders.has(kind[i]))) continue;
    const last = lastTrade.get(id);
    if (last !== undefined && last > 0n && (px > last ? px - last : last - px) > (last / 10000n) * band_bp) {
      row_ctl[i] = verdict;
      reason[i] = OUTSIDE;
    }
    if (trade) lastTrade.set(id, px);
  }
});
