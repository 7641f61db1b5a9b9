"""The Python side of the conformance test (ringbuf/conformance_test.go says what the commands are): reads commands, a line
each, and answers with lines that end with ".". With --no-numpy it reads as where there is none."""

import sys
import time

if "--no-numpy" in sys.argv:
    sys.modules["numpy"] = None

import tickring as tw

try:
    import numpy as np
except ImportError:
    np = None

M = 2**64 - 1
JOIN = {"live": tw.LIVE, "half": tw.HALF, "oldest": tw.OLDEST}
ERRORS = {
    getattr(tw, "E_" + n.upper().replace(" ", "_")): n
    for n in ["open", "short", "map", "magic", "byte order", "version", "header size", "slot size", "capacity", "offset", "file size", "dbn version",
              "restarting", "too old", "too far", "not found", "busy"]
}  # fmt: skip
ERRORS[tw.REPLACED] = "replaced"


def word_of(number, j):
    x = (number * 0x9E3779B97F4A7C15 + j * 0xBF58476D1CE4E5B9) & M
    return x ^ x >> 29


def words_of(rows):
    """The rows of a poll as words, a list of lists or an array of two dimensions."""
    if np is not None:
        return rows.view("<u8").reshape(len(rows), -1)
    flat, per = rows.cast("Q") if len(rows) else rows, ring.slot_bytes // 8 - 1
    return [flat[i : i + per] for i in range(0, len(flat), per)]


def bad(words, first):
    if np is not None:
        with np.errstate(over="ignore"):
            n = np.uint64(first) + np.arange(len(words), dtype="u8")
            x = (n * np.uint64(0x9E3779B97F4A7C15))[:, None] + np.arange(words.shape[1], dtype="u8") * np.uint64(0xBF58476D1CE4E5B9)
            return int((words != (x ^ x >> np.uint64(29))).any(axis=1).sum())
    return sum(any(w != word_of(first + i & M, j) for j, w in enumerate(rec)) for i, rec in enumerate(words))


class Single:
    """Ring.poll, one record at a time, as a batch of one."""

    def __init__(self):
        self.count, self.status, self.first = 0, tw.NONE, ring.next
        self.got = None

    def poll(self):
        self.first = ring.next
        self.got = ring.poll()
        self.count, self.status = int(self.got is not None), ring.status
        return ring._view[: self.count * (ring.slot_bytes - 8)] if np is None else np.frombuffer(ring._view, "u1")[: self.count * (ring.slot_bytes - 8)]

    def records(self):
        return [self.got]


def drain(batch, each):
    """Reads until a look at the header gave nothing new."""
    bulk = ring.bulk(batch) if batch > 1 else Single()
    events, looked = "", False
    while True:
        rows = bulk.poll()
        if bulk.count:
            each(bulk, rows)
            looked = False
        elif bulk.status in (tw.OVERRUN, tw.EPOCH):
            events += "%s@%d " % (tw.STATUS_NAMES[bulk.status], ring.next)
            looked = False
        elif bulk.status == tw.NONE and not looked:
            ring.wait(0)
            looked = True
        else:
            return "lost %d next %d epoch %d events %send %s" % (ring.lost, ring.next, ring.epoch, events, tw.STATUS_NAMES[bulk.status])


def drain_words(batch):
    read = wrong = total = 0

    def each(bulk, rows):
        nonlocal read, wrong, total
        words = words_of(rows) if np is None or batch > 1 else rows.view("<u8").reshape(1, -1)
        read += bulk.count
        wrong += bad(words, bulk.first)
        for rec in words:
            for w in rec.tolist():
                total = (total ^ w) * 0x100000001B3 & M

    end = drain(batch, each)
    return "drain read %d bad %d sum %x %s" % (read, wrong, total, end)


def text(r):
    v = list(r)
    head = "%d %d %d %d %d" % (v[1], v[0], v[2], v[3], v[4])
    name = type(r).__name__.lower()
    if name == "gap" or name == "ext":
        v = [x for x in v if not isinstance(x, bytes)]
    return " ".join([name, head] + [str(x) for x in v[5:]])


def typed():
    out = []

    def each(bulk, rows):
        for i, r in enumerate(bulk.records()):
            out.append("%d %s\n" % (bulk.first + i, text(r)))
            if np is not None:  # the table's columns are the record's fields
                row = bulk.as_records(type(r).__name__)[i] if type(r).__name__ in ("Status", "Gap") else rows[i]
                for name, value in zip(r._fields, r):
                    if not isinstance(value, bytes) and row[name] != value:
                        out.append("numpy has %s in column %s, not %s\n" % (row[name], name, value))

    end = drain(16, each)
    return "".join(out) + "typed " + end


