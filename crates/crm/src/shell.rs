//! Levels, the prompt, and what each command does.

use std::io::{BufRead, IsTerminal, Write};

use manager_client::{Cib, Error};
use status::{Outside, Sections, Show, tree};
use xml::Document;

use crate::actions::{cluster, corosync, ra, unpack};
use crate::{configure, render};

/// Name under which changes are recorded.
pub(crate) const CLIENT: &str = "crmsh";

/// Levels below the top, with their commands.
const LEVELS: &[(&str, &[&str])] = &[
    (
        "configure",
        &[
            "show",
            "primitive",
            "group",
            "clone",
            "ms",
            "location",
            "colocation",
            "order",
            "property",
            "rsc_defaults",
            "op_defaults",
            "delete",
            "rename",
            "commit",
            "verify",
            "refresh",
            "save",
            "erase",
        ],
    ),
    (
        "resource",
        &[
            "status",
            "list",
            "start",
            "stop",
            "restart",
            "move",
            "ban",
            "clear",
            "cleanup",
            "refresh",
            "manage",
            "unmanage",
            "promote",
            "demote",
            "meta",
            "param",
            "locate",
            "constraints",
            "maintenance",
            "wait",
        ],
    ),
    ("node", &["show", "status", "standby", "online", "maintenance", "ready", "attribute"]),
    ("cluster", &["status", "start", "stop", "restart", "enable", "disable"]),
    ("ra", &["list", "classes", "providers", "info", "meta"]),
    ("cib", &["list"]),
    ("corosync", &["status", "show"]),
];

const TOP: &[&str] = &["status", "verify"];
const EVERYWHERE: &[&str] = &["help", "up", "cd", "back", "end", "ls", "quit", "exit", "bye"];

/// Where the user is and what is not committed yet.
pub struct Shell {
    level: Option<&'static str>,
    host: String,
    /// Changes of the configure level, collected until `commit`: as loaded, and as changed.
    pending: Option<(Document, Document)>,
    force: bool,
    file: Option<std::path::PathBuf>,
}

impl std::fmt::Debug for Shell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shell").field("level", &self.level).finish_non_exhaustive()
    }
}

/// Appends the next line; 0 at the end. (A closure, so that standard input is not held between lines.)
pub type Lines<'a> = &'a mut dyn FnMut(&mut String) -> std::io::Result<usize>;

/// Whether to go on, or the message of a failure.
enum Next {
    Go,
    Quit,
}

type Step = Result<Next, String>;

pub(crate) fn say(text: &str) {
    // A reader that went away is no failure.
    let _ = writeln!(std::io::stdout().lock(), "{}", text.trim_end_matches('\n'));
}

/// A message with a word in front, coloured on a terminal.
pub fn log(word: &str, colour: u8, text: &str) {
    let stderr = std::io::stderr();
    let _ = if stderr.is_terminal() {
        writeln!(stderr.lock(), "\u{1b}[{colour}m{word}\u{1b}[0m: {text}")
    } else {
        writeln!(stderr.lock(), "{word}: {text}")
    };
}

/// The message of a failure.
pub fn error(text: &str) {
    log("ERROR", 31, text);
}

pub(crate) fn info(text: &str) {
    log("INFO", 32, text);
}

impl Shell {
    pub fn new(force: bool, file: Option<std::path::PathBuf>) -> Shell {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Shell { level: None, host: host.trim().to_string(), pending: None, force, file }
    }

    /// Runs one command given on the command line; changes are committed at once.
    pub fn run_once(&mut self, words: &[String]) -> i32 {
        let result = self.execute(words).and_then(|_| self.commit());
        match result {
            Ok(()) => 0,
            Err(text) => {
                error(&text);
                1
            }
        }
    }

    /// Reads commands until the end of input. On a terminal with a prompt, otherwise as a script that
    /// ends with the first failure.
    pub fn run_lines(&mut self, input: Lines<'_>, prompt: bool) -> i32 {
        let mut status = 0;
        let mut line = String::new();
        loop {
            if prompt {
                let level = self.level.unwrap_or_default();
                let _ = write!(std::io::stdout(), "crm(live/{}){level}# ", self.host)
                    .and_then(|()| std::io::stdout().flush());
            }
            let more = read_logical_line(input, &mut line);
            let words = split(&line);
            match self.execute(&words) {
                Ok(Next::Go) => {}
                Ok(Next::Quit) => break,
                Err(text) => {
                    error(&text);
                    status = 1;
                    if !prompt {
                        return status;
                    }
                }
            }
            if !more {
                break;
            }
        }
        if let Err(text) = self.leave_configure(prompt) {
            error(&text);
            status = 1;
        }
        status
    }

