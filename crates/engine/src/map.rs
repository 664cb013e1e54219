//! The configuration map: typed values under dotted names, with change records.

use std::collections::{BTreeMap, VecDeque};

use crate::wire::CsError;

/// Longest key in bytes.
pub const KEY_MAX: usize = 255;
/// Shortest key in bytes.
pub const KEY_MIN: usize = 3;
/// Longest value in bytes.
pub const VALUE_MAX: usize = 16 * 1024;

/// Type of a value; the numbers are those of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    I8 = 1,
    U8 = 2,
    I16 = 3,
    U16 = 4,
    I32 = 5,
    U32 = 6,
    I64 = 7,
    U64 = 8,
    Float = 9,
    Double = 10,
    String = 11,
    Binary = 12,
}

impl ValueType {
    /// The type with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        const ALL: [ValueType; 12] = [
            ValueType::I8,
            ValueType::U8,
            ValueType::I16,
            ValueType::U16,
            ValueType::I32,
            ValueType::U32,
            ValueType::I64,
            ValueType::U64,
            ValueType::Float,
            ValueType::Double,
            ValueType::String,
            ValueType::Binary,
        ];
        ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// Bytes of a value of this type, None if it varies.
    #[must_use]
    pub fn fixed_len(self) -> Option<usize> {
        match self {
            Self::I8 | Self::U8 => Some(1),
            Self::I16 | Self::U16 => Some(2),
            Self::I32 | Self::U32 | Self::Float => Some(4),
            Self::I64 | Self::U64 | Self::Double => Some(8),
            Self::String | Self::Binary => None,
        }
    }
}

/// A value: native byte order, strings with their NUL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    pub kind: ValueType,
    pub bytes: Vec<u8>,
}

impl Value {
    /// A string.
    #[must_use]
    pub fn string(text: &str) -> Self {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        Self { kind: ValueType::String, bytes }
    }

    /// The text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if self.kind != ValueType::String {
            return None;
        }
        std::str::from_utf8(self.bytes.strip_suffix(&[0])?).ok()
    }

    /// The number of any integer type that fits.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        let b = self.bytes.as_slice();
        match self.kind {
            ValueType::U8 => b.first().map(|v| u64::from(*v)),
            ValueType::I8 => u64::try_from(i8::from_ne_bytes(b.try_into().ok()?)).ok(),
            ValueType::U16 => Some(u64::from(u16::from_ne_bytes(b.try_into().ok()?))),
            ValueType::I16 => u64::try_from(i16::from_ne_bytes(b.try_into().ok()?)).ok(),
            ValueType::U32 => Some(u64::from(u32::from_ne_bytes(b.try_into().ok()?))),
            ValueType::I32 => u64::try_from(i32::from_ne_bytes(b.try_into().ok()?)).ok(),
            ValueType::U64 => Some(u64::from_ne_bytes(b.try_into().ok()?)),
            ValueType::I64 => u64::try_from(i64::from_ne_bytes(b.try_into().ok()?)).ok(),
            _ => None,
        }
    }
}

macro_rules! from_number {
    ($($type:ty => $kind:ident),*) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self { kind: ValueType::$kind, bytes: value.to_ne_bytes().to_vec() }
            }
        }
    )*};
}
from_number!(i8 => I8, u8 => U8, i16 => I16, u16 => U16, i32 => I32, u32 => U32, i64 => I64, u64 => U64,
    f32 => Float, f64 => Double);

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::string(text)
    }
}

/// What happened to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) key: String,
    pub(crate) old: Option<Value>,
    pub(crate) new: Option<Value>,
}

/// Track bits (cmap.h).
pub(crate) const TRACK_DELETE: i32 = 1;
pub(crate) const TRACK_MODIFY: i32 = 2;
pub(crate) const TRACK_ADD: i32 = 4;
pub(crate) const TRACK_PREFIX: i32 = 8;

