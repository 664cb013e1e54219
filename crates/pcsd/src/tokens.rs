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
    use proptest::prelude::*;

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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Of several entries with one token the last counts; other fields do no harm.
        #[test]
        fn files_of_others(entries in proptest::collection::vec(("[a-c\"é]{0,3}", "[01\\PC]{0,2}"), 0..8), asked in "[01]{0,2}") {
            let directory = std::env::temp_dir().join(format!("relevo-tokens-others-{}", std::process::id()));
            std::fs::create_dir_all(&directory).unwrap();
            let list: Vec<serde_json::Value> = entries
                .iter()
                .map(|(user, token)| serde_json::json!({"username": user, "token": token, "more": [1]}))
                .collect();
            std::fs::write(directory.join("pcs_users.conf"), serde_json::json!(list).to_string()).unwrap();
            let tokens = Tokens::new(&directory);
            let last = entries.iter().rev().find(|(_, token)| *token == asked && !asked.is_empty());
            prop_assert_eq!(tokens.user(&asked), last.map(|(user, _)| user.clone()));
            // A new token takes no old one away.
            let new = tokens.create("new").unwrap();
            prop_assert_eq!(tokens.user(&new), Some("new".to_owned()));
            prop_assert_eq!(tokens.user(&asked), last.map(|(user, _)| user.clone()));
            std::fs::remove_dir_all(&directory).unwrap();
        }

        /// A damaged file lets nobody in who was not in it.
        #[test]
        fn damaged_files(bytes in proptest::collection::vec(any::<u8>(), 0..60), at: usize, asked in "[0-9a-f]{0,3}") {
            let directory = std::env::temp_dir().join(format!("relevo-tokens-damaged-{}", std::process::id()));
            std::fs::create_dir_all(&directory).unwrap();
            let good = br#"[{"username":"u","token":"0123456789abcdef","creation_date":"x"}]"#;
            let at = at % good.len();
            for content in [bytes.clone(), [&good[..at], &bytes].concat(), [&good[..at], &bytes, &good[at..]].concat()] {
                std::fs::write(directory.join("pcs_users.conf"), &content).unwrap();
                if let Some(user) = Tokens::new(&directory).user(&asked) {
                    let text = String::from_utf8(content).unwrap();
                    prop_assert!(text.contains(&asked) && text.contains("\"token\"") && text.contains("username"), "{} {}", user, text);
                }
            }
            std::fs::remove_dir_all(&directory).unwrap();
        }
    }
}
