//! `corosync-cmapctl`: reads, writes and watches the configuration map.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd;

use clients::{Cmap, CmapEvent, Map, Value, track};
use sys::{Interest, Poller};

use super::cpg::printable;
use super::{EXIT_FAILURE, EXIT_OK, arguments, code};

mod help;

const PROGRAM: &str = "corosync-cmapctl";

#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Print,
    Get,
    Set,
    Delete,
    DeletePrefix,
    Load(String),
    Track { prefix: bool },
    Clear(String),
}

struct Options {
    action: Action,
    map: Map,
    binary: bool,
    quiet: bool,
    words: Vec<String>,
}

/// The program.
#[must_use]
pub fn cmapctl(args: Vec<OsString>) -> i32 {
    match parse(&args) {
        Ok(Some(options)) => run(&options).unwrap_or_else(|problem| {
            eprintln!("{problem}");
            EXIT_FAILURE
        }),
        Ok(None) => {
            print!("{}", help::USAGE);
            EXIT_OK
        }
        Err(problem) => {
            eprintln!("{problem}");
            EXIT_FAILURE
        }
    }
}

fn parse(args: &[OsString]) -> Result<Option<Options>, String> {
    let parsed = arguments::parse(PROGRAM, args, "m:hqgsdDtTbp:C:", &[])?;
    let mut options = Options {
        action: Action::Print,
        map: Map::Configuration,
        binary: false,
        quiet: false,
        words: parsed.words,
    };
    for (letter, value) in parsed.options {
        match letter {
            'h' => return Ok(None),
            'b' => options.binary = true,
            'q' => options.quiet = true,
            'g' => options.action = Action::Get,
            's' => options.action = Action::Set,
            'd' => options.action = Action::Delete,
            'D' => options.action = Action::DeletePrefix,
            'p' => options.action = Action::Load(value),
            't' => options.action = Action::Track { prefix: false },
            'T' => options.action = Action::Track { prefix: true },
            'm' => {
                options.map = match value.as_str() {
                    "icmap" | "default" => Map::Configuration,
                    "stats" => Map::Statistics,
                    _ => return Err("invalid map name, must be 'default', 'icmap' or 'stats'".to_owned()),
                }
            }
            _ => {
                if !["knet", "totem", "ipc", "schedmiss", "all"].contains(&value.as_str()) {
                    let text = "argument to -C should be 'knet', 'totem', 'ipc', 'schedmiss' or 'all'";
                    return Err(text.to_owned());
                }
                options.map = Map::Statistics;
                options.action = Action::Clear(value);
            }
        }
    }
    let needs_key = !matches!(options.action, Action::Print | Action::Load(_) | Action::Clear(_));
    if options.words.is_empty() && needs_key {
        return Err("Expected key after options".to_owned());
    }
    Ok(Some(options))
}

fn run(options: &Options) -> Result<i32, String> {
    let mut cmap = Cmap::open_map(options.map)
        .map_err(|error| format!("Failed to initialize the cmap API. Error {}", code(&error).name()))?;
    match &options.action {
        Action::Print => return print_prefixes(&mut cmap, options),
        Action::Get => {
            for key in &options.words {
                let value = cmap.find(key).map_err(|error| cannot_get(key, code(&error).name()))?;
                let value = value.ok_or_else(|| cannot_get(key, "CS_ERR_NOT_EXIST"))?;
                print_line(&line(key, &value, options));
            }
        }
        Action::Set => {
            let [key, kind, value, ..] = options.words.as_slice() else {
                return Err("At least 3 parameters are expected for set".to_owned());
            };
            set(&mut cmap, key, kind, value)?;
        }
        Action::Delete => {
            for key in &options.words {
                cmap.delete(key)
                    .map_err(|error| format!("Can't delete key {key}. Error {}", code(&error).name()))?;
            }
        }
        Action::DeletePrefix => {
            for prefix in &options.words {
                delete_prefix(&mut cmap, prefix)?;
            }
        }
        Action::Load(file) => load(&mut cmap, file)?,
        Action::Track { prefix } => return track_changes(&mut cmap, options, *prefix),
        Action::Clear(what) => {
            // The reference ignores refusals here too.
            let _ = cmap.set(&format!("stats.clear.{what}"), &Value::U32(1));
        }
    }
    Ok(EXIT_OK)
}

