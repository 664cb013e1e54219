//! Ids: XML NCNames that are unique in the whole configuration.

use xml::Document;

/// Replaces what may not stand in an id.
pub fn sanitize(text: &str) -> String {
    text.chars()
        .enumerate()
        .filter_map(|(i, c)| {
            let start = c.is_alphabetic() || c == '_';
            let later = start || c.is_numeric() || matches!(c, '.' | '-');
            (if i == 0 { start } else { later }).then_some(c)
        })
        .collect()
}

/// Checks an id that the user chose; `what` says what it is an id of ("constraint id").
///
/// # Errors
/// The message that names the first wrong character.
pub fn validate(what: &str, id: &str) -> Result<(), String> {
    let mut chars = id.chars();
    let Some(first) = chars.next() else {
        return Err(format!("{what} cannot be empty"));
    };
    if !(first.is_alphabetic() || first == '_') {
        return Err(format!("invalid {what} '{id}', '{first}' is not a valid first character for a {what}"));
    }
    match chars.find(|c| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '-'))) {
        Some(wrong) => Err(format!("invalid {what} '{id}', '{wrong}' is not a valid character for a {what}")),
        None => Ok(()),
    }
}

/// Is this id taken in the configuration? References to ids and the status section do not count.
pub fn exists(doc: &Document, id: &str) -> bool {
    let top = doc.child(doc.root(), "configuration").unwrap_or(doc.root());
    doc.element(top).descendants().any(|element| {
        element.attr("id") == Some(id) && !matches!(element.name(), "resource_ref" | "obj_ref" | "role")
    })
}

/// `base`, or `base-1`, `base-2` … when it is taken.
pub fn unique(doc: &Document, base: &str) -> String {
    if !exists(doc, base) {
        return base.to_string();
    }
    let mut n = 1u64;
    loop {
        let candidate = format!("{base}-{n}");
        if !exists(doc, &candidate) {
            return candidate;
        }
        n += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_checked_and_made_unique() {
        let doc =
            Document::parse("<cib><configuration><a id='x'/><b id='x-1'/></configuration></cib>").unwrap();
        assert_eq!(unique(&doc, "x"), "x-2");
        assert_eq!(unique(&doc, "y"), "y");
        assert_eq!(
            validate("resource name", "1a").unwrap_err(),
            "invalid resource name '1a', '1' is not a valid first character for a resource name"
        );
        assert!(validate("resource name", "a b").is_err());
        assert!(validate("resource name", "a.b-c_d").is_ok());
        assert_eq!(
            sanitize("location-A-nodo1.example.com-+INFINITY"),
            "location-A-nodo1.example.com-INFINITY"
        );
    }
}
