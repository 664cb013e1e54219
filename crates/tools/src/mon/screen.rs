//! The continuous display: redrawn when the configuration changes, at the latest after the interval.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use base::ExitCode;
use crossterm::event::{Event, KeyCode, KeyModifiers};
use crossterm::{cursor, event, execute, terminal};
use manager_client::{Cib, Error, Overview};

use super::shape::Shape;
use super::{render, say};
use crate::session;

/// Pause before the manager is asked again after it went away.
const RECONNECT: Duration = Duration::from_secs(1);
/// How often keys and notifications are looked for.
const TICK: Duration = Duration::from_millis(100);

/// Shows the state until the user ends it.
pub(super) fn run(shape: &Shape, command: &str) -> ExitCode {
    let mut shape = shape.clone();
    let on_screen = shape.full_screen && std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    if !on_screen {
        return plain(&shape, command);
    }
    let guard = Screen::enter();
    let status = full(&mut shape, command);
    drop(guard);
    status
}

/// The terminal, restored when it goes.
struct Screen;

impl Screen {
    fn enter() -> Screen {
        // A terminal that cannot do this shows the text all the same.
        let _ = terminal::enable_raw_mode();
        let _ = execute!(std::io::stdout(), terminal::EnterAlternateScreen, cursor::Hide);
        Screen
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = execute!(std::io::stdout(), terminal::LeaveAlternateScreen, cursor::Show);
        let _ = terminal::disable_raw_mode();
    }
}

fn connect() -> Result<Overview, Error> {
    let mut overview = manager_client::overview("crm_mon", session::cib_file().as_deref())?;
    if let Cib::Live(live) = &mut overview.source {
        live.watch()?;
    }
    Ok(overview)
}

/// Waits for a change, the end of the interval, or a key; tells whether to go on.
fn full(shape: &mut Shape, command: &str) -> ExitCode {
    let mut overview: Option<Overview> = None;
    loop {
        let text = match refresh(&mut overview) {
            Ok(overview) => render(shape, overview, command),
            Err(error) => {
                overview = None;
                format!("Not connected to cluster ({error}), trying again…\n")
            }
        };
        draw(&text);
        let pause = if overview.is_some() { Duration::from_millis(shape.interval_ms) } else { RECONNECT };
        let deadline = Instant::now() + pause;
        while Instant::now() < deadline {
            if event::poll(TICK).unwrap_or(false)
                && let Ok(found) = event::read()
            {
                match key(shape, &found) {
                    Key::Quit => return ExitCode::OK,
                    Key::Redraw => break,
                    Key::Other => {}
                }
            }
            if changed(overview.as_mut(), Duration::ZERO) {
                break;
            }
        }
    }
}

fn plain(shape: &Shape, command: &str) -> ExitCode {
    let mut overview = match connect() {
        Ok(overview) => Some(overview),
        Err(_) => match session::overview("crm_mon") {
            Ok(overview) => Some(overview),
            Err(status) => return status,
        },
    };
    loop {
        match refresh(&mut overview) {
            Ok(overview) => say(&render(shape, overview, command)),
            Err(error) => {
                crate::err(&format!("crm_mon: Connection to cluster failed: {error}"));
                return error.exit();
            }
        }
        if std::io::stdout().flush().is_err() {
            return ExitCode::OK;
        }
        changed(overview.as_mut(), Duration::from_millis(shape.interval_ms));
    }
}

/// Fetches the state anew over the same connection.
fn refresh(overview: &mut Option<Overview>) -> Result<&mut Overview, Error> {
    if let Some(found) = overview {
        found.cib = found.source.query(None, 0)?;
        if let Some(manager) = &mut found.manager {
            *manager = manager_client::Launcher::open("crm_mon")?.ping()?;
        }
    } else {
        *overview = Some(connect()?);
    }
    overview.as_mut().ok_or(Error::NotConnected)
}

/// Waits for a notification; several at once count as one.
fn changed(overview: Option<&mut Overview>, timeout: Duration) -> bool {
    let Some(Overview { source: Cib::Live(live), .. }) = overview else {
        std::thread::sleep(timeout);
        return false;
    };
    match live.next_change(timeout) {
        Ok(Some(_)) => {
            while matches!(live.next_change(Duration::ZERO), Ok(Some(_))) {}
            true
        }
        Ok(None) => false,
        Err(_) => true,
    }
}

enum Key {
    Quit,
    Redraw,
    Other,
}

/// Keys switch what is shown, as in the reference's display.
fn key(shape: &mut Shape, found: &Event) -> Key {
    let Event::Key(pressed) = found else {
        return if matches!(found, Event::Resize(..)) { Key::Redraw } else { Key::Other };
    };
    match pressed.code {
        KeyCode::Char('c') if pressed.modifiers.contains(KeyModifiers::CONTROL) => return Key::Quit,
        KeyCode::Char('q') | KeyCode::Esc => return Key::Quit,
        KeyCode::Char('c') => shape.sections.tickets ^= true,
        KeyCode::Char('f') => shape.sections.failcounts ^= true,
        KeyCode::Char('n') => shape.show.by_node ^= true,
        KeyCode::Char('o') => shape.sections.operations ^= true,
        KeyCode::Char('r') => shape.show.inactive ^= true,
        KeyCode::Char('R') => {
            shape.show.clone_detail ^= true;
            shape.show.node_ids ^= true;
        }
        KeyCode::Char('t') => shape.show.timing ^= true,
        KeyCode::Char('A') => shape.sections.attributes ^= true,
        KeyCode::Char('L') => shape.sections.bans ^= true,
        KeyCode::Char('b') => shape.show.brief ^= true,
        KeyCode::Char('D') => {
            let on = !shape.sections.stack;
            shape.sections.stack = on;
            shape.sections.dc = on;
            shape.sections.times = on;
            shape.sections.counts = on;
        }
        _ => return Key::Other,
    }
    Key::Redraw
}

fn draw(text: &str) {
    let rows = terminal::size().map_or(24, |(_, rows)| rows as usize);
    let mut out = String::new();
    for line in text.lines().take(rows.saturating_sub(1)) {
        out.push_str(line);
        out.push_str("\r\n");
    }
    let mut stdout = std::io::stdout();
    let _ = execute!(stdout, cursor::MoveTo(0, 0), terminal::Clear(terminal::ClearType::All));
    let _ = stdout.write_all(out.as_bytes());
    let _ = stdout.flush();
}
