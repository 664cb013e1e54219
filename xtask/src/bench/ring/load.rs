//! The client that the benchmark runs in the hosts: `xtask __cpg KIND …`, the same one on both engines.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

use clients::{Cpg, CpgEvent, Error, Guarantee};

use super::bare;

const GROUP: &[u8] = b"bench";
/// Each message of a flood ends with its number.
const NUMBER_BYTES: usize = 8;
/// Messages sent before the client looks at what has arrived.
const BURST: usize = 64;
/// Longest sleep when there is nothing to do.
const NAP: Duration = Duration::from_millis(1);
/// Time before anything is counted.
const WARM_UP: Duration = Duration::from_millis(400);
/// Pause between two messages of a ring at rest: longer than any hold time is short.
const REST: Duration = Duration::from_millis(37);
/// Pings that were not answered within this time are left out; the echo lives a little longer.
const PING_PATIENCE: Duration = Duration::from_millis(2500);
const OPEN_PATIENCE: Duration = Duration::from_secs(60);

/// Entry of the hidden command.
///
/// # Errors
/// What the engine says, as text.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let number = |index: usize| arguments.get(index).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let word = |index: usize| arguments.get(index).map_or("", String::as_str);
    let bare = match word(0) {
        "bare-relay" => Some(bare::relay(word(1), word(2), number(3))),
        "bare-echo" => Some(bare::echo(number(1))),
        "bare-ping" => Some(bare::ping(number(1))),
        _ => None,
    };
    if let Some(outcome) = bare {
        return outcome.map_err(|error| error.to_string());
    }
    let outcome = match arguments.first().map(String::as_str) {
        Some("flood") => flood(number(1), number(2), number(3), number(4)),
        Some("echo") => echo(number(1)),
        Some("ping") => ping(number(1)),
        Some("watch") => watch(number(1)),
        _ => return Err("a command of the benchmark itself".into()),
    };
    outcome.map_err(|error| error.to_string())
}

