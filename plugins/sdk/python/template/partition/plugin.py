# A partition for each day (UTC) and one of 16 groups of instruments: all of an instrument's day lies together, and no partition has all of a day.
import tickwire

DAY = 86_400_000_000_000  # ns
GROUPS = 16


@tickwire.partition("by_day")
def by_day(n, c, params):
    for i, (at, instrument) in enumerate(zip(c.ts_event, c.instrument_id)):
        # Numbers of neighbours fall into groups far apart: the upper bits of a product with 2^32 / φ.
        c.key[i] = at // DAY * GROUPS + (instrument * 2654435769 % 2**32 >> 28)
