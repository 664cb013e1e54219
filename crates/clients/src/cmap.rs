//! The engine's table of keys and values (`cmap_overview(3)`).

use crate::connection::Connection;
use crate::error::{Error, Status};
use crate::wire::{Reader, Writer};
use std::os::fd::BorrowedFd;

/// Longest key in bytes.
pub const MAX_KEY_BYTES: usize = 255;
const KEY_VALUE_BYTES: usize = 256;

/// Which table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Map {
    #[default]
    Configuration = 0,
    Statistics = 1,
}

/// Bits for [`Cmap::track`].
pub mod track {
    pub const DELETE: i32 = 1;
    pub const MODIFY: i32 = 2;
    pub const ADD: i32 = 4;
    /// The key is the start of the keys that are meant.
    pub const PREFIX: i32 = 8;
}

/// A typed value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    I8(i8),
    U8(u8),
    I16(i16),
    U16(u16),
    I32(i32),
    U32(u32),
    I64(i64),
    U64(u64),
    Float(f32),
    Double(f64),
    /// Without the NUL that ends it in the engine.
    String(String),
    Binary(Vec<u8>),
}

impl Value {
    /// The engine's number of the type.
    pub fn type_code(&self) -> u8 {
        match self {
            Value::I8(_) => 1,
            Value::U8(_) => 2,
            Value::I16(_) => 3,
            Value::U16(_) => 4,
            Value::I32(_) => 5,
            Value::U32(_) => 6,
            Value::I64(_) => 7,
            Value::U64(_) => 8,
            Value::Float(_) => 9,
            Value::Double(_) => 10,
            Value::String(_) => 11,
            Value::Binary(_) => 12,
        }
    }

    /// The engine's bytes of the value.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Value::I8(v) => v.to_ne_bytes().to_vec(),
            Value::U8(v) => v.to_ne_bytes().to_vec(),
            Value::I16(v) => v.to_ne_bytes().to_vec(),
            Value::U16(v) => v.to_ne_bytes().to_vec(),
            Value::I32(v) => v.to_ne_bytes().to_vec(),
            Value::U32(v) => v.to_ne_bytes().to_vec(),
            Value::I64(v) => v.to_ne_bytes().to_vec(),
            Value::U64(v) => v.to_ne_bytes().to_vec(),
            Value::Float(v) => v.to_ne_bytes().to_vec(),
            Value::Double(v) => v.to_ne_bytes().to_vec(),
            Value::String(v) => {
                let mut bytes = v.as_bytes().to_vec();
                bytes.push(0);
                bytes
            }
            Value::Binary(v) => v.clone(),
        }
    }

    /// The value of a type code and bytes; `None` if they do not fit together.
    pub fn from_bytes(type_code: u8, bytes: &[u8]) -> Option<Value> {
        Some(match type_code {
            1 => Value::I8(i8::from_ne_bytes(bytes.try_into().ok()?)),
            2 => Value::U8(u8::from_ne_bytes(bytes.try_into().ok()?)),
            3 => Value::I16(i16::from_ne_bytes(bytes.try_into().ok()?)),
            4 => Value::U16(u16::from_ne_bytes(bytes.try_into().ok()?)),
            5 => Value::I32(i32::from_ne_bytes(bytes.try_into().ok()?)),
            6 => Value::U32(u32::from_ne_bytes(bytes.try_into().ok()?)),
            7 => Value::I64(i64::from_ne_bytes(bytes.try_into().ok()?)),
            8 => Value::U64(u64::from_ne_bytes(bytes.try_into().ok()?)),
            9 => Value::Float(f32::from_ne_bytes(bytes.try_into().ok()?)),
            10 => Value::Double(f64::from_ne_bytes(bytes.try_into().ok()?)),
            11 => {
                let text = bytes.split(|b| *b == 0).next().unwrap_or_default();
                Value::String(String::from_utf8_lossy(text).into_owned())
            }
            12 => Value::Binary(bytes.to_vec()),
            _ => return None,
        })
    }

    /// The number, if it is a whole one that is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Value::I8(v) => u64::try_from(*v).ok(),
            Value::U8(v) => Some(u64::from(*v)),
            Value::I16(v) => u64::try_from(*v).ok(),
            Value::U16(v) => Some(u64::from(*v)),
            Value::I32(v) => u64::try_from(*v).ok(),
            Value::U32(v) => Some(u64::from(*v)),
            Value::I64(v) => u64::try_from(*v).ok(),
            Value::U64(v) => Some(*v),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

/// Names a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TrackId(u64);

/// A key changed. `event` is one of [`track::ADD`], [`track::DELETE`], [`track::MODIFY`].
#[derive(Clone, Debug, PartialEq)]
pub struct CmapEvent {
    /// What was given to [`Cmap::track`].
    pub instance: u64,
    pub key: String,
    pub event: i32,
    pub new: Option<Value>,
    pub old: Option<Value>,
}

/// A connection to the cmap service.
#[derive(Debug)]
pub struct Cmap(Connection);

impl Cmap {
    pub fn open() -> Result<Cmap, Error> {
        Ok(Cmap(Connection::open("cmap")?))
    }

    /// Opens another table than the configuration.
    pub fn open_map(map: Map) -> Result<Cmap, Error> {
        let mut cmap = Cmap::open()?;
        if map != Map::Configuration {
            cmap.0.call(9, Writer::new(24).u32(16, map as u32))?;
        }
        Ok(cmap)
    }

