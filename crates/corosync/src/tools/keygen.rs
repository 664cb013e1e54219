//! `corosync-keygen`: writes the authentication key.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

const KEY_FILE: &str = "/etc/corosync/authkey";
const RANDOM: &str = "/dev/urandom";
const SIZE_DEFAULT: usize = 256;
const SIZE_MIN: usize = 128;
const SIZE_MAX: usize = 4096;

const USAGE: &str = "Usage: corosync-keygen [-k <keyfile>] [-s size] [-m <randomfile>] [-l] [-h]
     -k / --key-file=<filename> -  Write to the specified keyfile
            instead of the default /etc/corosync/authkey.
     -r / --random-file -  Random number source file. Default is 
            /dev/urandom. As an example /dev/random may be requested
            (that may require user input for entropy).
     -l / --less-secure - Not used, option is kept only
            for compatibility.
     -s / --size -  Length of key.
     -h / --help -  Print basic usage.
";

struct Options {
    key_file: PathBuf,
    random: PathBuf,
    size: usize,
}

enum Command {
    Help,
    Write(Options),
}

fn parse(args: &[OsString]) -> Result<Command, String> {
    let mut options =
        Options { key_file: PathBuf::from(KEY_FILE), random: PathBuf::from(RANDOM), size: SIZE_DEFAULT };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy().into_owned();
        let (name, attached) = match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (text.clone(), None),
        };
        let mut value = || {
            attached
                .clone()
                .or_else(|| args.next().map(|value| value.to_string_lossy().into_owned()))
                .ok_or_else(|| format!("corosync-keygen: option '{name}' requires an argument"))
        };
        match name.as_str() {
            "-h" | "--help" => return Ok(Command::Help),
            "-l" | "--less-secure" => {}
            "-k" | "--key-file" => options.key_file = PathBuf::from(value()?),
            "-r" | "-m" | "--random-file" => options.random = PathBuf::from(value()?),
            "-s" | "--size" => {
                let text = value()?;
                options.size =
                    text.parse().ok().filter(|size| (SIZE_MIN..=SIZE_MAX).contains(size)).ok_or_else(
                        || format!("Key size must be {SIZE_MIN} to {SIZE_MAX} bytes, not \"{text}\""),
                    )?;
            }
            other => return Err(format!("corosync-keygen: invalid option '{other}'")),
        }
    }
    Ok(Command::Write(options))
}

/// The program, with the words after its name.
#[must_use]
pub fn main(args: Vec<OsString>) -> i32 {
    match parse(&args) {
        Ok(Command::Help) => {
            println!("{USAGE}");
            0
        }
        Ok(Command::Write(options)) => write_key(&options),
        Err(problem) => {
            eprintln!("{problem}");
            eprint!("{USAGE}");
            1
        }
    }
}

fn write_key(options: &Options) -> i32 {
    println!("Corosync Cluster Engine Authentication key generator.");
    let path = &options.key_file;
    if *path == Path::new(KEY_FILE) && sys::namespace::effective_uid() != 0 {
        eprintln!("Error: Authorization key must be generated as root user.");
        return 5;
    }
    println!("Gathering {} bits for key from {}.", options.size * 8, options.random.display());
    let key = match read_random(&options.random, options.size) {
        Ok(key) => key,
        Err(error) => {
            eprintln!("Could not read {}: {error}", options.random.display());
            return 2;
        }
    };
    println!("Writing corosync key to {}.", path.display());
    match store(path, &key) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("Could not create {}: {error}", path.display());
            3
        }
    }
}

fn read_random(source: &Path, size: usize) -> io::Result<Vec<u8>> {
    let mut key = vec![0; size];
    File::open(source)?.read_exact(&mut key)?;
    Ok(key)
}

/// A new file in place of an old one, readable by its owner alone from its first moment on.
fn store(path: &Path, key: &[u8]) -> io::Result<()> {
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        std::fs::create_dir_all(dir)?;
    }
    let temporary = path.with_extension("new");
    let _ = std::fs::remove_file(&temporary);
    let mut file = File::options().create_new(true).write(true).mode(0o400).open(&temporary)?;
    file.write_all(key)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_has_its_size_and_mode() {
        let dir = std::env::temp_dir().join(format!("corosync-keygen-{}", std::process::id()));
        let path = dir.join("authkey");
        let args = |size: &str| {
            let file = format!("--key-file={}", path.display());
            [&*file, "-s", size].map(OsString::from).to_vec()
        };
        assert_eq!(main(args("256")), 0);
        let first = std::fs::read(&path).expect("a key");
        assert_eq!(first.len(), 256);
        assert_eq!(std::fs::metadata(&path).expect("a key").permissions().mode() & 0o777, 0o400);
        assert_eq!(main(args("256")), 0);
        assert_ne!(std::fs::read(&path).expect("a key"), first);
        assert_eq!(main(args("64")), 1);
        std::fs::remove_dir_all(&dir).expect("removable");
    }
}
