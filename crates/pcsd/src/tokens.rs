//! Tokens that stand for a password: the file that the reference keeps (`pcs_users.conf`).

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::files::write_atomically;

/// Tokens kept; the oldest go first.
const MAX_TOKENS: usize = 10_000;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    username: String,
    token: String,
    #[serde(default)]
    creation_date: Option<String>,
}

/// The token file.
#[derive(Debug, Clone)]
pub struct Tokens {
    path: PathBuf,
}

impl Tokens {
    pub fn new(directory: &std::path::Path) -> Self {
        Tokens { path: directory.join("pcs_users.conf") }
    }

    fn read(&self) -> Vec<Entry> {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// A new token for a user.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn create(&self, user: &str) -> io::Result<String> {
        let token = random_text()?;
        let mut entries = self.read();
        if entries.len() >= MAX_TOKENS {
            entries.drain(..entries.len() + 1 - MAX_TOKENS);
        }
        let now = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S %z").to_string();
        entries.push(Entry { username: user.to_string(), token: token.clone(), creation_date: Some(now) });
        let text = serde_json::to_string_pretty(&entries).map_err(io::Error::other)?;
        write_atomically(&self.path, text.as_bytes(), 0o600)?;
        Ok(token)
    }

    /// Whose token this is. All tokens are compared, in constant time each.
    pub fn user(&self, token: &str) -> Option<String> {
        let mut found = None;
        for entry in self.read() {
            if bool::from(entry.token.as_bytes().ct_eq(token.as_bytes())) && !token.is_empty() {
                found = Some(entry.username);
            }
        }
        found
    }
}

/// 32 random bytes as hexadecimal digits.
///
/// # Errors
/// When the kernel has no randomness.
pub fn random_text() -> io::Result<String> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_again_and_others_are_not() {
        let directory = std::env::temp_dir().join(format!("relevo-tokens-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let tokens = Tokens::new(&directory);
        let token = tokens.create("hacluster").unwrap();
        let other = tokens.create("alice").unwrap();
        assert_eq!(tokens.user(&token).as_deref(), Some("hacluster"));
        assert_eq!(tokens.user(&other).as_deref(), Some("alice"));
        assert_eq!(tokens.user(""), None);
        assert_eq!(tokens.user(&token[1..]), None);
        std::fs::write(directory.join("pcs_users.conf"), "not json").unwrap();
        assert_eq!(tokens.user(&token), None);
    }
}
