//! From 1.x to 2.0: access lists name targets and permissions instead of users and verbs.

use xml::{Document, NodeId};

use super::{all, text};

pub(super) fn transform(cib: &mut Document, configuration: NodeId) {
    let Some(acls) = cib.child(configuration, "acls") else { return };
    for user in all(cib, acls, &["acl_user"]) {
        move_user(cib, acls, user);
    }
    for verb in all(cib, acls, &["read", "write", "deny"]) {
        permission(cib, verb);
    }
    for reference in all(cib, acls, &["role_ref"]) {
        cib.rename(reference, "role");
    }
}

/// A user's own permissions become a role of the name `auto-ID`, directly behind the target.
fn move_user(cib: &mut Document, acls: NodeId, user: NodeId) {
    cib.rename(user, "acl_target");
    let verbs: Vec<NodeId> = cib
        .child_elements(user)
        .into_iter()
        .filter(|child| matches!(cib.name(*child), "read" | "write" | "deny"))
        .collect();
    if verbs.is_empty() {
        return;
    }
    let name = format!("auto-{}", text(cib, user, "id"));
    let next = cib.next_sibling(user);
    let role = cib.append_with(acls, "acl_role", &[("id", &name)]);
    cib.move_to(role, acls, next);
    for verb in verbs {
        cib.move_to(verb, role, None);
    }
    cib.append_with(user, "role", &[("id", &name)]);
}

/// `<read ref= | tag= | xpath= attribute=>` as `<acl_permission kind="read" …>`.
fn permission(cib: &mut Document, verb: NodeId) {
    let kind = cib.name(verb).to_string();
    let get = |name: &str| cib.attr(verb, name).map(str::to_string);
    let (id, attribute) = (get("id"), get("attribute"));
    let (reference, tag, xpath) = (get("ref"), get("tag"), get("xpath"));
    let names: Vec<String> = cib.attrs(verb).map(|(name, _)| name.to_string()).collect();
    for name in names {
        cib.remove_attr(verb, &name);
    }
    cib.rename(verb, "acl_permission");
    if let Some(id) = id {
        cib.set_attr(verb, "id", &id);
    }
    cib.set_attr(verb, "kind", &kind);
    match (reference, tag, xpath) {
        (Some(reference), _, _) => cib.set_attr(verb, "reference", &reference),
        (None, Some(tag), _) => {
            cib.set_attr(verb, "object-type", &tag);
            if let Some(attribute) = attribute {
                cib.set_attr(verb, "attribute", &attribute);
            }
        }
        (None, None, Some(xpath)) => {
            let xpath = attribute.map_or(xpath.clone(), |attribute| format!("{xpath}[@{attribute}]"));
            cib.set_attr(verb, "xpath", &xpath);
        }
        (None, None, None) => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::upgrade::{Goal, transform};
    use xml::Document;

    #[test]
    fn users_become_targets_with_roles() {
        let mut cib = Document::parse(
            "<cib validate-with='pacemaker-1.3'><configuration><acls>\
             <acl_user id='a'><role_ref id='r'/></acl_user>\
             <acl_user id='b'><read id='x' xpath='//node' attribute='uname'/><deny id='y' ref='z'/></acl_user>\
             <acl_role id='r'><write id='w' tag='nvpair' attribute='value'/></acl_role></acls></configuration></cib>",
        )
        .expect("well-formed");
        assert!(transform(&mut cib, Goal::V3).is_empty());
        let acls = cib.element(cib.root()).path(&["configuration", "acls"]).expect("acls").id();
        let expected = Document::parse(
            "<acls><acl_target id='a'><role id='r'/></acl_target>\
             <acl_target id='b'><role id='auto-b'/></acl_target>\
             <acl_role id='auto-b'><acl_permission id='x' kind='read' xpath='//node[@uname]'/>\
             <acl_permission id='y' kind='deny' reference='z'/></acl_role>\
             <acl_role id='r'><acl_permission id='w' kind='write' object-type='nvpair' attribute='value'/></acl_role>\
             </acls>",
        )
        .expect("well-formed");
        assert_eq!(cib.node_to_text(acls), expected.to_text());
    }
}
