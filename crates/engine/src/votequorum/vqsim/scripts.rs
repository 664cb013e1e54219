//! Scripts of splits and joins.

use std::collections::BTreeMap;

use super::{LONG_WINDOW_MS, SHORT_WINDOW_MS, Script, Step};

pub(super) fn fixed_scripts() -> Vec<Script> {
    use Step::{Down, Join, Move, Up};
    let split = |ids: &[u32]| Move(1, ids.to_vec());
    vec![
        Script::new("majority", 3, &[], vec![split(&[3]), Join(0, 1), split(&[1, 2]), Join(0, 1)]),
        Script::new(
            "two nodes",
            2,
            &[("two_node", "1")],
            vec![split(&[2]), Join(0, 1), Down(1), Down(2), Up(0, 1), Up(0, 2), Down(1)],
        ),
        Script::new(
            "two nodes without waiting",
            2,
            &[("two_node", "1"), ("wait_for_all", "0")],
            vec![Down(1), Down(2), Up(0, 1), Up(1, 2), Join(0, 1)],
        ),
        Script::new(
            "wait for all",
            3,
            &[("wait_for_all", "1")],
            vec![Down(3), Down(2), Up(0, 2), Up(0, 3), split(&[1]), Join(0, 1)],
        ),
        Script::new(
            "a waiting node meets one that does not wait",
            4,
            &[("wait_for_all", "1")],
            vec![Down(4), Up(1, 4), Join(0, 1)],
        ),
        Script::new(
            "tie, lowest",
            4,
            &[("auto_tie_breaker", "1")],
            vec![split(&[1, 2]), Join(0, 1), split(&[3, 4]), Down(3), Join(0, 1)],
        ),
        Script::new(
            "tie, highest",
            4,
            &[("auto_tie_breaker", "1"), ("auto_tie_breaker_node", "highest")],
            vec![split(&[1, 2]), Join(0, 1), Down(4), split(&[1])],
        ),
        Script::new(
            "tie, list",
            4,
            &[("auto_tie_breaker", "1"), ("auto_tie_breaker_node", "3 1")],
            vec![split(&[1, 2]), Join(0, 1), split(&[1, 3]), Join(0, 1), Down(3), split(&[1])],
        ),
        Script::new(
            "tie, list whose first is nowhere",
            4,
            &[("auto_tie_breaker", "1"), ("auto_tie_breaker_node", "9 3 1")],
            vec![split(&[1, 2]), Join(0, 1), split(&[3, 4]), Join(0, 1), Down(3), split(&[1])],
        ),
        Script::new(
            "two nodes with a tie-breaker",
            2,
            &[("two_node", "1"), ("auto_tie_breaker", "1")],
            vec![split(&[2]), Join(0, 1), Down(2), Down(1), Up(0, 2)],
        ),
        Script::new(
            "tie, odd, waits",
            5,
            &[("auto_tie_breaker", "1"), ("wait_for_all", "1")],
            vec![split(&[1, 2]), Join(0, 1), Down(5), split(&[3, 4])],
        ),
        Script::new("tie, odd", 5, &[("auto_tie_breaker", "1")], vec![split(&[1, 2]), Join(0, 1)]),
        Script::new(
            "last man",
            4,
            &[
                ("last_man_standing", "1"),
                ("wait_for_all", "1"),
                ("last_man_standing_window", &SHORT_WINDOW_MS.to_string()),
            ],
            vec![Down(4), Down(3), Down(2), Up(0, 2), Up(0, 3), Up(0, 4)],
        ),
        Script::new(
            "last man with tie-breaker",
            4,
            &[
                ("last_man_standing", "1"),
                ("auto_tie_breaker", "1"),
                ("last_man_standing_window", &SHORT_WINDOW_MS.to_string()),
            ],
            vec![Down(4), Down(3), Down(2), Up(0, 4)],
        ),
        Script::new(
            "last man of exactly the quorum",
            4,
            &[
                ("last_man_standing", "1"),
                ("auto_tie_breaker", "1"),
                ("auto_tie_breaker_node", "highest"),
                ("last_man_standing_window", &SHORT_WINDOW_MS.to_string()),
            ],
            vec![split(&[1, 2]), Down(3), Down(4), Up(1, 3), Move(0, vec![1]), Join(0, 1), Down(3)],
        ),
        Script::new(
            "last man before the window",
            5,
            &[("last_man_standing", "1"), ("last_man_standing_window", &LONG_WINDOW_MS.to_string())],
            vec![Down(5), Down(4), Down(3), Up(0, 5)],
        ),
        Script::new(
            "more nodes than expected",
            3,
            &[("expected_votes_tracking", "1")],
            vec![Up(0, 4), Up(0, 5), split(&[1, 2]), Join(0, 1), Down(5), Down(4), Down(3)],
        ),
        Script::new(
            "downscale",
            5,
            &[("allow_downscale", "1")],
            vec![Down(5), Down(4), Down(3), Up(0, 3), Up(0, 6)],
        ),
        Script::new(
            "expected votes",
            3,
            &[("expected_votes", "5")],
            vec![Down(3), Up(0, 3), Up(0, 4), Up(0, 5), Up(0, 6), Down(1), Down(2)],
        ),
    ]
}

