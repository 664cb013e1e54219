//! Scores, utilization and drawings of the graph, in the reference's layout.

use crate::record::Record;
use base::Score;
use scheduler::text::Str;
use scheduler::{ActIx, Cluster, Line, af, ar};
use std::fmt::Write;

/// One line of the scores or utilization output, as a record.
pub fn record(of: &Line) -> Record {
    let score = |value: &i32| Score::new(i64::from(*value)).to_string();
    let text = line(of);
    match of {
        Line::Score { stage, rsc, node, score: value } => {
            let value = score(value);
            let attrs = [("function", *stage), ("node", &**node), ("score", &value), ("id", &**rsc)];
            Record::new("node_weight", text, &attrs)
        }
        Line::Promotion { rsc, node, score: value } => {
            let value = score(value);
            let mut record = Record::new("promotion_score", text, &[("id", &**rsc), ("score", &value)]);
            record.attrs.extend(node.as_ref().map(|n| ("node", n.to_string())));
            record
        }
        Line::Capacity { stage, node, values } => {
            let record = Record::new("capacity", text, &[("node", &**node), ("comment", *stage)]);
            Record { inside: amounts(values), ..record }
        }
        Line::Utilization { stage, rsc, node, values } => {
            let attrs = [("resource", &**rsc), ("node", &**node), ("function", *stage)];
            Record { inside: amounts(values), ..Record::new("utilization", text, &attrs) }
        }
        Line::Info(_) => Record { text, ..Record::default() },
    }
}

/// Amounts whose names can be names of elements.
fn amounts(values: &[(Str, Str)]) -> Vec<(String, String)> {
    let starts = |c: char| c.is_alphabetic() || c == '_';
    let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let fits = |name: &str| name.starts_with(starts) && name.chars().all(goes_on);
    let fitting = values.iter().filter(|(name, _)| fits(name));
    fitting.map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// One line of the scores or utilization output.
pub fn line(line: &Line) -> String {
    let score = |value: i32| Score::new(i64::from(value));
    let amounts = |values: &[(Str, Str)]| {
        values.iter().fold(String::new(), |mut out, (name, value)| {
            let _ = write!(out, " {name}={value}");
            out
        })
    };
    match line {
        Line::Score { stage, rsc, node, score: value } => {
            format!("{stage}: {rsc} allocation score on {node}: {}", score(*value))
        }
        Line::Promotion { rsc, node: Some(node), score: value } => {
            format!("{rsc} promotion score on {node}: {}", score(*value))
        }
        Line::Promotion { rsc, node: None, score: value } => {
            format!("{rsc} promotion score (inactive): {}", score(*value))
        }
        Line::Capacity { stage, node, values } => format!("{stage}: {node} capacity:{}", amounts(values)),
        Line::Utilization { stage, rsc, node, values } => {
            format!("{stage}: {rsc} utilization on {node}:{}", amounts(values))
        }
        Line::Info(text) => text.clone(),
    }
}

/// The transition as a drawing for Graphviz. `all`: optional actions as well; `verbose`: with ids.
pub fn dot(cluster: &Cluster, all: bool, verbose: bool) -> String {
    let label = |action: ActIx| match verbose {
        true => format!("{} ({})", cluster.action_label(action), cluster.action_number(action)),
        false => cluster.action_label(action),
    };
    let mut out = String::from(" digraph \"g\" {\n");
    let mut shown = vec![false; cluster.actions.len()];
    for ix in cluster.actions.indices().rev() {
        let a = &cluster.actions[ix];
        let font = if a.is(af::PSEUDO) { "orange" } else { "black" };
        let unmanaged = a.rsc.is_some_and(|r| !cluster.rscs[r].is(scheduler::rf::MANAGED));
        let (style, color, font, hidden) = if a.is(af::ADDED_TO_GRAPH) {
            ("bold", "green", font, false)
        } else if unmanaged {
            ("dashed", "red", "purple", true)
        } else if a.is(af::OPTIONAL) {
            ("dashed", "blue", font, true)
        } else {
            ("dashed", "red", font, false)
        };
        if hidden && !all {
            continue;
        }
        if let Some(cell) = shown.get_mut(usize::from(ix)) {
            *cell = true;
        }
        let _ = writeln!(out, "\"{}\" [ style={style} color=\"{color}\" fontcolor=\"{font}\"]", label(ix));
    }
    let is_shown = |ix: ActIx| shown.get(usize::from(ix)).copied().unwrap_or(false);
    for ix in cluster.actions.indices().rev() {
        for input in cluster.actions[ix].before.iter().rev() {
            let (mut style, mut optional) = ("dashed", true);
            if input.graphed() {
                (style, optional) = ("bold", false);
            } else if input.flags == ar::NONE {
                continue;
            } else if is_shown(input.action) && is_shown(ix) && input.flags != ar::IF_ON_SAME_NODE_OR_TARGET {
                optional = false;
            }
            if all || !optional {
                let _ = writeln!(out, "\"{}\" -> \"{}\" [ style = {style}]", label(input.action), label(ix));
            }
        }
    }
    out.push_str("}\n");
    out
}
