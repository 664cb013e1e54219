//! Two parties that speak over a wire which loses, repeats, damages and forges.

use std::collections::VecDeque;
use std::time::Duration;

use totem::Instant;

use crate::input::Input;

/// Steps of one run.
const STEPS_MAX: usize = 400;
/// Packets under way to one party.
const QUEUE_MAX: usize = 64;
const PASS_MAX_US: u32 = 4_000_000;

/// One end of the wire.
pub trait Party {
    /// What travels, with what the receiver knows about its way.
    type Packet: Clone;

    fn handle(&mut self, now: Instant, packet: &Self::Packet);

    /// Takes everything that the party has for others; what goes to the wire is returned.
    fn drain(&mut self) -> Vec<Self::Packet>;

    fn deadline(&self) -> Option<Instant>;

    fn timeout(&mut self, now: Instant);

    /// A program on this side sends something.
    fn submit(&mut self, now: Instant, choice: u8, bytes: &[u8]);

    /// Something that the other side never sent.
    fn forged(&self, choice: u8, bytes: &[u8]) -> Self::Packet;

    fn bytes_mut(packet: &mut Self::Packet) -> &mut [u8];
}

struct Net<P: Party> {
    now: Instant,
    parties: [P; 2],
    queues: [VecDeque<P::Packet>; 2],
}

impl<P: Party> Net<P> {
    fn drain(&mut self, at: usize) {
        for packet in self.parties[at].drain() {
            if self.queues[1 - at].len() < QUEUE_MAX {
                self.queues[1 - at].push_back(packet);
            }
        }
    }

    fn give(&mut self, at: usize, packet: &P::Packet) {
        self.parties[at].handle(self.now, packet);
        self.drain(at);
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
        for at in 0..2 {
            if self.parties[at].deadline().is_some_and(|due| due <= self.now) {
                self.parties[at].timeout(self.now);
                self.drain(at);
            }
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let order = input.byte();
        let at = usize::from(order & 1);
        match (order >> 1) % 8 {
            0 | 1 => {
                if let Some(packet) = self.queues[at].pop_front() {
                    self.give(at, &packet);
                }
            }
            2 => drop(self.queues[at].pop_front()),
            3 => {
                if let Some(packet) = self.queues[at].front().cloned() {
                    self.give(at, &packet);
                }
            }
            4 => {
                if let Some(mut packet) = self.queues[at].pop_front() {
                    let bytes = P::bytes_mut(&mut packet);
                    let place = input.number() as usize % bytes.len().max(1);
                    let value = input.byte();
                    if let Some(byte) = bytes.get_mut(place) {
                        *byte ^= value;
                    }
                    self.give(at, &packet);
                }
            }
            5 => self.pass(Duration::from_micros(u64::from(input.number() % PASS_MAX_US))),
            6 => {
                let bytes = input.bytes();
                self.parties[at].submit(self.now, order >> 7, bytes);
                self.drain(at);
            }
            _ => {
                let bytes = input.bytes();
                let packet = self.parties[at].forged(order >> 7, bytes);
                self.give(at, &packet);
            }
        }
    }
}

/// Runs two parties that were made at `now`, with the faults that the input says.
pub fn play<P: Party>(now: Instant, parties: [P; 2], mut input: Input<'_>) {
    let mut net = Net { now, parties, queues: [VecDeque::new(), VecDeque::new()] };
    net.drain(0);
    net.drain(1);
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            return;
        }
        net.step(&mut input);
    }
}
