//! Options of votequorum out of the configuration map, at the start and after a reload.

use totem::Level;

use super::{
    FLAG_DEVICE_REGISTERED, PARAM_CANCEL_WFA, PARAM_EXPECTED, PARAM_VOTES, POSTPONED_MAX, Reconfigure,
    SUBSYSTEM, TieBreaker, VoteQuorum,
};
use crate::map::Map;
use crate::output::Ctx;
use crate::quorum::Quorum;

const LAST_MAN_WINDOW_MS: u32 = 10_000;
const DEVICE_TIMEOUT_MS: u32 = 10_000;
const DEVICE_SYNC_TIMEOUT_MS: u32 = 30_000;

/// Votes as the node list states them.
#[derive(Debug, Default)]
struct NodeList {
    own_votes: u32,
    nodes: u32,
    votes: u32,
}

fn read_node_list(map: &Map) -> Option<NodeList> {
    let own_position = map.u32("nodelist.local_node_pos")?;
    let mut list = NodeList::default();
    let mut last = None;
    for (key, _) in map.with_prefix("nodelist.node.") {
        let Some(position) = key.split('.').nth(2).and_then(|text| text.parse::<u32>().ok()) else {
            continue;
        };
        if last == Some(position) {
            continue;
        }
        last = Some(position);
        let votes = map.u32(&format!("nodelist.node.{position}.quorum_votes")).unwrap_or(1);
        list.nodes += 1;
        list.votes = list.votes.saturating_add(votes);
        if position == own_position {
            list.own_votes = votes;
        }
    }
    Some(list)
}

/// What a configuration means at run time, where it cannot be refused any more.
type Problem = &'static str;

const TWO_NODE_AND_DEVICE: Problem = "two_node and quorum device cannot be configured at the same time!";

impl VoteQuorum {
    pub(super) fn read_startup_config(&mut self, ctx: &mut Ctx<'_>) -> Result<(), String> {
        let map = &*ctx.map;
        let options = &mut self.options;
        options.allow_downscale = map.flag("quorum.allow_downscale");
        options.wait_for_all = map.flag("quorum.wait_for_all");
        options.wait_for_all_autoset = map.number("quorum.wait_for_all").is_none();
        options.last_man_standing = map.flag("quorum.last_man_standing");
        options.last_man_standing_window_ms =
            map.u32("quorum.last_man_standing_window").unwrap_or(LAST_MAN_WINDOW_MS);
        options.ev_tracking = map.flag("quorum.expected_votes_tracking") || options.allow_downscale;
        let tie_breaker = map.flag("quorum.auto_tie_breaker");
        let chosen = map.text("quorum.auto_tie_breaker_node").map(str::to_owned);
        match (tie_breaker, chosen) {
            (true, Some(text)) => options.tie_breaker = parse_tie_breaker(ctx, &text),
            (true, None) => options.tie_breaker = TieBreaker::Lowest,
            (false, Some(_)) => {
                let text = "auto_tie_breaker_node: is meaningless if auto_tie_breaker is set to 0";
                ctx.log(Level::Warning, SUBSYSTEM, text);
            }
            (false, None) => {}
        }
        if self.options.tie_breaker != TieBreaker::None {
            ctx.map.set("runtime.votequorum.atb_type", self.options.tie_breaker.number());
        }
        self.options.initial_tie_breaker = self.options.tie_breaker.clone();
        if self.options.ev_tracking {
            let barrier = self.ev_tracking_barrier;
            self.set_ev_tracking_barrier(ctx, barrier);
        }
        match self.read_common_config(ctx, false) {
            Err(problem) => Err(format!("configuration error: {problem}")),
            Ok(()) => {
                if self.options.wait_for_all {
                    self.set_wfa_status(ctx.map, true);
                }
                Ok(())
            }
        }
    }

    /// Takes over what may change while the daemon runs, and tells the other nodes.
    pub(crate) fn reload_config(&mut self, ctx: &mut Ctx<'_>) {
        let before = self.own();
        self.options.tie_breaker = self.options.initial_tie_breaker.clone();
        ctx.map.set("runtime.votequorum.atb_type", self.options.tie_breaker.number());
        if let Err(problem) = self.read_common_config(ctx, true) {
            ctx.log(Level::Error, SUBSYSTEM, format!("configuration error: {problem}"));
            ctx.log(Level::Error, SUBSYSTEM, "will continue with current runtime data");
        }
        if !self.options.wait_for_all && self.options.wait_for_all_autoset && self.wfa_status {
            self.set_wfa_status(ctx.map, false);
        }
        let now = self.own();
        let me = self.me;
        self.send_nodeinfo(ctx);
        self.send_device_info(ctx);
        if now.votes != before.votes {
            self.send_reconfigure(ctx, PARAM_VOTES, me, now.votes);
        }
        if now.expected != before.expected {
            self.send_reconfigure(ctx, PARAM_EXPECTED, me, now.expected);
        }
    }

