//! `pcs property`: options of the cluster as a whole.

use xml::{Document, Element, NodeId};

use crate::context::Context;
use crate::model::{id, nvset, section};
use crate::report::{Failure, Issue, Issues, Outcome, quoted_list};
use crate::router::Command;
use crate::words::{self, is_boolean, seconds};

pub const COMMANDS: &[Command] = &[
    Command {
        path: "property config",
        synopsis: "[<property> | --all | --defaults]",
        about: "Show the properties that are set. With --all, show also those at their default \
                value; with --defaults, show the default values only.",
        options: &["-f", "--all", "--defaults"],
        run: config,
    },
    Command {
        path: "property set",
        synopsis: "<property>=[<value>] ... [--force]",
        about: "Set properties. An empty value takes the property out of the configuration. \
                Unknown properties and values need --force.",
        options: &["-f", "--force"],
        run: set,
    },
    Command {
        path: "property unset",
        synopsis: "<property> ... [--force]",
        about: "Take properties out of the configuration.",
        options: &["-f", "--force"],
        run: unset,
    },
    Command {
        path: "property list",
        synopsis: "[<property> | --all | --defaults]",
        about: "Older spelling of 'pcs property config'.",
        options: &["-f", "--all", "--defaults"],
        run: list,
    },
    Command {
        path: "property show",
        synopsis: "[<property> | --all | --defaults]",
        about: "Older spelling of 'pcs property config'.",
        options: &["-f", "--all", "--defaults"],
        run: list,
    },
];

/// What values a property takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Boolean,
    Integer,
    Percentage,
    Text,
    Time,
    OneOf(&'static [&'static str]),
}

/// Name, default, kind. (pacemaker-controld(7), pacemaker-schedulerd(7), pacemaker-based(7).)
const PROPERTIES: &[(&str, &str, Kind)] = &[
    ("batch-limit", "0", Kind::Integer),
    ("cluster-delay", "60s", Kind::Time),
    ("cluster-infrastructure", "", Kind::Text),
    ("cluster-ipc-limit", "500", Kind::Integer),
    ("cluster-name", "", Kind::Text),
    ("cluster-recheck-interval", "15min", Kind::Time),
    ("concurrent-fencing", "false", Kind::Boolean),
    ("dc-deadtime", "20s", Kind::Time),
    ("dc-version", "", Kind::Text),
    ("election-timeout", "2min", Kind::Time),
    ("enable-acl", "false", Kind::Boolean),
    ("enable-startup-probes", "true", Kind::Boolean),
    ("fence-reaction", "stop", Kind::Text),
    ("have-watchdog", "false", Kind::Boolean),
    ("join-finalization-timeout", "30min", Kind::Time),
    ("join-integration-timeout", "3min", Kind::Time),
    ("last-lrm-refresh", "", Kind::Text),
    ("load-threshold", "80%", Kind::Percentage),
    ("maintenance-mode", "false", Kind::Boolean),
    ("migration-limit", "-1", Kind::Integer),
    ("no-quorum-policy", "stop", Kind::OneOf(&["demote", "freeze", "ignore", "stop", "suicide"])),
    ("node-action-limit", "0", Kind::Integer),
    ("node-health-base", "0", Kind::Integer),
    ("node-health-green", "0", Kind::Integer),
    ("node-health-red", "-INFINITY", Kind::Integer),
    (
        "node-health-strategy",
        "none",
        Kind::OneOf(&["custom", "migrate-on-red", "none", "only-green", "progressive"]),
    ),
    ("node-health-yellow", "0", Kind::Integer),
    ("pe-error-series-max", "-1", Kind::Integer),
    ("pe-input-series-max", "4000", Kind::Integer),
    ("pe-warn-series-max", "5000", Kind::Integer),
    ("placement-strategy", "default", Kind::OneOf(&["balanced", "default", "minimal", "utilization"])),
    ("priority-fencing-delay", "0", Kind::Time),
    ("remove-after-stop", "false", Kind::Boolean),
    ("shutdown-escalation", "20min", Kind::Time),
    ("shutdown-lock", "false", Kind::Boolean),
    ("shutdown-lock-limit", "0", Kind::Time),
    ("start-failure-is-fatal", "true", Kind::Boolean),
    ("startup-fencing", "true", Kind::Boolean),
    ("stonith-action", "reboot", Kind::OneOf(&["off", "poweroff", "reboot"])),
    ("stonith-enabled", "true", Kind::Boolean),
    ("stonith-max-attempts", "10", Kind::Integer),
    ("stonith-timeout", "60s", Kind::Time),
    ("stonith-watchdog-timeout", "0", Kind::Time),
    ("stop-all-resources", "false", Kind::Boolean),
    ("stop-orphan-actions", "true", Kind::Boolean),
    ("stop-orphan-resources", "true", Kind::Boolean),
    ("symmetric-cluster", "true", Kind::Boolean),
    ("transition-delay", "0s", Kind::Time),
];