    fn execute(&mut self, words: &[String]) -> Step {
        let Some(first) = words.first() else { return Ok(Next::Go) };
        if first.starts_with('#') {
            return Ok(Next::Go);
        }
        match first.as_str() {
            "quit" | "exit" | "bye" => return Ok(Next::Quit),
            "up" | "back" | "end" => {
                self.leave_configure(std::io::stdin().is_terminal())?;
                self.level = None;
                return Ok(Next::Go);
            }
            "cd" => {
                let target = words.get(1).map_or("..", String::as_str);
                if target == ".." {
                    self.leave_configure(std::io::stdin().is_terminal())?;
                    self.level = None;
                    return Ok(Next::Go);
                }
                return self.enter(target);
            }
            "help" | "?" => {
                say(&self.help(words.get(1).map(String::as_str)));
                return Ok(Next::Go);
            }
            "ls" => {
                say(&self.names().join("\n"));
                return Ok(Next::Go);
            }
            _ => {}
        }
        if self.level.is_none() && LEVELS.iter().any(|(name, _)| name == first) {
            return match words.get(1..) {
                Some(rest) if !rest.is_empty() => {
                    let level = LEVELS.iter().map(|(n, _)| *n).find(|n| n == first);
                    self.command(level, rest)
                }
                _ => self.enter(first),
            };
        }
        self.command(self.level, words)
    }

    fn enter(&mut self, name: &str) -> Step {
        let Some((level, _)) = LEVELS.iter().find(|(n, _)| *n == name) else {
            return Err(format!("{name}: No such level{}", self.meant(name)));
        };
        self.level = Some(level);
        Ok(Next::Go)
    }

