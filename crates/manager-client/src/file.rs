//! A configuration in a file: the same operations, on a file that nobody else changes.

use std::io::Read;
use std::path::PathBuf;

use cib::Request;
use xml::Document;

use crate::cib::{Answer, Change};
use crate::error::Error;

/// In the place of a file's name: the configuration is read from standard input.
const STANDARD_INPUT: &str = "-";

/// A configuration in a file. Changes are written at once, through a temporary file beside it.
#[derive(Debug)]
pub struct FileCib {
    path: PathBuf,
    client: String,
    content: Document,
}

impl FileCib {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read or is no XML.
    pub fn open(path: PathBuf, client: &str) -> Result<FileCib, Error> {
        let fault = |cause: String| Error::File { path: path.display().to_string(), cause };
        let bytes = if path.as_os_str() == STANDARD_INPUT {
            let mut bytes = Vec::new();
            std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
        } else {
            std::fs::read(&path)
        };
        let bytes = bytes.map_err(|e| fault(e.to_string()))?;
        let content = Document::parse_bytes(&bytes).map_err(|e| fault(e.to_string()))?;
        Ok(FileCib { path, client: client.to_string(), content })
    }

    /// As [`crate::Cib::query`].
    ///
    /// # Errors
    /// As [`crate::Cib::query`].
    pub fn query(&self, section: Option<&str>, options: u32) -> Result<Document, Error> {
        cib::query(&self.content, section, options).map_err(|error| Error::Refused { error, details: None })
    }

    /// As [`crate::Cib::change`].
    ///
    /// # Errors
    /// As [`crate::Cib::change`]; also when the file cannot be written.
    pub fn change(&mut self, change: &Change<'_>) -> Result<Answer, Error> {
        let written = written_now();
        let user = std::env::var("USER").unwrap_or_else(|_| "root".into());
        let request = Request {
            operation: change.operation,
            section: change.section,
            options: change.options,
            input: change.input.map(Document::root_element),
            origin: "",
            client: &self.client,
            user: &user,
            written: &written,
            keep_version: false,
        };
        let outcome = cib::perform(&self.content, &request)
            .map_err(|failure| Error::Refused { error: failure.error, details: failure.details })?;
        if change.options & cib::options::DRY_RUN == 0 {
            self.content = outcome.cib;
            self.write()?;
        }
        Ok(None)
    }

    fn write(&self) -> Result<(), Error> {
        if self.path.as_os_str() == STANDARD_INPUT {
            let cause = "standard input cannot be changed; name a file in CIB_file".into();
            return Err(Error::File { path: STANDARD_INPUT.into(), cause });
        }
        let fault =
            |e: std::io::Error| Error::File { path: self.path.display().to_string(), cause: e.to_string() };
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let temporary = PathBuf::from(name);
        std::fs::write(&temporary, self.content.to_pretty()).map_err(fault)?;
        std::fs::rename(&temporary, &self.path).map_err(fault)
    }
}

/// Time of a change as `cib-last-written` has it, in UTC.
fn written_now() -> String {
    let seconds =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map(|d| d.as_secs()).unwrap_or(0);
    let days = (seconds / 86_400) as i64;
    let (year, month, day) = civil(days);
    let week = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let weekday = week.get((days.rem_euclid(7)) as usize).copied().unwrap_or("Thu");
    let name = months.get((month - 1) as usize).copied().unwrap_or("Jan");
    let (h, m, s) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{weekday} {name} {day:>2} {h:02}:{m:02}:{s:02} {year}")
}

/// Year, month and day of a day number counted from 1970-01-01 (proleptic Gregorian calendar).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_to_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_779), (2026, 11, 22));
    }
}