impl Change {
    /// The event's number on the wire.
    pub(crate) fn event(&self) -> i32 {
        match (&self.old, &self.new) {
            (None, _) => TRACK_ADD,
            (Some(_), None) => TRACK_DELETE,
            (Some(_), Some(_)) => TRACK_MODIFY,
        }
    }
}

/// Keys that clients may not change: whole subtrees and single keys.
const READ_ONLY_PREFIXES: [&str; 8] = [
    "internal_configuration.",
    "runtime.services.",
    "runtime.config.",
    "runtime.totem.",
    "uidgid.config.",
    "system.",
    "nodelist.",
    "stats.",
];
const READ_ONLY_KEYS: [&str; 24] = [
    "totem.crypto_cipher",
    "totem.crypto_hash",
    "totem.crypto_model",
    "totem.keyfile",
    "totem.key",
    "totem.secauth",
    "totem.ip_version",
    "totem.ip_dscp",
    "totem.transport",
    "totem.cluster_name",
    "totem.netmtu",
    "totem.threads",
    "totem.version",
    "totem.nodeid",
    "totem.clear_node_high_bit",
    "config.reload_in_progress",
    "config.totemconfig_reload_in_progress",
    "quorum.allow_downscale",
    "quorum.wait_for_all",
    "quorum.last_man_standing",
    "quorum.last_man_standing_window",
    "quorum.expected_votes_tracking",
    "quorum.auto_tie_breaker",
    "quorum.auto_tie_breaker_node",
];

/// True if clients may not write this key.
pub(crate) fn is_read_only(key: &str) -> bool {
    READ_ONLY_KEYS.contains(&key) || READ_ONLY_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

/// The map itself.
#[derive(Clone, Debug, Default)]
pub struct Map {
    values: BTreeMap<String, Value>,
    changes: VecDeque<Change>,
}

impl Map {
    /// Looks a key up.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// The number under a key, of whatever integer type.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<u64> {
        self.get(key)?.as_u64()
    }

    /// The text under a key.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    /// The number under a key as u32.
    #[must_use]
    pub fn u32(&self, key: &str) -> Option<u32> {
        u32::try_from(self.number(key)?).ok()
    }

    /// True if the number under a key is not 0.
    #[must_use]
    pub fn flag(&self, key: &str) -> bool {
        self.number(key).is_some_and(|value| value != 0)
    }

    /// Sets a value of our own making; keys are known to be valid.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.store(key.to_owned(), value.into());
    }

    fn store(&mut self, key: String, value: Value) {
        let old = self.values.insert(key.clone(), value.clone());
        if old.as_ref() != Some(&value) {
            self.changes.push_back(Change { key, old, new: Some(value) });
        }
    }

    /// Sets a value from outside.
    ///
    /// # Errors
    /// Bad key, unknown type, or a length that does not fit the type.
    pub fn set_checked(&mut self, key: &str, kind: u8, bytes: &[u8]) -> Result<(), CsError> {
        check_key(key)?;
        let kind = ValueType::from_number(kind).ok_or(CsError::InvalidParam)?;
        if bytes.len() > VALUE_MAX || kind.fixed_len().is_some_and(|len| len != bytes.len()) {
            return Err(CsError::InvalidParam);
        }
        let value = if kind == ValueType::String {
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            let text = bytes.get(..end).unwrap_or_default();
            Value { kind, bytes: [text, &[0]].concat() }
        } else {
            Value { kind, bytes: bytes.to_vec() }
        };
        self.store(key.to_owned(), value);
        Ok(())
    }

    /// Removes a key; false if it was not there.
    pub fn remove(&mut self, key: &str) -> bool {
        match self.values.remove(key) {
            Some(old) => {
                self.changes.push_back(Change { key: key.to_owned(), old: Some(old), new: None });
                true
            }
            None => false,
        }
    }

    /// Adds to an integer of any type; it wraps around.
    ///
    /// # Errors
    /// The key is missing or no integer.
    pub fn adjust(&mut self, key: &str, step: i32) -> Result<(), CsError> {
        let value = self.get(key).ok_or(CsError::NotExist)?;
        let mut wide = match value.kind {
            ValueType::Float | ValueType::Double | ValueType::String | ValueType::Binary => {
                return Err(CsError::InvalidParam);
            }
            _ => [0u8; 8],
        };
        let len = value.bytes.len().min(wide.len());
        let kind = value.kind;
        // Integers are native; the low bytes of a wider native integer are at the start only on
        // little-endian machines, so go through the little-endian form.
        let little: Vec<u8> = native_to_little(&value.bytes);
        for (target, byte) in wide.iter_mut().zip(little) {
            *target = byte;
        }
        let sum = u64::from_le_bytes(wide).wrapping_add_signed(i64::from(step)).to_le_bytes();
        let bytes = native_to_little(sum.get(..len).unwrap_or_default());
        self.store(key.to_owned(), Value { kind, bytes });
        Ok(())
    }

    /// Entries whose key starts with a prefix, in order.
    pub fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.values
            .range(prefix.to_owned()..)
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.as_str(), value))
    }

    /// Replaces the whole content without change records (statistics).
    pub(crate) fn replace(&mut self, values: BTreeMap<String, Value>) {
        self.values = values;
        self.changes.clear();
    }

    pub(crate) fn take_change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }
}