    /// The configuration is being read: a reload comes to all nodes at one place in the order of messages, and votes
    /// that a faster node tells after that place must not be lost to what our file said before.
    pub(crate) fn reread_begins(&mut self) {
        self.postponed.get_or_insert_default();
    }

    pub(super) fn postpones(&mut self, told: Reconfigure) -> bool {
        let waiting = self.postponed.as_mut().filter(|waiting| waiting.len() < POSTPONED_MAX);
        waiting.map(|waiting| waiting.push(told)).is_some()
    }

    /// The configuration was read and is in force, or cannot be used.
    pub(crate) fn reread_ends(&mut self, ctx: &mut Ctx<'_>, quorum: &mut Quorum) {
        for told in self.postponed.take().unwrap_or_default() {
            self.take_reconfigure(ctx, quorum, told);
        }
    }

    /// The key quorum.cancel_wait_for_all was set.
    pub(crate) fn cancel_wait_for_all(&mut self, ctx: &mut Ctx<'_>) {
        let me = self.me;
        self.send_reconfigure(ctx, PARAM_CANCEL_WFA, me, 0);
    }

    fn read_common_config(&mut self, ctx: &mut Ctx<'_>, at_runtime: bool) -> Result<(), Problem> {
        let map = &*ctx.map;
        let expected = map.u32("quorum.expected_votes").unwrap_or(0);
        let list = read_node_list(map);
        let has_device = map.text("quorum.device.model").is_some_and(|model| !model.is_empty());
        let device_votes = if has_device { map.u32("quorum.device.votes") } else { Some(0) };
        if list.is_none() && expected == 0 {
            return Err("nodelist or quorum.expected_votes must be configured!");
        }
        self.options.two_node = map.flag("quorum.two_node");
        if has_device {
            self.options.device_timeout_ms = map.u32("quorum.device.timeout").unwrap_or(DEVICE_TIMEOUT_MS);
            self.options.device_sync_timeout_ms =
                map.u32("quorum.device.sync_timeout").unwrap_or(DEVICE_SYNC_TIMEOUT_MS);
            self.set_device_can_operate(ctx.map, true);
        }
        let is_registered = self.own().flags & FLAG_DEVICE_REGISTERED != 0;
        if at_runtime && has_device && self.options.two_node && is_registered {
            ctx.log(Level::Error, SUBSYSTEM, format!("configuration error: {TWO_NODE_AND_DEVICE}"));
            ctx.log(Level::Error, SUBSYSTEM, "quorum device is registered, disabling two_node");
            self.options.two_node = false;
        }
        if self.options.wait_for_all_autoset {
            self.options.wait_for_all = self.options.two_node;
        }
        self.check_tie_breaker(ctx, list.as_ref().map_or(0, |list| list.votes))?;
        if let Some(problem) = self.device_problem(has_device, device_votes, expected, list.as_ref()) {
            if !at_runtime {
                return Err(problem);
            }
            self.disable_device(ctx, problem);
        }
        self.set_votes(ctx, list, expected, has_device, device_votes);
        Ok(())
    }

    fn check_tie_breaker(&mut self, ctx: &mut Ctx<'_>, list_votes: u32) -> Result<(), Problem> {
        if self.options.tie_breaker == TieBreaker::None {
            return Ok(());
        }
        if self.options.two_node {
            let text = "two_node and auto_tie_breaker are both specified but are not compatible.";
            ctx.log(Level::Error, SUBSYSTEM, text);
            ctx.log(Level::Error, SUBSYSTEM, "two_node has been disabled, please fix your corosync.conf");
            self.options.two_node = false;
        }
        if list_votes % 2 == 1 && !self.options.wait_for_all {
            if self.options.last_man_standing {
                return Err("auto_tie_breaker & last_man_standing not available in odd sized cluster");
            }
            for text in [
                "auto_tie_breaker is set and the cluster has an odd number of nodes.",
                "wait_for_all needs to be set for this configuration but it is missing",
                "Therefore auto_tie_breaker has been disabled. Please fix your corosync.conf",
            ] {
                ctx.log(Level::Error, SUBSYSTEM, text);
            }
            self.options.tie_breaker = TieBreaker::None;
            ctx.map.set("runtime.votequorum.atb_type", 0u32);
        }
        Ok(())
    }

    fn device_problem(
        &self,
        has_device: bool,
        votes: Option<u32>,
        expected: u32,
        list: Option<&NodeList>,
    ) -> Option<Problem> {
        if !has_device {
            return None;
        }
        if self.options.two_node {
            return Some(TWO_NODE_AND_DEVICE);
        }
        if self.options.last_man_standing {
            return Some("quorum.device is not compatible with last_man_standing");
        }
        if self.options.tie_breaker != TieBreaker::None {
            return Some("quorum.device is not compatible with auto_tie_breaker");
        }
        if self.options.allow_downscale {
            return Some("quorum.device is not compatible with allow_downscale");
        }
        if expected > 0 && votes.is_none() {
            return Some("quorum.device.votes must be specified when quorum.expected_votes is set");
        }
        if votes.is_none() && list.is_some_and(|list| list.nodes != list.votes) {
            return Some("quorum.device.votes must be specified when not all nodes votes 1");
        }
        let too_many =
            votes.is_some_and(|votes| votes > 0 && expected > 0 && expected < votes.saturating_add(2));
        too_many.then_some("quorum.device.votes is too high or expected_votes is too low")
    }

