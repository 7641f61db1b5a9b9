// A partition for each day (UTC) and one of 16 groups of instruments: all of an instrument's day lies together, and no partition has all of a day.
const DAY = 86_400_000_000_000n; // ns
const GROUPS = 16n;

tickwire.partition("by_day", (n, { ts_event, instrument_id, key }) => {
  // Numbers of neighbours fall into groups far apart: the upper bits of a product with 2^32 / φ.
  for (let i = 0; i < n; i++) key[i] = (ts_event[i] / DAY) * GROUPS + BigInt(Math.imul(instrument_id[i], 2654435769) >>> 28);
});
