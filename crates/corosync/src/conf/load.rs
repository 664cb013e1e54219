//! From the tree of the file to the keys of the configuration map, names and values checked.

use engine::{Map, Value, ValueType};

use super::keys::{DSCP_NAMES, Kind, Schema, find, nearest};
use super::{ConfError, Item, Section};

/// Where a section's keys go in the map.
struct Target<'a> {
    file: &'a str,
    map: &'a mut Map,
    nodes: u32,
}

/// Puts the file's keys into the map, as the reference names and types them.
///
/// # Errors
/// Unknown names (with the nearest known one), values of the wrong kind, missing mandatory keys.
pub fn load(file: &str, root: &Section, map: &mut Map) -> Result<(), ConfError> {
    let mut target = Target { file, map, nodes: 0 };
    target.section(root, "", "")
}

/// Puts the keys of a file of the directory uidgid.d into the map.
///
/// # Errors
/// Anything but a section `uidgid` with `uid` and `gid`.
pub fn uidgid_keys(file: &str, root: &Section, map: &mut Map) -> Result<(), ConfError> {
    let mut target = Target { file, map, nodes: 0 };
    for item in &root.items {
        match item {
            Item::Section(section) if section.name == "uidgid" => {
                target.section(section, "uidgid", "uidgid")?
            }
            Item::Section(section) => {
                return Err(target.error(section.line, "uidgid: Can't add subsection different than uidgid"));
            }
            Item::Key { line, .. } => {
                return Err(target.error(*line, "uidgid: Only uid and gid are allowed items"));
            }
            Item::Comment(_) => {}
        }
    }
    Ok(())
}

impl Target<'_> {
    fn error(&self, line: usize, problem: impl Into<String>) -> ConfError {
        ConfError { file: self.file.to_owned(), line, problem: problem.into() }
    }

    /// `path` is the section's place in the file, `prefix` the start of its keys in the map.
    fn section(&mut self, section: &Section, path: &str, prefix: &str) -> Result<(), ConfError> {
        let Some(schema) = find(path) else {
            return Err(self.error(section.line, format!("Unknown section \"{}\"", section.name)));
        };
        for item in &section.items {
            match item {
                Item::Comment(_) => {}
                Item::Key { name, value, line } => self.key(schema, path, prefix, name, value, *line)?,
                Item::Section(inner) => self.inner_section(schema, path, prefix, inner)?,
            }
        }
        Ok(())
    }

    fn inner_section(
        &mut self,
        schema: &Schema,
        path: &str,
        prefix: &str,
        inner: &Section,
    ) -> Result<(), ConfError> {
        if !schema.sections.contains(&inner.name.as_str()) {
            let near = nearest(&inner.name, schema.sections.iter().copied());
            return Err(self.error(inner.line, unknown("section", &inner.name, path, near)));
        }
        let inner_path = join(path, &inner.name);
        let inner_prefix = match inner_path.as_str() {
            "totem.interface" => {
                let number = inner.value("linknumber").or_else(|| inner.value("ringnumber")).unwrap_or("0");
                format!("totem.interface.{}", number.parse::<u8>().unwrap_or(0))
            }
            "nodelist.node" => {
                let position = self.nodes;
                self.nodes += 1;
                format!("nodelist.node.{position}")
            }
            "logging.logger_subsys" => self.subsystem_prefix(inner)?,
            "logging.logging_daemon" => self.daemon_prefix(inner)?,
            _ => join(prefix, &inner.name),
        };
        self.section(inner, &inner_path, &inner_prefix)
    }

    fn subsystem_prefix(&self, section: &Section) -> Result<String, ConfError> {
        let name = section
            .value("subsys")
            .ok_or_else(|| self.error(section.line, "No subsys key in logger_subsys directive"))?;
        Ok(format!("logging.logger_subsys.{name}"))
    }

    fn daemon_prefix(&self, section: &Section) -> Result<String, ConfError> {
        let daemon = section
            .value("name")
            .ok_or_else(|| self.error(section.line, "No name key in logging_daemon directive"))?;
        Ok(match (daemon, section.value("subsys")) {
            ("corosync", None) => "logging".to_owned(),
            ("corosync", Some(subsystem)) => format!("logging.logger_subsys.{subsystem}"),
            (daemon, None) => format!("logging.logging_daemon.{daemon}"),
            (daemon, Some(subsystem)) => format!("logging.logging_daemon.{daemon}.{subsystem}"),
        })
    }

    fn key(
        &mut self,
        schema: &Schema,
        path: &str,
        prefix: &str,
        name: &str,
        value: &str,
        line: usize,
    ) -> Result<(), ConfError> {
        let kind = match schema.keys.iter().find(|(known, _)| *known == name) {
            Some((_, kind)) => *kind,
            None if schema.open => Kind::Text,
            None => {
                let near = nearest(name, schema.keys.iter().map(|(known, _)| *known));
                return Err(self.error(line, unknown("key", name, path, near)));
            }
        };
        if path == "uidgid" {
            return self.user_or_group(name, value, line);
        }
        let skip = matches!((path, name), ("totem.interface", "linknumber" | "ringnumber"))
            || (prefix == "logging" && matches!(name, "name" | "subsys"));
        let key = join(prefix, name);
        let value = check(kind, &key, value).map_err(|problem| self.error(line, problem))?;
        if !skip {
            let bytes = value.bytes.clone();
            self.map.set_checked(&key, value.kind as u8, &bytes).map_err(|error| {
                self.error(line, format!("Can't store key \"{key}\" into cmap: {error:?}"))
            })?;
        }
        Ok(())
    }

    fn user_or_group(&mut self, name: &str, value: &str, line: usize) -> Result<(), ConfError> {
        let (table, what) = if name == "uid" { ("/etc/passwd", "user") } else { ("/etc/group", "group") };
        let id = value.parse().ok().or_else(|| numeric_id(table, value)).ok_or_else(|| {
            let text =
                format!("The '{value}' {what} is not found in {table}, please read the documentation.");
            self.error(line, text)
        })?;
        let id: u32 = id;
        self.map.set(&format!("uidgid.config.{name}.{id}"), 1u8);
        Ok(())
    }
}

