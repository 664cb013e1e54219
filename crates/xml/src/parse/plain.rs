//! Documents as programs write them: tags, attributes and white space, nothing else. They are read in one
//! go, in a third of the time. Anything else, and anything that is wrong, is left to the tokeniser.

use super::{MAX_DEPTH, unescape, usual_attribute};
use crate::dom::{Appender, Name};
use crate::{Document, NodeId};

/// White space of XML.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\t' | b'\r')
}

/// The document, unless there is more to it than meets the eye.
pub(super) fn parse(text: &str) -> Option<Document> {
    let mut rest = after_declaration(text)?;
    let mut tree = None;
    let mut open = Vec::new();
    loop {
        let blanks = rest.bytes().take_while(|byte| is_blank(*byte)).count();
        rest = rest.get(blanks..)?;
        if rest.is_empty() {
            break;
        }
        rest = rest.strip_prefix('<')?;
        rest = match rest.strip_prefix('/') {
            Some(name) => close(tree.as_ref()?, open.pop()?, name)?,
            None => start(&mut tree, &mut open, rest, text.len())?,
        };
    }
    open.is_empty().then_some(tree?.doc)
}

/// What follows the declaration that files begin with.
fn after_declaration(text: &str) -> Option<&str> {
    match text.strip_prefix("<?xml ") {
        Some(rest) => rest.split_once("?>").map(|(_, after)| after),
        None => Some(text),
    }
}

fn close<'t>(tree: &Appender, element: NodeId, text: &'t str) -> Option<&'t str> {
    text.strip_prefix(tree.doc.name(element))?.strip_prefix('>')
}

fn start<'t>(
    tree: &mut Option<Appender>,
    open: &mut Vec<NodeId>,
    text: &'t str,
    size_hint: usize,
) -> Option<&'t str> {
    let end = text.bytes().position(|byte| is_blank(byte) || matches!(byte, b'/' | b'>'))?;
    let (name, mut rest) = text.split_at_checked(end)?;
    if open.len() >= MAX_DEPTH {
        return None;
    }
    let (tree, id) = match (tree, open.last()) {
        (Some(tree), Some(parent)) => {
            let id = tree.element(*parent, name).ok()?;
            (tree, id)
        }
        (Some(_), None) => return None,
        (none, _) => {
            let tree = none.insert(Appender::new(name, size_hint).ok()?);
            let root = tree.doc.root();
            (tree, root)
        }
    };
    loop {
        if let Some((name, value, after)) = usual_attribute(tree, rest) {
            tree.attribute(id, name, value).ok()?;
            rest = after;
        } else if let Some(after) = rest.strip_prefix('>') {
            open.push(id);
            return Some(after);
        } else if let Some(after) = rest.strip_prefix("/>") {
            return Some(after);
        } else {
            let (name, value, after) = escaped_attribute(tree, rest)?;
            tree.attribute(id, name, &value).ok()?;
            rest = after;
        }
    }
}

/// An attribute with references in its value.
fn escaped_attribute<'t>(tree: &mut Appender, text: &'t str) -> Option<(Name, String, &'t str)> {
    let (name, rest) = text.strip_prefix(' ')?.split_once('=')?;
    let name = tree.name(name).ok()?;
    let (value, after) = match rest.strip_prefix('"') {
        Some(rest) => rest.split_once('"')?,
        None => rest.strip_prefix('\'')?.split_once('\'')?,
    };
    let value = if value.contains('<') { None } else { unescape(value).ok() };
    Some((name, value?, after))
}

#[cfg(test)]
mod tests {
    use super::super::tokenise;
    use super::*;

    /// What is read the short way is what the long way reads.
    fn agrees(text: &str) -> bool {
        let Some(short) = parse(text) else { return false };
        let long = tokenise(text).expect("accepted by both");
        assert_eq!(short.to_text(), long.to_text(), "{text:?}");
        assert_eq!(short.len(), long.len(), "{text:?}");
        true
    }

    #[test]
    fn what_programs_write_is_read_the_short_way() {
        for text in [
            "<a/>",
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<a b='1' c=\"2\">\n  <b/>\t<c d='>'></c>\r\n</a>\n",
            "<?xml ?><a/>",
            "<?xml x?> <a/>",
            "<a b=\"x &amp; &#65;&lt;&quot;'\" c='\"'><b e='ä\n\t'/></a>",
        ] {
            assert!(agrees(text), "{text:?}");
        }
    }

    #[test]
    fn the_rest_is_left_to_the_tokeniser() {
        for text in [
            "",
            "<a>",
            "<a>text</a>",
            "<a><!-- note --></a>",
            "<a></b>",
            "<a/><b/>",
            "<a b='1' b='2'/>",
            "<1/>",
            "<a b='<'/>",
            "<a b='&l;'/>",
            "<a b=c/>",
            "<a  b='1'/>",
            "<a b = '1'/>",
            "<a b='1' />",
            "<a></a >",
            "<!DOCTYPE a><a/>",
            "</a>",
            "<a",
            "<a b='",
            "<a b",
            "<?xml ",
            "<a/></a>",
            "<a 'b'='1'/>",
            "<a ='1'/>",
            "<a b='&amp;<'/>",
            "<a/ >",
        ] {
            assert!(parse(text).is_none(), "{text:?}");
        }
        assert!(parse(&"<a>".repeat(1_000)).is_none());
    }

    proptest::proptest! {
        #[test]
        fn both_ways_agree(text in "(<[ab]( [xy]=['\"][a-z&;<>/= \n]{0,3}['\"]){0,2}[ /]?>|</[ab]>|[ a&;\n]|&amp;|<!--|<\\?){0,12}") {
            agrees(&text);
        }

        #[test]
        fn both_ways_agree_on_trees(text in "<a( x=\"[a-z'>é]{0,4}(&lt;|&#10;)?\")?>(<b( [xyz]='[\" a]{0,2}')?(/>|>[ \n]</b>)){0,5}</a>") {
            agrees(&text);
        }
    }
}
