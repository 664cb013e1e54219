//! Where a node stood that was running when the capture began.

use std::collections::BTreeSet;
use std::time::Duration;

use totem::wire::{self, Packet};
use totem::{Instant, RingId, Timing};

use crate::boot::Standing;
use crate::story::{Event, Story};

/// A packet with its time, sender and, for tokens, receiver.
type Line = (Instant, u32, Option<u32>, Packet);

fn lines(story: &Story) -> Vec<Line> {
    let line = |event: &Event| match event {
        Event::Received { datagram, .. } => {
            let (_, packet) = wire::decode(&datagram.bytes).ok()?;
            Some((datagram.at, datagram.from, Some(story.node), packet))
        }
        Event::Sent(sent) => Some((sent.at, story.node, sent.to, sent.packet.clone())),
    };
    story.events.iter().filter_map(line).collect()
}

/// Read from the first packets; None if they do not tell.
pub fn standing(story: &Story, timing: &Timing) -> Option<Standing> {
    let me = story.node;
    let lines = lines(story);
    let ring = lines.iter().find_map(|(_, from, _, packet)| match packet {
        Packet::OrfToken(token) => Some(token.ring),
        Packet::MergeDetect(merge) if *from == me => Some(merge.ring),
        Packet::Join(join) if *from == me => Some(RingId { rep: me, seq: join.ring_seq }),
        _ => None,
    })?;
    let tokens: Vec<&Line> = lines
        .iter()
        .filter(|(_, _, _, packet)| matches!(packet, Packet::OrfToken(token) if token.ring == ring))
        .collect();
    let mut members = BTreeSet::from([me]);
    members.extend(tokens.iter().flat_map(|(_, from, to, _)| [Some(*from), *to]).flatten());
    let seq = lines.iter().find_map(|(_, _, _, packet)| match packet {
        Packet::OrfToken(token) if token.ring == ring => Some(token.seq),
        Packet::Mcast(mcast) if mcast.ring == ring => Some(mcast.seq - 1),
        Packet::CommitToken(token) => token
            .members
            .iter()
            .find(|(id, entry)| *id == me && entry.ring == ring)
            .map(|(_, entry)| entry.aru),
        _ => None,
    })?;
    let own_messages = lines.iter().find_map(|(_, _, _, packet)| match packet {
        Packet::Mcast(mcast) if mcast.system_from == me && (mcast.ring != ring || mcast.seq > seq) => {
            Some(mcast.this_seqno)
        }
        _ => None,
    });
    // The representative looks for other rings a merge time after a visit of the token, and lets it go a hold time after.
    let merge = lines.iter().find_map(|(at, from, _, packet)| {
        (matches!(packet, Packet::MergeDetect(_)) && *from == ring.rep).then_some(*at)
    });
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap();
    let cancelled =
        lines.iter().find_map(|(at, _, _, packet)| matches!(packet, Packet::HoldCancel(_)).then_some(*at));
    let by_token = tokens.first().map(|(at, ..)| *at).filter(|at| cancelled.is_none_or(|end| *at < end));
    let by_merge = merge.map(|at| Instant(at.0 - nanos(timing.merge) + nanos(timing.hold)));
    let by_merge = by_merge.filter(|_| by_token.is_none() || merge < by_token);
    let released_at = by_token.into_iter().chain(by_merge).min().or(tokens.first().map(|(at, ..)| *at));
    let released_at = released_at.or(lines.first().map(|(at, ..)| *at))?;
    let alone = story.unseen_ring().map_or(0, |ring| story.sent_unseen(ring));
    let own_messages = own_messages.unwrap_or(0).saturating_sub(alone);
    Some(Standing { ring, members, seq, own_messages, released_at })
}