fn cannot_get(key: &str, error: &str) -> String {
    format!("Can't get key {key}. Error {error}")
}

fn cannot_iterate(error: &clients::Error) -> String {
    format!("Failed to initialize iteration. Error {}", code(error).name())
}

fn print_line(text: &[u8]) {
    let mut out = std::io::stdout();
    let _ = out.write_all(text).and_then(|()| out.write_all(b"\n"));
}

fn print_prefixes(cmap: &mut Cmap, options: &Options) -> Result<i32, String> {
    let all = [String::new()];
    let prefixes = if options.words.is_empty() { &all[..] } else { &options.words };
    let mut empty = 0;
    for prefix in prefixes {
        let keys = cmap.keys(prefix).map_err(|error| cannot_iterate(&error))?;
        if keys.is_empty() {
            empty += 1;
        }
        for key in keys {
            match cmap.find(&key) {
                Ok(Some(value)) => print_line(&line(&key, &value, options)),
                // Deleted in between.
                Ok(None) => {}
                Err(error) => eprintln!("Can't get value of {key}. Error {}", code(&error).name()),
            }
        }
    }
    Ok(if empty >= prefixes.len() { EXIT_FAILURE } else { EXIT_OK })
}

/// A key with its value as the reference prints it.
fn line(key: &str, value: &Value, options: &Options) -> Vec<u8> {
    let (kind, text) = match value {
        Value::I8(v) => ("i8", v.to_string()),
        Value::U8(v) => ("u8", v.to_string()),
        Value::I16(v) => ("i16", v.to_string()),
        Value::U16(v) => ("u16", v.to_string()),
        Value::I32(v) => ("i32", v.to_string()),
        Value::U32(v) => ("u32", v.to_string()),
        Value::I64(v) => ("i64", v.to_string()),
        Value::U64(v) => ("u64", v.to_string()),
        Value::Float(v) => ("flt", format!("{v:.6}")),
        Value::Double(v) => ("dbl", format!("{v:.6}")),
        Value::String(v) => ("str", v.clone()),
        Value::Binary(bytes) => {
            let mut text = if options.quiet { b"bin)".to_vec() } else { format!("{key} (bin)").into_bytes() };
            if options.binary {
                text.extend(b" = ");
                if bytes.is_empty() {
                    text.extend(b"*empty*");
                }
                text.extend(printable(bytes, true));
            }
            return text;
        }
    };
    if options.quiet { text.into_bytes() } else { format!("{key} ({kind}) = {text}").into_bytes() }
}

fn set(cmap: &mut Cmap, key: &str, kind: &str, text: &str) -> Result<(), String> {
    let value = parse_value(kind, text)?;
    cmap.set(key, &value).map_err(|error| format!("Failed to set key {key}. Error {}", code(&error).name()))
}

fn parse_value(kind: &str, text: &str) -> Result<Value, String> {
    let invalid = || format!("{text} is not valid {kind} type value");
    let range = || format!("{text} is not valid {kind} integer");
    let signed = || text.parse::<i64>().map_err(|_| invalid());
    let unsigned = || text.parse::<u64>().map_err(|_| invalid());
    Ok(match kind {
        "i8" => Value::I8(signed()?.try_into().map_err(|_| range())?),
        "i16" => Value::I16(signed()?.try_into().map_err(|_| range())?),
        "i32" => Value::I32(signed()?.try_into().map_err(|_| range())?),
        "i64" => Value::I64(signed()?),
        "u8" => Value::U8(unsigned()?.try_into().map_err(|_| range())?),
        "u16" => Value::U16(unsigned()?.try_into().map_err(|_| range())?),
        "u32" => Value::U32(unsigned()?.try_into().map_err(|_| range())?),
        "u64" => Value::U64(unsigned()?),
        "flt" => Value::Float(text.parse().map_err(|_| invalid())?),
        "dbl" => Value::Double(text.parse().map_err(|_| invalid())?),
        "str" => Value::String(text.to_owned()),
        "bin" => Value::Binary(read_bytes(text)?),
        _ => return Err(format!("Unknown type {kind}")),
    })
}

fn read_bytes(file: &str) -> Result<Vec<u8>, String> {
    if file == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map_err(|error| format!("Can't read input: {error}"))?;
        return Ok(bytes);
    }
    std::fs::read(file).map_err(|error| format!("Can't open input file: {error}"))
}

