//! The Rust side of the conformance test (ringbuf/conformance_test.go says what the commands are): reads commands, a line
//! each, and answers with lines that end with ".".

use std::fmt::Write as _;
use std::io::{BufRead, Write as _};
use std::time::{Duration, Instant};
use tickring::*;

fn word_of(number: u64, j: u64) -> u64 {
    let x = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(j.wrapping_mul(0xBF58_476D_1CE4_E5B9));
    x ^ x >> 29
}

/// Records as words, whatever their size.
trait Words: Payload {
    const ZERO: Self;
    fn words(&self) -> &[u64];
}
macro_rules! words {
    ($($n:literal)*) => {$(impl Words for [u64; $n] {
        const ZERO: Self = [0; $n];
        fn words(&self) -> &[u64] { self }
    })*};
}
words!(7 15 63);

fn bad(rec: &[u64], number: u64) -> bool {
    rec.iter().enumerate().any(|(j, w)| *w != word_of(number, j as u64))
}

fn error_name(e: &Error) -> &'static str {
    match e {
        Error::Open(_) => "open",
        Error::Short => "short",
        Error::Map(_) => "map",
        Error::Magic => "magic",
        Error::ByteOrder => "byte order",
        Error::Version(_) => "version",
        Error::HeaderSize => "header size",
        Error::SlotSize => "slot size",
        Error::Capacity => "capacity",
        Error::Offset => "offset",
        Error::FileSize => "file size",
        Error::DbnVersion => "dbn version",
        Error::Restarting => "restarting",
        Error::TooOld => "too old",
        Error::TooFar => "too far",
        Error::NotFound => "not found",
        Error::Busy => "busy",
        Error::Replaced => "replaced",
    }
}

fn status_name(p: Poll) -> &'static str {
    match p {
        Poll::Records(_) => "records",
        Poll::None => "none",
        Poll::Overrun => "overrun",
        Poll::Epoch => "epoch",
        Poll::Replaced => "replaced",
        Poll::Silent => "silent",
        Poll::Stopped => "stopped",
    }
}

fn join_of(s: &str) -> Join {
    match s {
        "half" => Join::Half,
        "oldest" => Join::Oldest,
        _ => Join::Live,
    }
}

fn poll<T: Payload>(r: &mut Ring, recs: &mut [T]) -> Poll {
    if recs.len() == 1 {
        r.poll(&mut recs[0])
    } else {
        r.poll_batch(recs)
    }
}

/// Reads until a look at the header gave nothing new; each takes the records.
fn drain<T: Payload + Copy>(r: &mut Ring, zero: T, batch: usize, mut each: impl FnMut(u64, &T)) -> String {
    let mut recs = vec![zero; batch];
    let (mut events, mut looked) = (String::new(), false);
    loop {
        match poll(r, &mut recs) {
            Poll::Records(n) => {
                let first = r.next().wrapping_sub(n as u64);
                recs[..n].iter().enumerate().for_each(|(i, rec)| each(first.wrapping_add(i as u64), rec));
                looked = false;
            }
            p @ (Poll::Overrun | Poll::Epoch) => {
                let _ = write!(events, "{}@{} ", status_name(p), r.next());
                looked = false;
            }
            Poll::None if !looked => {
                r.wait(0);
                looked = true;
            }
            p => return format!("lost {} next {} epoch {} events {}end {}", r.lost(), r.next(), r.epoch(), events, status_name(p)),
        }
    }
}

fn drain_words<T: Words>(r: &mut Ring, batch: usize) -> String {
    let (mut read, mut wrong, mut sum) = (0u64, 0u64, 0u64);
    let end = drain(r, T::ZERO, batch, |number, rec| {
        read += 1;
        wrong += bad(rec.words(), number) as u64;
        for w in rec.words() {
            sum = (sum ^ w).wrapping_mul(0x100_0000_01b3);
        }
    });
    format!("drain read {read} bad {wrong} sum {sum:x} {end}\n")
}

fn header(h: &Header) -> String {
    format!("{} {} {} {} {}", h.rtype, h.length, h.publisher_id, h.instrument_id, h.ts_event)
}

fn trade(t: &Trade) -> String {
    format!(
        "{} {} {} {} {} {} {} {} {} {}",
        header(&t.hdr), t.price, t.size, t.action, t.side, t.flags, t.depth, t.ts_recv, t.ts_in_delta, t.sequence
    )
}