    /// How long calls are repeated while the engine says "try again" (default 20 s; zero: not at all).
    pub fn set_retry(&mut self, retry_for: std::time::Duration) {
        self.0.set_retry(retry_for);
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }

    /// The value of a key, or `None` if there is no such key.
    pub fn find(&mut self, key: &str) -> Result<Option<Value>, Error> {
        // The first call asks for type and length only.
        let answer = match self.0.call(2, key_field(Writer::new(288), key)?) {
            Err(Error::Status(Status::NOT_EXIST)) => return Ok(None),
            other => other?,
        };
        let length = Reader::new(&answer, "cmap get").u64(24)?;
        let answer = match self.0.call(2, key_field(Writer::new(288), key)?.u64(280, length)) {
            Err(Error::Status(Status::NOT_EXIST)) => return Ok(None),
            other => other?,
        };
        let reader = Reader::new(&answer, "cmap get");
        let length = usize::try_from(reader.u64(24)?).map_err(|_| Error::Protocol("cmap get"))?;
        let value = Value::from_bytes(reader.u8(32)?, reader.bytes(40, length)?);
        Ok(Some(value.ok_or(Error::Protocol("the type of a cmap value"))?))
    }

    pub fn set(&mut self, key: &str, value: &Value) -> Result<(), Error> {
        let bytes = value.to_bytes();
        let request = key_field(Writer::new(296), key)?;
        let request = request.u64(280, bytes.len() as u64).put(288, &[value.type_code()]).put(296, &bytes);
        self.0.call(0, request).map(drop)
    }

    /// `NOT_EXIST` if there is no such key.
    pub fn delete(&mut self, key: &str) -> Result<(), Error> {
        self.0.call(1, key_field(Writer::new(280), key)?).map(drop)
    }

    /// Adds to a whole number.
    pub fn adjust(&mut self, key: &str, step: i32) -> Result<(), Error> {
        self.0.call(3, key_field(Writer::new(288), key)?.put(280, &step.to_ne_bytes())).map(drop)
    }

    /// Keys that start with `prefix` (empty: all), in order.
    pub fn keys(&mut self, prefix: &str) -> Result<Vec<String>, Error> {
        let answer = self.0.call(4, key_field(Writer::new(280), prefix)?)?;
        let handle = Reader::new(&answer, "cmap iteration").u64(24)?;
        let mut keys = Vec::new();
        let outcome = loop {
            match self.0.call(5, Writer::new(24).u64(16, handle)) {
                Ok(answer) => keys.push(read_key(Reader::new(&answer, "cmap iteration"), 24)?),
                Err(Error::Status(Status::NO_SECTIONS)) => break Ok(keys),
                Err(e) => break Err(e),
            }
        };
        self.0.call(6, Writer::new(24).u64(16, handle))?;
        outcome
    }

    /// Asks for events about a key. `kinds`: bits of [`track`]; `instance` comes back in the events.
    pub fn track(&mut self, key: &str, kinds: i32, instance: u64) -> Result<TrackId, Error> {
        let request = key_field(Writer::new(296), key)?.put(280, &kinds.to_ne_bytes()).u64(288, instance);
        let answer = self.0.call(7, request)?;
        Ok(TrackId(Reader::new(&answer, "cmap track").u64(24)?))
    }

    pub fn untrack(&mut self, id: TrackId) -> Result<(), Error> {
        self.0.call(8, Writer::new(24).u64(16, id.0)).map(drop)
    }

    /// The next event, without waiting.
    pub fn poll_event(&mut self) -> Result<Option<CmapEvent>, Error> {
        while let Some((id, bytes)) = self.0.poll_event()? {
            if id == 9 {
                return decode(&bytes).map(Some);
            }
        }
        Ok(None)
    }
}

/// A key is its length in 8 bytes, then 256 bytes.
fn key_field(writer: Writer, key: &str) -> Result<Writer, Error> {
    if key.len() > MAX_KEY_BYTES {
        return Err(Error::TooLong { what: "key", limit: MAX_KEY_BYTES });
    }
    Ok(writer.put(16, &(key.len() as u16).to_ne_bytes()).put(24, key.as_bytes()))
}

fn read_key(reader: Reader<'_>, at: usize) -> Result<String, Error> {
    reader.text(at + 8, KEY_VALUE_BYTES)
}

fn decode(bytes: &[u8]) -> Result<CmapEvent, Error> {
    let reader = Reader::new(bytes, "a cmap event");
    let length = |at| usize::try_from(reader.u64(at)?).map_err(|_| Error::Protocol("a cmap event"));
    let (new_length, old_length) = (length(320)?, length(328)?);
    let new = reader.bytes(336, new_length)?;
    let old = reader.bytes(336 + new.len(), old_length)?;
    Ok(CmapEvent {
        instance: reader.u64(24)?,
        key: read_key(reader, 32)?,
        event: reader.i32(296)?,
        new: Value::from_bytes(reader.u8(304)?, new),
        old: Value::from_bytes(reader.u8(312)?, old),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn arbitrary_events_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), small: bool) {
            if small && bytes.len() > 336 {
                bytes[321..328].fill(0);
                bytes[329..336].fill(0);
            }
            let _ = decode(&bytes);
        }

        #[test]
        fn arbitrary_values_never_panic(code: u8, bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            if let Some(value) = Value::from_bytes(code, &bytes) {
                prop_assert_eq!(value.type_code(), code);
                if !matches!(value, Value::String(_)) {
                    prop_assert_eq!(value.to_bytes(), bytes);
                }
            }
        }
    }
}
