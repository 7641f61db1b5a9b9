import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.file.Path;
import tickwire.ring.Batch;
import tickwire.ring.Directory;
import tickwire.ring.Gap;
import tickwire.ring.Instrument;
import tickwire.ring.Mbo;
import tickwire.ring.Mbp1;
import tickwire.ring.Record;
import tickwire.ring.Ring;
import tickwire.ring.RingException;
import tickwire.ring.Status;
import tickwire.ring.Trade;

/**
 * The Java side of the conformance test (ringbuf/conformance_test.go says what the commands are): reads commands, a line
 * each, and answers with lines that end with ".".
 */
public final class RingCheck {
    private Ring ring;
    private Directory dir;

    private static long wordOf(long number, long j) {
        long x = number * 0x9E3779B97F4A7C15L + j * 0xBF58476D1CE4E5B9L;
        return x ^ x >>> 29;
    }

    private static boolean bad(Batch b, int i) {
        int at = i * b.payloadWords;
        for (int j = 0; j < b.payloadWords; j++) {
            if (b.words[at + j] != wordOf(b.first + i, j)) {
                return true;
            }
        }
        return false;
    }

    private static String u(long v) {
        return Long.toUnsignedString(v);
    }

    private static String join(Object... parts) {
        StringBuilder s = new StringBuilder();
        for (Object p : parts) {
            s.append(s.length() == 0 ? "" : " ").append(p instanceof Character ? Integer.valueOf((char) p) : p);
        }
        return s.toString();
    }

    private interface Each {
        void take(Batch b, int i);
    }

    /** Reads until a look at the header gave nothing new. */
    private String drain(int max, Each each) {
        Batch b = new Batch(ring, max);
        StringBuilder events = new StringBuilder();
        for (boolean looked = false; ; ) {
            Ring.Poll p = ring.poll(b);
            switch (p) {
                case RECORDS -> {
                    for (int i = 0; i < b.count; i++) {
                        each.take(b, i);
                    }
                    looked = false;
                }
                case OVERRUN, EPOCH -> {
                    events.append(p.name().toLowerCase()).append('@').append(u(ring.next())).append(' ');
                    looked = false;
                }
                default -> {
                    if (p != Ring.Poll.NONE || looked) {
                        return join("lost", u(ring.lost()), "next", u(ring.next()), "epoch", u(ring.epoch()), "events " + events + "end", p.name().toLowerCase());
                    }
                    ring.await(0);
                    looked = true;
                }
            }
        }
    }

    private String drainWords(int max) {
        long[] t = new long[3]; // read, bad, sum
        String end = drain(max, (b, i) -> {
            t[0]++;
            t[1] += bad(b, i) ? 1 : 0;
            for (int j = 0; j < b.payloadWords; j++) {
                t[2] = (t[2] ^ b.words[i * b.payloadWords + j]) * 0x100000001b3L;
            }
        });
        return join("drain read", t[0], "bad", t[1], "sum", Long.toHexString(t[2]), end);
    }

    private static String header(Record r) {
        return join(r.rtype, r.length, r.publisherId, r.instrumentId, u(r.tsEvent));
    }

    private static String trade(Trade t) {
        return join(header(t), t.price, t.size, t.action, t.side, t.flags, t.depth, u(t.tsRecv), t.tsInDelta, t.sequence);
    }

    private String typed() {
        Mbo mbo = new Mbo();
        Mbp1 mbp1 = new Mbp1();
        Trade trade = new Trade();
        Status s = new Status();
        Gap g = new Gap();
        StringBuilder out = new StringBuilder();
        String end = drain(16, (b, i) -> {
            out.append(u(b.first + i)).append(' ');
            if (ring.kind() == Ring.TRADES) {
                out.append(join("trade", trade(trade.load(b, i)), u(trade.matchId)));
            } else if (ring.kind() == Ring.MBP1) {
                mbp1.load(b, i);
                long[] p = mbp1.plugin;
                out.append(join("mbp1", trade(mbp1), mbp1.bidPx, mbp1.askPx, mbp1.bidSz, mbp1.askSz, mbp1.bidCt, mbp1.askCt, u(mbp1.tsPublish), u(p[0]), u(p[1]), u(p[2]), u(p[3])));
            } else if (b.rtype(i) == Status.RTYPE) {
                s.load(b, i);
                out.append(join("status", header(s), u(s.tsRecv), s.action, s.reason, s.tradingEvent, s.isTrading, s.isQuoting, s.isShortSellRestricted));
            } else if (b.rtype(i) == Gap.RTYPE) {
                g.load(b, i);
                out.append(join("gap", header(g), u(g.first), u(g.last), u(g.tsRecv), g.state, g.channelId, g.line, u(g.messages)));
            } else if (ring.kind() == Ring.MBO) {
                mbo.load(b, i);
                out.append(join("mbo", header(mbo), u(mbo.orderId), mbo.price, mbo.size, mbo.flags, mbo.channelId, mbo.action, mbo.side, u(mbo.tsRecv), mbo.tsInDelta, mbo.sequence));
            }
            out.append('\n');
        });
        return out + "typed " + end;
    }