    fn names(&self) -> Vec<&'static str> {
        let own = match self.level {
            None => TOP.iter().chain(LEVELS.iter().map(|(n, _)| n)).copied().collect::<Vec<_>>(),
            Some(level) => LEVELS.iter().find(|(n, _)| *n == level).map_or(Vec::new(), |(_, c)| c.to_vec()),
        };
        own.into_iter().chain(EVERYWHERE.iter().copied()).collect()
    }

    fn help(&self, topic: Option<&str>) -> String {
        if let Some((name, commands)) = topic.and_then(|t| LEVELS.iter().find(|(n, _)| *n == t)) {
            return format!("Level {name}: {}", commands.join(", "));
        }
        let place = self.level.unwrap_or("top");
        format!(
            "Commands at the {place} level: {}\nA level's name enters it, 'up' leaves it, 'quit' ends.",
            self.names().join(", ")
        )
    }

    fn meant(&self, word: &str) -> String {
        let near =
            self.names().into_iter().find(|n| n.len() > 2 && (n.starts_with(word) || word.starts_with(*n)));
        near.map(|n| format!(" (did you mean '{n}'?)")).unwrap_or_default()
    }

    fn command(&mut self, level: Option<&'static str>, words: &[String]) -> Step {
        let (verb, rest) = words.split_first().ok_or("nothing to do")?;
        let verb = verb.as_str();
        let done = match level {
            None => self.top(verb, rest),
            Some("configure") => self.configure(verb, words),
            Some("resource") => self.resource(verb, rest),
            Some("node") => self.node(verb, rest),
            Some("cluster") => cluster(verb, rest),
            Some("ra") => ra(verb, rest),
            Some("corosync") => corosync(verb),
            Some(_) => {
                say("live");
                Some(Ok(()))
            }
        };
        match done {
            Some(result) => result.map(|()| Next::Go),
            None => {
                let place = level.map(|l| format!("{l}.")).unwrap_or_default();
                Err(format!("{place}{verb}: No such command"))
            }
        }
    }

    fn cib(&self) -> Result<Cib, String> {
        let file = self
            .file
            .clone()
            .map(std::path::PathBuf::into_os_string)
            .or_else(|| std::env::var_os("CIB_file"));
        Cib::open(CLIENT, file.as_deref()).map_err(|error| match error {
            Error::NotConnected => {
                "Could not connect to the CIB: is the cluster running on this node?".to_string()
            }
            other => format!("Could not connect to the CIB: {other}"),
        })
    }

    pub(crate) fn load(&self) -> Result<(Cib, Document), String> {
        let mut cib = self.cib()?;
        let doc = cib.query(None, 0).map_err(|e| e.to_string())?;
        Ok((cib, doc))
    }

    /// Loads, changes, and saves at once.
    pub(crate) fn change(
        &self,
        change: impl FnOnce(&mut Document) -> Result<(), String>,
    ) -> Result<(), String> {
        let (mut cib, before) = self.load()?;
        let mut after = before.clone();
        change(&mut after)?;
        cib.apply(&before, &after)
            .map_err(|e| format!("could not change the configuration: {}", e.explained()))
    }

    fn top(&mut self, verb: &str, _: &[String]) -> Option<Result<(), String>> {
        match verb {
            "status" => Some(self.status(true)),
            "verify" => Some(self.verify()),
            _ => None,
        }
    }

    fn status(&self, full: bool) -> Result<(), String> {
        let overview = manager_client::overview(CLIENT, self.file.as_ref().map(|f| f.as_os_str()))
            .map_err(|e| format!("crm_mon (rc={}): Connection to cluster failed: {e}", e.exit().0))?;
        let mut cluster = unpack(&overview.cib);
        let mut text = String::new();
        if full && let Some(manager) = &overview.manager {
            let seen = jiff::Timestamp::from_second(manager.last_good_s)
                .map(|t| t.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
                .unwrap_or_default();
            text = format!("Status of pacemakerd: '{}' (last updated {seen})\n", manager.state_text());
        }
        let mut show = Show::default();
        (show.inactive, show.pending) = (true, true);
        let sections = if full { Sections::MON } else { Sections { nodes: false, ..Sections::SHORT } };
        text.push_str(&tree::text(&status::sections(&mut cluster, &show, &sections, &Outside::default())));
        say(&text);
        if full {
            say("");
        }
        Ok(())
    }

    fn verify(&mut self) -> Result<(), String> {
        let doc = match &self.pending {
            Some((_, after)) => after.clone(),
            None => self.load()?.1,
        };
        if let Err(faults) = cib::schema::validate(&doc) {
            let list: Vec<String> = faults.iter().map(ToString::to_string).collect();
            return Err(list.join("\n"));
        }
        Ok(())
    }

    fn configure(&mut self, verb: &str, words: &[String]) -> Option<Result<(), String>> {
        let rest = words.get(1..).unwrap_or_default();
        Some(match verb {
            "show" => self.show(rest),
            "commit" => self.commit(),
            "verify" => self.verify(),
            "refresh" => {
                self.pending = None;
                Ok(())
            }
            "save" => match rest.last() {
                Some(path) => self.working().and_then(|doc| {
                    let text = if rest.first().is_some_and(|w| w == "xml") {
                        doc.to_pretty()
                    } else {
                        render::all(doc)
                    };
                    std::fs::write(path, text).map_err(|e| format!("{path}: {e}"))
                }),
                None => Err("syntax in save: save [xml] <file>".into()),
            },
            "erase" => self.working().map(|doc| {
                let root = doc.root();
                if let Some(configuration) = doc.child(root, "configuration") {
                    for name in ["constraints", "resources"] {
                        if let Some(part) = doc.child(configuration, name) {
                            doc.child_elements(part).into_iter().for_each(|c| doc.remove(c));
                        }
                    }
                }
            }),
            _ if configure::WORDS.contains(&verb) => self.edit(words),
            _ => return None,
        })
    }

    /// The configuration with the changes made so far.
    fn working(&mut self) -> Result<&mut Document, String> {
        if self.pending.is_none() {
            let doc = self.load()?.1;
            self.pending = Some((doc.clone(), doc));
        }
        self.pending.as_mut().map(|(_, after)| after).ok_or_else(|| "there is no configuration".to_string())
    }

    fn edit(&mut self, words: &[String]) -> Result<(), String> {
        let doc = self.working()?;
        let mut copy = doc.clone();
        configure::apply(&mut copy, words)?;
        *doc = copy;
        Ok(())
    }

    fn show(&mut self, words: &[String]) -> Result<(), String> {
        let doc: &Document = self.working()?;
        match words {
            [] => say(&render::all(doc)),
            [xml] if xml == "xml" => {
                let mut copy = doc.clone();
                let root = copy.root();
                if let Some(status) = copy.child(root, "status") {
                    copy.remove(status);
                }
                say(&format!("<?xml version=\"1.0\" ?>\n{}", copy.to_pretty()));
            }
            ids => {
                for id in ids.iter().filter(|w| *w != "xml" && *w != "changed") {
                    let text = render::one(doc, id).ok_or_else(|| format!("object {id} does not exist"))?;
                    say(&text);
                }
            }
        }
        Ok(())
    }

    /// Writes collected changes, after a check.
    fn commit(&mut self) -> Result<(), String> {
        let Some((before, after)) = self.pending.take() else { return Ok(()) };
        if before.to_text() == after.to_text() {
            return Ok(());
        }
        if !self.force
            && let Err(faults) = cib::schema::validate(&after)
        {
            let list: Vec<String> = faults.iter().map(ToString::to_string).collect();
            self.pending = Some((before, after));
            return Err(format!("the configuration does not conform: {}", list.join("; ")));
        }
        let result = self.cib().and_then(|mut cib| {
            cib.apply(&before, &after).map_err(|e| format!("could not commit the changes: {}", e.explained()))
        });
        if result.is_err() {
            self.pending = Some((before, after));
        }
        result
    }

    /// Leaving with changes: on a terminal the user decides, a script commits.
    fn leave_configure(&mut self, ask: bool) -> Result<(), String> {
        let changed =
            self.pending.as_ref().is_some_and(|(before, after)| before.to_text() != after.to_text());
        if !changed {
            self.pending = None;
            return Ok(());
        }
        if ask {
            let _ =
                write!(std::io::stdout(), "There are changes pending. Do you want to commit them (y/n)? ")
                    .and_then(|()| std::io::stdout().flush());
            let mut answer = String::new();
            let _ = std::io::stdin().lock().read_line(&mut answer);
            if !matches!(answer.trim(), "y" | "yes" | "") {
                self.pending = None;
                return Ok(());
            }
        }
        self.commit()
    }
}