fn delete_prefix(cmap: &mut Cmap, prefix: &str) -> Result<(), String> {
    for key in cmap.keys(prefix).map_err(|error| cannot_iterate(&error))? {
        if let Err(error) = cmap.delete(&key) {
            eprintln!("Can't delete key {key}. Error {}", code(&error).name());
        }
    }
    Ok(())
}

/// Lines `key type value`, `^key` (delete) and `^^prefix` (delete all under it).
fn load(cmap: &mut Cmap, file: &str) -> Result<(), String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("Couldn't open file.: {error}"))?;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let Some(key) = words.next() else { continue };
        if let Some(prefix) = key.strip_prefix("^^") {
            delete_prefix(cmap, prefix)?;
        } else if let Some(key) = key.strip_prefix('^') {
            if let Err(error) = cmap.delete(key) {
                eprintln!("Can't delete key {key}. Error {}", code(&error).name());
            }
        } else {
            let (Some(kind), Some(value)) = (words.next(), words.next()) else {
                return Err(format!("Both type and value for key {key} are required"));
            };
            set(cmap, key, kind, value)?;
        }
    }
    Ok(())
}

fn track_changes(cmap: &mut Cmap, options: &Options, prefix: bool) -> Result<i32, String> {
    let kinds = track::ADD | track::DELETE | track::MODIFY | if prefix { track::PREFIX } else { 0 };
    for key in &options.words {
        cmap.track(key, kinds, 0)
            .map_err(|error| format!("Failed to add tracking function. Error {}", code(&error).name()))?;
    }
    println!("Type \"q\" to finish");
    let poller = Poller::new().map_err(|error| format!("poll: {error}"))?;
    let stdin = std::io::stdin();
    let failed = |error: sys::Errno| format!("poll: {error}");
    poller.add(cmap.fd(), 0, Interest::READ).map_err(failed)?;
    // Standard input may be a file, which cannot be polled: then only the map is watched.
    let _ = poller.add(stdin.as_fd(), 1, Interest::READ);
    let mut ready = Vec::new();
    loop {
        while let Some(event) =
            cmap.poll_event().map_err(|error| format!("Dispatch error {}", code(&error).name()))?
        {
            print_event(&event, options);
        }
        poller.wait(&mut ready, None).map_err(failed)?;
        if ready.iter().any(|event| event.token == 1) {
            let mut line = String::new();
            let count = stdin.read_line(&mut line).unwrap_or(0);
            if count == 0 || line.starts_with('q') {
                return Ok(EXIT_OK);
            }
        }
    }
}

fn print_event(event: &CmapEvent, options: &Options) {
    let (label, value) = match event.event {
        track::ADD => ("create> ", &event.new),
        track::DELETE => ("delete> ", &event.old),
        track::MODIFY => ("modify> ", &event.new),
        _ => ("unknown change> ", &None),
    };
    let mut text = label.as_bytes().to_vec();
    if let Some(value) = value {
        text.extend(line(&event.key, value, options));
    }
    print_line(&text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(args: &[&str]) -> Result<Option<Options>, String> {
        parse(&args.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn values_print_like_the_reference() {
        let plain = options(&["-b"]).expect("valid").expect("an action");
        let quiet = options(&["-q", "-g", "x"]).expect("valid").expect("an action");
        assert_eq!(line("a.b", &Value::U8(5), &plain), b"a.b (u8) = 5");
        assert_eq!(line("a.b", &Value::Double(0.5), &plain), b"a.b (dbl) = 0.500000");
        assert_eq!(line("a.b", &Value::String("x y".into()), &quiet), b"x y");
        assert_eq!(line("a.b", &Value::Binary(vec![b'a', 0]), &plain), b"a.b (bin) = a\\x00");
    }

    #[test]
    fn values_out_of_range_are_refused() {
        assert_eq!(parse_value("u8", "256"), Err("256 is not valid u8 integer".to_owned()));
        assert_eq!(parse_value("i8", "-128"), Ok(Value::I8(-128)));
        assert_eq!(parse_value("u32", "x"), Err("x is not valid u32 type value".to_owned()));
        assert_eq!(parse_value("u7", "1"), Err("Unknown type u7".to_owned()));
    }

    #[test]
    fn keys_are_required() {
        assert!(options(&["-g"]).is_err());
        assert!(options(&["-C", "everything"]).is_err());
        assert!(options(&[]).expect("valid").is_some());
    }
}
