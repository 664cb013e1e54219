//! Helpers of unit tests: commands on a CIB in memory.

use xml::Document;

use crate::context::{Context, Paths};
use crate::options;
use crate::report::{Failure, Kept, Message};
use crate::store::MemoryStore;

/// A CIB of two nodes with these resources.
pub(crate) fn cib(resources: &str) -> Document {
    let text = format!(
        "<cib validate-with='pacemaker-3.9' epoch='1' num_updates='0' admin_epoch='0'><configuration>\
         <crm_config><cluster_property_set id='cib-bootstrap-options'/></crm_config>\
         <nodes><node id='1' uname='nodo1.example.com'/><node id='2' uname='nodo2.example.com'/></nodes>\
         <resources>{resources}</resources><constraints/></configuration><status/></cib>"
    );
    Document::parse(&text).unwrap()
}

/// A primitive with nothing in it.
pub(crate) fn dummy(id: &str) -> String {
    format!("<primitive id='{id}' class='ocf' provider='pacemaker' type='Dummy'/>")
}

/// Runs one command line on a CIB: the CIB afterwards and the messages.
pub(crate) fn run(doc: &Document, line: &str) -> Result<(Document, Vec<Message>), Failure> {
    let words: Vec<String> = line.split_whitespace().map(str::to_string).collect();
    let mut kept = Kept::default();
    let (options, words) = options::split(&words, &mut kept).map_err(Failure::Error)?;
    let mut store = Shared(doc.clone());
    let mut sink = Kept::default();
    {
        let mut context =
            Context { options, paths: Paths::default(), store: Box::new(&mut store), sink: &mut sink };
        crate::router::run(&mut context, &words)?;
    }
    kept.0.extend(sink.0);
    Ok((store.0, kept.0))
}

struct Shared(Document);

impl crate::store::Store for &mut Shared {
    fn load(&mut self) -> Result<Document, crate::store::StoreError> {
        MemoryStore(self.0.clone()).load()
    }

    fn save(&mut self, _before: &Document, after: &Document) -> Result<(), crate::store::StoreError> {
        self.0 = after.clone();
        Ok(())
    }

    fn is_live(&self) -> bool {
        false
    }
}
