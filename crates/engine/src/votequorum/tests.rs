//! What the simulator of the reference does not play: values at run time and the quorum device. Expectations are read
//! off `exec/votequorum.c` of Corosync 3.1.7, whose functions the tests name.

use std::collections::VecDeque;

use totem::ByteOrder;

use super::*;
use crate::output::Service;

const CLIENT: Client = Client { service: Service::Votequorum, conn: 1 };
const RING: RingId = RingId { rep: 1, seq: 8 };

/// Node 1 of a cluster of three, all of them members.
struct One {
    map: Map,
    out: VecDeque<Output>,
    quorum: Quorum,
    service: VoteQuorum,
}

impl One {
    fn new(options: &[&str], stored_barrier: u32) -> Self {
        let (mut map, mut out) = (Map::default(), VecDeque::new());
        map.set("nodelist.local_node_pos", 0u32);
        for position in 0..3u32 {
            map.set(&format!("nodelist.node.{position}.nodeid"), position + 1);
        }
        for option in options {
            map.set(option, 1u8);
        }
        let mut ctx = Ctx { me: 1, now: Instant(0), map: &mut map, out: &mut out };
        let service = VoteQuorum::new(&mut ctx, stored_barrier).expect("a valid configuration");
        let mut one = Self { map, out, quorum: Quorum::new(true), service };
        one.act(|service, ctx, _| service.sync_init(ctx, &[1, 2, 3], RING));
        for id in 2..=3 {
            one.tell(id, id, Node { votes: 1, expected: 3, ..Node::default() });
        }
        one.act(VoteQuorum::sync_activate);
        one
    }

