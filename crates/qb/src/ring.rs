//! One ring in shared memory: chunks of bytes from one writer to one reader.
//!
//! Two files: a header (pointers, semaphore, flow control word) and the data, which is mapped twice in a row.
//! Nothing that the other side can write is trusted: size, pointers and lengths are checked at each step.

use crate::error::Error;
use crate::handshake::PATH_BYTES;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;
use sys::shm::{SharedMap, create_file};

const WRITE_POINTER: usize = 0;
const READ_POINTER: usize = 4;
const WORDS: usize = 8;
const HEADER_PATH: usize = 12;
const DATA_PATH: usize = HEADER_PATH + PATH_BYTES;
const REFERENCES: usize = 8204;
const SEMAPHORE: usize = 8208;
const FLOW: usize = 8240;
/// A word that the C library leaves zero and never reads: how the reader wants to be told of new chunks.
const HINT: usize = 8244;
/// Length of the header file.
const HEADER_BYTES: usize = 8252;
/// Length and magic in front of each chunk.
const CHUNK_HEADER_BYTES: usize = 8;
/// Free bytes that a chunk needs beyond its own length: its header and one word.
const CHUNK_MARGIN_BYTES: usize = 12;
const MAGIC_READY: u32 = 0xA1A1_A1A1;
const MAGIC_WRITING: u32 = 0xA110_CED0;
const MAGIC_DEAD: u32 = 0xD0D0_D0D0;

/// Bytes of the data file for a largest message: libqb's formula.
pub(crate) fn data_bytes(max_message_size: usize) -> usize {
    let page = rustix::param::page_size();
    (max_message_size + CHUNK_MARGIN_BYTES + 1).next_multiple_of(page)
}

/// How the reader of a ring wants to be told of new chunks: by one byte on the socket for each (what the C library
/// does), not at all, or by one byte for all that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hint {
    Each = 0,
    Awake = 1,
    Asleep = 2,
}

/// One side of a ring.
#[derive(Debug)]
pub(crate) struct Ring {
    header: SharedMap,
    data: SharedMap,
    words: u32,
    max_message_size: usize,
}

