//! What a change of the CIB means for a running transition.

use xml::{Document, Element};

/// `action:transition:target_rc:uuid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransitionKey {
    pub action: i32,
    pub transition: i32,
    pub target_rc: i32,
    pub uuid: String,
}

impl TransitionKey {
    pub fn parse(text: &str) -> Option<TransitionKey> {
        let mut parts = text.splitn(4, ':');
        Some(TransitionKey {
            action: parts.next()?.parse().ok()?,
            transition: parts.next()?.parse().ok()?,
            target_rc: parts.next()?.parse().ok()?,
            uuid: parts.next().filter(|uuid| !uuid.is_empty())?.to_string(),
        })
    }
}

/// A result in the history that is new or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationResult {
    pub resource: String,
    pub operation: String,
    pub interval_ms: u64,
    pub node: String,
    pub key: Option<TransitionKey>,
    pub status: i32,
    pub rc: i32,
    pub last_rc_change_s: i64,
}

/// What the scheduler has to know of one patch.
#[derive(Debug, Default)]
pub(crate) struct Digest {
    pub results: Vec<OperationResult>,
    /// Why the current decision no longer holds, if so.
    pub reason: Option<String>,
    /// Transient attributes that were written: (node id, attribute name).
    pub attributes: Vec<(String, String)>,
}

/// Reads a patch. `cib` is the state after it.
pub(crate) fn digest(patch: Element<'_>, cib: &Document) -> Digest {
    let mut found = Digest::default();
    for change in patch.children_named("change") {
        let path = change.attr("path").unwrap_or("");
        let operation = change.attr("operation").unwrap_or("");
        if path == "/cib" && operation == "modify" {
            root_change(change, &mut found);
        } else if path.starts_with("/cib/configuration") {
            found.reason.get_or_insert_with(|| format!("configuration change ({operation} {path})"));
        } else if path.starts_with("/cib/status/tickets") {
            found.reason.get_or_insert_with(|| "ticket change".into());
        } else if path.starts_with("/cib/status") {
            status_change(change, path, operation, cib, &mut found);
        } else if operation == "create" {
            found.reason.get_or_insert_with(|| "a section was replaced".into());
        }
    }
    found
}

/// Of the root's attributes only quorum matters; counters and origins change all the time.
fn root_change(change: Element<'_>, found: &mut Digest) {
    let names = change.child("change-list").into_iter().flat_map(|list| list.children());
    if names.into_iter().any(|attr| attr.attr("name") == Some("have-quorum")) {
        found.reason.get_or_insert_with(|| "quorum changed".into());
    }
}

fn status_change(change: Element<'_>, path: &str, operation: &str, cib: &Document, found: &mut Digest) {
    let node_id = quoted_after(path, "node_state[@id='");
    if path.contains("/transient_attributes") {
        attribute_change(change, path, node_id.unwrap_or(""), found);
        found.reason.get_or_insert_with(|| "transient attribute change".into());
        return;
    }
    match operation {
        "delete" if path.contains("/lrm_rsc_op") || path.contains("/lrm") => {
            found.reason.get_or_insert_with(|| "resource history removal".into());
        }
        "delete" => {
            found.reason.get_or_insert_with(|| "node state removal".into());
        }
        "create" => {
            for content in change.children() {
                created(content, path, node_id, cib, found);
            }
        }
        "modify" => {
            let result = change.child("change-result").and_then(|result| result.children().next());
            if let Some(op) = result.filter(|element| element.name() == "lrm_rsc_op") {
                note_result(result_of(op, path, node_id, cib), found);
            }
        }
        _ => {}
    }
}

/// An operation that failed may be kept twice, as the last one and as the last failure; it is one result all the same.
fn note_result(result: Option<OperationResult>, found: &mut Digest) {
    found.results.extend(result.filter(|result| !found.results.contains(result)));
}

