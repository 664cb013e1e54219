//! The configuration: the manager's, or one in a file (environment variable `CIB_file`).

use std::ffi::OsStr;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use base::CibError;
use cib::Operation;
use cib::options::SYNC_CALL;
use xml::{Document, Element};

use crate::connection::Connection;
use crate::error::Error;
use crate::file::FileCib;

/// Time for one call. (Pacemaker: PCMK__IPC_TIMEOUT.)
const CALL_TIMEOUT: Duration = Duration::from_secs(120);

/// A change to be made.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    pub operation: Operation,
    /// Section name, or an XPath when the option says so.
    pub section: Option<&'a str>,
    pub input: Option<&'a Document>,
    /// Bits of [`cib::options`]; the synchronous bit is set by the call.
    pub options: u32,
}

/// Answer to a call: what it found, or nothing.
pub type Answer = Option<Document>;

/// A configuration, wherever it is.
#[derive(Debug)]
pub enum Cib {
    Live(LiveCib),
    File(FileCib),
}

impl Cib {
    /// The file that `CIB_file` names, or else the running manager's configuration.
    /// `client` is the name that changes are recorded under.
    ///
    /// # Errors
    /// When the manager does not answer or the file cannot be read.
    pub fn open(client: &str, file: Option<&OsStr>) -> Result<Cib, Error> {
        match file.filter(|f| !f.is_empty()) {
            Some(path) => FileCib::open(path.into(), client).map(Cib::File),
            None => LiveCib::open(client).map(Cib::Live),
        }
    }

    /// Queries a section or XPath; without, the whole configuration.
    ///
    /// # Errors
    /// When nothing matches, or of the connection.
    pub fn query(&mut self, section: Option<&str>, options: u32) -> Result<Document, Error> {
        match self {
            Cib::Live(live) => live.query(section, options),
            Cib::File(file) => file.query(section, options),
        }
    }

    /// Makes a change.
    ///
    /// # Errors
    /// When it is refused, or of the connection.
    pub fn change(&mut self, change: &Change<'_>) -> Result<Answer, Error> {
        match self {
            Cib::Live(live) => live.change(change),
            Cib::File(file) => file.change(change),
        }
    }

    /// Makes the difference between two versions real. Results that came in meanwhile stay; when
    /// somebody else changed the configuration meanwhile, nothing is done.
    ///
    /// # Errors
    /// As [`Cib::change`]; [`CibError::OldData`] when the configuration has moved on.
    pub fn apply(&mut self, before: &Document, after: &Document) -> Result<(), Error> {
        let (mut from, mut to) = (before.clone(), after.clone());
        for _ in 0..APPLY_ATTEMPTS {
            let Some(patch) = difference(&from, &to) else { return Ok(()) };
            let change =
                Change { operation: Operation::ApplyPatch, section: None, input: Some(&patch), options: 0 };
            let error = match self.change(&change) {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            if !matches!(error.cib(), Some(CibError::OldData | CibError::DiffResync | CibError::DiffFailed)) {
                return Err(error);
            }
            let fresh = self.query(None, 0)?;
            if configuration(&fresh) != configuration(before) {
                return Err(Error::Refused { error: CibError::OldData, details: None });
            }
            to = with_configuration(&fresh, after);
            from = fresh;
        }
        Err(Error::Refused { error: CibError::OldData, details: None })
    }

    pub fn is_live(&self) -> bool {
        matches!(self, Cib::Live(_))
    }
}

/// How often a change is rebased on new results before it is given up.
const APPLY_ATTEMPTS: usize = 20;

fn configuration(cib: &Document) -> String {
    cib.child(cib.root(), "configuration").map(|c| cib.node_to_text(c)).unwrap_or_default()
}

/// `fresh` with the configuration section of `wanted`.
fn with_configuration(fresh: &Document, wanted: &Document) -> Document {
    let mut next = fresh.clone();
    let (old, new) = (next.child(next.root(), "configuration"), wanted.child(wanted.root(), "configuration"));
    if let (Some(old), Some(new)) = (old, new) {
        next.overwrite(old, wanted, new);
    }
    next
}

/// The patch between two versions, the second counted up as a change of the configuration is.
fn difference(before: &Document, after: &Document) -> Option<Document> {
    if before.to_text() == after.to_text() {
        return None;
    }
    let mut next = after.clone();
    let mut version = cib::Version::of(before.root_element());
    version.epoch = version.epoch.saturating_add(1);
    version.num_updates = 0;
    version.write(&mut next);
    cib::make_patchset(before, &next)
}

/// The running manager's configuration.
#[derive(Debug)]
pub struct LiveCib {
    connection: Connection,
    client_id: String,
    call_id: i32,
}

impl LiveCib {
    /// Connects and registers under a name.
    ///
    /// # Errors
    /// [`Error::NotConnected`] when there is no manager.
    pub fn open(client: &str) -> Result<LiveCib, Error> {
        let mut connection = Connection::open("cib_rw")?;
        let mut hello = Document::new("cib_command");
        let root = hello.root();
        for (name, value) in [
            ("t", "cib"),
            ("cib_op", "register"),
            ("cib_clientname", client),
            ("cib_callopt", &SYNC_CALL.to_string()),
        ] {
            hello.set_attr(root, name, value);
        }
        let reply = connection.request(&hello, CALL_TIMEOUT)?;
        let reply = reply.root_element();
        if reply.attr("cib_op") != Some("register") {
            return Err(Error::Protocol("the registration was answered with something else".into()));
        }
        let client_id = reply
            .attr("cib_clientid")
            .ok_or_else(|| Error::Protocol("the registration was answered without an id".into()))?
            .to_string();
        Ok(LiveCib { connection, client_id, call_id: 0 })
    }