    fn disable_device(&mut self, ctx: &mut Ctx<'_>, problem: Problem) {
        ctx.log(Level::Error, SUBSYSTEM, format!("configuration error: {problem}"));
        let consequence = if problem == TWO_NODE_AND_DEVICE {
            "quorum device is not registered, allowing two_node"
        } else {
            "disabling quorum device operations"
        };
        ctx.log(Level::Error, SUBSYSTEM, consequence);
        self.set_device_can_operate(ctx.map, false);
    }

    fn set_device_can_operate(&mut self, map: &mut Map, can: bool) {
        self.options.device_can_operate = can;
        map.set("runtime.votequorum.qdevice_can_operate", u8::from(can));
    }

    fn set_votes(
        &mut self,
        ctx: &mut Ctx<'_>,
        list: Option<NodeList>,
        expected: u32,
        has_device: bool,
        device_votes: Option<u32>,
    ) {
        let mut list_votes = list.as_ref().map_or(0, |list| list.votes);
        let mut device = device_votes;
        if has_device && device.is_none() && expected == 0 {
            let votes = list_votes.saturating_sub(1);
            device = Some(votes);
            list_votes += votes;
        }
        let expected = if self.options.ev_tracking { self.ev_tracking_barrier } else { expected };
        let single_votes = ctx.map.u32("quorum.votes").unwrap_or(1);
        let us = self.us();
        match &list {
            Some(list) => {
                us.votes = list.own_votes;
                us.expected = list_votes;
            }
            None => us.votes = single_votes,
        }
        if expected > 0 {
            us.expected = expected;
        }
        let own_expected = us.expected;
        if !has_device {
            self.device.votes = 0;
        } else if let Some(votes) = device {
            self.device.votes = votes;
        }
        self.set_ev_barrier(ctx.map, own_expected);
        ctx.map.set("runtime.votequorum.two_node", u8::from(self.options.two_node));
    }
}

fn parse_tie_breaker(ctx: &mut Ctx<'_>, text: &str) -> TieBreaker {
    match text {
        "lowest" => return TieBreaker::Lowest,
        "highest" => return TieBreaker::Highest,
        _ => {}
    }
    let ids: Vec<u32> =
        text.split_whitespace().map_while(|id| id.parse().ok()).filter(|id| *id > 0).collect();
    if ids.is_empty() {
        let text = "auto_tie_breaker_nodes is not valid. It must be 'lowest', 'highest' or a space-separated list of node IDs. auto_tie_breaker is disabled";
        ctx.log(Level::Warning, SUBSYSTEM, text);
        return TieBreaker::None;
    }
    TieBreaker::List(ids)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;
    use totem::Instant;

    use super::*;

    fn read(text: &str) -> (TieBreaker, usize) {
        let (mut map, mut out) = (Map::default(), VecDeque::new());
        let mut ctx = Ctx { me: 1, now: Instant(0), map: &mut map, out: &mut out };
        let tie_breaker = parse_tie_breaker(&mut ctx, text);
        (tie_breaker, out.len())
    }

    proptest! {
        /// Node ids up to the first word that is none; 0 is nobody's id.
        #[test]
        fn lists_of_nodes(
            ids in proptest::collection::vec(0u32.., 0..6),
            gap in "[ \t]{1,3}",
            rest in prop_oneof![Just(String::new()), "[a-z,-][0-9a-z]{0,4}( [0-9]{1,3})?".prop_map(|it| it)],
        ) {
            let words: Vec<String> = ids.iter().map(u32::to_string).chain([rest]).collect();
            let real: Vec<u32> = ids.into_iter().filter(|id| *id != 0).collect();
            let expected = if real.is_empty() { (TieBreaker::None, 1) } else { (TieBreaker::List(real), 0) };
            prop_assert_eq!(read(&words.join(&gap)), expected);
        }

        /// Anything that is refused is refused aloud, and a list has ids that stand in the text.
        #[test]
        fn anything(text in "\\PC{0,24}") {
            match read(&text) {
                (TieBreaker::None, warnings) => prop_assert_eq!(warnings, 1),
                (TieBreaker::List(ids), warnings) => {
                    prop_assert_eq!(warnings, 0);
                    prop_assert!(!ids.is_empty() && ids.iter().all(|id| *id > 0 && text.contains(&id.to_string())));
                }
                (TieBreaker::Lowest, _) => prop_assert_eq!(text, "lowest"),
                (TieBreaker::Highest, _) => prop_assert_eq!(text, "highest"),
            }
        }
    }

    #[test]
    fn words() {
        assert_eq!(read("lowest"), (TieBreaker::Lowest, 0));
        assert_eq!(read("highest"), (TieBreaker::Highest, 0));
        assert_eq!(read("Lowest"), (TieBreaker::None, 1));
    }
}
