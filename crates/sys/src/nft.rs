//! The one use of nftables here: dropping a share of the frames that pass an interface.

use crate::netlink::{Message, Socket};
use crate::{Errno, Result};

const TABLE: &str = "relevo_lab";
const SUBSYSTEM: u16 = (libc::NFNL_SUBSYS_NFTABLES as u16) << 8;
const NEW_TABLE: u16 = SUBSYSTEM;
const DELETE_TABLE: u16 = SUBSYSTEM | 2;
const NEW_CHAIN: u16 = SUBSYSTEM | 3;
const NEW_RULE: u16 = SUBSYSTEM | 6;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const FAMILY_NETDEV: u8 = 5;
const HOOK_INGRESS: u32 = 0;
const HOOK_EGRESS: u32 = 1;
/// Frames are judged by a random number below this.
const SCALE: u32 = 10_000;
const REGISTER: u32 = 1;
const LESS_THAN: u32 = 2;
const HOST_TO_NETWORK: u32 = 1;
const RANDOM: u32 = 1;
const ACCEPT: u32 = 1;
const DROP: u32 = 0;

/// Drops a share of the frames in both directions of an interface of the calling thread's network namespace.
/// `share` is in hundredths of a percent (0 to 10000); 0 takes the rule away. One rule per interface.
pub fn set_loss(interface: &str, share: u32) -> Result<()> {
    let mut socket = Socket::open(libc::NETLINK_NETFILTER, 0)?;
    let table = format!("{TABLE}_{interface}");
    match socket.batch(batch(vec![table_message(DELETE_TABLE, &table)])) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(e) => return Err(e),
    }
    if share == 0 {
        return Ok(());
    }
    let mut messages = vec![table_message(NEW_TABLE, &table)];
    for (chain, hook) in [("in", HOOK_INGRESS), ("out", HOOK_EGRESS)] {
        messages.push(chain_message(&table, chain, hook, interface));
        messages.push(rule_message(&table, chain, share.min(SCALE)));
    }
    socket.batch(batch(messages))
}

/// struct nfgenmsg: family, version, resource id in network order.
fn general(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

fn batch(messages: Vec<Message>) -> Vec<Message> {
    let resource = libc::NFNL_SUBSYS_NFTABLES as u16;
    let mut all = vec![Message::new(BATCH_BEGIN, 0, &general(0, resource))];
    all.extend(messages);
    all.push(Message::new(BATCH_END, 0, &general(0, resource)));
    all
}

fn table_message(kind: u16, table: &str) -> Message {
    let flags = if kind == NEW_TABLE { libc::NLM_F_CREATE } else { 0 };
    Message::new(kind, flags | libc::NLM_F_ACK, &general(FAMILY_NETDEV, 0)).string(1, table)
}

fn number(message: Message, kind: u16, value: u32) -> Message {
    message.attribute(kind, &value.to_be_bytes())
}

fn chain_message(table: &str, chain: &str, hook: u32, interface: &str) -> Message {
    let message = Message::new(NEW_CHAIN, libc::NLM_F_CREATE | libc::NLM_F_ACK, &general(FAMILY_NETDEV, 0))
        .string(1, table)
        .string(3, chain)
        .nested(4, |m| number(number(m, 1, hook), 2, 0).string(3, interface));
    number(message, 5, ACCEPT).string(7, "filter")
}

fn rule_message(table: &str, chain: &str, share: u32) -> Message {
    let flags = libc::NLM_F_CREATE | libc::NLM_F_APPEND | libc::NLM_F_ACK;
    Message::new(NEW_RULE, flags, &general(FAMILY_NETDEV, 0)).string(1, table).string(2, chain).nested(
        4,
        |m| {
            let m = expression(m, "numgen", |m| number(number(number(m, 1, REGISTER), 2, SCALE), 3, RANDOM));
            let m = expression(m, "byteorder", |m| {
                let m = number(number(number(m, 1, REGISTER), 2, REGISTER), 3, HOST_TO_NETWORK);
                number(number(m, 4, 4), 5, 4)
            });
            let m = expression(m, "cmp", |m| {
                number(number(m, 1, REGISTER), 2, LESS_THAN)
                    .nested(3, |m| m.attribute(1, &share.to_be_bytes()))
            });
            expression(m, "immediate", |m| number(m, 1, 0).nested(2, |m| m.nested(2, |m| number(m, 1, DROP))))
        },
    )
}

fn expression(message: Message, name: &str, data: impl FnOnce(Message) -> Message) -> Message {
    message.nested(1, |m| m.string(1, name).nested(2, data))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::{Kinds, unshare};
    use crate::poll::{Interest, wait_one};
    use std::time::Duration;

    fn received(count: u32) -> u32 {
        let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = receiver.local_addr().unwrap();
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut got = 0;
        for _ in 0..count {
            sender.send_to(b"x", to).unwrap();
            if wait_one(&receiver, Interest::READ, Some(Duration::ZERO)).unwrap().is_some() {
                receiver.recv(&mut [0; 4]).unwrap();
                got += 1;
            }
        }
        got
    }

    #[test]
    fn a_share_of_frames_is_lost() {
        std::thread::spawn(|| {
            if unshare(Kinds::NET).is_err() {
                println!("LEFT OUT: no right to make a network namespace");
                return;
            }
            let mut rtnl = crate::rtnl::Rtnl::open().unwrap();
            let lo = rtnl.link("lo").unwrap();
            rtnl.set_up(lo.index, true).unwrap();
            assert_eq!(received(1000), 1000);
            set_loss("lo", 3000).unwrap();
            // Out and in: 0.7 × 0.7.
            let share = received(2000);
            assert!((800..1150).contains(&share), "{share}");
            set_loss("lo", 0).unwrap();
            assert_eq!(received(1000), 1000);
        })
        .join()
        .unwrap();
    }
}