    fn act<T>(&mut self, act: impl FnOnce(&mut VoteQuorum, &mut Ctx<'_>, &mut Quorum) -> T) -> T {
        let mut ctx = Ctx { me: 1, now: Instant(0), map: &mut self.map, out: &mut self.out };
        act(&mut self.service, &mut ctx, &mut self.quorum)
    }

    fn tell(&mut self, sender: u32, id: u32, node: Node) {
        let bytes = nodeinfo(id, node);
        let view = View::new(&bytes, ByteOrder::NATIVE);
        self.act(|service, ctx, quorum| service.deliver(ctx, quorum, 0, sender, view)).expect("whole");
    }

    /// The error with which a request is answered; its messages come back as the ring would bring them.
    fn ask(&mut self, request: Msg) -> u32 {
        self.out.clear();
        let bytes = request.done();
        let view = View::new(&bytes, ByteOrder::NATIVE);
        self.act(|service, ctx, _| service.request(ctx, CLIENT, view)).expect("whole");
        let mut error = 0;
        while let Some(output) = self.out.pop_front() {
            match output {
                Output::Multicast { bytes, .. } => {
                    let view = View::new(&bytes, ByteOrder::NATIVE);
                    let function = view.u32(0).expect("a header") & 0xffff;
                    self.act(|service, ctx, quorum| service.deliver(ctx, quorum, function, 1, view));
                }
                Output::Respond { bytes, .. } => {
                    error = View::new(&bytes, ByteOrder::NATIVE).u32(16).expect("a header");
                }
                _ => {}
            }
        }
        error
    }

    fn stored(&self) -> Vec<u32> {
        let stored =
            |output: &Output| if let Output::StoreEvTracking(it) = output { Some(*it) } else { None };
        self.out.iter().filter_map(stored).collect()
    }

    fn poll(&mut self, seq: u64, vote: u32) -> u32 {
        self.ask(Msg::request(8, 296).put(16, b"dev").u32(272, vote).u32(280, RING.rep).u64(288, seq))
    }
}

/// recalculate_quorum, votequorum_readconfig: the barrier follows the expected votes, is stored, and is read again.
#[test]
fn expected_votes_are_tracked_where_that_is_asked_for() {
    assert_eq!(One::new(&["quorum.expected_votes_tracking"], 0).stored().last(), Some(&3));
    let five = One::new(&["quorum.expected_votes_tracking"], 5);
    assert_eq!((five.stored().last(), five.service.own().expected), (Some(&5), 5));
    assert_eq!(One::new(&[], 0).stored(), []);
}

/// message_handler_req_exec_votequorum_nodeinfo.
#[test]
fn the_last_man_stands_only_among_equals() {
    let mut one = One::new(&["quorum.last_man_standing"], 0);
    assert!(one.service.options.last_man_standing);
    one.tell(2, 2, Node { votes: 2, expected: 4, ..Node::default() });
    assert!(!one.service.options.last_man_standing);
    assert_eq!(one.service.last_man_deadline, None);
}

/// message_handler_req_lib_votequorum_setexpected and _setvotes.
#[test]
fn votes_that_would_take_quorum_away_are_refused() {
    let mut one = One::new(&[], 0);
    let expected = |votes| Msg::request(1, 24).u32(16, votes);
    assert_eq!(one.ask(expected(2)), CsError::InvalidParam as u32, "fewer than there are");
    assert_eq!(one.ask(expected(6)), CsError::InvalidParam as u32, "four would be needed");
    assert_eq!(one.ask(expected(5)), CsError::Ok as u32);
    assert_eq!((one.service.own().expected, one.service.quorum, one.service.ev_barrier), (5, 3, 5));
    let votes = |id, votes| Msg::request(2, 24).u32(16, votes).u32(20, id);
    assert_eq!(one.ask(votes(9, 1)), CsError::NameNotFound as u32);
    assert_eq!(one.ask(votes(2, 0)), CsError::InvalidParam as u32, "two votes of five");
    assert_eq!(one.service.nodes[&2].votes, 1);
    assert_eq!(one.ask(votes(2, 3)), CsError::Ok as u32);
    assert_eq!(one.service.nodes[&2].votes, 3);
}

/// message_handler_req_lib_votequorum_qdevice_register, _poll, qdevice_timer_fn and _unregister.
#[test]
fn the_device_votes_while_it_is_heard() {
    let mut one = One::new(&[], 0);
    one.service.options.device_can_operate = false;
    assert_eq!(one.poll(RING.seq, 1), CsError::Access as u32, "its configuration was refused");
    one.service.options.device_can_operate = true;
    one.service.device.votes = 2;
    assert_eq!(one.poll(RING.seq, 1), CsError::NotExist as u32);
    let name = |id, name: &[u8]| Msg::request(id, 272).put(16, name);
    assert_eq!(one.ask(name(5, b"dev")), CsError::Ok as u32);
    assert_eq!(one.ask(name(5, b"other")), CsError::Exist as u32);
    assert_eq!(one.poll(RING.seq - 4, 1), CsError::MessageError as u32);
    assert_eq!(one.service.calculate(true, 0, false).1, 3);
    assert_eq!(one.poll(RING.seq, 0), CsError::Ok as u32);
    assert_eq!(one.service.calculate(true, 0, false).1, 3, "alive is not enough");
    assert_eq!(one.poll(RING.seq, 1), CsError::Ok as u32);
    assert_eq!(one.service.calculate(true, 0, false).1, 5);
    let late = one.service.device_deadline.expect("the next poll is awaited");
    let mut ctx = Ctx { me: 1, now: late, map: &mut one.map, out: &mut one.out };
    one.service.timeout(&mut ctx, &mut one.quorum);
    assert_eq!(one.service.calculate(true, 0, false).1, 3, "lost");
    assert_eq!(one.ask(name(6, b"other")), CsError::InvalidParam as u32);
    assert_eq!(one.ask(name(6, b"dev")), CsError::Ok as u32);
    assert_eq!(one.poll(RING.seq, 1), CsError::NotExist as u32);
}

/// message_handler_req_exec_votequorum_nodeinfo and get_total_votes.
#[test]
fn the_most_votes_of_the_device_count_unless_the_quorate_side_knows_better() {
    let mut one = One::new(&[], 0);
    let votes = |votes| Node { votes, ..Node::default() };
    one.tell(2, DEVICE, votes(2));
    assert_eq!((one.service.device.votes, one.service.own().expected), (2, 5));
    one.tell(2, DEVICE, votes(1));
    assert_eq!(one.service.device.votes, 2);
    one.service.is_quorate = false;
    one.service.nodes.entry(2).or_default().flags |= FLAG_QUORATE;
    one.tell(2, DEVICE, votes(1));
    assert_eq!(one.service.device.votes, 1);
}

/// message_handler_req_exec_votequorum_qdevice_reg.
#[test]
fn a_device_of_another_name_than_the_others_is_refused() {
    let mut one = One::new(&[], 0);
    one.service.device_name = "theirs".to_owned();
    let register = |name: &[u8]| Msg::request(5, 272).put(16, name);
    assert_eq!(one.ask(register(b"ours")), CsError::Exist as u32);
    assert_eq!(one.service.own().flags & FLAG_DEVICE_REGISTERED, 0);
    assert_eq!(one.ask(register(b"theirs")), CsError::Ok as u32);
}

/// are_we_quorate: the master wins only where that is allowed, and a change is told at once.
#[test]
fn the_devices_master_wins_alone() {
    let mut one = One::new(&[], 0);
    assert!(one.service.is_quorate);
    one.act(|service, ctx, _| service.sync_init(ctx, &[1], RingId { rep: 1, seq: 12 }));
    one.act(VoteQuorum::sync_activate);
    one.service.set_flag(FLAG_DEVICE_MASTER_WINS | FLAG_DEVICE_CAST_VOTE, true);
    one.act(|service, ctx, quorum| service.recalculate(ctx, quorum, false, false));
    assert_eq!((one.service.is_quorate, one.quorum.is_quorate()), (false, false));
    one.service.options.device_master_wins = true;
    one.act(|service, ctx, quorum| service.recalculate(ctx, quorum, false, false));
    assert_eq!((one.service.is_quorate, one.quorum.is_quorate()), (true, true));
}
