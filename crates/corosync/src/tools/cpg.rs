//! `corosync-cpgtool`: groups and their members.

use std::ffi::OsString;
use std::io::Write as _;

use clients::{Cfg, Cpg, CpgMember, Scope};

use super::{EXIT_FAILURE, EXIT_OK, arguments, code};

const PROGRAM: &str = "corosync-cpgtool";
const USAGE: &str = "corosync-cpgtool [-d delimiter] [-e] [-n] [-h]

A tool for displaying cpg groups and members.
options:
\t-d\tDelimiter between fields.
\t-e\tDon't escape unprintable characters in group name.
\t-n\tDisplay only all existing group names.
\t-h\tDisplay this help.
";

struct Format {
    delimiter: Option<char>,
    escape: bool,
}

/// The program.
#[must_use]
pub fn cpgtool(args: Vec<OsString>) -> i32 {
    let parsed = match arguments::parse(PROGRAM, &args, "hd:ne", &[]) {
        Ok(parsed) => parsed,
        Err(problem) => {
            eprintln!("{problem}");
            return EXIT_FAILURE;
        }
    };
    let mut format = Format { delimiter: None, escape: true };
    let mut names_only = false;
    for (letter, value) in parsed.options {
        match letter {
            'h' => {
                print!("{USAGE}");
                return EXIT_OK;
            }
            'd' => format.delimiter = value.chars().next(),
            'n' => names_only = true,
            _ => format.escape = false,
        }
    }
    let mut cpg = match Cpg::open() {
        Ok(cpg) => cpg,
        Err(error) => {
            eprintln!("Could not initialize corosync cpg API error {}", code(&error).0);
            return EXIT_FAILURE;
        }
    };
    let mut cfg = match Cfg::open() {
        Ok(cfg) => cfg,
        Err(error) => {
            eprintln!("Could not initialize corosync configuration API error {}", code(&error).0);
            return EXIT_FAILURE;
        }
    };
    let scope = if names_only { Scope::Names } else { Scope::All };
    match cpg.list(scope) {
        Ok(list) => {
            let text = if names_only { names(&list, &format) } else { members(&list, &format, &mut cfg) };
            let _ = std::io::stdout().write_all(&text);
            EXIT_OK
        }
        Err(error) => {
            eprintln!("cpg iteration error {}", code(&error).0);
            EXIT_FAILURE
        }
    }
}

/// A group's name; bytes that are no printable ASCII as `\xNN`.
pub(super) fn printable(bytes: &[u8], escape: bool) -> Vec<u8> {
    let mut text = Vec::new();
    for byte in bytes {
        match byte {
            b'\\' if escape => text.extend(b"\\\\"),
            byte if !escape || (b' '..0x7f).contains(byte) => text.push(*byte),
            byte => text.extend(format!("\\x{byte:02X}").bytes()),
        }
    }
    text
}

fn names(list: &[CpgMember], format: &Format) -> Vec<u8> {
    let mut text = Vec::new();
    for member in list {
        text.extend(printable(&member.group, format.escape));
        text.extend(format.delimiter.unwrap_or('\n').to_string().bytes());
    }
    if format.delimiter.is_some() {
        text.push(b'\n');
    }
    text
}

fn members(list: &[CpgMember], format: &Format, cfg: &mut Cfg) -> Vec<u8> {
    let mut text = Vec::new();
    if let Some(d) = format.delimiter {
        text.extend(format!("GRP_NAME{d}PID{d}NODEID\n").bytes());
        for member in list {
            text.extend(printable(&member.group, format.escape));
            text.extend(format!("{d}{}{d}{}\n", member.pid, member.node).bytes());
        }
        return text;
    }
    text.extend(format!("Group Name\t{:>10}\t{:>10}\n", "PID", "Node ID").bytes());
    let mut last: Option<&[u8]> = None;
    for member in list {
        if last != Some(&member.group) {
            text.extend(printable(&member.group, format.escape));
            text.push(b'\n');
            last = Some(&member.group);
        }
        let addresses = cfg.node_addresses(member.node).unwrap_or_default();
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let line = format!("\t\t{:>10}\t{:>10} ({})\n", member.pid, member.node, addresses.join(" "));
        text.extend(line.bytes());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped() {
        assert_eq!(printable(b"a\0\\b\x80", true), b"a\\x00\\\\b\\x80");
        assert_eq!(printable(b"a\0", false), b"a\0");
    }
}
