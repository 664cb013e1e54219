//! What the simulator of the reference does not play: values at run time and the quorum device. Expectations are read
//! off `exec/votequorum.c` of Corosync 3.1.7, whose functions the tests name.

use std::collections::VecDeque;

use super::*;
use crate::output::{Message, Service};

const CLIENT: Client = Client { service: Service::Votequorum, conn: 1 };
const RING: RingId = RingId { rep: 1, seq: 8 };

/// Node 1 of a cluster of three, all of them members.
struct One {
    map: Map,
    out: VecDeque<Output>,
    quorum: Quorum,
    service: VoteQuorum,
}

/// A member with so many votes.
fn member(votes: u32) -> Node {
    Node { votes, expected: 3, ..Node::default() }
}

/// Three nodes that are listed.
fn three(options: &[&str]) -> Map {
    let mut map = Map::default();
    map.set("nodelist.local_node_pos", 0u32);
    for position in 0..3u32 {
        map.set(&format!("nodelist.node.{position}.nodeid"), position + 1);
    }
    for option in options {
        map.set(option, 1u8);
    }
    map
}

/// … with a quorum device that may be given votes.
fn with_device(options: &[&str], votes: Option<u32>) -> Map {
    let mut map = three(options);
    map.set("quorum.device.model", "net");
    if let Some(votes) = votes {
        map.set("quorum.device.votes", votes);
    }
    map
}

fn start(map: &mut Map, out: &mut VecDeque<Output>, stored_barrier: u32) -> Result<VoteQuorum, String> {
    VoteQuorum::new(&mut Ctx { me: 1, now: Instant(0), map, out }, stored_barrier)
}

impl One {
    fn new(options: &[&str], stored_barrier: u32) -> Self {
        Self::of(three(options), stored_barrier)
    }

    fn of(mut map: Map, stored_barrier: u32) -> Self {
        let mut out = VecDeque::new();
        let service = start(&mut map, &mut out, stored_barrier).expect("a valid configuration");
        let mut one = Self { map, out, quorum: Quorum::new(true), service };
        one.service.ring = RingId { seq: RING.seq - 4, ..RING };
        one.merge(&[1, 2, 3]);
        one
    }

    /// A ring of these nodes comes next, and they are those that are left.
    fn ring(&mut self, members: &[u32]) {
        let ring = RingId { seq: self.service.ring.seq + 4, ..RING };
        self.act(|service, ctx, _| service.sync_init(ctx, members, ring));
        self.act(VoteQuorum::sync_activate);
    }

    /// … and they tell of themselves.
    fn merge(&mut self, members: &[u32]) {
        let ring = RingId { seq: self.service.ring.seq + 4, ..RING };
        self.act(|service, ctx, _| service.sync_init(ctx, members, ring));
        for id in members.iter().filter(|id| **id != 1) {
            self.tell(*id, *id, member(1));
        }
        self.act(VoteQuorum::sync_activate);
    }

    fn reconfigure(&mut self, param: u8, id: u32, value: u32) {
        self.act(|service, ctx, quorum| {
            service.take_reconfigure(ctx, quorum, Reconfigure { param, id, value });
        });
    }

    fn reload(&mut self) {
        self.out.clear();
        self.act(|service, ctx, _| service.reload_config(ctx));
    }

    fn wait(&mut self) {
        let now = self.service.deadline().expect("something is awaited");
        let mut ctx = Ctx { me: 1, now, map: &mut self.map, out: &mut self.out };
        self.service.timeout(&mut ctx, &mut self.quorum);
    }

    /// What was told to the other nodes with a message of this function: three numbers of it.
    fn told(&self, function: u32) -> Vec<[u32; 3]> {
        let numbers = |message: &Message| {
            let bytes = message.to_vec().into();
            let view = View::native(&bytes);
            (view.u32(0)? == SERVICE | function).then_some(())?;
            let last = if function == 1 { view.u8(24)?.into() } else { view.u32(28)? };
            Some([view.u32(16)?, view.u32(20)?, last])
        };
        let told = self.out.iter().filter_map(|output| match output {
            Output::Multicast { message, .. } => numbers(message),
            _ => None,
        });
        told.collect()
    }