fn open() -> Result<Cpg, Error> {
    let start = Instant::now();
    loop {
        match Cpg::open().and_then(|mut cpg| cpg.join(GROUP, true).map(|()| cpg)) {
            Ok(cpg) => return Ok(cpg),
            Err(error) if start.elapsed() > OPEN_PATIENCE => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn nap(cpg: &Cpg) {
    // Whatever ends the wait, the caller looks again.
    let _ = sys::poll::wait_one(cpg.fd(), sys::Interest::READ, Some(NAP));
}

/// Waits until as many processes are in the group. Who waits in vain is told that it timed out.
fn await_members(cpg: &mut Cpg, wanted: u64) -> Result<(), Error> {
    let start = Instant::now();
    while start.elapsed() < OPEN_PATIENCE {
        while let Some(event) = cpg.poll_event()? {
            if let CpgEvent::Membership { members, .. } = event
                && members.len() as u64 >= wanted
            {
                return Ok(());
            }
        }
        nap(cpg);
    }
    Err(Error::Timeout)
}

/// Sends messages of a size, so many a second or (0) as fast as the engine takes them, and prints the rate of
/// deliveries.
fn flood(size: u64, millis: u64, members: u64, per_second: u64) -> Result<(), Error> {
    let mut cpg = open()?;
    await_members(&mut cpg, members)?;
    let mut message = vec![0x5a; usize::try_from(size).unwrap_or(64).max(NUMBER_BYTES)];
    let mut sent = 0u64;
    let mut next: BTreeMap<u32, u64> = BTreeMap::new();
    let start = Instant::now();
    let end = start + WARM_UP + Duration::from_millis(millis);
    let mut counted = 0u64;
    let mut counting_since = None;
    while Instant::now() < end {
        let mut idle = true;
        for _ in 0..BURST {
            if per_second > 0
                && u128::from(sent) * 1_000_000 >= u128::from(per_second) * start.elapsed().as_micros()
            {
                break;
            }
            let end = message.len() - NUMBER_BYTES;
            message[end..].copy_from_slice(&sent.to_ne_bytes());
            match cpg.mcast(Guarantee::Agreed, &[&message]) {
                Ok(()) => {
                    idle = false;
                    sent += 1;
                }
                Err(Error::TryAgain) => break,
                Err(error) => return Err(error),
            }
        }
        while let Some(event) = cpg.poll_event()? {
            idle = false;
            // What is of another length is a ping.
            if let CpgEvent::Message { node, data, .. } = event
                && data.len() == message.len()
            {
                check(next.entry(node).or_insert_with(|| number(&data)), &data);
                counted += 1;
            }
        }
        if counting_since.is_none() && start.elapsed() >= WARM_UP {
            counting_since = Some(Instant::now());
            counted = 0;
        }
        if idle {
            nap(&cpg);
        }
    }
    let seconds = counting_since.map_or(1.0, |since| since.elapsed().as_secs_f64());
    println!("{:.1}", counted as f64 / seconds);
    Ok(())
}

fn number(data: &[u8]) -> u64 {
    data.last_chunk::<NUMBER_BYTES>().map_or(u64::MAX, |bytes| u64::from_ne_bytes(*bytes))
}

/// What is fast but loses or repeats messages does not count.
fn check(next: &mut u64, data: &[u8]) {
    assert_eq!(number(data), *next, "a message was lost, repeated or overtaken");
    *next += 1;
}

/// Answers every ping of another node.
fn echo(millis: u64) -> Result<(), Error> {
    let mut cpg = open()?;
    let me = cpg.local_node()?;
    let end = Instant::now() + Duration::from_millis(millis);
    while Instant::now() < end {
        while let Some(event) = cpg.poll_event()? {
            let CpgEvent::Message { node, data, .. } = event else { continue };
            if node != me && data.first() == Some(&b'?') {
                while let Err(Error::TryAgain) = cpg.mcast(Guarantee::Agreed, &[b"!", &data[1..]]) {
                    nap(&cpg);
                }
            }
        }
        nap(&cpg);
    }
    Ok(())
}

/// What others send is read meanwhile.
fn rest(cpg: &mut Cpg) -> Result<(), Error> {
    let end = Instant::now() + REST;
    while Instant::now() < end {
        while cpg.poll_event()?.is_some() {}
        nap(cpg);
    }
    Ok(())
}

/// Prints the times of `count` round trips to the first node that answers, in microseconds.
fn ping(count: u64) -> Result<(), Error> {
    let mut cpg = open()?;
    await_members(&mut cpg, 2)?;
    let end = Instant::now() + PING_PATIENCE;
    for number in 0..count {
        if Instant::now() > end {
            break;
        }
        rest(&mut cpg)?;
        let mut message = vec![b'?'];
        message.extend_from_slice(&number.to_ne_bytes());
        let start = Instant::now();
        while let Err(Error::TryAgain) = cpg.mcast(Guarantee::Agreed, &[&message]) {
            nap(&cpg);
        }
        let mut wanted = message;
        wanted[0] = b'!';
        'answer: loop {
            if Instant::now() > end {
                return Ok(());
            }
            while let Some(event) = cpg.poll_event()? {
                if matches!(&event, CpgEvent::Message { data, .. } if *data == wanted) {
                    break 'answer;
                }
            }
            nap(&cpg);
        }
        println!("{}", start.elapsed().as_micros());
    }
    Ok(())
}

/// Prints the time of the monotonic clock in ms and the number of members at each change of the ring.
fn watch(millis: u64) -> Result<(), Error> {
    let mut cpg = open()?;
    let end = Instant::now() + Duration::from_millis(millis);
    while Instant::now() < end {
        while let Some(event) = cpg.poll_event()? {
            if let CpgEvent::Ring { members, .. } = event {
                let line = format!("{} {}\n", sys::clock::monotonic_ms(), members.len());
                // Whoever listens has heard enough.
                if std::io::stdout().write_all(line.as_bytes()).is_err() {
                    return Ok(());
                }
            }
        }
        nap(&cpg);
    }
    Ok(())
}
