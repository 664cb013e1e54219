//! From words to a command, and usage texts from the same table.

use crate::cmd;
use crate::context::Context;
use crate::report::{Failure, Message, Outcome};

pub type Handler = fn(&mut Context<'_>, &[String]) -> Outcome;

/// One command: its words, its grammar, what it does.
#[derive(Debug, Clone, Copy)]
pub struct Command {
    /// Words that lead to it, separated by blanks: `resource op add`.
    pub path: &'static str,
    /// What follows the words in the usage.
    pub synopsis: &'static str,
    pub about: &'static str,
    /// Options it understands.
    pub options: &'static [&'static str],
    pub run: Handler,
}

/// A first word with its description, in the order of the main usage.
pub const TOPICS: &[(&str, &str)] = &[
    ("cluster", "Configure cluster options and nodes."),
    ("resource", "Manage cluster resources."),
    ("stonith", "Manage fence devices."),
    ("constraint", "Manage resource constraints."),
    ("property", "Manage pacemaker properties."),
    ("quorum", "Manage cluster quorum settings."),
    ("status", "View cluster status."),
    ("config", "View and manage cluster configuration."),
    ("pcsd", "Manage pcs daemon."),
    ("host", "Manage hosts known to pcs/pcsd."),
    ("node", "Manage cluster nodes."),
    ("alert", "Manage pacemaker alerts."),
    ("tag", "Manage pacemaker tags."),
];

/// Words that stand for a longer command.
const DEFAULTS: &[(&str, &str)] = &[
    ("resource", "resource status"),
    ("stonith", "stonith status"),
    ("constraint", "constraint config"),
    ("constraint location", "constraint location config"),
    ("constraint order", "constraint order config"),
    ("constraint colocation", "constraint colocation config"),
    ("constraint ticket", "constraint ticket config"),
    ("property", "property config"),
    ("status", "status status"),
    ("config", "config show"),
    ("resource failcount", "resource failcount show"),
    ("resource defaults", "resource defaults config"),
    ("resource op defaults", "resource op defaults config"),
    ("stonith level", "stonith level config"),
    ("cluster config", "cluster config show"),
    ("cluster sync", "cluster sync corosync"),
    ("quorum", "quorum config"),
    ("alert", "alert config"),
    ("tag", "tag config"),
];

const WIDTH: usize = 80;

fn commands() -> impl Iterator<Item = &'static Command> {
    cmd::TABLES.iter().flat_map(|table| table.iter())
}

/// Runs the command that the words name.
///
/// # Errors
/// The command's failure; words that name none show the usage of the nearest topic (status 1).
pub fn run(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let Some(first) = words.first() else {
        context.error_text(&main_usage());
        return Err(Failure::Exit(1));
    };
    if first == "help" {
        context.output(main_usage());
        return Ok(());
    }
    if let Some(at) = words.iter().take(3).position(|w| w == "help")
        && at > 0
        && TOPICS.iter().any(|(topic, _)| topic == first)
    {
        let path: Vec<&str> =
            words.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, w)| w.as_str()).collect();
        context.output(usage(&path));
        return Ok(());
    }
    match find(words) {
        Some((command, used)) => check_options(context, command)
            .and_then(|()| (command.run)(context, words.get(used..).unwrap_or_default()))
            .map_err(|failure| explain(context, failure, command.path)),
        None => Err(unknown(context, words)),
    }
}

/// The command with the longest matching path, and how many words it took.
fn find(words: &[String]) -> Option<(&'static Command, usize)> {
    for length in (1..=words.len().min(5)).rev() {
        let path = words.get(..length)?.join(" ");
        if length == words.len()
            && let Some((_, target)) = DEFAULTS.iter().find(|(from, _)| *from == path)
        {
            return commands().find(|c| c.path == *target).map(|c| (c, length));
        }
        if let Some(command) = commands().find(|c| c.path == path) {
            return Some((command, length));
        }
    }
    None
}

fn check_options(context: &Context<'_>, command: &Command) -> Outcome {
    let mut wrong: Vec<&str> = context
        .options
        .names()
        .filter(|name| !command.options.contains(name) && !ALWAYS.contains(name))
        .collect();
    wrong.sort_unstable();
    match wrong.as_slice() {
        [] => Ok(()),
        [one] => Err(Failure::usage(format!("Specified option '{one}' is not supported in this command"))),
        many => {
            let list = many.iter().map(|o| format!("'{o}'")).collect::<Vec<_>>().join(", ");
            Err(Failure::usage(format!("Specified options {list} are not supported in this command")))
        }
    }
}

/// Options every command takes.
const ALWAYS: &[&str] = &["--debug", "--request-timeout", "--corosync_conf"];

/// Shows a grammar error with the usage that belongs to it.
fn explain(context: &mut Context<'_>, failure: Failure, path: &str) -> Failure {
    let Failure::Usage { message, hint } = failure else { return failure };
    match message {
        Some(message) => {
            context.message(Message::Error(message));
            if let Some(hint) = hint {
                context.message(Message::Info(format!("Hint: {hint}")));
            }
        }
        None => context.error_text(&usage(&path.split(' ').collect::<Vec<_>>())),
    }
    Failure::Exit(1)
}