fn created(content: Element<'_>, path: &str, node_id: Option<&str>, cib: &Document, found: &mut Digest) {
    for element in content.descendants() {
        match element.name() {
            "lrm_rsc_op" => {
                // The entry itself may be what is new; then the path of the change tells whose it is.
                let place = element.parent().filter(|parent| parent.name() == "lrm_resource");
                let place = place.and_then(|parent| parent.attr("id"));
                let place = place.map_or(path.to_string(), |id| format!("/lrm_resource[@id='{id}']"));
                let node = node_id.or_else(|| content.attr("id").filter(|_| content.name() == "node_state"));
                note_result(result_of(element, &place, node, cib), found);
            }
            "nvpair" => {
                let name = element.attr("name").unwrap_or("").to_string();
                found.attributes.push((node_id.or(content.attr("id")).unwrap_or("").to_string(), name));
                found.reason.get_or_insert_with(|| "transient attribute change".into());
            }
            _ => {}
        }
    }
}

fn attribute_change(change: Element<'_>, path: &str, node_id: &str, found: &mut Digest) {
    let pairs = change.descendants().filter(|element| element.name() == "nvpair");
    for pair in pairs {
        found.attributes.push((node_id.to_string(), pair.attr("name").unwrap_or("").to_string()));
    }
    if let Some(id) = quoted_after(path, "nvpair[@id='") {
        let prefix = format!("status-{node_id}-");
        found.attributes.push((node_id.to_string(), id.strip_prefix(&prefix).unwrap_or(id).to_string()));
    }
}

fn result_of(op: Element<'_>, path: &str, node_id: Option<&str>, cib: &Document) -> Option<OperationResult> {
    let id = op.attr("id").unwrap_or("");
    let by_id = || {
        let states = cib.root_element().child("status")?.children_named("node_state");
        states.into_iter().find(|state| state.attr("id") == node_id).and_then(|state| state.attr("uname"))
    };
    let node = op.attr("on_node").or_else(by_id)?.to_string();
    let resource =
        quoted_after(path, "lrm_resource[@id='").map(str::to_string).or_else(|| resource_of(op, id))?;
    let number = |name: &str| op.attr(name).and_then(|text| text.parse::<i64>().ok());
    Some(OperationResult {
        resource,
        operation: op.attr("operation")?.to_string(),
        interval_ms: number("interval").unwrap_or(0).max(0) as u64,
        node,
        key: op.attr("transition-key").and_then(TransitionKey::parse),
        status: i32::try_from(number("op-status")?).ok()?,
        rc: i32::try_from(number("rc-code")?).ok()?,
        last_rc_change_s: number("last-rc-change").unwrap_or(0),
    })
}

fn resource_of(op: Element<'_>, id: &str) -> Option<String> {
    let operation = op.attr("operation_key").unwrap_or(id);
    operation.rsplitn(3, '_').nth(2).map(str::to_string)
}

