//! Pinging an address every few milliseconds: how long was it away, and who answers.

use crate::api::Lab;
use crate::error::{Context, Result};
use crate::keeper::format_mac;
use crate::layout::{FLOATING_ADDRESS, INTERFACE, Plan};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;
use sys::packet::{ETHERTYPE_IPV4, FrameSocket, raw_ip_socket};
use sys::rtnl::Rtnl;
use sys::{EventFd, Interest, Poller};

/// Pings stay unanswered at the end of a watch only if they are older than this.
const GRACE: Duration = Duration::from_millis(20);
pub(crate) const ICMP: i32 = 1;
const ECHO_REQUEST: u8 = 8;
const ECHO_REPLY: u8 = 0;
const ETHERNET_BYTES: usize = 14;

/// What to watch.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    pub address: Ipv4Addr,
    pub seconds: u64,
    /// Time between two pings, 1 to 1000 ms.
    pub interval_ms: u64,
}

impl Default for WatchOptions {
    fn default() -> WatchOptions {
        WatchOptions { address: FLOATING_ADDRESS, seconds: 10, interval_ms: 2 }
    }
}

/// A time without answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// From the start of the watch to the first ping without an answer, microseconds.
    pub start_us: u64,
    /// To the first ping that was answered again (or the end of the watch), microseconds.
    pub length_us: u64,
}

/// From when on which host answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answerer {
    /// From the start of the watch, microseconds.
    pub from_us: u64,
    pub mac: [u8; 6],
}

/// What a watch saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchReport {
    pub sent: u64,
    pub received: u64,
    pub gaps: Vec<Gap>,
    pub answerers: Vec<Answerer>,
}

impl WatchReport {
    /// The longest time without answers, microseconds; 0 if there was none.
    pub fn longest_gap_us(&self) -> u64 {
        self.gaps.iter().map(|g| g.length_us).max().unwrap_or(0)
    }

    /// One fact per line, for programs of ours.
    fn encode(&self) -> String {
        let mut text = format!("sent {}\nreceived {}\n", self.sent, self.received);
        for gap in &self.gaps {
            text.push_str(&format!("gap {} {}\n", gap.start_us, gap.length_us));
        }
        for answerer in &self.answerers {
            text.push_str(&format!("answerer {} {}\n", answerer.from_us, format_mac(&answerer.mac)));
        }
        text
    }

    pub(crate) fn decode(text: &str) -> Option<WatchReport> {
        let mut report = WatchReport::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["sent", n] => report.sent = n.parse().ok()?,
                ["received", n] => report.received = n.parse().ok()?,
                ["gap", start, length] => {
                    report.gaps.push(Gap { start_us: start.parse().ok()?, length_us: length.parse().ok()? });
                }
                ["answerer", from, mac] => {
                    let bytes: Option<Vec<u8>> =
                        mac.split(':').map(|b| u8::from_str_radix(b, 16).ok()).collect();
                    report
                        .answerers
                        .push(Answerer { from_us: from.parse().ok()?, mac: bytes?.try_into().ok()? });
                }
                _ => return None,
            }
        }
        (report.sent > 0).then_some(report)
    }

    fn to_json(&self, plan: &Plan, options: &WatchOptions) -> String {
        let ms = |us: u64| us as f64 / 1000.0;
        let gaps: Vec<String> = self
            .gaps
            .iter()
            .map(|g| {
                format!("{{\"start_ms\": {:.3}, \"length_ms\": {:.3}}}", ms(g.start_us), ms(g.length_us))
            })
            .collect();
        let answerers: Vec<String> = self
            .answerers
            .iter()
            .map(|a| {
                let (mac, host) = (format_mac(&a.mac), host_of(plan, &a.mac).unwrap_or_default());
                format!("{{\"from_ms\": {:.3}, \"mac\": \"{mac}\", \"host\": \"{host}\"}}", ms(a.from_us))
            })
            .collect();
        format!(
            "{{\"address\": \"{}\", \"interval_ms\": {}, \"sent\": {}, \"received\": {}, \"longest_gap_ms\": {:.3}, \
             \"gaps\": [{}], \"answerers\": [{}]}}\n",
            options.address,
            options.interval_ms,
            self.sent,
            self.received,
            ms(self.longest_gap_us()),
            gaps.join(", "),
            answerers.join(", ")
        )
    }

    fn to_text(&self, plan: &Plan, options: &WatchOptions) -> String {
        let seconds = |us: u64| us as f64 / 1_000_000.0;
        let mut lines: Vec<(u64, String)> = Vec::new();
        for answerer in &self.answerers {
            let name = host_of(plan, &answerer.mac).map(|n| format!(" ({n})")).unwrap_or_default();
            lines.push((answerer.from_us, format!("{} answers{name}", format_mac(&answerer.mac))));
        }
        for gap in &self.gaps {
            lines.push((gap.start_us, format!("no answer for {:.1} ms", gap.length_us as f64 / 1000.0)));
        }
        lines.sort();
        let mut text = format!("{} every {} ms from host\n", options.address, options.interval_ms);
        for (at, line) in lines {
            text.push_str(&format!("{:>9.3} s  {line}\n", seconds(at)));
        }
        text.push_str(&format!(
            "{} of {} pings answered; longest gap {:.1} ms\n",
            self.received,
            self.sent,
            self.longest_gap_us() as f64 / 1000.0
        ));
        text
    }
}