    /** Reads at full speed for some milliseconds (sleeping while there is nothing, when asked to) and checks every word. */
    private String follow(long ms, boolean sleep) {
        long until = System.nanoTime() + ms * 1_000_000;
        long read = 0, wrong = 0, overruns = 0, epochs = 0;
        Batch b = new Batch(ring, 16);
        for (int turn = 1; ; turn++) {
            Ring.Poll p = ring.poll(b, turn % 16 + 1);
            if (p == Ring.Poll.RECORDS) {
                for (int i = 0; i < b.count; i++) {
                    wrong += bad(b, i) ? 1 : 0;
                }
                read += b.count;
            } else if (p == Ring.Poll.OVERRUN) {
                overruns++;
            } else if (p == Ring.Poll.EPOCH) {
                epochs++;
            } else if (p == Ring.Poll.REPLACED) {
                break;
            } else if (sleep) {
                ring.await(1000);
            }
            if (turn % 256 == 0 && System.nanoTime() - until >= 0) {
                break;
            }
        }
        return join("follow read", read, "bad", wrong, "overruns", overruns, "epochs", epochs, "lost", u(ring.lost()), "next", u(ring.next()), "epoch", u(ring.epoch()));
    }

    /** Reads all that the ring has, again and again. */
    private String speed(int max, long ms) throws RingException {
        Batch b = new Batch(ring, max);
        long begin = System.nanoTime(), read = 0, sum = 0;
        while (System.nanoTime() - begin < ms * 1_000_000) {
            ring.join(Ring.Join.OLDEST);
            while (ring.poll(b) == Ring.Poll.RECORDS) {
                read += b.count;
                for (int i = 0; i < b.count; i++) {
                    sum += b.words[i * b.payloadWords + 3];
                }
            }
        }
        return join("speed", read, System.nanoTime() - begin, Long.toHexString(sum));
    }

    /** ns from the time in each record's first word to the clock after it was validated. */
    private String latency(long ms) {
        long until = System.nanoTime() + ms * 1_000_000;
        long[] ns = new long[1 << 20];
        int n = 0;
        Batch b = new Batch(ring, 1);
        for (long now = 0; now - until < 0 && n < ns.length; ) {
            Ring.Poll p = ring.poll(b);
            now = System.nanoTime();
            if (p == Ring.Poll.RECORDS) {
                ns[n++] = Math.max(0, now - b.words[0]);
            }
        }
        java.util.Arrays.sort(ns, 0, n);
        return join("latency", n, n == 0 ? 0 : ns[n / 2], n == 0 ? 0 : ns[(int) (n * 9L / 10)]);
    }

    private static String instrument(Instrument i) {
        return i == null ? "error not found" : join("inst", i.instrumentId, i.publisherId, i.instrumentClass, i.flags, i.rawSymbol, i.minPriceIncrement, i.roundLot,
            i.contractMultiplier, i.decimals, i.statusAction, i.channel, i.mic, u(i.definitionOffset));
    }

    private static Ring.Join joinOf(String s) {
        return Ring.Join.valueOf(s.toUpperCase());
    }

    private String answer(String[] a) throws IOException {
        switch (a[0]) {
            case "open": {
                ring = null;
                ring = Ring.open(Path.of(a[1]), joinOf(a[2]));
                ring.staleAfterNs(Long.parseLong(a[3]) * 1_000_000);
                StringBuilder uuid = new StringBuilder();
                for (byte x : ring.uuid()) {
                    uuid.append(String.format("%02x", x));
                }
                return join("open kind", ring.kind(), "slot", ring.slotBytes(), "slots", ring.slots(), "name", ring.name(), "dataset", ring.dataset(), "uuid", uuid, "minor",
                    ring.abiMinor(), "publisher", ring.publisher(), "channel", ring.channel(), "next", u(ring.next()), "epoch", u(ring.epoch()));
            }
            case "instopen":
                dir = Directory.open(Path.of(a[1]));
                return join("instopen capacity", dir.capacity(), "count", dir.count());
            case "lookup":
                return instrument(dir.lookup(Integer.parseInt(a[1]), Long.parseLong(a[2])));
            case "find":
                return instrument(dir.find(Integer.parseInt(a[1]), a[2]));
            case "drain":
                return drainWords(Integer.parseInt(a[1]));
            case "typed":
                return typed();
            case "follow":
                return follow(Long.parseLong(a[1]), a[2].equals("1"));
            case "latency":
                return latency(Long.parseLong(a[1]));
            case "speed":
                return speed(Integer.parseInt(a[1]), Long.parseLong(a[2]));
            case "join":
                ring.join(joinOf(a[1]));
                return join("join next", u(ring.next()), "epoch", u(ring.epoch()));
            case "seek":
                ring.seek(Long.parseUnsignedLong(a[1]));
                return join("seek next", u(ring.next()));
            case "state":
                return join("state", ring.state(), "stamps", ring.stamps(), "alive", ring.alive() ? 1 : 0, "lag", ring.lag());
            case "wait":
                return join("wait", ring.await(Long.parseLong(a[1]) * 1000));
            case "stale":
                ring.staleAfterNs(Long.parseLong(a[1]) * 1_000_000);
                return "ok";
            default:
                throw new IllegalArgumentException(a[0]);
        }
    }

    public static void main(String[] args) throws IOException {
        RingCheck check = new RingCheck();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        PrintStream out = System.out;
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String text;
            try {
                text = check.answer(line.split(" "));
            } catch (RingException e) {
                text = "error " + e.reason.name().toLowerCase().replace('_', ' ');
            }
            out.print(text + "\n.\n");
            out.flush();
        }
    }
}
