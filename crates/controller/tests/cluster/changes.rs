//! Changes of the CIB as requests and documents, and the CIB that a node starts with.

use cib::{Operation, Request};
use xml::Document;

pub const RESOURCES: [&str; 2] = ["vip", "web"];

pub fn request<'a>(
    operation: Operation,
    section: Option<&'a str>,
    bits: u32,
    data: Option<&'a Document>,
    keep: bool,
) -> Request<'a> {
    Request {
        operation,
        section: section.filter(|s| !s.is_empty()),
        options: bits,
        input: data.map(Document::root_element),
        origin: "sim",
        client: "sim",
        user: "sim",
        written: "now",
        keep_version: keep,
    }
}

pub fn attribute_update(node: &str, attribute: &str, value: Option<&str>) -> Document {
    let number = node.trim_start_matches('n');
    let entry = format!("status-{number}-{}", attribute.replace('#', "."));
    let value = if value == Some("value++") { "1" } else { value.unwrap_or("") };
    let text = format!(
        "<status><node_state id='{number}'><transient_attributes id='{number}'><instance_attributes \
         id='status-{number}'><nvpair id='{entry}' name='{attribute}' value='{value}'/></instance_attributes>\
         </transient_attributes></node_state></status>"
    );
    Document::parse(&text).unwrap()
}

/// `admin_epoch` and `epoch`.
pub fn version(cib: &Document) -> (u64, u64) {
    let number = |name: &str| cib.attr(cib.root(), name).and_then(|text| text.parse().ok()).unwrap_or(0);
    (number("admin_epoch"), number("epoch"))
}

pub fn initial_cib() -> Document {
    let mut cib = cib::empty_cib();
    let config = "<crm_config><cluster_property_set id='cib-bootstrap-options'>\
        <nvpair id='o1' name='stonith-enabled' value='false'/></cluster_property_set></crm_config>";
    let resources: String = RESOURCES
        .iter()
        .map(|id| format!("<primitive id='{id}' class='ocf' provider='pacemaker' type='Dummy'/>"))
        .collect();
    for text in [config.to_string(), format!("<resources>{resources}</resources>")] {
        let part = Document::parse(&text).unwrap();
        let place = cib::section_path(&cib, Some(part.name(part.root()))).unwrap();
        cib::merge(&mut cib, place, part.root_element());
    }
    cib
}