def follow(ms, sleep):
    """Reads at full speed for some milliseconds (sleeping while there is nothing, when asked to) and checks every word."""
    until = time.monotonic() + ms / 1000
    read = wrong = overruns = epochs = turn = 0
    bulk = ring.bulk(16)
    while True:
        turn += 1
        rows = bulk.poll()
        if bulk.count:
            wrong += bad(words_of(rows), bulk.first)
            read += bulk.count
        elif bulk.status == tw.OVERRUN:
            overruns += 1
        elif bulk.status == tw.EPOCH:
            epochs += 1
        elif bulk.status == tw.REPLACED:
            break
        elif sleep:
            ring.wait(0.001)
        if turn % 16 == 0 and time.monotonic() >= until:
            break
    return "follow read %d bad %d overruns %d epochs %d lost %d next %d epoch %d" % (read, wrong, overruns, epochs, ring.lost, ring.next, ring.epoch)


def speed(batch, ms):
    """Reads all that the ring has, again and again: one at a time as namedtuples, else in bulk."""
    read = total = 0
    begin = time.monotonic_ns()
    bulk = ring.bulk(batch) if batch > 1 else None
    while time.monotonic_ns() - begin < ms * 1_000_000:
        ring.join(tw.OLDEST)
        if bulk is None:
            while (r := ring.poll()) is not None:
                read += 1
                total += r.price
            continue
        while True:
            rows = bulk.poll()
            if not bulk.count:
                break
            read += bulk.count
            if np is not None:
                total += int(rows["price"].sum())
            else:
                total += sum(r.price for r in bulk.records())
    return "speed %d %d %x" % (read, time.monotonic_ns() - begin, total & M)


def latency(ms):
    """ns from the time in each record's first word to the clock after it was validated."""
    until, ns, now = time.monotonic_ns() + ms * 1_000_000, [], 0
    bulk = ring.bulk(1)
    words = bulk.rows.view("<u8") if np is not None else bulk.rows.cast("Q")
    while now < until:
        bulk.poll()
        now = time.monotonic_ns()
        if bulk.count:
            ns.append(max(0, now - int(words[0])))
    ns.sort()
    return "latency %d %d %d" % (len(ns), ns[len(ns) // 2] if ns else 0, ns[len(ns) * 9 // 10] if ns else 0)


def instrument(i):
    if i is None:
        return "error not found"
    return "inst %d %d %d %d %s %d %d %d %d %d %d %s %d" % (
        i.instrument_id, i.publisher_id, i.instrument_class, i.flags, i.raw_symbol.decode(), i.min_price_increment, i.round_lot, i.contract_multiplier,
        i.decimals, i.status_action, i.channel, i.mic.decode(), i.definition_offset)  # fmt: skip


ring = directory = None


def answer(cmd, *a):
    global ring, directory
    if cmd == "open":
        if ring:
            ring.close()
        ring = None
        ring = tw.Ring(a[0], JOIN[a[1]], int(a[2]) / 1000)
        return "open kind %d slot %d slots %d name %s dataset %s uuid %s minor %d publisher %d channel %d next %d epoch %d" % (
            ring.kind, ring.slot_bytes, ring.slots, ring.name, ring.dataset, ring.uuid.hex(), ring.abi_minor, ring.publisher, ring.channel, ring.next,
            ring.epoch)  # fmt: skip
    if cmd == "instopen":
        directory = tw.Directory(a[0])
        return "instopen capacity %d count %d" % (directory.capacity, directory.count)
    if cmd == "lookup":
        return instrument(directory.lookup(int(a[0]), int(a[1])))
    if cmd == "find":
        return instrument(directory.find(int(a[0]), a[1]))
    if cmd == "drain":
        return drain_words(int(a[0]))
    if cmd == "typed":
        return typed()
    if cmd == "follow":
        return follow(int(a[0]), a[1] == "1")
    if cmd == "latency":
        return latency(int(a[0]))
    if cmd == "speed":
        return speed(int(a[0]), int(a[1]))
    if cmd == "join":
        ring.join(JOIN[a[0]])
        return "join next %d epoch %d" % (ring.next, ring.epoch)
    if cmd == "seek":
        ring.seek(int(a[0]))
        return "seek next %d" % ring.next
    if cmd == "state":
        return "state %d stamps %d alive %d lag %d" % (ring.state, ring.stamps, ring.alive, ring.lag)
    if cmd == "wait":
        return "wait %s" % str(ring.wait(int(a[0]) / 1000)).lower()
    if cmd == "stale":
        ring.stale_after(int(a[0]) / 1000)
        return "ok"
    raise ValueError(cmd)


for line in sys.stdin:
    try:
        reply = answer(*line.rstrip("\n").split(" "))
    except tw.RingError as e:
        reply = "error " + ERRORS[e.code]
    print(reply + "\n.", flush=True)
