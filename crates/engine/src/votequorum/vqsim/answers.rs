//! The simulator's answers as they are recorded: for each script a line with its name, and one for each situation.
//!
//! `1,2:0+ 3:1-=3,4`: nodes 1 and 2 are in partition 0, quorate, and each other's members; node 3 in partition 1 is not
//! and counts node 4 as a member.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Verdict, Verdicts};

const RECORDED: &str = include_str!("answers.txt");

/// Recorded answers by the script's name.
pub(super) fn recorded() -> BTreeMap<String, Vec<Verdicts>> {
    let mut answers: BTreeMap<String, Vec<Verdicts>> = BTreeMap::new();
    let mut current = None;
    for line in RECORDED.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix("script ") {
            Some(name) => current = Some(answers.entry(name.to_owned()).or_default()),
            None => {
                let answers = current.as_mut().expect("a script's name comes first");
                answers.push(parse(line).unwrap_or_else(|| panic!("no answer: {line}")));
            }
        }
    }
    answers
}

fn ids(text: &str) -> Option<Vec<u32>> {
    text.split(',').map(|id| id.parse().ok()).collect()
}

fn parse(line: &str) -> Option<Verdicts> {
    let mut verdicts = Verdicts::new();
    for group in line.split_whitespace() {
        let (nodes, rest) = group.split_once(':')?;
        let nodes = ids(nodes)?;
        let (rest, members) = match rest.split_once('=') {
            Some((rest, members)) => (rest, ids(members)?),
            None => (rest, nodes.clone()),
        };
        let partition = rest.get(..rest.len() - 1)?.parse().ok()?;
        let verdict = Verdict { partition, quorate: rest.ends_with('+'), members };
        verdicts.extend(nodes.into_iter().map(|id| (id, verdict.clone())));
    }
    Some(verdicts)
}

/// One situation as a line.
pub(super) fn line(verdicts: &Verdicts) -> String {
    let mut groups: BTreeMap<(usize, bool, &[u32]), Vec<u32>> = BTreeMap::new();
    for (id, verdict) in verdicts {
        let key = (verdict.partition, verdict.quorate, verdict.members.as_slice());
        groups.entry(key).or_default().push(*id);
    }
    let list = |ids: &[u32]| ids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let mut text = String::new();
    for ((partition, quorate, members), nodes) in groups {
        let sign = if quorate { '+' } else { '-' };
        let space = if text.is_empty() { "" } else { " " };
        let _ = write!(text, "{space}{}:{partition}{sign}", list(&nodes));
        if nodes != members {
            let _ = write!(text, "={}", list(members));
        }
    }
    text
}

#[test]
fn a_situation_is_read_as_it_was_written() {
    let verdict =
        |partition, quorate, members: &[u32]| Verdict { partition, quorate, members: members.to_vec() };
    let verdicts = Verdicts::from([
        (1, verdict(0, true, &[1, 2])),
        (2, verdict(0, true, &[1, 2])),
        (3, verdict(1, false, &[3, 4])),
        (4, verdict(1, true, &[3, 4])),
    ]);
    assert_eq!(line(&verdicts), "1,2:0+ 3:1-=3,4 4:1+=3,4");
    assert_eq!(parse(&line(&verdicts)).as_ref(), Some(&verdicts));
}
