//! Running a program of a host on a terminal of its own, and typing into it.

use crate::api::Lab;
use crate::error::{Context, Result};
use crate::layout::DIRECTORY_VARIABLE;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use sys::Interest;
use sys::pty::Terminal;

const COLUMNS: u16 = 100;
const ROWS: u16 = 40;
/// Longest wait for the program to say what is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Between a prompt and the keys: programs throw away what is typed before they have switched the echo off.
const TYPING_PAUSE: Duration = Duration::from_millis(60);

/// Waits until the screen shows the first text, then types the second.
pub(super) type Typing = (&'static str, &'static str);

/// Runs a command line; returns its exit status and what the terminal showed. An empty text waits for nothing.
pub(super) fn run(lab: &Lab, host: &str, line: &str, typing: &[Typing]) -> Result<(i32, String)> {
    let terminal = Terminal::open(COLUMNS, ROWS).context(|| "cannot open a terminal".into())?;
    let side = || -> Result<Stdio> {
        Ok(Stdio::from(terminal.program.try_clone().context(|| "cannot open a terminal".into())?))
    };
    let program = &lab.plan().program;
    let mut child = Command::new(program)
        .args(["lab", "__terminal"])
        .arg(program)
        .args(["lab", "exec", host, "--", "/bin/sh", "-c", line])
        .env(DIRECTORY_VARIABLE, lab.dir())
        .env("TERM", "xterm")
        .stdin(side()?)
        .stdout(side()?)
        .stderr(side()?)
        .spawn()
        .context(|| "cannot start a program".into())?;
    let mut screen = String::new();
    let mut from = 0;
    for (shown, keys) in typing {
        wait_for(&terminal, &mut child, &mut screen, &mut from, shown)?;
        std::thread::sleep(TYPING_PAUSE);
        // A program that has ended reads no more.
        let _ = rustix::io::write(&terminal.person, keys.as_bytes());
    }
    let start = Instant::now();
    let status = loop {
        read(&terminal, &mut screen, Duration::from_millis(20))?;
        if let Some(status) = child.try_wait().context(|| "cannot wait for a program".into())? {
            break status.code().unwrap_or(1);
        }
        if start.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            break 124;
        }
    };
    read(&terminal, &mut screen, Duration::ZERO)?;
    Ok((status, plain(&screen)))
}

fn wait_for(
    terminal: &Terminal,
    child: &mut Child,
    screen: &mut String,
    from: &mut usize,
    text: &str,
) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(at) = screen.get(*from..).and_then(|s| s.find(text)) {
            *from += at + text.len();
            return Ok(());
        }
        let ended = child.try_wait().context(|| "cannot wait for a program".into())?.is_some();
        read(terminal, screen, Duration::from_millis(20))?;
        if ended {
            break;
        }
    }
    Ok(())
}

fn read(terminal: &Terminal, screen: &mut String, wait: Duration) -> Result<()> {
    let ready = sys::poll::wait_one(&terminal.person, Interest::READ, Some(wait));
    if ready.context(|| "terminal".into())?.is_none() {
        return Ok(());
    }
    let mut buffer = [0; 4096];
    // An error here is the end of the program's side.
    while let Ok(n @ 1..) = rustix::io::read(&terminal.person, &mut buffer) {
        screen.push_str(&String::from_utf8_lossy(buffer.get(..n).unwrap_or_default()));
    }
    Ok(())
}

/// Text without control sequences.
fn plain(screen: &str) -> String {
    let mut text = String::new();
    let mut chars = screen.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => match chars.next() {
                Some('[') => {
                    let end = chars.find(|c| ('@'..='~').contains(c));
                    // The cursor goes to another line.
                    if matches!(end, Some('H' | 'd' | 'E')) && !text.ends_with('\n') && !text.is_empty() {
                        text.push('\n');
                    }
                }
                Some(']') => while chars.next().is_some_and(|c| c != '\x07') {},
                Some('(' | ')') => {
                    chars.next();
                }
                _ => {}
            },
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' => text.push('\n'),
            '\n' => text.push('\n'),
            c if c.is_control() && c != '\t' => {}
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn control_sequences_vanish() {
        assert_eq!(super::plain("\x1b[1;24r\x1b(Bhello\x1b[K\r\nworld\x1b]0;title\x07!"), "hello\nworld!");
        assert_eq!(super::plain("\x1b[Hone\x1b[2dtwo\x1b[3;1Hthree"), "one\ntwo\nthree");
    }
}
