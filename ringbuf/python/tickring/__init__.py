"""Reads tickwire's shared-memory rings: one producer, any number of readers, none of which can slow it down.

    import tickring

    ring = tickring.Ring("/dev/shm/tickwire/main/nasdaq.a.mbo.ring")
    bulk = ring.bulk(4096)
    while True:
        rows = bulk.poll()                      # structured numpy array, valid until the next poll
        if len(rows):
            print(rows["instrument_id"], rows["price"])
        elif bulk.status in (tickring.OVERRUN, tickring.EPOCH):
            drop_books()                        # ring.lost has grown by exactly what was missed
        elif bulk.status == tickring.REPLACED:
            break                               # open the name again
        else:
            ring.wait(1.0)

The reading itself is ringbuf/c/tickring.h in a shared library (python3 -m tickring.build makes it), called through ctypes: Python
has no fences, and a copy made by the interpreter would be sound on x86 only. numpy is optional: Bulk gives a memoryview without it,
and Ring.poll() one record as a namedtuple. One thread a ring; bulk polls and wait release the interpreter's lock.
"""

import ctypes
import os

from .records import *  # noqa: F401,F403
from .records import dtype_of, unpack

try:
    import numpy as _numpy
except ImportError:
    _numpy = None

_LIBRARY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_tickring.so")

# What a poll says when it gives no record.
NONE, OVERRUN, EPOCH, REPLACED, SILENT, STOPPED = 0, -1, -2, -3, -4, -5
STATUS_NAMES = {NONE: "none", OVERRUN: "overrun", EPOCH: "epoch", REPLACED: "replaced", SILENT: "silent", STOPPED: "stopped"}

# Where to begin: with the next record, half a ring back, as far back as is safe.
LIVE, HALF, OLDEST = 0, 1, 2

# States of the producer. RECOVERING: it is alive, missing numbers were asked for.
STATE_INITIALISING, STATE_RUNNING, STATE_FEED_DOWN, STATE_STOPPED, STATE_FAILED, STATE_REPLACED, STATE_RECOVERING = range(7)

E_OPEN, E_SHORT, E_MAP, E_MAGIC, E_BYTE_ORDER, E_VERSION, E_HEADER_SIZE, E_SLOT_SIZE, E_CAPACITY = range(-101, -110, -1)
E_OFFSET, E_FILE_SIZE, E_DBN_VERSION, E_RESTARTING, E_TOO_OLD, E_TOO_FAR, E_NOT_FOUND, E_BUSY = range(-110, -118, -1)


_CLOSED = -100  # what the library says of a handle that was closed


class RingError(OSError):
    """Why opening, joining, seeking or looking up is refused. code is one of E_…, or REPLACED."""

    def __init__(self, code, path, why=0):
        text = _lib().slow.twp_strerror(code).decode()
        if why and code in (E_OPEN, E_MAP):
            text += ": " + os.strerror(why)
        super().__init__(why, "tickring: %s: %s" % (path, text))
        self.code = code

    def __str__(self):
        return self.strerror


def _open(code):
    if code == _CLOSED:
        raise ValueError("tickring: the handle was closed")
    return code


class _CRing(ctypes.Structure):
    """The part of tw_ring that may be read."""

    _fields_ = [("next", ctypes.c_uint64), ("lost", ctypes.c_uint64), ("epoch", ctypes.c_uint64), ("stale_ns", ctypes.c_uint64),
                ("slot_bytes", ctypes.c_uint32), ("kind", ctypes.c_uint32)]  # fmt: skip


class _Instrument(ctypes.Structure):
    """tw_inst: an entry of the instrument directory. Prices are in 1e-9, texts are bytes up to their first NUL."""

    _fields_ = [
        ("instrument_id", ctypes.c_uint32), ("publisher_id", ctypes.c_uint16), ("instrument_class", ctypes.c_uint8), ("flags", ctypes.c_uint8),
        ("raw_symbol", ctypes.c_char * 72), ("min_price_increment", ctypes.c_int64), ("round_lot", ctypes.c_int32), ("contract_multiplier", ctypes.c_int32),
        ("unit_of_measure_qty", ctypes.c_int64), ("display_factor", ctypes.c_int64), ("currency", ctypes.c_char * 4), ("decimals", ctypes.c_int8),
        ("status_action", ctypes.c_uint8), ("channel", ctypes.c_uint16), ("mic", ctypes.c_char * 8), ("group", ctypes.c_char * 12),
        ("security_type", ctypes.c_char * 4), ("strike", ctypes.c_int64), ("activation", ctypes.c_uint64), ("expiration", ctypes.c_uint64),
        ("definition_offset", ctypes.c_uint64), ("updated", ctypes.c_uint64), ("reserved", ctypes.c_uint8 * 64),
    ]  # fmt: skip


INST_NAMED, INST_TEST = 1, 2  # flags: its definition came; its prices are not real

_loaded = None