fn status(s: &Status) -> String {
    format!(
        "status {} {} {} {} {} {} {} {}",
        header(&s.hdr), s.ts_recv, s.action, s.reason, s.trading_event, s.is_trading, s.is_quoting, s.is_short_sell_restricted
    )
}

fn gap(g: &Gap) -> String {
    format!("gap {} {} {} {} {} {} {} {}", header(&g.hdr), g.first, g.last, g.ts_recv, g.state, g.channel_id, g.line, g.messages)
}

/// Each record by its type.
fn typed(r: &mut Ring) -> String {
    let mut out = String::new();
    let end = match r.kind() {
        Kind::Mbo => drain(r, Mbo::default(), 16, |number, m| {
            let text = if let Some(s) = m.view::<Status>() {
                status(s)
            } else if let Some(g) = m.view::<Gap>() {
                gap(g)
            } else {
                format!(
                    "mbo {} {} {} {} {} {} {} {} {} {} {}",
                    header(&m.hdr), m.order_id, m.price, m.size, m.flags, m.channel_id, m.action, m.side, m.ts_recv, m.ts_in_delta, m.sequence
                )
            };
            let _ = writeln!(out, "{number} {text}");
        }),
        Kind::Trades => drain(r, TradeSlot::default(), 16, |number, t| {
            let _ = writeln!(out, "{number} trade {} {}", trade(&t.rec), t.match_id);
        }),
        Kind::Mbp1 => drain(r, Mbp1Slot::default(), 16, |number, m| {
            let (l, p) = (&m.level, &m.plugin);
            let _ = writeln!(
                out,
                "{number} mbp1 {} {} {} {} {} {} {} {} {} {} {} {}",
                trade(&m.rec), l.bid_px, l.ask_px, l.bid_sz, l.ask_sz, l.bid_ct, l.ask_ct, m.ts_publish, p[0], p[1], p[2], p[3]
            );
        }),
        _ => drain(r, Event::default(), 16, |number, e| {
            let text = e.view::<Status>().map(status).or_else(|| e.view::<Gap>().map(gap));
            let _ = writeln!(out, "{number} {}", text.unwrap_or_default());
        }),
    };
    out + "typed " + &end + "\n"
}

/// Reads at full speed for some milliseconds (sleeping while there is nothing, when asked to) and checks every word.
fn follow<T: Words>(r: &mut Ring, ms: u64, sleep: bool) -> String {
    let until = Instant::now() + Duration::from_millis(ms);
    let (mut read, mut wrong, mut overruns, mut epochs, mut turn) = (0u64, 0u64, 0u64, 0u64, 0usize);
    let mut recs = vec![T::ZERO; 16];
    loop {
        turn += 1;
        match poll(r, &mut recs[..turn % 16 + 1]) {
            Poll::Records(n) => {
                let first = r.next().wrapping_sub(n as u64);
                wrong += recs[..n].iter().enumerate().filter(|(i, rec)| bad(rec.words(), first.wrapping_add(*i as u64))).count() as u64;
                read += n as u64;
            }
            Poll::Overrun => overruns += 1,
            Poll::Epoch => epochs += 1,
            Poll::Replaced => break,
            _ if sleep => {
                r.wait(1000);
            }
            _ => {}
        }
        if turn % 256 == 0 && Instant::now() >= until {
            break;
        }
    }
    format!("follow read {read} bad {wrong} overruns {overruns} epochs {epochs} lost {} next {} epoch {}\n", r.lost(), r.next(), r.epoch())
}

/// Reads all that the ring has, again and again.
fn speed<T: Words>(r: &mut Ring, batch: usize, ms: u64) -> Result<String, Error> {
    let (mut recs, mut read, mut sum) = (vec![T::ZERO; batch], 0u64, 0u64);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(ms) {
        r.join(Join::Oldest)?;
        while let Poll::Records(n) = poll(r, &mut recs) {
            read += n as u64;
            for rec in &recs[..n] {
                sum = sum.wrapping_add(rec.words()[3]);
            }
        }
    }
    Ok(format!("speed {read} {} {sum:x}\n", begin.elapsed().as_nanos()))
}