/// Numbers from a seed (splitmix64).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let z = z ^ (z >> 31);
        usize::try_from(z % u64::try_from(limit.max(1)).expect("small")).expect("small")
    }

    pub(super) fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }
}

pub(super) fn random_options(random: &mut Random, nodes: usize) -> Vec<(&'static str, String)> {
    let mut options: Vec<(&'static str, String)> = Vec::new();
    let mut on = |key, value: String| options.push((key, value));
    // With more nodes it means nothing until no more than two are left.
    let two_node = random.one_in(if nodes == 2 { 2 } else { 12 });
    if two_node {
        on("two_node", "1".to_owned());
    }
    let waits = random.one_in(2);
    if waits || random.one_in(3) {
        on("wait_for_all", u8::from(waits).to_string());
    }
    let last_man = !two_node && random.one_in(3);
    if !two_node && (nodes.is_multiple_of(2) || waits || !last_man) && random.one_in(2) {
        on("auto_tie_breaker", "1".to_owned());
        let chosen = match random.below(5) {
            0 => Some("highest".to_owned()),
            1 => Some(format!("{} {}", random.below(nodes) + 1, random.below(nodes) + 1)),
            2 => Some(format!("{} x {}", random.below(nodes + 2), random.below(nodes) + 1)),
            3 => Some("lowest".to_owned()),
            _ => None,
        };
        if let Some(chosen) = chosen {
            on("auto_tie_breaker_node", chosen);
        }
    }
    if last_man {
        let window_ms = if random.one_in(2) { SHORT_WINDOW_MS } else { LONG_WINDOW_MS };
        on("last_man_standing", "1".to_owned());
        on("last_man_standing_window", window_ms.to_string());
    }
    match random.below(5) {
        0 => on("allow_downscale", "1".to_owned()),
        1 => on("expected_votes_tracking", "1".to_owned()),
        2 if !two_node => on("expected_votes", (nodes + random.below(4) - 1).to_string()),
        _ => {}
    }
    options
}

pub(super) fn random_script(seed: u64) -> Script {
    let mut random = Random(seed);
    let nodes = 2 + random.below(6);
    let options = random_options(&mut random, nodes);
    let weighted = random.one_in(4) && !options.iter().any(|(key, _)| *key == "last_man_standing");
    let votes = (0..nodes).map(|_| if weighted { u32::try_from(random.below(4)).expect("small") } else { 1 });
    let votes = votes.collect();
    let mut places: BTreeMap<u32, usize> = (1u32..).take(nodes).map(|id| (id, 0)).collect();
    let mut steps = Vec::new();
    let most = u32::try_from(nodes).expect("few") + 1;
    while steps.len() < 8 {
        let running: Vec<u32> = places.keys().copied().collect();
        let step = match random.below(7) {
            0 => {
                let id = 1 + u32::try_from(random.below(usize::try_from(most).expect("few"))).expect("few");
                if places.contains_key(&id) {
                    continue;
                }
                let partition = random.below(2);
                places.insert(id, partition);
                Step::Up(partition, id)
            }
            1 if running.len() > 1 => {
                let id = running[random.below(running.len())];
                places.remove(&id);
                Step::Down(id)
            }
            2 | 3 => {
                let (into, from) = (random.below(3), random.below(3));
                if into == from || !places.values().any(|place| *place == from) {
                    continue;
                }
                places.values_mut().filter(|place| **place == from).for_each(|place| *place = into);
                Step::Join(into, from)
            }
            _ => {
                let partition = random.below(3);
                let ids: Vec<u32> = running.iter().copied().filter(|_| random.one_in(2)).collect();
                if ids.is_empty() {
                    continue;
                }
                places.extend(ids.iter().map(|id| (*id, partition)));
                Step::Move(partition, ids)
            }
        };
        steps.push(step);
    }
    Script { name: format!("seed {seed}"), votes, options, steps }
}