    /// As [`Cib::query`].
    ///
    /// # Errors
    /// As [`Cib::query`].
    pub fn query(&mut self, section: Option<&str>, options: u32) -> Result<Document, Error> {
        let found = self.call("cib_query", section, None, options)?;
        found.ok_or_else(|| Error::Protocol("a query was answered without data".into()))
    }

    /// As [`Cib::change`].
    ///
    /// # Errors
    /// As [`Cib::change`].
    pub fn change(&mut self, change: &Change<'_>) -> Result<Answer, Error> {
        self.call(change.operation.name(), change.section, change.input, change.options)
    }

    /// Asks to be told of every change; see [`LiveCib::next_change`].
    ///
    /// # Errors
    /// Of the connection.
    pub fn watch(&mut self) -> Result<(), Error> {
        let mut message = Document::new("cib-callback");
        let root = message.root();
        for (name, value) in [
            ("t", "cib"),
            ("cib_op", "cib_notify"),
            ("cib_notify_type", "cib_diff_notify"),
            ("cib_notify_activate", "1"),
        ] {
            message.set_attr(root, name, value);
        }
        self.connection.request(&message, CALL_TIMEOUT).map(|_| ())
    }

    /// Waits for a change: the notification, or nothing when the time is up.
    ///
    /// # Errors
    /// [`Error::NotConnected`] when the manager goes away.
    pub fn next_change(&mut self, timeout: Duration) -> Result<Option<Document>, Error> {
        self.connection.event(timeout)
    }

    /// Readable when a notification waits.
    pub fn event_fd(&self) -> BorrowedFd<'_> {
        self.connection.event_fd()
    }

    fn call(
        &mut self,
        operation: &str,
        section: Option<&str>,
        input: Option<&Document>,
        options: u32,
    ) -> Result<Answer, Error> {
        self.call_id = self.call_id.checked_add(1).unwrap_or(1);
        let call_id = self.call_id.to_string();
        let mut message = Document::new("cib_command");
        let root = message.root();
        for (name, value) in [
            ("__name__", "cib_command"),
            ("t", "cib"),
            ("cib_async_id", self.client_id.as_str()),
            ("cib_op", operation),
        ] {
            message.set_attr(root, name, value);
        }
        if let Some(section) = section {
            message.set_attr(root, "cib_section", section);
        }
        message.set_attr(root, "cib_callid", &call_id);
        message.set_attr(root, "cib_callopt", &(options | SYNC_CALL).to_string());
        if let Some(input) = input {
            let holder = message.append(root, "cib_calldata");
            message.import(holder, input, input.root());
        }
        let reply = self.connection.request(&message, CALL_TIMEOUT)?;
        answer(reply.root_element(), &call_id)
    }
}

/// What the reply to a call says.
fn answer(reply: Element<'_>, call_id: &str) -> Result<Answer, Error> {
    if reply.attr("cib_callid") != Some(call_id) {
        return Err(Error::Protocol(format!("the reply <{}> belongs to another call", reply.name())));
    }
    let code: i32 = reply
        .attr("cib_rc")
        .and_then(|rc| rc.parse().ok())
        .ok_or_else(|| Error::Protocol("the reply has no result".into()))?;
    let data = reply
        .child("cib_calldata")
        .and_then(|holder| holder.children().next())
        .map(|found| found.document().extract(found.id()));
    match code {
        0 => Ok(data),
        code => match CibError::from_code(code) {
            Some(error) => Err(Error::Refused { error, details: data.map(Box::new) }),
            None => Err(Error::Protocol(format!("the manager answered with result {code}"))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies() {
        let parse = |text: &str| answer(Document::parse(text).unwrap().root_element(), "3");
        let found = parse("<r cib_callid='3' cib_rc='0'><cib_calldata><cib/></cib_calldata></r>").unwrap();
        assert_eq!(found.unwrap().to_text(), "<cib/>");
        assert!(matches!(
            parse("<r cib_callid='3' cib_rc='-6'/>"),
            Err(Error::Refused { error: CibError::NotFound, .. })
        ));
        assert!(matches!(parse("<r cib_callid='2' cib_rc='0'/>"), Err(Error::Protocol(_))));
        assert!(matches!(parse("<r cib_callid='3'/>"), Err(Error::Protocol(_))));
    }

    #[test]
    fn a_difference_counts_up_the_version() {
        let before =
            Document::parse("<cib admin_epoch='0' epoch='5' num_updates='7'><configuration/></cib>").unwrap();
        let mut after = before.clone();
        let configuration = after.child(after.root(), "configuration").unwrap();
        after.append(configuration, "crm_config");
        let patch = difference(&before, &after).unwrap();
        let mut copy = before.clone();
        cib::apply_patchset(&mut copy, patch.root_element()).unwrap();
        assert_eq!(cib::Version::of(copy.root_element()).epoch, 6);
        assert!(difference(&before, &before).is_none());
        let mut busy = before.clone();
        let root = busy.root();
        busy.append(root, "status");
        let rebased = with_configuration(&busy, &after);
        assert!(rebased.to_text().ends_with("<configuration><crm_config/></configuration><status/></cib>"));
    }
}