fn host_of(plan: &Plan, mac: &[u8; 6]) -> Option<String> {
    plan.hosts().into_iter().find(|h| h.mac() == *mac).map(|h| h.full_name())
}

/// How to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
    /// [`WatchReport::encode`]; ends early when standard input ends.
    Lines,
}

/// Watches from `host` and prints the report.
pub(crate) fn run(lab: &Lab, options: &WatchOptions, format: Format) -> Result<()> {
    crate::enter::enter_network(lab.pid("host")?)?;
    let stop = Arc::new(EventFd::new().context(|| "eventfd".into())?);
    if format == Format::Lines {
        let stop = Arc::clone(&stop);
        // Never joined: it waits for ever when the watch ends by time.
        std::thread::spawn(move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            stop.notify();
        });
    }
    let report = measure(options, &stop)?;
    let text = match format {
        Format::Text => report.to_text(lab.plan(), options),
        Format::Json => report.to_json(lab.plan(), options),
        Format::Lines => report.encode(),
    };
    print!("{text}");
    Ok(())
}

/// When each ping was sent, and whether it was answered.
struct Pings {
    start_ns: u64,
    sent_ns: Vec<u64>,
    answered: Vec<bool>,
    answerers: Vec<Answerer>,
}

fn measure(options: &WatchOptions, stop: &EventFd) -> Result<WatchReport> {
    let link =
        Rtnl::open().and_then(|mut r| r.link(INTERFACE)).context(|| "cannot find the interface".into())?;
    // Replies are read as frames, so that the hardware address of the sender is seen each time.
    let frames = FrameSocket::open(link.index, ETHERTYPE_IPV4).context(|| "cannot read frames".into())?;
    let socket = raw_ip_socket(false, ICMP).context(|| "cannot send pings".into())?;
    let to = SocketAddrV4::new(options.address, 0).into();
    let identifier = std::process::id() as u16;
    let poller = Poller::new().context(|| "poller".into())?;
    poller.add(&frames, 0, Interest::READ).context(|| "poller".into())?;
    poller.add(stop, 1, Interest::READ).context(|| "poller".into())?;
    let start_ns = sys::clock::monotonic_ns();
    let end_ns = start_ns + options.seconds * 1_000_000_000;
    let interval_ns = options.interval_ms * 1_000_000;
    let mut pings = Pings { start_ns, sent_ns: Vec::new(), answered: Vec::new(), answerers: Vec::new() };
    let (mut next_ns, mut ready) = (start_ns, Vec::new());
    loop {
        let now = sys::clock::monotonic_ns();
        if now >= end_ns {
            break;
        }
        if now >= next_ns {
            // While the address is away its resolution fails too; that is a lost ping.
            let _ = socket.send_to(&echo_request(identifier, pings.sent_ns.len() as u32), &to);
            pings.sent_ns.push(now);
            pings.answered.push(false);
            next_ns = (next_ns + interval_ns).max(now);
        }
        let wait = Duration::from_nanos(next_ns.saturating_sub(sys::clock::monotonic_ns()));
        poller.wait(&mut ready, Some(wait)).context(|| "poller".into())?;
        receive(&frames, &mut pings, options.address, identifier)?;
        if ready.iter().any(|r| r.token == 1) {
            break;
        }
    }
    std::thread::sleep(GRACE.min(Duration::from_nanos(interval_ns)));
    receive(&frames, &mut pings, options.address, identifier)?;
    Ok(summary(&pings, sys::clock::monotonic_ns()))
}