fn unknown(context: &mut Context<'_>, words: &[String]) -> Failure {
    let path: Vec<&str> = words.iter().map(String::as_str).collect();
    let depth = (1..=path.len()).take_while(|n| is_prefix(&path[..*n].join(" "))).count();
    let known = path.get(..depth).unwrap_or_default();
    if let Some(hint) = suggestion(&path, depth) {
        context.message(Message::Info(hint));
    }
    if known.is_empty() {
        context.error_text(&main_usage());
    } else {
        context.error_text(&usage(known));
    }
    Failure::Exit(1)
}

/// "Did you mean" for the first word that fits nowhere.
fn suggestion(path: &[&str], depth: usize) -> Option<String> {
    let wrong = path.get(depth)?;
    let lead = path.get(..depth)?;
    let next = commands().filter_map(|c| {
        let mut parts = c.path.split(' ');
        lead.iter().all(|w| parts.next() == Some(*w)).then(|| parts.next()).flatten()
    });
    let near = crate::report::nearest(wrong, next)?;
    let prefix = if lead.is_empty() { String::new() } else { format!("{} ", lead.join(" ")) };
    Some(format!("Hint: there is no '{wrong}' here, did you mean 'pcs {prefix}{near}'?"))
}

fn is_prefix(path: &str) -> bool {
    commands().any(|c| c.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')))
}

/// Usage of one topic, or of the commands below a path.
pub fn usage(path: &[&str]) -> String {
    let mut length = path.len();
    while length > 1 && !is_prefix(&path.get(..length).unwrap_or_default().join(" ")) {
        length -= 1;
    }
    let path = path.get(..length).unwrap_or_default();
    let Some(topic) = path.first() else { return main_usage() };
    let joined = path.join(" ");
    let mut text = if path.len() == 1 {
        let about = TOPICS.iter().find(|(t, _)| t == topic).map_or("", |(_, a)| a);
        format!("\nUsage: pcs {topic} [commands]...\n{about}\n\nCommands:\n")
    } else {
        format!("\nUsage: pcs {joined}...\n")
    };
    for command in commands() {
        let below = command
            .path
            .strip_prefix(joined.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
        if below {
            describe(command, topic, &mut text);
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn describe(command: &Command, topic: &str, text: &mut String) {
    let rest = command.path.strip_prefix(topic).unwrap_or_default().trim_start();
    let head = format!("{rest} {}", command.synopsis);
    let indent = 4 + rest.len() + 1;
    text.push_str(&wrap(head.trim(), 4, indent.min(16)));
    text.push_str(&wrap(command.about, 8, 8));
    text.push('\n');
}

/// The usage of the program itself.
pub fn main_usage() -> String {
    let mut text = String::from(
        "\nUsage: pcs [-f file] [-h] [commands]...\nControl and configure pacemaker and corosync.\n\nOptions:\n",
    );
    for (name, about) in [
        ("-h, --help", "Show this text, or the usage of the given command."),
        (
            "-f file",
            "Work on a file instead of the running cluster: the command starts from what is in \
             the file and writes its result back to it. Commands that only show something read it.",
        ),
        ("--debug", "Show requests to other nodes and external commands."),
        ("--version", "Print the version."),
        (
            "--request-timeout",
            "Seconds to wait for the answer of another node to each request. Default is 60s.",
        ),
        (
            "--force",
            "Go on where a check would stop the command. What it does depends on the command; \
             use it only when you know why the check complains.",
        ),
    ] {
        let body = wrap(about, 23, 23);
        let lead = format!("    {name:<18} ");
        text.push_str(&lead);
        text.push_str(body.trim_start());
    }
    text.push_str("\nCommands:\n");
    for (topic, about) in TOPICS {
        text.push_str(&format!("    {topic:<11} {about}\n"));
    }
    text
}

/// Breaks a text into lines of at most [`WIDTH`] columns.
fn wrap(text: &str, first: usize, next: usize) -> String {
    let mut out = String::new();
    for paragraph in text.split('\n') {
        let mut line = " ".repeat(first);
        let mut empty = true;
        for word in paragraph.split_whitespace() {
            if !empty && line.len() + 1 + word.len() >= WIDTH {
                out.push_str(line.trim_end());
                out.push('\n');
                line = " ".repeat(next);
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            line.push_str(word);
            empty = false;
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_known_topic_and_a_unique_path() {
        let mut paths: Vec<&str> = commands().map(|c| c.path).collect();
        for path in &paths {
            let topic = path.split(' ').next().unwrap_or_default();
            assert!(TOPICS.iter().any(|(t, _)| *t == topic), "{path}");
        }
        let count = paths.len();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), count);
    }

    #[test]
    fn defaults_name_commands() {
        for (_, target) in DEFAULTS {
            assert!(commands().any(|c| c.path == *target), "{target}");
        }
    }

    #[test]
    fn usage_lines_fit_the_screen() {
        for (topic, _) in TOPICS {
            assert!(usage(&[topic]).lines().all(|line| line.len() <= WIDTH), "{topic}");
        }
    }
}
