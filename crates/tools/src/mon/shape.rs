//! From options to what is shown.

use status::{Sections, Show};

use crate::options::Parsed;

/// Layout of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Xml,
    Html,
}

/// Everything about the display.
#[derive(Debug, Clone)]
pub struct Shape {
    pub show: Show,
    pub sections: Sections,
    pub format: Format,
    /// Keep running.
    pub watch: bool,
    /// Use the whole screen.
    pub full_screen: bool,
    /// Milliseconds between two displays when nothing changes.
    pub interval_ms: u64,
    pub simple: bool,
    pub file: Option<String>,
    pub verbose: usize,
}

const INTERVAL_MS: u64 = 5000;

impl Shape {
    // `Show` has a private field, so it cannot be written as one literal here.
    #[allow(clippy::field_reassign_with_default)]
    /// # Errors
    /// The message for a value that is not understood.
    pub fn of(parsed: &Parsed) -> Result<Shape, String> {
        let format = format(parsed)?;
        let once = parsed.has("one-shot") || parsed.has("simple-status") || parsed.has("xml-file");
        // XML and HTML to standard output are shown once.
        let watch = !once
            && (format == Format::Text || parsed.has("daemonize"))
            && (parsed.value("output-as") != Some("text") || parsed.has("interval"));
        let mut sections = Sections::MON;
        if format == Format::Xml {
            sections = Sections::ALL;
        }
        let detail = parsed.has("show-detail");
        let mut show = Show::default();
        show.inactive = parsed.has("inactive") || format == Format::Xml;
        show.brief = parsed.has("brief");
        show.by_node = parsed.has("group-by-node");
        show.node_ids = detail;
        show.clone_detail = detail;
        show.implicit = detail;
        show.pending = true;
        show.timing = parsed.has("timing-details") || format == Format::Xml;
        show.failed_detail = detail;
        show.description = parsed.has("show-description") || detail;
        show.feature_set = detail;
        sections.failcounts |= parsed.has("failcounts") || parsed.has("timing-details");
        sections.operations |= parsed.has("operations") || parsed.has("timing-details");
        sections.attributes |= parsed.has("show-node-attributes");
        sections.tickets |= parsed.has("tickets");
        if parsed.has("neg-locations") {
            sections.bans = true;
            show.ban_prefix = parsed.value("neg-locations").unwrap_or_default().to_string();
        }
        if parsed.has("hide-headers") {
            set(&mut sections, "summary", false, format)?;
        }
        if let Some(node) = parsed.value("node") {
            show.only_nodes = vec![node.to_string()];
        }
        if let Some(resource) = parsed.value("resource") {
            show.only_rscs = vec![resource.to_string()];
        }
        for (name, value) in &parsed.given {
            if let (option @ ("include" | "exclude"), Some(list)) = (*name, value) {
                for section in list.split(',') {
                    set(&mut sections, section.trim(), option == "include", format)?;
                }
            }
        }
        let interval_ms = match parsed.value("interval") {
            Some(text) => base::parse_interval_ms(text)
                .filter(|ms| *ms > 0)
                .ok_or_else(|| format!("Invalid value '{text}' for --interval"))?,
            None => INTERVAL_MS,
        };
        Ok(Shape {
            show,
            sections,
            format,
            watch,
            full_screen: !parsed.has("disable-ncurses"),
            interval_ms,
            simple: parsed.has("simple-status"),
            file: parsed.value("output-to").or(parsed.value("as-html")).map(str::to_string),
            verbose: parsed.count("verbose"),
        })
    }
}

fn format(parsed: &Parsed) -> Result<Format, String> {
    if parsed.has("as-xml") {
        return Ok(Format::Xml);
    }
    if parsed.has("as-html") || parsed.has("web-cgi") {
        return Ok(Format::Html);
    }
    match parsed.value("output-as") {
        None | Some("text" | "console" | "none") => Ok(Format::Text),
        Some("xml") => Ok(Format::Xml),
        Some("html") => Ok(Format::Html),
        Some(other) => Err(format!("Invalid --output-as value '{other}', use text, xml, html or console")),
    }
}

/// Switches a section by its name.
fn set(sections: &mut Sections, name: &str, on: bool, format: Format) -> Result<(), String> {
    // Options are shown as text only when they are asked for by name.
    let all = Sections { options: format != Format::Text, ..Sections::ALL };
    match name {
        "all" => *sections = if on { all } else { none() },
        "none" => *sections = if on { none() } else { all },
        "default" | "defaults" => *sections = if format == Format::Xml { all } else { Sections::MON },
        "attributes" => sections.attributes = on,
        "bans" => sections.bans = on,
        "counts" => sections.counts = on,
        "dc" => sections.dc = on,
        "failcounts" => sections.failcounts = on,
        "failures" => sections.failures = on,
        "maint-mode" => sections.maintenance = on,
        "nodes" => sections.nodes = on,
        "operations" => sections.operations = on,
        "options" => sections.options = on,
        "resources" => sections.resources = on,
        "stack" => sections.stack = on,
        "tickets" => sections.tickets = on,
        "times" => sections.times = on,
        "summary" => {
            for part in [&mut sections.stack, &mut sections.dc, &mut sections.times, &mut sections.counts] {
                *part = on;
            }
            sections.options &= on;
            sections.maintenance = on;
        }
        "fencing" | "fencing-failed" | "fencing-pending" | "fencing-succeeded" => {}
        other => {
            return Err(match other.strip_prefix("bans:") {
                Some(_) => {
                    sections.bans = on;
                    return Ok(());
                }
                None => format!("'{other}' is no section"),
            });
        }
    }
    Ok(())
}

fn none() -> Sections {
    Sections { nodes: false, resources: false, ..Sections::SHORT }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(given: &[(&'static str, Option<&str>)]) -> Result<Shape, String> {
        let given = given.iter().map(|(n, v)| (*n, v.map(str::to_string))).collect();
        Shape::of(&Parsed { given, words: Vec::new() })
    }

    #[test]
    fn once_or_continuously() {
        assert!(shape(&[]).unwrap().watch);
        assert!(!shape(&[("one-shot", None)]).unwrap().watch);
        assert!(!shape(&[("output-as", Some("xml"))]).unwrap().watch);
        assert_eq!(shape(&[("interval", Some("2"))]).unwrap().interval_ms, 2000);
        assert!(shape(&[("interval", Some("x"))]).is_err());
        assert!(shape(&[("output-as", Some("pdf"))]).is_err());
    }

    #[test]
    fn sections_by_name() {
        let found = shape(&[("exclude", Some("all")), ("include", Some("nodes,bans"))]).unwrap().sections;
        assert!(found.nodes && found.bans && !found.resources && !found.stack);
        assert!(shape(&[("include", Some("nonsense"))]).is_err());
    }
}