impl Ring {
    /// Makes the files `<name>-header` and `<name>-data` in the directory `dir`, whose path is `path`, and gives
    /// them to a user.
    pub(crate) fn create(
        dir: impl AsFd,
        path: &str,
        name: &str,
        max_message_size: usize,
        owner: (u32, u32),
    ) -> Result<Ring, sys::Errno> {
        let length = data_bytes(max_message_size);
        let (header_name, data_name) = (format!("{name}-header"), format!("{name}-data"));
        let header_file = create_file(&dir, &header_name, HEADER_BYTES as u64, 0o600)?;
        let data_file = create_file(&dir, &data_name, length as u64, 0o600)?;
        let ring = Ring::map(&header_file, &data_file, max_message_size)?;
        ring.header.store(WORDS, ring.words)?;
        ring.header.write(HEADER_PATH, format!("{path}/{header_name}\0").as_bytes())?;
        ring.header.write(DATA_PATH, format!("{path}/{data_name}\0").as_bytes())?;
        ring.header.semaphore(SEMAPHORE)?.init(0);
        ring.header.store(REFERENCES, 1)?;
        for file in [&header_file, &data_file] {
            // Only root may give files away; without that right only a client of our own user can open them.
            match sys::shm::change_owner(file, owner.0, owner.1) {
                Ok(()) | Err(sys::Errno::PERM | sys::Errno::INVAL) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(ring)
    }

    /// Opens a ring by the path that the server named (relative paths are in /dev/shm).
    pub(crate) fn open(path: &str, max_message_size: usize) -> Result<Ring, sys::Errno> {
        let open = |suffix: &str| -> Result<OwnedFd, sys::Errno> {
            let full = std::path::Path::new(crate::SHARED_MEMORY_DIRECTORY).join(format!("{path}-{suffix}"));
            use rustix::fs::{Mode, OFlags};
            rustix::fs::open(&full, OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
        };
        let ring = Ring::map(&open("header")?, &open("data")?, max_message_size)?;
        if ring.header.load(WORDS)? != ring.words {
            return Err(sys::Errno::PROTO);
        }
        ring.header.fetch_add(REFERENCES, 1)?;
        Ok(ring)
    }

    fn map(header: &OwnedFd, data: &OwnedFd, max_message_size: usize) -> Result<Ring, sys::Errno> {
        let length = data_bytes(max_message_size);
        let words = u32::try_from(length / 4).map_err(|_| sys::Errno::INVAL)?;
        // The hint is the last thing in the header that is used; a client's view may be 4 bytes shorter.
        let header = SharedMap::new(header, HINT + 4)?;
        Ok(Ring { header, data: SharedMap::twice(data, length)?, words, max_message_size })
    }

    /// False once the files were truncated by the other side.
    pub(crate) fn is_intact(&self) -> bool {
        !self.header.is_poisoned() && !self.data.is_poisoned()
    }

    /// How many sides use the ring: 2 while both do.
    pub(crate) fn references(&self) -> u32 {
        self.header.load(REFERENCES).unwrap_or(0)
    }

    /// Gives up one side's reference.
    pub(crate) fn release(&self) {
        let _ = self.header.fetch_add(REFERENCES, u32::MAX);
    }

    /// Flow control word: 0 go, else stop.
    pub(crate) fn flow(&self) -> u32 {
        self.header.load(FLOW).unwrap_or(0)
    }

    pub(crate) fn set_flow(&self, value: u32) {
        let _ = self.header.store(FLOW, value);
    }

    /// The reader says how it wants to be told. It must look into the ring once more afterwards: what was written
    /// before may have been announced in the old way.
    pub(crate) fn set_hint(&self, hint: Hint) {
        let _ = self.header.store(HINT, hint as u32);
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
    }

    /// How the reader wants to be told of what was written.
    pub(crate) fn hint(&self) -> Hint {
        // After the chunk, so that either we see the hint or its writer sees the chunk.
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
        match self.header.load(HINT) {
            Ok(1) => Hint::Awake,
            Ok(2) => Hint::Asleep,
            _ => Hint::Each,
        }
    }

    /// How many bytes the reader must get for so many new chunks. Who is woken up is awake from then on.
    pub(crate) fn wakeups_for(&self, chunks: usize) -> usize {
        match self.hint() {
            Hint::Each => chunks,
            Hint::Awake => 0,
            Hint::Asleep => {
                usize::from(self.header.exchange(HINT, Hint::Asleep as u32, Hint::Awake as u32) == Ok(true))
            }
        }
    }

    /// Number of chunks that wait to be read, as the semaphore says.
    pub(crate) fn waiting(&self) -> u32 {
        self.header.semaphore(SEMAPHORE).map_or(0, |s| s.value())
    }

    fn pointer(&self, at: usize) -> Result<u32, Error> {
        let value = self.header.load(at)?;
        if value < self.words { Ok(value) } else { Err(Error::Damaged) }
    }

    fn free_bytes(&self, write: u32, read: u32) -> usize {
        let free_words = match write.cmp(&read) {
            std::cmp::Ordering::Greater => self.words - (write - read) - 1,
            std::cmp::Ordering::Less => read - write - 1,
            std::cmp::Ordering::Equal if self.waiting() > 0 => 0,
            std::cmp::Ordering::Equal => self.words,
        };
        free_words as usize * 4
    }

    /// Where the reader is, and how many bytes lie before it.
    pub(crate) fn unread(&self) -> (u32, usize) {
        let (Ok(write), Ok(read)) = (self.pointer(WRITE_POINTER), self.pointer(READ_POINTER)) else {
            return (0, 0);
        };
        let words = if write >= read { write - read } else { self.words - read + write };
        (read, words as usize * 4)
    }

    /// True if at least half of the ring is free.
    pub(crate) fn is_half_read(&self) -> bool {
        self.unread().1 <= self.words as usize * 2
    }

    fn after(&self, pointer: u32, length: usize) -> u32 {
        let words = (CHUNK_HEADER_BYTES + length).div_ceil(4) as u64;
        ((u64::from(pointer) + words) % u64::from(self.words)) as u32
    }

    fn magic_offset(&self, pointer: u32) -> usize {
        ((pointer as usize + 1) % self.words as usize) * 4
    }

    fn data_offset(&self, pointer: u32) -> usize {
        ((pointer as usize + 2) % self.words as usize) * 4
    }

    /// Puts one chunk into the ring and posts the semaphore. `Again`: not enough room.
    pub(crate) fn write(&self, parts: &[&[u8]]) -> Result<(), Error> {
        let length: usize = parts.iter().map(|p| p.len()).sum();
        if length > self.max_message_size {
            return Err(Error::TooBig { bytes: length, limit: self.max_message_size });
        }
        let write = self.pointer(WRITE_POINTER)?;
        let read = self.pointer(READ_POINTER)?;
        if self.free_bytes(write, read) < length + CHUNK_MARGIN_BYTES {
            return Err(Error::Again);
        }
        self.data.store(write as usize * 4, 0)?;
        self.data.store(self.magic_offset(write), MAGIC_WRITING)?;
        let mut at = self.data_offset(write);
        for part in parts {
            self.data.write(at, part)?;
            at += part.len();
        }
        self.data.store(write as usize * 4, length as u32)?;
        self.header.store(WRITE_POINTER, self.after(write, length))?;
        self.data.store(self.magic_offset(write), MAGIC_READY)?;
        self.header.semaphore(SEMAPHORE)?.post();
        Ok(())
    }

    /// Takes one chunk out of the ring, waiting for it at most `timeout`; `None` if there is none.
    pub(crate) fn read(&self, timeout: Duration) -> Result<Option<Vec<u8>>, Error> {
        let semaphore = self.header.semaphore(SEMAPHORE)?;
        let posted = if timeout.is_zero() { semaphore.try_wait() } else { semaphore.wait(timeout) };
        if !posted {
            return Ok(None);
        }
        let read = self.pointer(READ_POINTER)?;
        if self.data.load(self.magic_offset(read))? != MAGIC_READY {
            return Err(Error::Damaged);
        }
        let length = self.data.load(read as usize * 4)? as usize;
        if length > self.max_message_size {
            return Err(Error::Damaged);
        }
        let bytes = self.data.read_vec(self.data_offset(read), length)?;
        self.data.store(read as usize * 4, 0)?;
        self.data.store(self.magic_offset(read), MAGIC_DEAD)?;
        self.header.store(READ_POINTER, self.after(read, length))?;
        Ok(Some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

    fn pair(max: usize) -> (Ring, Ring) {
        let make = |length: usize| {
            let fd = memfd_create("ring", MemfdFlags::CLOEXEC).unwrap();
            ftruncate(&fd, length as u64).unwrap();
            fd
        };
        let (header, data) = (make(HEADER_BYTES), make(data_bytes(max)));
        (Ring::map(&header, &data, max).unwrap(), Ring::map(&header, &data, max).unwrap())
    }

    #[test]
    fn sizes_are_those_of_libqb() {
        assert_eq!(data_bytes(8192 * 128), 8192 * 128 + 4096);
        assert_eq!(data_bytes(4096 - 13), 4096);
        assert_eq!(data_bytes(4096 - 12), 8192);
    }

    #[test]
    fn full_ring_says_again_and_empties() {
        let (writer, reader) = pair(1000);
        let mut sent = 0u32;
        while writer.write(&[&[7; 990], &sent.to_ne_bytes()]).is_ok() {
            sent += 1;
        }
        assert_eq!(writer.write(&[&[7; 994]]), Err(Error::Again));
        assert!(sent >= 3, "{sent}");
        for index in 0..sent {
            let chunk = reader.read(Duration::ZERO).unwrap().unwrap();
            assert_eq!(chunk[990..], index.to_ne_bytes());
        }
        assert_eq!(reader.read(Duration::ZERO), Ok(None));
    }

    proptest! {
        #[test]
        fn chunks_come_out_as_they_went_in(lengths in proptest::collection::vec(0usize..3000, 1..60)) {
            let (writer, reader) = pair(3000);
            let mut queued = std::collections::VecDeque::new();
            for (index, length) in lengths.into_iter().enumerate() {
                let bytes: Vec<u8> = (0..length).map(|i| (i * 31 + index) as u8).collect();
                while writer.write(&[&bytes]) == Err(Error::Again) {
                    prop_assert_eq!(reader.read(Duration::ZERO).unwrap(), queued.pop_front());
                }
                queued.push_back(bytes);
            }
            while let Some(bytes) = queued.pop_front() {
                prop_assert_eq!(reader.read(Duration::ZERO).unwrap(), Some(bytes));
            }
        }

        #[test]
        fn rubbish_in_the_ring_never_panics(
            header in proptest::collection::vec(any::<u32>(), 3),
            semaphore in 0u32..5,
            words in proptest::collection::vec(any::<u32>(), 64),
            magic_at in 0usize..63,
        ) {
            let (bad, good) = pair(5000);
            for (index, value) in words.iter().enumerate() {
                bad.data.store(index * 4, *value).unwrap();
            }
            bad.data.store(magic_at * 4 + 4, MAGIC_READY).unwrap();
            for (index, value) in header.iter().enumerate() {
                bad.header.store(index * 4, value % 3000).unwrap();
            }
            bad.header.store(READ_POINTER, magic_at as u32).unwrap();
            bad.header.semaphore(SEMAPHORE).unwrap().init(semaphore);
            for _ in 0..4 {
                let _ = good.read(Duration::ZERO);
                let _ = good.write(&[b"hello"]);
            }
        }
    }
}
