//! What is checked after a step. Nothing is believed that can be looked at.

use super::Outcome;
use crate::api::Lab;
use crate::layout::{FLOATING_ADDRESS, Role};

type Verdict = Result<(), String>;

/// A check.
#[derive(Clone, Copy, Debug)]
pub(super) enum Check {
    /// Exit status 0.
    Succeeds,
    /// Exit status 0 and all these texts in the output.
    Says(&'static [&'static str]),
    /// Another exit status than 0, and all these texts.
    Refuses(&'static [&'static str]),
    /// All these texts, whatever the exit status (programs that are interrupted).
    Shows(&'static [&'static str]),
    /// Exit status 0 and none of these texts.
    Lacks(&'static [&'static str]),
    /// Exactly this node has the floating address, seen inside the nodes.
    HeldBy(&'static str),
    /// No node has the floating address.
    HeldByNobody,
    /// The output, minus lines that contain the first text, is the second text.
    Prints(&'static str, &'static str),
    /// This file is the same on all nodes, with this length and mode.
    SameFile(&'static str, u64, &'static str),
    /// All these services are active on all nodes.
    Active(&'static [&'static str]),
    /// `host` has this node's hardware address for the floating address.
    MacOf(&'static str),
}

impl Check {
    /// True if trying again means to run the command again.
    pub(super) fn repeats_command(self) -> bool {
        matches!(self, Check::Says(_) | Check::Shows(_) | Check::Lacks(_) | Check::Prints(..))
    }

    pub(super) fn describe(self) -> String {
        let list = |texts: &[&str]| texts.iter().map(|t| format!("“{t}”")).collect::<Vec<_>>().join(", ");
        match self {
            Check::Succeeds => "succeeds".into(),
            Check::Says(texts) | Check::Shows(texts) => format!("says {}", list(texts)),
            Check::Refuses([]) => "is refused".into(),
            Check::Refuses(texts) => format!("is refused with {}", list(texts)),
            Check::Lacks(texts) => format!("does not say {}", list(texts)),
            Check::HeldBy(node) => format!("{FLOATING_ADDRESS} is on {node} and nowhere else"),
            Check::HeldByNobody => format!("{FLOATING_ADDRESS} is nowhere"),
            Check::Prints(..) => "the file is as the tutorial shows it".into(),
            Check::SameFile(path, length, mode) => {
                format!("{path} has {length} bytes, mode {mode}, the same on all nodes")
            }
            Check::Active(services) => format!("{} active on all nodes", services.join(", ")),
            Check::MacOf(node) => format!("{FLOATING_ADDRESS} has the MAC of {node}"),
        }
    }

    pub(super) fn judge(self, lab: &Lab, outcome: &Outcome) -> Verdict {
        let succeeded = || match outcome.status {
            0 => Ok(()),
            status => Err(format!("exit status {status}")),
        };
        match self {
            Check::Succeeds => succeeded(),
            Check::Says(texts) => succeeded().and_then(|()| contains(outcome, texts)),
            Check::Refuses(texts) if outcome.status != 0 => contains(outcome, texts),
            Check::Refuses(_) => Err("it succeeded".into()),
            Check::Shows(texts) => contains(outcome, texts),
            Check::Lacks(texts) => {
                succeeded().and_then(|()| match texts.iter().find(|t| outcome.text.contains(*t)) {
                    Some(text) => Err(format!("it says “{text}”")),
                    None => Ok(()),
                })
            }
            Check::HeldBy(node) => succeeded().and_then(|()| holders_are(lab, &[node])),
            Check::HeldByNobody => succeeded().and_then(|()| holders_are(lab, &[])),
            Check::Prints(except, expected) => succeeded().and_then(|()| prints(outcome, except, expected)),
            Check::SameFile(path, length, mode) => {
                succeeded().and_then(|()| same_file(lab, path, length, mode))
            }
            Check::Active(services) => succeeded().and_then(|()| active(lab, services)),
            Check::MacOf(node) => succeeded().and_then(|()| mac_of(lab, node)),
        }
    }
}

fn contains(outcome: &Outcome, texts: &[&str]) -> Verdict {
    match texts.iter().find(|text| !outcome.text.contains(*text)) {
        Some(text) => Err(format!("it does not say “{text}”")),
        None => Ok(()),
    }
}

fn nodes(lab: &Lab) -> Vec<String> {
    lab.plan().hosts().into_iter().filter(|h| h.role == Role::Node).map(|h| h.name).collect()
}

/// Output of a command, if the host is on and the command succeeds.
fn said(lab: &Lab, host: &str, words: &[&str]) -> Option<String> {
    let output = lab.exec(host, words).ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn holders_are(lab: &Lab, expected: &[&str]) -> Verdict {
    let address = FLOATING_ADDRESS.to_string();
    let holds = |node: &String| {
        let listed = said(lab, node, &["relevo", "lab", "__addresses"]).unwrap_or_default();
        listed.lines().any(|line| line.split(['/', ' ']).nth(1) == Some(&address))
    };
    let holders: Vec<String> = nodes(lab).into_iter().filter(holds).collect();
    if holders == expected {
        return Ok(());
    }
    Err(if holders.is_empty() {
        "it is nowhere".into()
    } else {
        format!("it is on {}", holders.join(" and "))
    })
}

fn prints(outcome: &Outcome, except: &str, expected: &str) -> Verdict {
    let lines: Vec<&str> = outcome.text.lines().filter(|line| !line.contains(except)).collect();
    let expected: Vec<&str> = expected.lines().collect();
    match lines.iter().zip(&expected).position(|(a, b)| a != b) {
        Some(at) => Err(format!("line {} differs", at + 1)),
        None if lines.len() != expected.len() => Err("the number of lines differs".into()),
        None => Ok(()),
    }
}

fn same_file(lab: &Lab, path: &str, length: u64, mode: &str) -> Verdict {
    let mut first: Option<String> = None;
    for node in nodes(lab) {
        let facts = said(lab, &node, &["stat", "-c", "%s %a", path]).unwrap_or_default();
        if facts.trim() != format!("{length} {mode}") {
            return Err(format!("on {node} size and mode are “{}”", facts.trim()));
        }
        let sum = said(lab, &node, &["md5sum", path]).unwrap_or_default();
        match &first {
            Some(first) if *first != sum => return Err(format!("{node} has another content")),
            _ => first = Some(sum),
        }
    }
    Ok(())
}

fn active(lab: &Lab, services: &[&str]) -> Verdict {
    for node in nodes(lab) {
        for service in services {
            if said(lab, &node, &["systemctl", "is-active", service]).is_none() {
                return Err(format!("{service} is not active on {node}"));
            }
        }
    }
    Ok(())
}

fn mac_of(lab: &Lab, node: &str) -> Verdict {
    let expected = lab.plan().host(node).map_err(|e| e.to_string())?.mac();
    let expected = crate::keeper::format_mac(&expected);
    let listed = said(lab, "host", &["relevo", "lab", "__neighbours"]).unwrap_or_default();
    let address = FLOATING_ADDRESS.to_string();
    let found = listed.lines().find_map(|line| line.strip_prefix(&address)?.strip_prefix(' '));
    match found {
        Some(mac) if mac == expected => Ok(()),
        Some(mac) => Err(format!("it has {mac}")),
        None => Err("it is not in the table".into()),
    }
}
