//! An answer as text.

use std::fmt::Write;

use base::INFINITY;

use super::{Answer, Place, Reason};

/// Width of a score.
const SCORE_WIDTH: usize = 9;

fn score(value: Option<i32>) -> String {
    match value {
        None => "not there".to_string(),
        Some(value) if value >= INFINITY => "INFINITY".to_string(),
        Some(value) if value <= -INFINITY => "-INFINITY".to_string(),
        Some(value) => value.to_string(),
    }
}

/// What happens, in one sentence.
pub(super) fn headline(answer: &Answer) -> String {
    let now = match answer.active_on.as_slice() {
        [] => "is stopped".to_string(),
        [node] if answer.role == "Promoted" => format!("is promoted on {node}"),
        [node] => format!("runs on {node}"),
        several => format!("runs on {} at once", several.join(" and ")),
    };
    let promoted = answer.wanted_role == "Promoted";
    let next = match (&answer.wanted_on, answer.active_on.as_slice()) {
        (None, []) => "and cannot start".to_string(),
        (None, _) => "and has to stop".to_string(),
        (Some(node), [here]) if node == here => match (answer.role == "Promoted", promoted) {
            (false, true) => "and is to be promoted there".to_string(),
            (true, false) => "and is to be demoted there".to_string(),
            _ => "and stays there".to_string(),
        },
        (Some(node), []) if promoted => format!("and is to be promoted on {node}"),
        (Some(node), []) => format!("and is to start on {node}"),
        (Some(node), _) => format!("and is to move to {node}"),
    };
    format!("{} ({}) {now} {next}.", answer.resource, answer.agent)
}

/// The whole answer.
pub(super) fn answer(answer: &Answer) -> String {
    let mut out = headline(answer) + "\n";
    for reason in &answer.reasons {
        let _ = writeln!(out, "  because {}", reason.text);
    }
    out.push('\n');
    for place in answer.nodes.iter().filter(|place| place.score.is_some() || !place.steps.is_empty()) {
        node(&mut out, place);
    }
    out.push_str(tie(answer));
    let fixes = fixes(answer);
    if !fixes.is_empty() {
        out.push_str("What would change it:\n");
        for fix in fixes {
            let _ = writeln!(out, "  {fix}");
        }
    }
    out
}

/// Why the best of several nodes with the same score is the best.
fn tie(answer: &Answer) -> &'static str {
    let best = answer.nodes.iter().find(|place| place.chosen);
    let same = |place: &&Place| {
        !place.chosen && place.unusable.is_none() && best.is_some_and(|best| best.score == place.score)
    };
    match answer.nodes.iter().find(same) {
        Some(_) => {
            "  (Of equal scores that of the node with fewer resources counts, then the running one's, then the first name.)\n"
        }
        None => "",
    }
}

fn node(out: &mut String, place: &Place) {
    let mark = if place.chosen { "  ← best" } else { "" };
    let _ = match &place.unusable {
        Some(reason) => writeln!(out, "  {}: cannot be used, it is {}", place.node, reason.text),
        None => writeln!(out, "  {}: {}{mark}", place.node, score(place.score)),
    };
    for step in &place.steps {
        let _ = writeln!(out, "    {:>SCORE_WIDTH$}  {}", score(step.to), step.reason.text);
    }
}

/// Commands that would take away what keeps the resource from running, or from running elsewhere.
pub(super) fn fixes(answer: &Answer) -> Vec<String> {
    let mut all: Vec<&Reason> = answer.reasons.iter().collect();
    for place in answer.nodes.iter().filter(|place| !place.chosen) {
        all.extend(&place.unusable);
        let bans = place.steps.iter().filter(|step| step.to == Some(-INFINITY));
        all.extend(bans.map(|step| &step.reason));
    }
    let mut found: Vec<String> = Vec::new();
    for fix in all.into_iter().filter_map(|reason| reason.fix.clone()) {
        if !found.contains(&fix) {
            found.push(fix);
        }
    }
    found
}