def _lib():
    """The library, loaded once: slow releases the interpreter's lock during a call, quick does not."""
    global _loaded
    if _loaded is None:
        path = os.environ.get("TICKRING_LIB", _LIBRARY)
        if not os.path.exists(path):
            raise ImportError("tickring: %s is not there; python3 -m tickring.build makes it" % path)

        class Loaded:
            slow, quick = ctypes.CDLL(path), ctypes.PyDLL(path)

        ring, side, inst, err = ctypes.POINTER(_CRing), ctypes.c_void_p, ctypes.POINTER(_Instrument), ctypes.POINTER(ctypes.c_int)
        u16, u32, u64, i, p, s = ctypes.c_uint16, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p
        for name, result, args in [
            ("open", ring, [s, i, err, err]), ("close", None, [ring]), ("join", i, [ring, i]), ("seek", i, [ring, u64]), ("poll", i, [ring, p]),
            ("poll_batch", i, [ring, p, i]), ("wait", i, [ring, u32]), ("state", u32, [ring]), ("stamps", u32, [ring]), ("lag", u64, [ring]),
            ("alive", i, [ring]), ("strerror", s, [i]), ("header", p, [ring]), ("inst_open", side, [s, err, err]), ("side_close", None, [side]),
            ("inst_lookup", i, [side, u16, u32, inst]), ("inst_at", i, [side, u64, inst]), ("inst_find", i, [side, u16, s, inst]),
            ("side_capacity", u64, [side]), ("side_generation", u64, [side]), ("side_silence", u64, [side]), ("inst_count", u64, [side]),
            ("side_replaced", i, [side]),
        ]:  # fmt: skip
            for lib in (Loaded.slow, Loaded.quick):
                f = getattr(lib, "twp_" + name)
                f.restype, f.argtypes = result, args
        _loaded = Loaded
    return _loaded