/// Turns native bytes into little-endian ones, and back.
fn native_to_little(bytes: &[u8]) -> Vec<u8> {
    if cfg!(target_endian = "little") { bytes.to_vec() } else { bytes.iter().rev().copied().collect() }
}

/// Checks length and characters of a key.
///
/// # Errors
/// Too long, too short, or a character outside `[A-Za-z0-9._-/:]`.
pub fn check_key(key: &str) -> Result<(), CsError> {
    let is_valid = |c: u8| c.is_ascii_alphanumeric() || b"._-/:".contains(&c);
    // One answer for every fault of a name, as in the reference.
    if !(KEY_MIN..=KEY_MAX).contains(&key.len()) || !key.bytes().all(is_valid) {
        return Err(CsError::NameTooLong);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_recorded_once() {
        let mut map = Map::default();
        map.set("foo.bar", 5u8);
        map.set("foo.bar", 5u8);
        map.set("foo.bar", 6u8);
        assert!(map.remove("foo.bar"));
        assert!(!map.remove("foo.bar"));
        let events: Vec<i32> = std::iter::from_fn(|| map.take_change()).map(|c| c.event()).collect();
        assert_eq!(events, [TRACK_ADD, TRACK_MODIFY, TRACK_DELETE]);
    }

    #[test]
    fn integers_wrap_in_their_type() {
        let mut map = Map::default();
        map.set("foo.small", 250u8);
        map.set("foo.text", "x");
        assert_eq!(map.adjust("foo.small", 10), Ok(()));
        assert_eq!(map.get("foo.small"), Some(&Value::from(4u8)));
        assert_eq!(map.adjust("foo.text", 1), Err(CsError::InvalidParam));
        assert_eq!(map.adjust("foo.none", 1), Err(CsError::NotExist));
    }

    #[test]
    fn bad_keys_and_values_are_refused() {
        let mut map = Map::default();
        assert_eq!(map.set_checked("ab", 2, &[1]), Err(CsError::InvalidParam));
        assert_eq!(map.set_checked("a b c", 2, &[1]), Err(CsError::InvalidParam));
        assert_eq!(map.set_checked(&"x".repeat(256), 2, &[1]), Err(CsError::NameTooLong));
        assert_eq!(map.set_checked("abc", 6, &[1]), Err(CsError::InvalidParam));
        assert_eq!(map.set_checked("abc", 99, &[1]), Err(CsError::InvalidParam));
        assert_eq!(map.set_checked("abc", 11, b"text\0rest"), Ok(()));
        assert_eq!(map.text("abc"), Some("text"));
    }
}
