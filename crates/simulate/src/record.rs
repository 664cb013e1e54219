//! What a run reports, to be shown as text or as XML.

use status::tree::Item;
use xml::{Document, NodeId};

/// One thing that was found or done.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// For people.
    pub text: String,
    /// Name of the element, empty if XML leaves it out.
    pub element: &'static str,
    pub attrs: Vec<(&'static str, String)>,
    /// Elements inside, each with its text.
    pub inside: Vec<(String, String)>,
}

impl Record {
    pub fn new(element: &'static str, text: impl Into<String>, attrs: &[(&'static str, &str)]) -> Record {
        let attrs = attrs.iter().map(|(name, value)| (*name, (*value).to_string())).collect();
        Record { text: text.into(), element, attrs, inside: Vec::new() }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Record {
        self.attrs.push((name, value.into()));
        self
    }
}

/// One part of a report.
#[derive(Debug)]
pub enum Part {
    /// A line by itself; text only.
    Notice(Item),
    /// The same, but no empty line follows it.
    Aside(Item),
    /// A list of records.
    List { title: &'static str, element: &'static str, records: Vec<Record> },
    /// Records without a title.
    Bare(Vec<Record>),
    /// A status display.
    Status { title: &'static str, element: &'static str, items: Vec<Item>, xml: Option<Document> },
}

impl Part {
    /// The element that XML has for it, if it is one.
    pub fn element(&self) -> &'static str {
        match self {
            Part::List { element, .. } | Part::Status { element, .. } => element,
            Part::Bare(_) => "bare",
            Part::Notice(_) | Part::Aside(_) => "",
        }
    }
}

/// Everything as text, with empty lines between the parts.
pub fn text(parts: &[Part]) -> Vec<Item> {
    let (mut out, mut spaced) = (Vec::new(), false);
    for part in parts {
        // Notices among records stand at the margin.
        let line = |r: &Record| match r.element {
            "" => Item::Raw(r.text.clone()),
            _ => Item::line(&*r.text),
        };
        let lines = |records: &[Record]| records.iter().map(line).collect();
        let item = match part {
            Part::Aside(item) => {
                out.push(item.clone());
                continue;
            }
            Part::Notice(item) => item.clone(),
            Part::Bare(records) => {
                out.extend(spaced.then_some(Item::Space));
                out.extend::<Vec<Item>>(lines(records));
                spaced = true;
                continue;
            }
            Part::List { title, records, .. } => Item::list(*title, lines(records)),
            Part::Status { title, items, .. } => Item::list(*title, items.clone()),
        };
        if std::mem::replace(&mut spaced, true) {
            out.push(Item::Space);
        }
        out.push(item);
    }
    out
}

/// Everything as XML, below an element.
pub fn xml(parts: &[Part], doc: &mut Document, parent: NodeId) {
    for part in parts {
        match part {
            Part::Notice(_) | Part::Aside(_) => {}
            Part::Bare(records) => append(doc, parent, records.iter().collect()),
            Part::List { element, records, .. } => {
                let list = doc.append(parent, element);
                let (about, inside): (Vec<&Record>, Vec<&Record>) =
                    records.iter().partition(|r| matches!(r.element, "quorum" | "watchdog"));
                for record in about {
                    let value = record.attrs.first().map_or("", |(_, value)| value);
                    doc.set_attr(list, record.element, value);
                }
                append(doc, list, inside);
            }
            Part::Status { element, xml, .. } => {
                let list = doc.append(parent, element);
                if let Some(xml) = xml {
                    doc.import_children(list, xml, xml.root());
                }
            }
        }
    }
}

fn append(doc: &mut Document, parent: NodeId, records: Vec<&Record>) {
    for record in records.into_iter().filter(|r| !r.element.is_empty()) {
        let attrs: Vec<(&str, &str)> =
            record.attrs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let element = doc.append_with(parent, record.element, &attrs);
        for (name, value) in &record.inside {
            let inner = doc.append(element, name);
            doc.append_text(inner, value);
        }
    }
}