/// Reads a line; a backslash at its end joins the next. Tells whether there may be more.
fn read_logical_line(input: Lines<'_>, line: &mut String) -> bool {
    line.clear();
    loop {
        let mut part = String::new();
        match input(&mut part) {
            Ok(0) | Err(_) => return false,
            Ok(_) => {}
        }
        let text = part.trim_end();
        match text.strip_suffix('\\') {
            Some(head) => {
                line.push_str(head);
                line.push(' ');
            }
            None => {
                line.push_str(text);
                return true;
            }
        }
    }
}

/// Words of a line; quotes keep blanks together.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut started = false;
    for c in line.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some(_), c) => word.push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                started = true;
            }
            (None, c) if c.is_whitespace() => {
                if started {
                    words.push(std::mem::take(&mut word));
                    started = false;
                }
            }
            (None, c) => {
                word.push(c);
                started = true;
            }
        }
    }
    if started {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_quotes() {
        assert_eq!(split("a  \"b c\" d='e f'"), ["a", "b c", "d=e f"]);
        let mut text = "one \\\n two\nthree".as_bytes();
        let mut input = |line: &mut String| text.read_line(line);
        let mut line = String::new();
        assert!(read_logical_line(&mut input, &mut line));
        assert_eq!(split(&line), ["one", "two"]);
        assert!(read_logical_line(&mut input, &mut line));
        assert_eq!(line, "three");
        assert!(!read_logical_line(&mut input, &mut line));
    }

    #[test]
    fn a_script_changes_a_file() {
        let path = std::env::temp_dir().join(format!("relevo-crm-{}.xml", std::process::id()));
        let text = "<cib validate-with='pacemaker-3.9' epoch='1' num_updates='0' admin_epoch='0'><configuration>\
                    <crm_config/><nodes><node id='1' uname='n1'/></nodes><resources/><constraints/></configuration><status/></cib>";
        std::fs::write(&path, text).unwrap();
        let mut shell = Shell::new(false, Some(path.clone()));
        let script = "configure\nprimitive A ocf:pacemaker:Dummy \\\n op monitor interval=10s\ncommit\nup\n\
                      resource stop A\nnode standby n1\n";
        let mut run = |text: &str| {
            let mut bytes = text.as_bytes();
            shell.run_lines(&mut |line| bytes.read_line(line), false)
        };
        assert_eq!(run(script), 0);
        let saved = std::fs::read_to_string(&path).unwrap();
        assert!(
            saved.contains("value=\"Stopped\"") && saved.contains("name=\"standby\" value=\"on\""),
            "{saved}"
        );
        assert_eq!(run("resource stop B\n"), 1);
        assert_eq!(run("node standby n9\n"), 1);
        assert_eq!(run("nonsense\n"), 1);
        std::fs::remove_file(&path).unwrap();
    }
}