fn receive(frames: &FrameSocket, pings: &mut Pings, from: Ipv4Addr, identifier: u16) -> Result<()> {
    let mut buffer = [0u8; 2048];
    while let Some(length) = frames.receive(&mut buffer).context(|| "cannot read frames".into())? {
        let frame = buffer.get(..length).unwrap_or_default();
        let Some((mac, sequence)) = parse_reply(frame, from, identifier) else { continue };
        let Some(answered) = pings.answered.get_mut(sequence as usize) else { continue };
        *answered = true;
        if pings.answerers.last().is_none_or(|a| a.mac != mac) {
            let from_us = sys::clock::monotonic_ns().saturating_sub(pings.start_ns) / 1000;
            pings.answerers.push(Answerer { from_us, mac });
        }
    }
    Ok(())
}

/// ICMP echo with the 32-bit number of the ping as data (the 16-bit field would repeat).
pub(crate) fn echo_request(identifier: u16, number: u32) -> [u8; 12] {
    let mut packet = [0u8; 12];
    packet[0] = ECHO_REQUEST;
    packet[4..6].copy_from_slice(&identifier.to_be_bytes());
    packet[6..8].copy_from_slice(&(number as u16).to_be_bytes());
    packet[8..12].copy_from_slice(&number.to_be_bytes());
    let sum = checksum(&packet);
    packet[2..4].copy_from_slice(&sum.to_be_bytes());
    packet
}

fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|c| u32::from(c[0]) << 8 | u32::from(c.get(1).copied().unwrap_or(0)));
    let mut sum: u32 = words.sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !(sum as u16)
}

/// Hardware address of the sender and number of the ping, if the frame is an answer to one of ours.
fn parse_reply(frame: &[u8], from: Ipv4Addr, identifier: u16) -> Option<([u8; 6], u32)> {
    let mac: [u8; 6] = frame.get(6..12)?.try_into().ok()?;
    Some((mac, parse_echo_reply(frame.get(ETHERNET_BYTES..)?, from, identifier)?))
}

/// Number of the ping, if the IP packet is an answer to one of ours.
pub(crate) fn parse_echo_reply(ip: &[u8], from: Ipv4Addr, identifier: u16) -> Option<u32> {
    let header = usize::from(ip.first()? & 0x0F) * 4;
    if *ip.get(9)? != ICMP as u8 || ip.get(12..16)? != from.octets() {
        return None;
    }
    let icmp = ip.get(header..)?;
    if *icmp.first()? != ECHO_REPLY || icmp.get(4..6)? != identifier.to_be_bytes() {
        return None;
    }
    Some(u32::from_be_bytes(icmp.get(8..12)?.try_into().ok()?))
}

fn summary(pings: &Pings, end_ns: u64) -> WatchReport {
    let mut gaps = Vec::new();
    // When the first ping of the gap that is open was sent.
    let mut lost: Option<u64> = None;
    let us = |ns: u64| ns.saturating_sub(pings.start_ns) / 1000;
    let mut close = |lost: Option<u64>, until_ns: u64| {
        if let Some(first_ns) = lost {
            gaps.push(Gap { start_us: us(first_ns), length_us: until_ns.saturating_sub(first_ns) / 1000 });
        }
    };
    for (sent_ns, answered) in pings.sent_ns.iter().zip(&pings.answered) {
        if *answered {
            close(lost.take(), *sent_ns);
        } else {
            lost.get_or_insert(*sent_ns);
        }
    }
    close(lost, end_ns);
    WatchReport {
        sent: pings.sent_ns.len() as u64,
        received: pings.answered.iter().filter(|a| **a).count() as u64,
        gaps,
        answerers: pings.answerers.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn gaps_are_measured_between_sent_pings() {
        let answered = [true, true, false, false, false, true, false, true, false, false];
        let pings = Pings {
            start_ns: 1000,
            sent_ns: (0..10).map(|i| 1000 + i * 2_000_000).collect(),
            answered: answered.to_vec(),
            answerers: vec![Answerer { from_us: 3, mac: [1, 2, 3, 4, 5, 6] }],
        };
        let report = summary(&pings, 1000 + 21_000_000);
        assert_eq!(
            report.gaps,
            [
                Gap { start_us: 4000, length_us: 6000 },
                Gap { start_us: 12_000, length_us: 2000 },
                Gap { start_us: 16_000, length_us: 5000 }
            ]
        );
        assert_eq!((report.sent, report.received, report.longest_gap_us()), (10, 4, 6000));
        assert_eq!(WatchReport::decode(&report.encode()), Some(report));
    }

    #[test]
    fn checksum_of_a_request_verifies() {
        assert_eq!(checksum(&echo_request(0x1234, 0xABCDE)), 0);
    }

    proptest! {
        #[test]
        fn arbitrary_frames_never_panic(frame in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse_reply(&frame, Ipv4Addr::LOCALHOST, 1);
        }
    }
}
