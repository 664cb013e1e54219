//! A hostile host on the wire of a ring, for tests: records what the others send, then sends it again, cut short, with
//! flipped bits, and forged, from their addresses.
//!
//! `hostile RECORD_MS SEALED ADDRESS…` listens to all frames of its namespace for RECORD_MS, says `recorded N`, waits
//! for a line on its input, attacks the ADDRESSes (port 5405), and says what it sent. SEALED is 1 where the ring is
//! encrypted: forgeries are then knet packets made with another key, else Totem packets. It ends by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::{ErrorKind, Read as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use knet::wire::{Beat, Data, Header, Packet};
use knet::{CipherKind, Crypto, HashKind, Keys};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

const PORT: u16 = 5405;
/// All protocols, in network order (`ETH_P_ALL`).
const EVERYTHING: i32 = 0x0300;
const RECORDED_MAX: usize = 3000;
const SAMPLES_MAX: usize = 24;
const FLIPS_PER_SAMPLE: usize = 64;
const FORGERIES: usize = 600;
const ROUNDS: usize = 2;
const FLOOD: usize = 40_000;
const SENDS_PER_MS: usize = 4;
const FLOODS_PER_MS: usize = 20;

struct Recorded {
    from: Ipv4Addr,
    to: Ipv4Addr,
    bytes: Vec<u8>,
}

/// A small generator; the same attack each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 8).unwrap_or(0) % limit.max(1)
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| u8::try_from(self.below(256)).unwrap_or(0)).collect()
    }
}

/// Sends from addresses that are not ours, at a bounded rate.
#[derive(Default)]
struct Liar {
    sockets: BTreeMap<Ipv4Addr, Socket>,
    sent: usize,
}

impl Liar {
    fn send(
        &mut self,
        from: Ipv4Addr,
        to: Ipv4Addr,
        bytes: &[u8],
        per_ms: usize,
    ) -> Result<(), Box<dyn Error>> {
        let socket = match self.sockets.entry(from) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
                socket.set_ip_transparent_v4(true)?;
                socket.set_reuse_address(true)?;
                socket.bind(&SocketAddr::new(IpAddr::V4(from), PORT).into())?;
                entry.insert(socket)
            }
        };
        let to: SockAddr = SocketAddr::new(IpAddr::V4(to), PORT).into();
        // Refusals of the network are the attacker's own trouble.
        let _ = socket.send_to(bytes, &to);
        self.sent += 1;
        if self.sent.is_multiple_of(per_ms) {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [record_ms, sealed, addresses @ ..] = args.as_slice() else {
        return Err("usage: hostile RECORD_MS SEALED ADDRESS…".into());
    };
    let members: Vec<Ipv4Addr> = addresses.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    let recorded = record(Duration::from_millis(record_ms.parse()?), &members)?;
    println!("recorded {}", recorded.len());
    std::io::stdin().read_exact(&mut [0])?;
    let start = Instant::now();
    let mut liar = Liar::default();
    for _ in 0..ROUNDS {
        for packet in &recorded {
            liar.send(packet.from, packet.to, &packet.bytes, SENDS_PER_MS)?;
        }
    }
    println!("replayed {} in {:?}", liar.sent, start.elapsed());
    damage(&mut liar, &recorded)?;
    println!("damaged: {} after {:?}", liar.sent, start.elapsed());
    forge(&mut liar, &members, sealed == "1")?;
    println!("forged: {} after {:?}", liar.sent, start.elapsed());
    flood(&mut liar, &members)?;
    println!("sent {} in {:?}", liar.sent, start.elapsed());
    Ok(())
}

/// UDP datagrams between the members, off the wire.
fn record(time: Duration, members: &[Ipv4Addr]) -> Result<Vec<Recorded>, Box<dyn Error>> {
    let mut socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(EVERYTHING)))?;
    socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    let end = Instant::now() + time;
    let mut frame = vec![0; 65_536];
    let mut recorded = Vec::new();
    while Instant::now() < end && recorded.len() < RECORDED_MAX {
        match socket.read(&mut frame) {
            Ok(len) => recorded.extend(frame.get(..len).and_then(datagram)),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
    }
    recorded.retain(|packet| members.contains(&packet.from) && members.contains(&packet.to));
    Ok(recorded)
}

