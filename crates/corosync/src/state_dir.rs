//! The small files that survive the daemon: the ring sequence and the expected-votes barrier.

use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The state directory of one node.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
    nodeid: u32,
}

impl StateDir {
    /// The directory must exist.
    ///
    /// # Errors
    /// When it is not a directory.
    pub fn open(path: &Path, nodeid: u32) -> io::Result<Self> {
        let meta = std::fs::metadata(path)?;
        if !meta.is_dir() {
            return Err(io::Error::from(io::ErrorKind::NotADirectory));
        }
        Ok(Self { path: path.to_path_buf(), nodeid })
    }

    fn ring_file(&self) -> PathBuf {
        self.path.join(format!("ringid_{}", self.nodeid))
    }

    /// The last stored ring sequence; 0 if there is none or the file is damaged.
    #[must_use]
    pub fn ring_seq(&self) -> u64 {
        read_array::<8>(&self.ring_file()).map_or(0, u64::from_ne_bytes)
    }

    /// Stores a ring sequence. Not flushed to the disk, as in the reference: entering a ring must not
    /// wait for one, and a sequence that a power cut took is learnt from the others' joins.
    ///
    /// # Errors
    /// When the file cannot be written: the ring must not be entered then.
    pub fn store_ring_seq(&self, seq: u64) -> io::Result<()> {
        replace(&self.ring_file(), &seq.to_ne_bytes(), 0o600, false)
    }

    /// The stored barrier of expected_votes_tracking, 0 if there is none.
    #[must_use]
    pub fn ev_tracking(&self) -> u32 {
        read_array::<4>(&self.path.join("ev_tracking")).map_or(0, u32::from_ne_bytes)
    }

    /// Stores the barrier, through to the disk: after a power cut quorum depends on it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn store_ev_tracking(&self, barrier: u32) -> io::Result<()> {
        replace(&self.path.join("ev_tracking"), &barrier.to_ne_bytes(), 0o700, true)
    }
}

fn read_array<const N: usize>(path: &Path) -> Option<[u8; N]> {
    std::fs::read(path).ok()?.try_into().ok()
}

/// Replaces a file in one step, so that a crash leaves the old or the new content.
fn replace(path: &Path, bytes: &[u8], mode: u32, durable: bool) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file =
        std::fs::File::options().create(true).write(true).truncate(true).mode(mode).open(&temporary)?;
    file.write_all(bytes)?;
    if durable {
        file.sync_all()?;
    }
    drop(file);
    std::fs::rename(&temporary, path)?;
    match path.parent().filter(|_| durable) {
        Some(directory) => std::fs::File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_survive() {
        let dir = std::env::temp_dir().join(format!("corosync-state-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        let state = StateDir::open(&dir, 3).expect("exists");
        assert_eq!(state.ring_seq(), 0);
        state.store_ring_seq(0x1234).expect("writable");
        state.store_ev_tracking(7).expect("writable");
        assert_eq!((state.ring_seq(), state.ev_tracking()), (0x1234, 7));
        assert_eq!(std::fs::read(dir.join("ringid_3")).expect("a file").len(), 8);
        std::fs::write(dir.join("ringid_3"), b"xx").expect("writable");
        assert_eq!(state.ring_seq(), 0, "a damaged file counts as none");
        std::fs::remove_dir_all(&dir).expect("removable");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// A file of exactly the number's size is the number, in the byte order of this machine; any other is none.
        #[test]
        fn any_file(bytes in proptest::collection::vec(any::<u8>(), 0..12), seq: u64, barrier: u32) {
            let dir = std::env::temp_dir().join(format!("corosync-state-any-{}", std::process::id()));
            std::fs::create_dir_all(&dir).expect("a directory");
            let state = StateDir::open(&dir, 9).expect("exists");
            for name in ["ringid_9", "ev_tracking"] {
                std::fs::write(dir.join(name), &bytes).expect("writable");
            }
            let number = |size: usize| {
                let shifts = (0..size).map(|n| if cfg!(target_endian = "little") { n } else { size - 1 - n });
                bytes.iter().zip(shifts).fold(0, |sum, (byte, shift)| sum | u64::from(*byte) << (8 * shift))
            };
            prop_assert_eq!(state.ring_seq(), if bytes.len() == 8 { number(8) } else { 0 });
            prop_assert_eq!(u64::from(state.ev_tracking()), if bytes.len() == 4 { number(4) } else { 0 });
            state.store_ring_seq(seq).expect("writable");
            state.store_ev_tracking(barrier).expect("writable");
            prop_assert_eq!((state.ring_seq(), state.ev_tracking()), (seq, barrier));
            std::fs::remove_dir_all(&dir).expect("removable");
        }
    }
}
