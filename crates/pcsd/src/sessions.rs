//! Sessions of browsers.

use std::collections::HashMap;
use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A session that was not used for so long is over.
const LIFETIME: Duration = Duration::from_secs(60 * 60);
/// Sessions at once; the least used goes first.
const MAX_SESSIONS: usize = 1_000;

struct Session {
    user: String,
    used: Instant,
}

/// All sessions of this daemon's life.
#[derive(Default)]
pub struct Sessions {
    table: Mutex<HashMap<String, Session>>,
}

impl Sessions {
    /// Opens a session; gives its secret.
    ///
    /// # Errors
    /// When the kernel has no randomness.
    pub fn open(&self, user: &str) -> io::Result<String> {
        let secret = crate::tokens::random_text()?;
        if let Ok(mut table) = self.table.lock() {
            if table.len() >= MAX_SESSIONS
                && let Some(oldest) =
                    table.iter().min_by_key(|(_, s)| s.used).map(|(secret, _)| secret.clone())
            {
                table.remove(&oldest);
            }
            table.insert(secret.clone(), Session { user: user.to_string(), used: Instant::now() });
        }
        Ok(secret)
    }

    /// Whose session this is.
    pub fn user(&self, secret: &str) -> Option<String> {
        let mut table = self.table.lock().ok()?;
        table.retain(|_, session| session.used.elapsed() < LIFETIME);
        let session = table.get_mut(secret)?;
        session.used = Instant::now();
        Some(session.user.clone())
    }

    pub fn close(&self, secret: &str) {
        if let Ok(mut table) = self.table.lock() {
            table.remove(secret);
        }
    }
}
