//! The CIB on disk: `cib.xml` with `cib.xml.sig`, and a history of `cib-N.raw`.
//!
//! A new state is written to a file beside the old one, synchronised and renamed over it, so that at
//! any moment one complete state is there. The signature is the MD5 that the reference writes; a
//! file whose signature does not fit is not used if an earlier state is there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use xml::Document;

/// Earlier states that are kept.
const HISTORY: u32 = 100;

/// The directory of the CIB.
#[derive(Debug, Clone)]
pub struct Store {
    directory: PathBuf,
}

/// Where a state came from.
#[derive(Debug)]
pub enum Loaded {
    /// From `cib.xml`.
    Current(Document),
    /// `cib.xml` was unusable (the reason); this is the newest usable earlier state.
    History(Document, String),
    /// There is none yet.
    Nothing,
    /// Files are there and none is usable (the reason).
    Unusable(String),
}

impl Store {
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Store { directory: directory.into() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Reads the newest usable state.
    pub fn load(&self) -> Loaded {
        let current = self.path("cib.xml");
        let reason = match self.read_signed(&current, &self.path("cib.xml.sig")) {
            Ok(cib) => return Loaded::Current(cib),
            Err(reason) => reason,
        };
        let mut numbers: Vec<u32> = self.history_numbers();
        let last = self.last_number();
        // The numbers run in a circle: the newest is the one before the next to be written.
        numbers.sort_by_key(|number| (last + HISTORY - number) % HISTORY);
        for number in &numbers {
            let file = self.path(&format!("cib-{number}.raw"));
            if let Ok(cib) = self.read_signed(&file, &self.path(&format!("cib-{number}.raw.sig"))) {
                return Loaded::History(cib, reason);
            }
        }
        if !current.exists() && numbers.is_empty() { Loaded::Nothing } else { Loaded::Unusable(reason) }
    }

    fn read_signed(&self, file: &Path, signature: &Path) -> Result<Document, String> {
        let text = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let cib = Document::parse_bytes(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        if cib.name(cib.root()) != "cib" {
            return Err(format!("{}: not a CIB", file.display()));
        }
        match fs::read_to_string(signature) {
            Ok(expected) if expected.trim() != cib.digest_on_disk() => {
                Err(format!("{}: its signature does not fit", file.display()))
            }
            // A missing signature is accepted, as the reference does: somebody put the file there.
            _ => Ok(cib),
        }
    }

    fn history_numbers(&self) -> Vec<u32> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                name.strip_prefix("cib-")?.strip_suffix(".raw")?.parse().ok()
            })
            .collect()
    }

    fn last_number(&self) -> u32 {
        let text = fs::read_to_string(self.path("cib.last")).unwrap_or_default();
        text.trim().parse::<u32>().unwrap_or(0) % HISTORY
    }

    /// Writes a state; the one before it goes into the history.
    ///
    /// # Errors
    /// What the file system says; the old state is still there then.
    pub fn save(&self, cib: &Document) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let text = cib.to_pretty();
        let file = self.prepare("cib.xml", text.as_bytes())?;
        let signature = match self.prepare("cib.xml.sig", cib.digest_on_disk().as_bytes()) {
            Ok(signature) => signature,
            Err(error) => {
                let _ = fs::remove_file(&file);
                return Err(error);
            }
        };
        self.archive();
        // Between the two renames the signature does not fit; then the history's newest is this one's
        // predecessor, which is complete.
        fs::rename(&file, self.path("cib.xml"))?;
        fs::rename(&signature, self.path("cib.xml.sig"))?;
        File::open(&self.directory)?.sync_all()
    }

    fn prepare(&self, name: &str, content: &[u8]) -> io::Result<PathBuf> {
        let path = self.path(&format!(".{name}.new"));
        let _ = fs::remove_file(&path);
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(content)?;
            file.sync_all()
        })();
        if let Err(error) = written {
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        Ok(path)
    }

    /// Keeps the state that is about to be replaced. Failure here must not stop the write of a new one.
    fn archive(&self) {
        let current = self.path("cib.xml");
        if !current.exists() {
            return;
        }
        let number = self.last_number();
        let raw = self.path(&format!("cib-{number}.raw"));
        let signature = self.path(&format!("cib-{number}.raw.sig"));
        let _ = fs::remove_file(&raw);
        let _ = fs::remove_file(&signature);
        if fs::hard_link(&current, &raw).is_ok() {
            let _ = fs::hard_link(self.path("cib.xml.sig"), &signature);
            let _ = fs::write(self.path("cib.last"), format!("{}\n", (number + 1) % HISTORY));
            let _ = fs::set_permissions(self.path("cib.last"), fs::Permissions::from_mode(0o600));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(name: &str) -> Store {
        let directory = std::env::temp_dir().join(format!("relevo-disk-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        Store::new(directory)
    }

    fn cib(epoch: u32) -> Document {
        Document::parse(&format!("<cib epoch='{epoch}'><configuration/></cib>")).unwrap()
    }

    fn epoch(loaded: Loaded) -> String {
        match loaded {
            Loaded::Current(cib) => format!("current {}", cib.attr(cib.root(), "epoch").unwrap()),
            Loaded::History(cib, _) => format!("history {}", cib.attr(cib.root(), "epoch").unwrap()),
            Loaded::Nothing => "nothing".into(),
            Loaded::Unusable(_) => "unusable".into(),
        }
    }

    #[test]
    fn the_newest_state_comes_back() {
        let store = store("newest");
        assert_eq!(epoch(store.load()), "nothing");
        for n in 1..=3 {
            store.save(&cib(n)).unwrap();
        }
        assert_eq!(epoch(store.load()), "current 3");
        let mode = fs::metadata(store.path("cib.xml")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_state_is_replaced_by_the_one_before() {
        let store = store("damaged");
        for n in 1..=3 {
            store.save(&cib(n)).unwrap();
        }
        fs::write(store.path("cib.xml"), "<cib epoch='9'>").unwrap();
        assert_eq!(epoch(store.load()), "history 2");
        fs::write(store.path("cib.xml"), "<cib epoch='9'/>").unwrap();
        assert_eq!(epoch(store.load()), "history 2");
        fs::remove_file(store.path("cib.xml.sig")).unwrap();
        assert_eq!(epoch(store.load()), "current 9");
    }

    #[test]
    fn a_failed_write_leaves_the_old_state() {
        let store = store("failed");
        store.save(&cib(1)).unwrap();
        fs::create_dir(store.path(".cib.xml.new")).unwrap();
        assert!(store.save(&cib(2)).is_err());
        assert_eq!(epoch(store.load()), "current 1");
    }
}