    fn act<T>(&mut self, act: impl FnOnce(&mut VoteQuorum, &mut Ctx<'_>, &mut Quorum) -> T) -> T {
        let mut ctx = Ctx { me: 1, now: Instant(0), map: &mut self.map, out: &mut self.out };
        act(&mut self.service, &mut ctx, &mut self.quorum)
    }

    fn tell(&mut self, sender: u32, id: u32, node: Node) {
        let bytes = nodeinfo(id, node).into();
        let view = View::native(&bytes);
        self.act(|service, ctx, quorum| service.deliver(ctx, quorum, 0, sender, view)).expect("whole");
    }

    /// The error with which a request is answered; its messages come back as the ring would bring them.
    fn ask(&mut self, request: Msg) -> u32 {
        self.out.clear();
        let bytes = request.done().into();
        let view = View::native(&bytes);
        self.act(|service, ctx, _| service.request(ctx, CLIENT, view)).expect("whole");
        let mut error = 0;
        while let Some(output) = self.out.pop_front() {
            match output {
                Output::Multicast { message, .. } => {
                    let bytes = message.to_vec().into();
                    let view = View::native(&bytes);
                    let function = view.u32(0).expect("a header") & 0xffff;
                    self.act(|service, ctx, quorum| service.deliver(ctx, quorum, function, 1, view));
                }
                Output::Respond { bytes, .. } => {
                    error = View::native(&bytes.into()).u32(16).expect("a header");
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

/// sync_init and last_man_standing_timer_fn: the window opens where exactly the quorum is there and the lowest node of
/// the last quorate partition is a member, though nobody has left.
#[test]
fn a_window_opens_at_the_quorum_with_the_tie_breaker() {
    let mut map = three(&["quorum.last_man_standing", "quorum.auto_tie_breaker"]);
    map.set("nodelist.node.3.nodeid", 4u32);
    let mut one = One::of(map, 0);
    assert_eq!((one.service.quorum, one.service.is_quorate, one.service.lowest), (3, true, 1));
    one.ring(&[1]);
    one.wait();
    assert_eq!((one.service.last_man_deadline, one.service.is_quorate), (None, false));
    one.merge(&[1, 2, 3]);
    one.wait();
    assert_eq!((one.service.own().expected, one.service.quorum), (3, 2));
}

/// message_handler_req_exec_votequorum_nodeinfo: without equals, a window that is open is closed.
#[test]
fn the_window_closes_where_votes_differ() {
    let mut one = One::new(&["quorum.last_man_standing"], 0);
    one.ring(&[1, 2]);
    assert!(one.service.last_man_deadline.is_some());
    one.tell(2, 2, member(2));
    assert_eq!(one.service.last_man_deadline, None);
}

/// recalculate_quorum and get_total_votes: a device with votes counts as one of those that stand.
#[test]
fn the_device_is_one_of_those_who_stand() {
    let mut map = three(&["quorum.last_man_standing"]);
    map.set("nodelist.node.3.nodeid", 4u32);
    let mut one = One::of(map, 0);
    one.merge(&[1, 2, 3, 4]);
    one.tell(2, DEVICE, member(1));
    assert_eq!((one.service.own().expected, one.service.quorum), (5, 3));
    one.ring(&[1, 2, 3]);
    one.wait();
    assert_eq!(one.service.own().expected, 4, "three nodes and the device");
}

/// message_handler_req_exec_votequorum_reconfigure: an administrator may lower what was counted, down to what was
/// tracked, and the quorum with it.
#[test]
fn what_is_told_at_run_time_may_lower_the_quorum() {
    let mut one = One::new(&[], 0);
    for (expected, quorum) in [(5, 3), (3, 2)] {
        one.reconfigure(PARAM_EXPECTED, 1, expected);
        assert_eq!((one.service.own().expected, one.service.quorum), (expected, quorum));
    }
    let mut tracked = One::new(&["quorum.expected_votes_tracking"], 0);
    tracked.reconfigure(PARAM_EXPECTED, 1, 7);
    tracked.reconfigure(PARAM_EXPECTED, 1, 3);
    assert_eq!((tracked.service.own().expected, tracked.service.nodes[&2].expected), (7, 3));
    assert_eq!((tracked.service.quorum, tracked.service.ev_barrier), (4, 3));

    // The quorum of a partition that has lost the one who expected more sinks with the next votes.
    let mut one = One::new(&[], 0);
    one.tell(3, 3, Node { votes: 1, expected: 7, flags: FLAG_QUORATE, ..Node::default() });
    one.ring(&[1, 2]);
    assert_eq!(one.service.quorum, 4);
    one.reconfigure(PARAM_VOTES, 2, 1);
    assert_eq!(one.service.quorum, 2);
}

/// … and what it cancels.
#[test]
fn waiting_for_all_can_be_cancelled() {
    let mut map = three(&["quorum.wait_for_all"]);
    map.set("nodelist.node.3.nodeid", 4u32);
    let mut one = One::of(map, 0);
    assert_eq!((one.service.wfa_status, one.service.is_quorate), (true, false));
    one.reconfigure(PARAM_CANCEL_WFA, 1, 0);
    assert_eq!((one.service.wfa_status, one.service.is_quorate), (false, true));
}

/// message_handler_req_exec_votequorum_nodeinfo, calculate_quorum: who says that it leaves is not counted, down to
/// the expected votes of the configuration.
#[test]
fn the_quorum_follows_those_who_leave_with_a_word() {
    let mut one = One::new(&["quorum.allow_downscale"], 0);
    one.merge(&[1, 2, 3, 4, 5]);
    assert_eq!((one.service.own().expected, one.service.quorum, one.service.ev_barrier), (5, 3, 3));
    for (id, expected, quorum) in [(5, 4, 3), (4, 3, 2), (3, 2, 2)] {
        let flags = FLAG_LEAVING | FLAG_QUORATE;
        one.tell(id, id, Node { flags, expected: 5, ..member(1) });
        assert_eq!(one.service.nodes[&id].state, NodeState::Leaving);
        assert_eq!((one.service.own().expected, one.service.quorum), (expected, quorum), "without {id}");
    }
}

/// votequorum_exec_exit_fn.
#[test]
fn a_leave_is_told_where_others_shrink() {
    for (options, count) in [(&[][..], 0), (&["quorum.allow_downscale"][..], 1)] {
        let mut one = One::new(options, 0);
        one.out.clear();
        one.act(|service, ctx, _| service.announce_leave(ctx));
        let told = one.told(0);
        assert_eq!(told.len(), count);
        assert!(told.iter().all(|[id, _, flags]| *id == 1 && flags & FLAG_LEAVING != 0), "{told:?}");
    }
}

/// message_handler_req_exec_votequorum_qdevice_reg: the name is free when nobody has the device any more.
#[test]
fn the_devices_name_is_kept_while_somebody_has_it() {
    let mut one = One::new(&[], 0);
    let name = |id| Msg::request(id, 272).put(16, b"dev");
    one.ask(name(5));
    one.tell(2, 2, Node { flags: FLAG_DEVICE_REGISTERED, ..member(1) });
    one.ask(name(6));
    assert_eq!(one.service.device_name, "dev");
    one.ask(name(5));
    one.tell(2, 2, member(1));
    one.ask(name(6));
    assert_eq!(one.service.device_name, "");
}

/// votequorum_sync_init, _sync_process and qdevice_timer_fn.
#[test]
fn a_new_ring_waits_for_the_device() {
    let mut one = One::of(with_device(&[], Some(1)), 0);
    one.ask(Msg::request(5, 272).put(16, b"dev"));
    one.ring(&[1, 2]);
    assert!(one.service.sync_may_end(), "it has not been heard yet");
    one.poll(one.service.ring.seq, 1);
    one.ring(&[1]);
    assert!(!one.service.sync_may_end());
    one.poll(one.service.ring.seq, 1);
    assert!(one.service.sync_may_end());
    one.ring(&[1, 2]);
    assert!(!one.service.sync_may_end());
    one.wait();
    assert!(one.service.sync_may_end(), "it was waited for long enough");
}

/// are_we_quorate, check_qdevice_master: both flags of one node are needed.
#[test]
fn the_devices_master_must_have_its_vote() {
    let mut one = One::new(&[], 0);
    one.ring(&[1]);
    one.service.options.device_master_wins = true;
    for (flags, wins) in [
        (FLAG_DEVICE_MASTER_WINS, false),
        (FLAG_DEVICE_CAST_VOTE, false),
        (FLAG_DEVICE_MASTER_WINS | FLAG_DEVICE_CAST_VOTE, true),
    ] {
        one.service.set_flag(FLAG_DEVICE_MASTER_WINS | FLAG_DEVICE_CAST_VOTE, false);
        one.service.set_flag(flags, true);
        one.act(|service, ctx, quorum| service.recalculate(ctx, quorum, false, false));
        assert_eq!(one.service.is_quorate, wins, "{flags}");
    }
}

/// votequorum_readconfig: a device without votes has one less than the nodes, and they are expected.
#[test]
fn a_device_has_the_votes_of_all_nodes_but_one() {
    let one = One::of(with_device(&[], None), 0);
    assert_eq!((one.service.device.votes, one.service.own().expected, one.service.quorum), (2, 5, 3));
    assert_eq!(one.service.ev_barrier, 5);
    let one = One::of(with_device(&[], Some(1)), 0);
    assert_eq!((one.service.device.votes, one.service.own().expected), (1, 4));
}

/// votequorum_readconfig: what cannot be meant is refused at the start.
#[test]
fn contradictions_are_refused() {
    let refusal = |mut map: Map| start(&mut map, &mut VecDeque::new(), 0).err();
    for (option, text) in [
        ("two_node", "two_node and quorum device cannot be configured at the same time!"),
        ("last_man_standing", "quorum.device is not compatible with last_man_standing"),
        ("auto_tie_breaker", "quorum.device is not compatible with auto_tie_breaker"),
        ("allow_downscale", "quorum.device is not compatible with allow_downscale"),
    ] {
        let mut map = with_device(&[&format!("quorum.{option}")], Some(1));
        // An even number of nodes, so that the tie-breaker stays.
        map.set("nodelist.node.3.nodeid", 4u32);
        assert_eq!(refusal(map), Some(format!("configuration error: {text}")));
    }
    let odd = three(&["quorum.auto_tie_breaker", "quorum.last_man_standing"]);
    let text = "auto_tie_breaker & last_man_standing not available in odd sized cluster";
    assert_eq!(refusal(odd), Some(format!("configuration error: {text}")));
    let high = |expected: u32| {
        let mut map = with_device(&[], Some(2));
        map.set("quorum.expected_votes", expected);
        refusal(map)
    };
    let text = "quorum.device.votes is too high or expected_votes is too low";
    assert_eq!(high(3), Some(format!("configuration error: {text}")));
    assert_eq!(high(4), None);
}

/// votequorum_readconfig: with a tie-breaker, two nodes are no special case.
#[test]
fn a_tie_breaker_ends_the_special_case_of_two() {
    let mut map = three(&["quorum.auto_tie_breaker", "quorum.two_node"]);
    map.remove("nodelist.node.2.nodeid");
    let mut out = VecDeque::new();
    let service = start(&mut map, &mut out, 0).expect("it is not refused");
    assert_eq!((service.options.two_node, service.quorum), (false, 2));
}

/// votequorum_refresh_config and votequorum_readconfig: what a reload changes, and tells.
#[test]
fn a_reload_takes_over_votes() {
    let mut map = three(&[]);
    map.set("quorum.expected_votes", 5u32);
    let mut one = One::of(map, 0);
    one.reload();
    assert_eq!(one.told(1), Vec::<[u32; 3]>::new(), "nothing is new");
    one.map.set("quorum.expected_votes", 4u32);
    one.reload();
    assert_eq!(one.told(1), [[1, 4, PARAM_EXPECTED.into()]]);
    one.map.set("nodelist.node.0.quorum_votes", 2u32);
    one.reload();
    assert_eq!(one.told(1), [[1, 2, PARAM_VOTES.into()]]);
}

#[test]
fn a_reload_ends_the_waiting_that_two_nodes_brought() {
    let mut map = three(&["quorum.two_node"]);
    map.remove("nodelist.node.2.nodeid");
    let mut out = VecDeque::new();
    let service = start(&mut map, &mut out, 0).expect("a valid configuration");
    let mut one = One { map, out, quorum: Quorum::new(true), service };
    assert!(one.service.wfa_status);
    one.map.set("quorum.two_node", 0u8);
    one.reload();
    assert!(!one.service.wfa_status);
    assert_eq!(one.map.number("runtime.votequorum.wait_for_all_status"), Some(0));
}

/// … where two nodes and a device are not possible together, the device that is there wins.
#[test]
fn a_reload_decides_between_two_nodes_and_the_device() {
    for registered in [true, false] {
        let mut one = One::of(with_device(&[], Some(1)), 0);
        if registered {
            one.ask(Msg::request(5, 272).put(16, b"dev"));
        }
        one.map.set("quorum.two_node", 1u8);
        one.reload();
        let options = &one.service.options;
        let found = (options.two_node, options.wait_for_all, options.device_can_operate);
        assert_eq!(found, (!registered, !registered, registered));
    }
}

#[test]
fn a_reload_with_an_even_number_of_nodes_brings_the_tie_breaker_back() {
    let mut one = One::new(&["quorum.auto_tie_breaker"], 0);
    let kind = |one: &One| one.map.number("runtime.votequorum.atb_type");
    assert_eq!((&one.service.options.tie_breaker, kind(&one)), (&TieBreaker::None, Some(0)));
    one.map.set("nodelist.node.3.nodeid", 4u32);
    one.reload();
    assert_eq!((&one.service.options.tie_breaker, kind(&one)), (&TieBreaker::Lowest, Some(1)));
}

/// message_handler_req_lib_votequorum_getinfo: the highest of what the members expect.
#[test]
fn the_highest_expectation_is_told() {
    let mut one = One::new(&[], 0);
    one.tell(2, 2, Node { expected: 6, flags: FLAG_QUORATE, ..member(1) });
    let bytes = Msg::request(0, 24).u32(16, 1).done().into();
    one.out.clear();
    one.act(|service, ctx, _| service.request(ctx, CLIENT, View::native(&bytes)));
    let Some(Output::Respond { bytes, .. }) = one.out.pop_front() else { panic!("no answer") };
    let bytes = bytes.into();
    let view = View::native(&bytes);
    assert_eq!((view.u32(36), view.u32(40)), (Some(3), Some(6)));
}
