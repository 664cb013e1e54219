use super::*;
use crate::options;
use crate::version::empty_cib;

fn ask<'a>(
    operation: Operation,
    section: Option<&'a str>,
    options: u32,
    input: Option<&'a Document>,
) -> Request<'a> {
    Request {
        operation,
        section,
        options,
        input: input.map(Document::root_element),
        origin: "nodo1",
        client: "test",
        user: "root",
        written: "Sun Nov 22 14:17:26 2026",
        keep_version: false,
    }
}

fn run(
    cib: &Document,
    operation: Operation,
    section: &str,
    bits: u32,
    input: &str,
) -> Result<Outcome, Failure> {
    let input = (!input.is_empty()).then(|| Document::parse(input).unwrap());
    perform(cib, &ask(operation, (!section.is_empty()).then_some(section), bits, input.as_ref()))
}

fn with_dummy() -> Document {
    run(&empty_cib(), Operation::Create, "resources", 0, DUMMY).unwrap().cib
}

const DUMMY: &str = "<primitive id='a' class='ocf' provider='pacemaker' type='Dummy'/>";

#[test]
fn configuration_counts_epoch_and_status_counts_updates() {
    let cib = with_dummy();
    assert_eq!(Version::of(cib.root_element()).to_string(), "0.1.0");
    assert_eq!(cib.attr(cib.root(), "update-client"), Some("test"));
    let state = "<node_state id='1' uname='n1'/>";
    let next = run(&cib, Operation::Create, "status", 0, state).unwrap();
    assert!(!next.configuration_changed);
    assert_eq!(Version::of(next.cib.root_element()).to_string(), "0.1.1");
    let again = run(&next.cib, Operation::Modify, "status", 0, state).unwrap();
    assert!(again.patch.is_none());
    assert_eq!(Version::of(again.cib.root_element()).to_string(), "0.1.1");
}

#[test]
fn what_exists_cannot_be_created_again() {
    let failure = run(&with_dummy(), Operation::Create, "resources", 0, DUMMY).unwrap_err();
    assert_eq!(failure.error, CibError::Exists);
    let details = failure.details.unwrap();
    assert_eq!(details.root_element().children().next().unwrap().attr("reason"), Some("File exists"));
}

#[test]
fn modify_needs_an_object_or_the_permission_to_create() {
    let cib = with_dummy();
    let other = "<primitive id='b' class='ocf' provider='pacemaker' type='Dummy'/>";
    assert_eq!(run(&cib, Operation::Modify, "resources", 0, other).unwrap_err().error, CibError::NotFound);
    let grown = run(&cib, Operation::Modify, "resources", options::CAN_CREATE, other).unwrap();
    assert!(grown.cib.find_id(grown.cib.root(), "b").is_some());
    let section = "<crm_config><cluster_property_set id='cib-bootstrap-options'>\
        <nvpair id='o-x' name='x' value='1'/></cluster_property_set></crm_config>";
    let set = run(&cib, Operation::Modify, "crm_config", 0, section).unwrap();
    assert!(set.cib.find_id(set.cib.root(), "o-x").is_some());
}

#[test]
fn an_older_cib_is_refused() {
    let cib = with_dummy();
    let old = empty_cib().to_text();
    assert_eq!(run(&cib, Operation::Replace, "", 0, &old).unwrap_err().error, CibError::OldData);
    let newer = cib.to_text().replace("epoch=\"1\"", "epoch=\"7\"");
    let replaced = run(&cib, Operation::Replace, "", 0, &newer).unwrap();
    assert_eq!(Version::of(replaced.cib.root_element()).epoch, 7);
}

#[test]
fn deletion_by_content_and_by_path() {
    let cib = with_dummy();
    let gone = run(&cib, Operation::Delete, "resources", 0, "<primitive id='a'/>").unwrap();
    assert!(gone.cib.find_id(gone.cib.root(), "a").is_none());
    let gone = run(&cib, Operation::Delete, "//primitive[@id='a']", options::XPATH, "").unwrap();
    assert!(gone.cib.find_id(gone.cib.root(), "a").is_none());
    let kept = run(&cib, Operation::Delete, "resources", 0, "<primitive id='a' type='Other'/>").unwrap();
    assert!(kept.patch.is_none());
    assert_eq!(
        run(&cib, Operation::Delete, "/cib", options::XPATH, "").unwrap_err().error,
        CibError::Invalid
    );
}

#[test]
fn patches_lead_other_copies_to_the_same_state() {
    let old = with_dummy();
    let replaced =
        run(&old, Operation::Replace, "resources", 0, "<primitive id='a' class='lsb' type='x'/>").unwrap();
    let patch = replaced.patch.unwrap();
    let applied = perform(&old, &ask(Operation::ApplyPatch, None, 0, Some(&patch))).unwrap();
    assert_eq!(applied.cib.digest_filtered(), replaced.cib.digest_filtered());
    let twice = perform(&applied.cib, &ask(Operation::ApplyPatch, None, 0, Some(&patch)));
    assert_eq!(twice.unwrap_err().error, CibError::OldData);
    let early = perform(&empty_cib(), &ask(Operation::ApplyPatch, None, 0, Some(&patch)));
    assert_eq!(early.unwrap_err().error, CibError::DiffResync);
}

#[test]
fn duplicate_ids_and_unknown_elements_do_not_conform() {
    let cib = with_dummy();
    let twin = "<group id='g'><primitive id='a' class='ocf' provider='pacemaker' type='Dummy'/></group>";
    assert_eq!(
        run(&cib, Operation::Create, "resources", 0, twin).unwrap_err().error,
        CibError::SchemaValidation
    );
    let odd = "<primitive id='b' class='ocf' provider='pacemaker' type='Dummy' colour='red'/>";
    assert_eq!(
        run(&cib, Operation::Create, "resources", 0, odd).unwrap_err().error,
        CibError::SchemaValidation
    );
    let odd = "<primitve id='b'/>";
    assert_eq!(
        run(&cib, Operation::Create, "resources", 0, odd).unwrap_err().error,
        CibError::SchemaValidation
    );
}

#[test]
fn erase_keeps_the_counters_rising() {
    let cib = with_dummy();
    let erased = run(&cib, Operation::Erase, "", 0, "").unwrap();
    assert!(Version::of(erased.cib.root_element()) > Version::of(cib.root_element()));
    assert!(erased.cib.find_id(erased.cib.root(), "a").is_none());
}