/// The number of a user or group in a table whose third field it is.
fn numeric_id(table: &str, name: &str) -> Option<u32> {
    let text = std::fs::read_to_string(table).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    })
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

fn unknown(what: &str, name: &str, path: &str, near: Option<&str>) -> String {
    let place = if path.is_empty() { "at top level".to_owned() } else { format!("in section \"{path}\"") };
    match near {
        Some(near) => format!("Unknown {what} \"{name}\" {place}, did you mean \"{near}\"?"),
        None => format!("Unknown {what} \"{name}\" {place}, see corosync.conf(5)"),
    }
}

fn check(kind: Kind, key: &str, text: &str) -> Result<Value, String> {
    match kind {
        Kind::Text => Ok(Value::string(text)),
        Kind::Word(words) if words.contains(&text) => Ok(Value::string(text)),
        Kind::Word(words) => Err(format!(
            "Value of key \"{key}\" should be one of {}, but \"{text}\" was given",
            words.join(", ")
        )),
        Kind::Number(kind) => number(kind, text).ok_or_else(|| {
            let range = match kind {
                ValueType::U8 => "integer in range (0..255)",
                ValueType::U16 => "integer in range (0..65535)",
                ValueType::U32 => "integer in range (0..4294967295)",
                ValueType::I32 => "integer in range (-2147483648..2147483647)",
                _ => "unsigned integer",
            };
            format!("Value of key \"{key}\" is expected to be {range}, but \"{text}\" was given")
        }),
        Kind::Dscp => {
            let named = DSCP_NAMES.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
            let value = named.or_else(|| text.parse().ok().filter(|value| *value <= 63u8));
            value.map(Value::from).ok_or_else(|| {
                format!(
                    "Value of key \"{key}\" is expected to be number (0..63) or symbolical dscp value, but \"{text}\" was given"
                )
            })
        }
    }
}

fn number(kind: ValueType, text: &str) -> Option<Value> {
    Some(match kind {
        ValueType::U8 => Value::from(text.parse::<u8>().ok()?),
        ValueType::U16 => Value::from(text.parse::<u16>().ok()?),
        ValueType::U32 => Value::from(text.parse::<u32>().ok()?),
        ValueType::I32 => Value::from(text.parse::<i32>().ok()?),
        ValueType::U64 => Value::from(text.parse::<u64>().ok()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::parse;

    fn keys(text: &str) -> Result<Map, ConfError> {
        let root = parse("corosync.conf", text)?;
        let mut map = Map::default();
        load("corosync.conf", &root, &mut map)?;
        Ok(map)
    }

    #[test]
    fn keys_get_the_reference_names_and_types() {
        let map = keys(
            "totem {\n version: 2\n transport: udpu\n interface {\n linknumber: 0\n mcastport: 5407\n }\n}\n\
             nodelist {\n node {\n ring0_addr: 10.0.0.1\n nodeid: 7\n }\n node {\n ring0_addr: b\n nodeid: 8\n }\n}\n\
             quorum {\n provider: corosync_votequorum\n two_node: 1\n}\n\
             logging {\n debug: on\n logger_subsys {\n subsys: CPG\n debug: off\n }\n}\n",
        )
        .expect("valid");
        assert_eq!(map.get("totem.version"), Some(&Value::from(2u32)));
        assert_eq!(map.get("totem.interface.0.mcastport"), Some(&Value::from(5407u16)));
        assert_eq!(map.get("nodelist.node.1.nodeid"), Some(&Value::from(8u32)));
        assert_eq!(map.get("quorum.two_node"), Some(&Value::from(1u8)));
        assert_eq!(map.text("logging.logger_subsys.CPG.debug"), Some("off"));
    }

    #[test]
    fn unknown_names_tell_line_and_nearest() {
        let error = keys("totem {\n version: 2\n tokn: 1000\n}\n").expect_err("unknown");
        assert_eq!(
            error.to_string(),
            "parser error: corosync.conf:3: Unknown key \"tokn\" in section \"totem\", did you mean \"token\"?"
        );
        let error = keys("nodeslist {\n}\n").expect_err("unknown");
        assert!(error.problem.contains("did you mean \"nodelist\""), "{error}");
    }

    #[test]
    fn wrong_values_are_refused() {
        for text in [
            "totem {\n token: fast\n}\n",
            "totem {\n token: -1\n}\n",
            "totem {\n transport: tcp\n}\n",
            "quorum {\n two_node: 256\n}\n",
            "uidgid {\n uid: no-such-user-here\n}\n",
            "logging {\n logger_subsys {\n debug: on\n }\n}\n",
        ] {
            assert!(keys(text).is_err(), "{text}");
        }
    }
}