/// Written by the cluster itself.
const READ_ONLY: &[&str] =
    &["cluster-infrastructure", "cluster-name", "dc-version", "have-watchdog", "last-lrm-refresh"];

/// The set that holds the properties.
const SET: &str = "cib-bootstrap-options";

fn list(context: &mut Context<'_>, words: &[String]) -> Outcome {
    context.deprecated(
        "This command is deprecated and will be removed. Please use 'pcs property config' instead.",
    );
    config(context, words)
}

fn config(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let (all, defaults) = (context.options.has("--all"), context.options.has("--defaults"));
    if all && defaults {
        return Err(Failure::error("you cannot specify both --all and --defaults"));
    }
    let wanted = match words {
        [] => None,
        [_] if all || defaults => {
            return Err(Failure::error("you cannot specify a property when using --all or --defaults"));
        }
        [one] => Some(one.as_str()),
        _ => return Err(Failure::USAGE),
    };
    let doc = context.load()?;
    let mut shown: Vec<(String, String)> = if defaults { Vec::new() } else { configured(&doc) };
    if all || defaults {
        for (name, default) in visible_defaults() {
            if !shown.iter().any(|(n, _)| n == name) {
                shown.push((name.to_string(), default.to_string()));
            }
        }
    }
    if let Some(name) = wanted {
        shown.retain(|(n, _)| n == name);
        if shown.is_empty() {
            shown.extend(
                visible_defaults().filter(|(n, _)| *n == name).map(|(n, d)| (n.to_string(), d.to_string())),
            );
        }
    }
    shown.sort();
    context.output(lines(&shown).join("\n"));
    Ok(())
}

fn visible_defaults() -> impl Iterator<Item = (&'static str, &'static str)> {
    PROPERTIES
        .iter()
        .filter(|(name, ..)| !matches!(*name, "cluster-infrastructure" | "dc-version" | "last-lrm-refresh"))
        .map(|(name, default, _)| (*name, *default))
}

/// `Cluster Properties:` with one line per property.
pub fn lines(properties: &[(String, String)]) -> Vec<String> {
    std::iter::once("Cluster Properties:".to_string())
        .chain(properties.iter().map(|(name, value)| format!(" {name}: {value}")))
        .collect()
}

/// Properties of all sets, sorted by name; the first set that has one counts.
pub fn configured(doc: &Document) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    let sets = doc.root_element().path(&["configuration", "crm_config"]);
    for set in sets.iter().flat_map(|c| c.children_named("cluster_property_set")) {
        for (name, value) in nvset::pairs(set) {
            if !all.iter().any(|(n, _)| *n == name) {
                all.push((name, value));
            }
        }
    }
    all.sort();
    all
}

/// The set to change: the first, or a new one.
fn property_set(doc: &mut Document) -> Result<NodeId, Failure> {
    let config = section(doc, "crm_config");
    if let Some(set) = doc.child(config, "cluster_property_set") {
        return Ok(set);
    }
    if id::exists(doc, SET) {
        return Err(Failure::issue(Issue::new(format!(
            "Cannot create default cluster_property_set element, ID '{SET}' already exists. Find \
             elements with the ID and remove them from cluster configuration."
        ))));
    }
    Ok(doc.append_with(config, "cluster_property_set", &[("id", SET)]))
}

fn set(context: &mut Context<'_>, words: &[String]) -> Outcome {
    if words.is_empty() {
        return Err(Failure::USAGE);
    }
    let pairs = words::pairs(words)?;
    let list: Vec<(&str, &str)> = pairs.iter().collect();
    apply(context, &list)
}

fn unset(context: &mut Context<'_>, words: &[String]) -> Outcome {
    if words.is_empty() {
        return Err(Failure::USAGE);
    }
    let mut names: Vec<&str> = words.iter().map(String::as_str).collect();
    names.sort_unstable();
    let twice: Vec<&str> =
        names.windows(2).filter(|w| w.first() == w.last()).filter_map(|w| w.first().copied()).collect();
    if !twice.is_empty() && !context.force() {
        let plural = if twice.len() == 1 { "argument" } else { "arguments" };
        return Err(Failure::usage(format!("duplicate {plural}: {}", quoted_list(twice))));
    }
    let list: Vec<(&str, &str)> = names.into_iter().map(|n| (n, "")).collect();
    apply(context, &list)
}

