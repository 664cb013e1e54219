//! Options in the manner of getopt(3), with its messages.

use std::ffi::OsString;

/// Options in the order given, and the words that are none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Arguments {
    pub(super) options: Vec<(char, String)>,
    pub(super) words: Vec<String>,
}

/// Parses `words`. `short` is getopt's string (a colon after a letter that wants a value); `long`
/// names stand for letters. The error is the line that getopt writes.
pub(super) fn parse(
    program: &str,
    words: &[OsString],
    short: &str,
    long: &[(&str, char)],
) -> Result<Arguments, String> {
    let mut arguments = Arguments::default();
    let mut words = words.iter().map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = words.next() {
        if word == "--" {
            arguments.words.extend(words);
            break;
        }
        if let Some(name) = word.strip_prefix("--") {
            let (name, attached) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (name, None),
            };
            let letter = find_long(program, name, long)?;
            let value = if wants_value(short, letter) {
                attached
                    .or_else(|| words.next())
                    .ok_or_else(|| format!("{program}: option '--{name}' requires an argument"))?
            } else {
                String::new()
            };
            arguments.options.push((letter, value));
            continue;
        }
        let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            arguments.words.push(word);
            continue;
        };
        take_letters(program, letters, short, &mut words, &mut arguments)?;
    }
    Ok(arguments)
}

fn take_letters(
    program: &str,
    letters: &str,
    short: &str,
    words: &mut impl Iterator<Item = String>,
    arguments: &mut Arguments,
) -> Result<(), String> {
    let mut rest = letters.chars();
    while let Some(letter) = rest.next() {
        if letter == ':' || !short.contains(letter) {
            return Err(format!("{program}: invalid option -- '{letter}'"));
        }
        if !wants_value(short, letter) {
            arguments.options.push((letter, String::new()));
            continue;
        }
        let attached = rest.as_str();
        let value = if attached.is_empty() {
            words.next().ok_or_else(|| format!("{program}: option requires an argument -- '{letter}'"))?
        } else {
            attached.to_owned()
        };
        arguments.options.push((letter, value));
        break;
    }
    Ok(())
}

fn wants_value(short: &str, letter: char) -> bool {
    short.split_once(letter).is_some_and(|(_, after)| after.starts_with(':'))
}

/// A long name, or an unambiguous start of one.
fn find_long(program: &str, name: &str, long: &[(&str, char)]) -> Result<char, String> {
    if let Some((_, letter)) = long.iter().find(|(known, _)| *known == name) {
        return Ok(*letter);
    }
    let starts: Vec<char> =
        long.iter().filter(|(known, _)| known.starts_with(name)).map(|(_, letter)| *letter).collect();
    match starts.as_slice() {
        [letter] => Ok(*letter),
        [] => Err(format!("{program}: unrecognized option '--{name}'")),
        _ => Err(format!("{program}: option '--{name}' is ambiguous")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(words: &[&str]) -> Result<Arguments, String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        parse("p", &words, "sn:a:F", &[("status", 's'), ("address", 'a'), ("force", 'F')])
    }

    #[test]
    fn options_may_be_joined_and_long() {
        let arguments = run(&["-sn5", "key", "--address=7", "--for", "-a", "8"]).expect("valid");
        let options: Vec<(char, &str)> = arguments.options.iter().map(|(c, v)| (*c, v.as_str())).collect();
        assert_eq!(options, [('s', ""), ('n', "5"), ('a', "7"), ('F', ""), ('a', "8")]);
        assert_eq!(arguments.words, ["key"]);
    }

    #[test]
    fn mistakes_are_told_like_getopt_does() {
        assert_eq!(run(&["-x"]), Err("p: invalid option -- 'x'".to_owned()));
        assert_eq!(run(&["-n"]), Err("p: option requires an argument -- 'n'".to_owned()));
        assert_eq!(run(&["--nope"]), Err("p: unrecognized option '--nope'".to_owned()));
    }
}