class Ring:
    """A ring that is being read, through a read-only mapping. One thread. Also a context manager.

    next    number of the record that comes next; all before it were handed out or lost
    lost    records missed since open, exactly, over overruns and restarts of the producer
    epoch   the producer's start that the next record belongs to, as far as is known
    kind, slot_bytes, slots, name, dataset, uuid, publisher, channel, abi_minor: the ring's identity
    status  what the last poll without a record said
    """

    def __init__(self, path, join=LIVE, stale_after=0.05):
        """Opens and joins. stale_after: the age of a heartbeat, in seconds, from which a ring is SILENT. RingError says which condition of a
        ring does not hold."""
        self._r = None
        self.path = os.fspath(path)
        err, why = ctypes.c_int(), ctypes.c_int()
        lib = _lib()
        self._r = lib.slow.twp_open(os.fsencode(self.path), join, err, why)
        if not self._r:
            raise RingError(err.value, self.path, why.value)
        self._lib, self._c = lib, self._r.contents
        self.stale_after(stale_after)
        self.kind, self.slot_bytes, self.status = self._c.kind, self._c.slot_bytes, NONE
        head = ctypes.string_at(lib.quick.twp_header(self._r), 256)
        self.slots = int.from_bytes(head[24:32], "little")
        self.abi_minor = int.from_bytes(head[10:12], "little")
        self.publisher, self.channel = int.from_bytes(head[52:54], "little"), int.from_bytes(head[54:56], "little")
        self.uuid = head[64:80]
        self.name, self.dataset = (b.split(b"\0", 1)[0].decode() for b in (head[80:128], head[128:144]))
        self._one = ctypes.create_string_buffer(self.slot_bytes - 8)
        self._view = memoryview(self._one).cast("B")
        self._poll, self._r_at = lib.quick.twp_poll, ctypes.addressof(self._one)

    next = property(lambda self: self._c.next)
    lost = property(lambda self: self._c.lost)
    epoch = property(lambda self: self._c.epoch)
    state = property(lambda self: self._lib.quick.twp_state(self._r), doc="what the producer says of itself: STATE_…")
    stamps = property(
        lambda self: self._lib.quick.twp_stamps(self._r),
        doc="who gave the latest records their ts_recv: 0 not known, 1 the lane's clock, 2 whoever recorded them, 3 the kernel, 4 the NIC",
    )
    alive = property(
        lambda self: self._lib.quick.twp_alive(self._r) == 1, doc="the producer runs and its last heartbeat is younger than stale_after"
    )
    lag = property(lambda self: self._lib.quick.twp_lag(self._r), doc="records known to lie ahead; past three quarters of slots an overrun is near")

    def stale_after(self, seconds):
        """Sets the age of a heartbeat from which a ring is SILENT."""
        self._c.stale_ns = int(seconds * 1e9)

    def join(self, mode):
        """Begins anew: LIVE, HALF or OLDEST. What is skipped by it is no loss. RingError (E_RESTARTING) only."""
        self._check(self._lib.slow.twp_join(self._r, mode))

    def seek(self, number):
        """Makes that the next record. RingError: E_TOO_OLD, E_TOO_FAR, and the place is unchanged."""
        self._check(self._lib.slow.twp_seek(self._r, number))

    def poll(self):
        """The next record as a namedtuple of its type, or None, and status says why."""
        n = self._poll(self._r, self._r_at)
        if n == 1:
            return unpack(self.kind, self._view)
        self.status = _open(n)
        return None

    def bulk(self, records):
        """A Bulk with room for so many records."""
        return Bulk(self, records)

    def poll_array(self, records):
        """Up to so many records as a structured numpy array of their own. Bulk.poll allocates nothing and is quicker."""
        bulk = Bulk(self, records)
        rows = bulk.poll()
        self.status = bulk.status
        return rows

    def wait(self, seconds):
        """Sleeps until the producer's doorbell (a futex), for so many seconds at most; True when a poll would find something. Not for the hot
        path: waking takes microseconds. The next poll without a record looks at heartbeat and state."""
        return _open(self._lib.slow.twp_wait(self._r, min(int(seconds * 1e6), 2**32 - 1))) == 1

    def close(self):
        """Unmaps. next, lost and epoch stay; reading raises ValueError. No other thread may be in a call."""
        if self._r:
            r, self._r, self._c = self._r, None, _CRing.from_buffer_copy(self._c)
            self._lib.slow.twp_close(r)

    def _check(self, code):
        if _open(code) < 0:
            raise RingError(code, self.path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        self.close()


class Bulk:
    """Memory for a batch of records, reused from poll to poll: one copy from the ring into it, no other.

    rows    with numpy a structured array (records.dtype_of), else a memoryview of bytes, slot_bytes-8 a record
    first   number of the first record of the last poll
    count   how many there were
    status  why there were none
    """

    def __init__(self, ring, records):
        if records < 1:
            raise ValueError("tickring: a batch of %d records" % records)
        self._ring, self._max, self._bytes = ring, records, ring.slot_bytes - 8
        self.first, self.count, self.status = ring.next, 0, NONE
        if _numpy is not None:
            self.rows = _numpy.zeros(records, dtype=dtype_of(ring.kind))
            self._at = self.rows.ctypes.data
        else:
            self._memory = ctypes.create_string_buffer(records * self._bytes)
            self.rows, self._at = memoryview(self._memory).cast("B"), ctypes.addressof(self._memory)
        self._poll = ring._lib.slow.twp_poll_batch

    def poll(self):
        """The next records, whole and in order, as a view of rows that is valid until the next poll; empty when there are none, and status
        says why. Whole records before an overrun come first."""
        ring = self._ring
        self.first = ring._c.next
        n = self._poll(ring._r, self._at, self._max)
        if n <= 0:
            self.status, n = _open(n), 0
        self.count = n
        return self.rows[:n] if _numpy is not None else self.rows[: n * self._bytes]

    def records(self):
        """The records of the last poll one by one, as namedtuples of their types."""
        view = memoryview(self.rows).cast("B") if _numpy is None else memoryview(self.rows.view("u1")).cast("B")
        return (unpack(self._ring.kind, view, i * self._bytes) for i in range(self.count))

    def as_records(self, name):
        """With numpy: the rows of the last poll looked at as another record type ("Status", "Gap"), for rings that mix them."""
        return self.rows[: self.count].view(dtype_of(self._ring.kind, name))


class Directory:
    """The instrument directory, <feed>.<lane>.inst. Threads may share it."""

    def __init__(self, path):
        self._s = None
        self.path = os.fspath(path)
        err, why = ctypes.c_int(), ctypes.c_int()
        self._lib = _lib()
        self._s = self._lib.slow.twp_inst_open(os.fsencode(self.path), err, why)
        if not self._s:
            raise RingError(err.value, self.path, why.value)
        self.capacity = self._lib.quick.twp_side_capacity(self._s)

    count = property(lambda self: self._lib.quick.twp_inst_count(self._s), doc="entries in use")
    generation = property(lambda self: self._lib.quick.twp_side_generation(self._s), doc="moves when the contents begin anew")
    replaced = property(lambda self: self._lib.quick.twp_side_replaced(self._s) == 1, doc="another file has the name: open again")
    silence = property(lambda self: self._lib.quick.twp_side_silence(self._s) / 1e9, doc="seconds since the writer's last sign of life")

    def lookup(self, publisher, instrument):
        """An instrument's entry, or None. RingError: E_BUSY, REPLACED."""
        return self._entry(self._lib.quick.twp_inst_lookup, publisher, instrument)

    def find(self, publisher, symbol):
        """A publisher's instrument by its raw symbol, or None: a walk over the whole directory."""
        return self._entry(self._lib.slow.twp_inst_find, publisher, symbol.encode())

    def __iter__(self):
        """All entries, in no order."""
        for i in range(self.capacity):
            entry = self._entry(self._lib.quick.twp_inst_at, i)
            if entry is not None:
                yield entry

    def _entry(self, call, *args):
        out = _Instrument()
        err = call(self._s, *args, out)
        if _open(err) == E_NOT_FOUND:
            return None
        if err != 0:
            raise RingError(err, self.path)
        return out

    def close(self):
        """Unmaps. Lookups raise ValueError afterwards. No other thread may be in a call."""
        if self._s:
            self._lib.slow.twp_side_close(self._s)
            self._s = None

    def __del__(self):
        self.close()