fn apply(context: &mut Context<'_>, pairs: &[(&str, &str)]) -> Outcome {
    context.change(|context, doc| {
        let set = property_set(doc)?;
        let set_id = doc.attr(set, "id").unwrap_or(SET).to_string();
        let present = nvset::pairs(doc.element(set));
        let issues = check(pairs, &present, &set_id);
        context.settle(issues)?;
        for (name, value) in pairs {
            nvset::set_pair(doc, set, name, value);
        }
        Ok(())
    })
}

fn check(pairs: &[(&str, &str)], present: &[(String, String)], set_id: &str) -> Issues {
    let mut issues = Issues::default();
    let absent: Vec<&str> = pairs
        .iter()
        .filter(|(name, value)| value.is_empty() && !present.iter().any(|(n, _)| n == name))
        .map(|(name, _)| *name)
        .collect();
    if !absent.is_empty() {
        let (noun, they) = match absent.len() {
            1 => ("property", "it is"),
            _ => ("properties", "they are"),
        };
        let list = quoted_list(&absent);
        let text = format!("Cannot remove {noun} {list}, {they} not present in property set '{set_id}'");
        let first = absent.first().copied().unwrap_or_default();
        issues.push(Issue::forceable(text).meant(first, present.iter().map(|(n, _)| n.as_str())));
    }
    let settable = || PROPERTIES.iter().map(|(n, ..)| *n).filter(|n| !READ_ONLY.contains(n));
    let mut unknown: Vec<&str> = Vec::new();
    let mut banned: Vec<&str> = Vec::new();
    for (name, value) in pairs {
        if READ_ONLY.contains(name) {
            banned.push(name);
        } else if !value.is_empty() && !settable().any(|known| known == *name) {
            unknown.push(name);
        }
    }
    issues.0.extend(crate::agent::invalid_options(&unknown, settable(), "cluster property"));
    if let Some(mut issue) = crate::agent::invalid_options(&banned, settable(), "cluster property") {
        issue.forceable = false;
        issues.push(issue);
    }
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        if let Some((_, _, kind)) = PROPERTIES.iter().find(|(n, ..)| n == name) {
            issues.0.extend(check_value(name, value, *kind));
        }
    }
    issues
}

fn check_value(name: &str, value: &str, kind: Kind) -> Option<Issue> {
    let wrong =
        |hint: &str| Some(Issue::forceable(format!("'{value}' is not a valid {name} value, use {hint}")));
    match kind {
        Kind::Boolean if !is_boolean(value) => {
            wrong("a pacemaker boolean value: '0', '1', 'false', 'n', 'no', 'off', 'on', 'true', 'y', 'yes'")
        }
        Kind::Integer if !words::is_score(value) => wrong("an integer or INFINITY or -INFINITY"),
        Kind::Percentage if !is_percentage(value) => {
            wrong("a non-negative integer followed by '%' (e.g. 0%, 50%, 200%, ...)")
        }
        Kind::Time if seconds(value).is_none() => wrong("time interval (e.g. 1, 2s, 3m, 4h, ...)"),
        Kind::OneOf(allowed) if !allowed.contains(&value) => {
            wrong(&quoted_list(allowed)).map(|issue| issue.meant(value, allowed.iter().copied()))
        }
        _ => None,
    }
}

fn is_percentage(value: &str) -> bool {
    value.strip_suffix('%').is_some_and(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_digit()))
}

/// Value of one property as configured.
pub fn value<'a>(doc: &'a Document, name: &str) -> Option<&'a str> {
    doc.root_element()
        .path(&["configuration", "crm_config"])?
        .children()
        .filter(|e: &Element<'_>| e.name() == "cluster_property_set")
        .flat_map(Element::children)
        .find(|p| p.name() == "nvpair" && p.attr("name") == Some(name))
        .and_then(|p| p.attr("value"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cib, run};

    #[test]
    fn set_change_and_remove() {
        let (doc, _) = run(&cib(""), "property set stonith-enabled=false no-quorum-policy=ignore").unwrap();
        assert_eq!(value(&doc, "stonith-enabled"), Some("false"));
        let (doc, _) = run(&doc, "property set stonith-enabled=").unwrap();
        assert_eq!(value(&doc, "stonith-enabled"), None);
        assert_eq!(value(&doc, "no-quorum-policy"), Some("ignore"));
    }

    #[test]
    fn wrong_names_and_values_change_nothing() {
        for line in [
            "property set stonith-enabeld=false",
            "property set stonith-enabled=maybe",
            "property set batch-limit=abc",
            "property set cluster-delay=1x",
            "property set have-watchdog=true --force",
            "property unset nope",
            "property set no-quorum-policy=perhaps",
        ] {
            assert!(matches!(run(&cib(""), line), Err(Failure::Issues(_))), "{line}");
        }
    }
}