/// A whole UDP datagram for the ring's port in an Ethernet frame.
fn datagram(frame: &[u8]) -> Option<Recorded> {
    const ETHERNET: usize = 14;
    let field = |at: usize| Some(u16::from_be_bytes(*frame.get(at..)?.first_chunk::<2>()?));
    let address = |at: usize| Some(Ipv4Addr::from(*frame.get(at..)?.first_chunk::<4>()?));
    let is_udp = field(12)? == 0x0800 && *frame.get(23)? == 17 && field(20)? & 0x3fff == 0;
    let udp = ETHERNET + usize::from(frame.get(14)? & 15) * 4;
    if !is_udp || field(udp + 2)? != PORT {
        return None;
    }
    let bytes = frame.get(udp + 8..udp + usize::from(field(udp + 4)?))?.to_vec();
    Some(Recorded { from: address(26)?, to: address(30)?, bytes })
}

/// Packets of each length that was seen: cut at every length, and with single bits flipped.
fn damage(liar: &mut Liar, recorded: &[Recorded]) -> Result<(), Box<dyn Error>> {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut lengths = BTreeSet::new();
    let samples = recorded.iter().filter(|packet| lengths.insert(packet.bytes.len())).take(SAMPLES_MAX);
    for sample in samples {
        for len in 0..sample.bytes.len() {
            let cut = sample.bytes.get(..len).unwrap_or_default();
            liar.send(sample.from, sample.to, cut, SENDS_PER_MS)?;
        }
        for _ in 0..FLIPS_PER_SAMPLE {
            let mut bytes = sample.bytes.clone();
            let place = dice.below(bytes.len());
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= 1 << dice.below(8);
            }
            liar.send(sample.from, sample.to, &bytes, SENDS_PER_MS)?;
        }
    }
    Ok(())
}

fn forge(liar: &mut Liar, members: &[Ipv4Addr], sealed: bool) -> Result<(), Box<dyn Error>> {
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let keys = Keys { cipher: CipherKind::Aes256, hash: HashKind::Sha256, key: vec![0x55; 256] };
    let other_key = Crypto::new(&keys)?;
    for number in 0..FORGERIES {
        for (index, from) in members.iter().enumerate() {
            let to = members.get((index + 1) % members.len()).copied().unwrap_or(*from);
            let node = u16::try_from(index + 1)?;
            let bytes = match (sealed, number % 2) {
                (true, 0) => other_key.seal([7; 16], &envelope(&mut dice, node)),
                (true, _) => envelope(&mut dice, node),
                (false, _) => nonsense(&mut dice, u8::try_from(number % 8)?),
            };
            liar.send(*from, to, &bytes, SENDS_PER_MS)?;
        }
    }
    Ok(())
}

/// A packet of knet as the node would send it, with a leave of another node in it.
fn envelope(dice: &mut Dice, node: u16) -> Vec<u8> {
    let seq = u16::try_from(dice.below(65_536)).unwrap_or(0);
    let beat = Beat { link: 0, time: [0; 16], seq, timed: 1 };
    let leave = totem::wire::Packet::Join(totem::wire::Join {
        system_from: 1,
        ring_seq: 1 << 40,
        proc: vec![2, 3],
        failed: vec![1],
    });
    let leave = totem::wire::encode(totem::wire::Header::native(0, 0), &leave, &[]);
    let fill = dice.bytes(1000);
    let packet = match dice.below(5) {
        0 => Packet::Ping(beat),
        1 => Packet::Pong(beat),
        2 => Packet::Probe { link: 0, size: [0xdc, 5], fill: &fill },
        3 => Packet::ProbeReply { link: 0, size: [0xff, 0xff] },
        _ => Packet::Data(Data {
            seq,
            compress: 0,
            pad: 0,
            broadcast: 1,
            fragments: 1,
            fragment: 0,
            channel: 0,
            payload: &leave,
        }),
    };
    knet::wire::encode(Header { node, pads: [0; 2] }, &packet)
}

/// A Totem header and then anything.
fn nonsense(dice: &mut Dice, kind: u8) -> Vec<u8> {
    let len = dice.below(400);
    [&[0x70, 0xc0, 3, kind][..], &dice.bytes(len)].concat()
}

fn flood(liar: &mut Liar, members: &[Ipv4Addr]) -> Result<(), Box<dyn Error>> {
    let mut dice = Dice(0xd1b5_4a32_d192_ed03);
    let rubbish = dice.bytes(1400);
    for number in 0..FLOOD {
        let from = members.get(number % members.len()).copied().unwrap_or(Ipv4Addr::LOCALHOST);
        let to = members.get((number + 1) % members.len()).copied().unwrap_or(Ipv4Addr::LOCALHOST);
        let len = 1 + dice.below(rubbish.len());
        liar.send(from, to, rubbish.get(..len).unwrap_or_default(), FLOODS_PER_MS)?;
    }
    Ok(())
}