/// ns from the time in each record's first word to the clock after it was validated.
fn latency<T: Words>(r: &mut Ring, ms: u64) -> String {
    let (until, mut ns, mut rec) = (monotonic_ns() + ms * 1_000_000, Vec::with_capacity(1 << 20), T::ZERO);
    loop {
        let got = r.poll(&mut rec);
        let now = monotonic_ns();
        if got == Poll::Records(1) {
            ns.push(now.saturating_sub(rec.words()[0]));
        }
        if now >= until {
            break;
        }
    }
    ns.sort_unstable();
    let at = |share: usize| ns.get(ns.len() * share / 10).copied().unwrap_or(0);
    format!("latency {} {} {}\n", ns.len(), at(5), at(9))
}

macro_rules! by_size {
    ($f:ident($r:expr $(, $a:expr)*)) => {
        match $r.slot_bytes() {
            64 => $f::<[u64; 7]>($r $(, $a)*),
            128 => $f::<[u64; 15]>($r $(, $a)*),
            _ => $f::<[u64; 63]>($r $(, $a)*),
        }
    };
}

fn described(r: &Ring) -> String {
    let uuid: String = r.uuid().iter().map(|b| format!("{b:02x}")).collect();
    format!(
        "open kind {} slot {} slots {} name {} dataset {} uuid {uuid} minor {} publisher {} channel {} next {} epoch {}\n",
        r.kind() as u8, r.slot_bytes(), r.slots(), r.name(), r.dataset(), r.abi_minor(), r.publisher(), r.channel(), r.next(), r.epoch()
    )
}

fn instrument(i: &Instrument) -> String {
    let mic = String::from_utf8_lossy(&i.mic).trim_end_matches('\0').to_string();
    format!(
        "inst {} {} {} {} {} {} {} {} {} {} {} {} {}\n",
        i.instrument_id, i.publisher_id, i.class, i.flags, i.symbol(), i.min_price_increment, i.round_lot, i.contract_multiplier,
        i.decimals, i.status_action, i.channel, mic, i.definition_offset
    )
}

fn answer(a: &[&str], ring: &mut Option<Ring>, dir: &mut Option<Directory>) -> Result<String, Error> {
    let num = |i: usize| a[i].parse::<u64>().expect("a number");
    if a[0] == "open" {
        *ring = None;
        let mut r = Ring::open(a[1], join_of(a[2]))?;
        r.set_stale_after(Duration::from_millis(num(3)));
        let text = described(&r);
        *ring = Some(r);
        return Ok(text);
    }
    if a[0] == "instopen" {
        *dir = None;
        let d = Directory::open(a[1])?;
        let text = format!("instopen capacity {} count {}\n", d.capacity(), d.count());
        *dir = Some(d);
        return Ok(text);
    }
    if a[0] == "lookup" || a[0] == "find" {
        let d = dir.as_ref().expect("a directory");
        let i = if a[0] == "find" { d.find(num(1) as u16, a[2])? } else { d.lookup(num(1) as u16, num(2) as u32)? };
        return Ok(instrument(&i));
    }
    let r = ring.as_mut().expect("a ring");
    Ok(match a[0] {
        "drain" => by_size!(drain_words(r, num(1) as usize)),
        "typed" => typed(r),
        "follow" => by_size!(follow(r, num(1), a[2] == "1")),
        "latency" => by_size!(latency(r, num(1))),
        "speed" => by_size!(speed(r, num(1) as usize, num(2)))?,
        "join" => {
            r.join(join_of(a[1]))?;
            format!("join next {} epoch {}\n", r.next(), r.epoch())
        }
        "seek" => {
            r.seek(num(1))?;
            format!("seek next {}\n", r.next())
        }
        "state" => format!("state {} stamps {} alive {} lag {}\n", r.state() as u32, r.stamps(), r.alive() as u8, r.lag()),
        "wait" => format!("wait {}\n", r.wait(num(1) * 1000)),
        "stale" => {
            r.set_stale_after(Duration::from_millis(num(1)));
            "ok\n".to_string()
        }
        other => panic!("no command {other}"),
    })
}

fn main() {
    let (mut ring, mut dir) = (None, None);
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("a command");
        let a: Vec<&str> = line.split(' ').collect();
        let text = answer(&a, &mut ring, &mut dir).unwrap_or_else(|e| format!("error {}\n", error_name(&e)));
        print!("{text}.\n");
        std::io::stdout().flush().expect("an answer");
    }
}