fn quoted_after<'a>(path: &'a str, start: &str) -> Option<&'a str> {
    let rest = &path[path.find(start)? + start.len()..];
    rest.split('\'').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CIB: &str = "<cib><configuration/><status><node_state id='1' uname='n1'/></status></cib>";

    fn read(changes: &str) -> Digest {
        let patch = Document::parse(&format!("<diff format='2'>{changes}</diff>")).unwrap();
        digest(patch.root_element(), &Document::parse(CIB).unwrap())
    }

    #[test]
    fn results_are_found_in_created_and_modified_entries() {
        let created = read(
            "<change operation='create' path=\"/cib/status/node_state[@id='1']\" position='1'><lrm id='1'>\
             <lrm_resources><lrm_resource id='a_b'><lrm_rsc_op id='a_b_last_0' operation='start' interval='0' \
             transition-key='3:14:0:u' op-status='0' rc-code='0'/></lrm_resource></lrm_resources></lrm></change>",
        );
        assert!(created.reason.is_none());
        let result = &created.results[0];
        assert_eq!((result.resource.as_str(), result.node.as_str(), result.rc), ("a_b", "n1", 0));
        assert_eq!(result.key.as_ref().unwrap().transition, 14);
    }

    #[test]
    fn a_first_failure_is_one_result_of_its_resource() {
        let path = "/cib/status/node_state[@id='1']/lrm[@id='1']/lrm_resources/lrm_resource[@id='a_b']";
        let op = |id: &str| {
            format!(
                "<lrm_rsc_op id='{id}' operation='demote' interval='0' transition-key='3:14:0:u' op-status='0' \
                 rc-code='1' last-rc-change='17'/>"
            )
        };
        let failed = read(&format!(
            "<change operation='create' path=\"{path}\" position='1'>{}</change>\
             <change operation='modify' path=\"{path}/lrm_rsc_op[@id='a_b_last_0']\"><change-result>{}</change-result>\
             </change>",
            op("a_b_last_failure_0"),
            op("a_b_last_0")
        ));
        let names: Vec<&str> = failed.results.iter().map(|result| result.resource.as_str()).collect();
        assert_eq!(names, ["a_b"]);
    }

    #[test]
    fn what_makes_a_decision_stale() {
        let attribute = "<change operation='create' path=\"/cib/status/node_state[@id='1']/transient_attributes[@id='1']\
            /instance_attributes[@id='status-1']\" position='0'><nvpair id='x' name='fail-count-a' value='1'/></change>";
        let found = read(attribute);
        assert!(found.reason.is_some());
        assert_eq!(found.attributes, [("1".to_string(), "fail-count-a".to_string())]);
        let counters = "<change operation='modify' path='/cib'><change-list><change-attr name='num_updates' \
            operation='set' value='3'/></change-list><change-result><cib/></change-result></change>";
        assert!(read(counters).reason.is_none());
        assert!(
            read("<change operation='delete' path=\"/cib/configuration/resources/primitive[@id='a']\"/>")
                .reason
                .is_some()
        );
    }

    #[test]
    fn keys() {
        assert_eq!(TransitionKey::parse("3:14:7:a:b").unwrap().uuid, "a:b");
        for wrong in ["", "1:2:3", "1:2:3:", "x:2:3:u"] {
            assert_eq!(TransitionKey::parse(wrong), None);
        }
    }

    /// Texts that look like what other nodes write, and others.
    fn text() -> impl proptest::strategy::Strategy<Value = String> {
        proptest::string::string_regex(
            "(/cib|/status|/lrm_rsc_op|node_state\\[@id='|nvpair\\[@id='|'\\]|[0-9:;_é-]|a){0,9}",
        )
        .expect("a valid pattern")
    }

    proptest::proptest! {
        #[test]
        fn any_key_is_read_or_refused(text in "[-0-9:a-zé]{0,40}|\\PC{0,40}") {
            if let Some(key) = TransitionKey::parse(&text) {
                let again = format!("{}:{}:{}:{}", key.action, key.transition, key.target_rc, key.uuid);
                proptest::prop_assert_eq!(TransitionKey::parse(&again), Some(key));
            }
        }

        #[test]
        fn any_patch_is_read(
            path in text(),
            operation in "create|modify|delete|move|x?",
            values in proptest::collection::vec(text(), 6),
        ) {
            let [id, key, status, rc, interval, action] = values.as_slice() else { unreachable!("six") };
            let op = format!(
                "<lrm_rsc_op id=\"{id}\" operation=\"{action}\" transition-key=\"{key}\" op-status=\"{status}\" \
                 rc-code=\"{rc}\" interval=\"{interval}\"/>"
            );
            let found = read(&format!(
                "<change operation=\"{operation}\" path=\"{path}\"><change-result>{op}</change-result>\
                 <node_state id=\"1\">{op}<nvpair name=\"{id}\"/></node_state></change>"
            ));
            proptest::prop_assert!(found.results.iter().all(|result| result.node == "n1"));
        }
    }
}
