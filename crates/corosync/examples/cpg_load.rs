//! Load for tests of the ring: a group of processes, one on each node, that all send and all check what they get.
//!
//! `cpg_load GROUP MEMBERS MESSAGES LARGEST PAUSE_US` joins, waits until there are MEMBERS, sends MESSAGES of 10 to
//! LARGEST bytes with a pause in between, and ends when the messages of all members have arrived. Each line of
//! its output is an event in the order of delivery, so the outputs of all members must be the same from the line
//! `start` on.

use std::error::Error;
use std::io::Write as _;
use std::time::{Duration, Instant};

use clients::{Cpg, CpgEvent, Guarantee};
use sys::Interest;

const LIMIT: Duration = Duration::from_secs(45);
const SMALLEST: usize = 10;

struct Load {
    cpg: Cpg,
    members: usize,
    total: usize,
    seen: usize,
    present: usize,
    out: std::io::BufWriter<std::io::Stdout>,
    started: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [group, members, messages, largest, pause_us] = args.as_slice() else {
        return Err("usage: cpg_load GROUP MEMBERS MESSAGES LARGEST PAUSE_US".into());
    };
    let (members, messages): (usize, usize) = (members.parse()?, messages.parse()?);
    let (largest, pause): (usize, u64) = (largest.parse()?, pause_us.parse()?);
    let mut cpg = Cpg::open()?;
    let node = cpg.local_node()?;
    cpg.join(group.as_bytes(), false)?;
    let out = std::io::BufWriter::new(std::io::stdout());
    let mut load = Load { cpg, members, total: members * messages, seen: 0, present: 0, out, started: false };
    let end = Instant::now() + LIMIT;
    while load.present < members {
        load.pump(Duration::from_millis(100))?;
        check(end, "the members")?;
    }
    for index in 0..messages {
        let body = body(node, u32::try_from(index)?, size(node, index, largest));
        while !load.send(&body)? {
            load.pump(Duration::from_millis(1))?;
            check(end, "room in the queue")?;
        }
        load.pump(Duration::ZERO)?;
        let until = Instant::now() + Duration::from_micros(pause);
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            load.pump(left)?;
        }
    }
    while load.seen < load.total {
        load.pump(Duration::from_millis(100))?;
        check(end, "all messages").map_err(|error| format!("{error}: {} of {}", load.seen, load.total))?;
    }
    writeln!(load.out, "done")?;
    load.out.flush()?;
    Ok(())
}

fn check(end: Instant, what: &str) -> Result<(), String> {
    if Instant::now() < end { Ok(()) } else { Err(format!("waited in vain for {what}")) }
}

/// Sizes are spread evenly over their orders of magnitude.
fn size(node: u32, index: usize, largest: usize) -> usize {
    let mut state = (u64::from(node) << 32) ^ (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    state ^= state >> 29;
    state = state.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let share = (state >> 40) as f64 / (1u64 << 24) as f64;
    let (low, high) = ((SMALLEST as f64).ln(), (largest.max(SMALLEST) as f64).ln());
    ((low + share * (high - low)).exp() as usize).clamp(SMALLEST, largest.max(SMALLEST))
}

/// A message that tells who sent it as which, and whose every byte can be checked.
fn body(node: u32, index: u32, size: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = node.to_le_bytes().into_iter().chain(index.to_le_bytes()).collect();
    let mut state = node.wrapping_mul(31).wrapping_add(index) | 1;
    while bytes.len() < size {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Half of the bytes repeat, so that compression has something to do.
        bytes.push(if state & 0x8000_0000 == 0 { b'x' } else { (state >> 16) as u8 });
    }
    bytes
}

impl Load {
    fn send(&mut self, body: &[u8]) -> Result<bool, clients::Error> {
        match self.cpg.mcast(Guarantee::default(), &[body]) {
            Ok(()) => Ok(true),
            Err(clients::Error::TryAgain) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn pump(&mut self, wait: Duration) -> Result<(), Box<dyn Error>> {
        sys::poll::wait_one(self.cpg.fd(), Interest::READ, Some(wait))?;
        while let Some(event) = self.cpg.poll_event()? {
            if self.seen == self.total {
                // What follows is the end of the others.
                break;
            }
            match event {
                CpgEvent::Message { node, data, .. } => self.take(node, &data)?,
                CpgEvent::Membership { members, .. } => {
                    self.present = members.len();
                    if self.started {
                        writeln!(self.out, "members {}", members.len())?;
                    } else if members.len() == self.members {
                        self.started = true;
                        writeln!(self.out, "start")?;
                    }
                    self.out.flush()?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn take(&mut self, node: u32, data: &[u8]) -> Result<(), Box<dyn Error>> {
        let field = |at: usize| data.get(at..at + 4).and_then(|bytes| bytes.first_chunk::<4>().copied());
        let index = field(4).map(u32::from_le_bytes).ok_or("a short message")?;
        if data != body(node, index, data.len()) {
            return Err(format!("message {index} of node {node} is damaged").into());
        }
        self.seen += 1;
        writeln!(self.out, "message {node} {index} {}", data.len())?;
        Ok(())
    }
}
