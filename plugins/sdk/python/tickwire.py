# What runs before a plugin's script: `tickwire plugin build` puts it, the script and the interpreter that runs them (CPython) into one module. It makes the module
# tickwire for the script, and then speaks with the host by standard input and output (plugins/ABI.md, Commands).
import json, os, sys, types
from array import array

ARRAYS = {"u8": "B", "u16": "H", "u32": "I", "i32": "i", "u64": "Q", "i64": "q", "f64": "d"}


class Texts:
    """A column of texts: stride bytes each in data, the rest NUL."""

    def __init__(self, data, stride):
        self.data, self.stride = data, stride

    def __len__(self):
        return len(self.data) // self.stride

    def __getitem__(self, i):
        if not 0 <= i < len(self):
            raise IndexError(i)
        return self.data[i * self.stride : (i + 1) * self.stride].split(b"\0", 1)[0].decode("utf-8", "replace")

    def __setitem__(self, i, text):
        """A text that is longer than the column is an error."""
        b = text if isinstance(text, bytes) else text.encode()
        if not 0 <= i < len(self):
            raise IndexError(i)
        if len(b) > self.stride:
            raise ValueError(f"a text of {len(b)} bytes, but at most {self.stride}")
        self.data[i * self.stride : (i + 1) * self.stride] = b.ljust(self.stride, b"\0")


def _some(column, rows):
    """Some rows of a column, as one of its own."""
    if isinstance(column, Texts):
        s = column.stride
        return Texts(bytearray().join(column.data[i * s : (i + 1) * s] for i in rows), s)
    return array(column.typecode, [column[i] for i in rows])


def _put(column, rows, some):
    """Writes them back."""
    if len(some) != len(rows):
        raise ValueError(f"a column has {len(some)} rows now, want {len(rows)}: its length must stay")
    for k, i in enumerate(rows):
        if isinstance(column, Texts):
            s = column.stride
            column.data[i * s : (i + 1) * s] = some.data[k * s : (k + 1) * s]
        else:
            column[i] = some[k]


def _main(name, script):
    handlers, seeing = {}, set()

    def handle(kind, unit, f):
        if not callable(f):
            raise TypeError(f"{kind}: want a function")
        if not any(u["kind"] == kind and (unit is None or u.get("name", "") == unit) for u in hello["units"]):
            raise ValueError(f"the manifest has no {kind} {unit or ''}".rstrip())
        handlers[kind, unit or ""] = f
        return f

    tickwire = types.ModuleType("tickwire", "What plugins in Python are made with: each function is a decorator.")
    tickwire.KEEP, tickwire.REFUSE, tickwire.FLAG = 0, 1, 2
    tickwire.UNDEF_PRICE = 2**63 - 1
    tickwire.KIND = types.SimpleNamespace(
        ADD=1, EXEC=2, EXEC_AT=3, REDUCE=4, DELETE=5, REPLACE=6, TRADE=7, CROSS=8, BREAK=9, STATUS=10, IMBALANCE=11, DEFINITION=12, STATISTICS=13, EXT=14,
        SYSTEM=15, CLEAR=16, MODIFY=17, LEVEL=18, IMPLIED=19, FILL=20, QUOTE=21)
    tickwire.transform = lambda f: handle("transform", None, f)
    tickwire.validator = lambda f: handle("validator", None, f)

    def function(unit, nulls=False):
        """nulls: it sees NULLs (c.nulls). Else a NULL among the arguments is a NULL result, and the function is not asked."""

        def made(f):
            handle("function", unit, f)
            if nulls:
                seeing.add(unit)
            return f

        return made

    tickwire.function = function
    tickwire.partition = lambda unit: lambda f: handle("partition", unit, f)
    sys.modules["tickwire"] = tickwire
    sys.stdout = sys.stderr  # which is the log; output is the answer

    def read(n):
        parts = []
        while n > 0:
            b = os.read(0, min(n, 1 << 20))
            if not b:
                sys.exit(0)
            parts.append(b)
            n -= len(b)
        return b"".join(parts)

    def write(b):
        b = memoryview(b)
        while b:
            b = b[os.write(1, b) :]

    def answer(n, *columns):
        write(b"".join((n.to_bytes(4, "little", signed=True), *columns)))

    def fail(e):
        frames, t = [], e.__traceback__
        while t is not None:
            if t.tb_frame.f_code.co_filename == name:
                frames.append(f"{name}:{t.tb_lineno}")
            t = t.tb_next
        if isinstance(e, SyntaxError) and e.filename == name:
            frames.append(f"{name}:{e.lineno}")
        answer(-1, f"{type(e).__name__}: {e} at {' > '.join(frames) or name}"[:1000].encode("utf-8", "replace"))

    class Columns:
        pass

    def ask(handler, n, see, nulls):
        """Asks a function that does not see NULLs about the rows without one."""
        rows = [i for i in range(n) if not any(c[i] for c in nulls)]
        see.result_null[:] = array("B", b"\1" * n)
        if not rows:
            return
        few = Columns()
        few.args, few.nulls = [_some(c, rows) for c in see.args], []
        few.result, few.result_null = result, null = _some(see.result, rows), array("B", bytes(len(rows)))
        handler(len(rows), few, params)
        _put(see.result, rows, result)
        _put(see.result_null, rows, null)

    def run(u, n):
        see, written, args, nulls = Columns(), [], [], []
        for c in u["columns"]:
            size = c["stride"] * n
            data = read(size) if c["sent"] else bytes(size)
            if c["type"] == "str":
                column = Texts(bytearray(data), c["stride"])
            else:
                column = array(ARRAYS[c["type"]], data)
            number = c["id"]
            if 512 <= number < 640:
                args.append(column)
            elif 640 <= number < 768:
                nulls.append(column)
            elif number == 768:
                setattr(see, "key" if u["kind"] == "partition" else "result", column)
            elif number == 769:
                see.result_null = column
            else:
                setattr(see, c["name"], column)
            if c["written"]:
                written.append((column, size))
        see.args, see.nulls = args, nulls
        handler = handlers[u["kind"], "" if u["kind"] in ("transform", "validator") else u["name"]]
        if u["kind"] == "function" and u["name"] not in seeing and any(1 in c for c in nulls):
            ask(handler, n, see, nulls)
        else:
            handler(n, see, params)
        count = n
        if u["kind"] == "validator":
            count = n - see.row_ctl.count(0)
        out = [c.data if isinstance(c, Texts) else c.tobytes() for c, _ in written]
        for (_, size), b in zip(written, out):
            if len(b) != size:
                raise ValueError(f"a column has {len(b)} bytes now, want {size}: its length must stay")
        answer(count, *out)

    hello = json.loads(read(int.from_bytes(read(4), "little")))
    params = types.SimpleNamespace(**(hello["params"] or {}))
    try:
        exec(compile(script, name, "exec"), {"__name__": "plugin", "__file__": name})
        for u in hello["units"]:
            unit = "" if u["kind"] in ("transform", "validator") else u["name"]
            if (u["kind"], unit) not in handlers:
                raise ValueError(f"the script has no {u['kind']} {unit}".rstrip())
        answer(0)
    except BaseException as e:
        fail(e)
    while True:
        head = read(8)
        u, n = hello["units"][int.from_bytes(head[:4], "little")], int.from_bytes(head[4:], "little")
        try:
            run(u, n)
        except BaseException as e:
            fail(e)


_main(*sys.argv[1:3])
