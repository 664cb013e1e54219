//! Role names: Promoted/Unpromoted, and Master/Slave where the schema is older than 3.7.

use xml::Document;

pub const ALL: &[&str] = &["Stopped", "Started", "Promoted", "Unpromoted", "Master", "Slave"];

/// Do the schema's values include the names used since Pacemaker 2.1?
pub fn new_names(doc: &Document) -> bool {
    let schema = doc.attr(doc.root(), "validate-with").unwrap_or_default();
    let Some((major, minor)) = schema.strip_prefix("pacemaker-").and_then(|v| v.split_once('.')) else {
        return false;
    };
    match (major.parse::<u32>(), minor.parse::<u32>()) {
        (Ok(major), Ok(minor)) => (major, minor) >= (3, 7),
        _ => false,
    }
}

/// The spelling to store.
pub fn for_cib(role: &str, new_names: bool) -> &str {
    match (role, new_names) {
        ("Master" | "Promoted", true) => "Promoted",
        ("Master" | "Promoted", false) => "Master",
        ("Slave" | "Unpromoted", true) => "Unpromoted",
        ("Slave" | "Unpromoted", false) => "Slave",
        (other, _) => other,
    }
}

/// The spelling to show.
pub fn primary(role: &str) -> &str {
    for_cib(role, true)
}

/// First letter upper case, the others lower case.
pub fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars.flat_map(char::to_lowercase)).collect(),
        None => String::new(),
    }
}
