//! MD5 digests of XML as the manager compares them between nodes and across restarts
//! (behaviour: reference `lib/common/digest.c`, versions 1 and 2).

use md5::{Digest, Md5};

use crate::Document;
use crate::write::write_attribute;

/// Attributes that differ between nodes without meaning and stay out of a filtered digest.
const FILTERED: &[&str] =
    &["crm-debug-origin", "cib-last-written", "update-origin", "update-client", "update-user"];

const MD5_DIGITS: usize = 32;

/// MD5 as 32 hexadecimal digits.
pub fn md5_hex(bytes: &[u8]) -> String {
    // The scheduler asks for one for each operation that is active.
    let digit = |value: u8| char::from(if value < 10 { b'0' + value } else { b'a' + value - 10 });
    let mut text = String::with_capacity(MD5_DIGITS);
    for byte in Md5::digest(bytes) {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}

/// Digest of an operation's parameters, given in ascending order of their names: as
/// [`Document::digest_of_parameters`] of an element with them, without the element.
pub fn digest_of_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    md5_hex(parameters_text(pairs).as_bytes())
}

/// What [`digest_of_pairs`] is the digest of.
pub fn parameters_text<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::from(" <parameters");
    for (name, value) in pairs {
        write_attribute(name, value, &mut text);
    }
    text.push_str("/>\n");
    text
}

impl Document {
    /// Digest of what lies on disk (version 1): a blank, the text on one line, a line end.
    pub fn digest_on_disk(&self) -> String {
        let mut text = String::from(" ");
        self.write_text(self.root(), &[], &mut text);
        text.push('\n');
        md5_hex(text.as_bytes())
    }

    /// Digest of an operation's parameters: as [`Document::digest_on_disk`], attributes sorted.
    pub fn digest_of_parameters(&self) -> String {
        let mut sorted = self.clone();
        let mut at = Some(sorted.root());
        while let Some(node) = at {
            sorted.sort_attrs(node);
            at = sorted.next_in_order(sorted.root(), node);
        }
        sorted.digest_on_disk()
    }

    /// Digest that nodes compare (version 2): text on one line without the filtered attributes.
    pub fn digest_filtered(&self) -> String {
        let mut text = String::new();
        self.write_text(self.root(), FILTERED, &mut text);
        md5_hex(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values are from the tutorial's reference output (op-digest of start and of monitor).
    #[test]
    fn digests_of_operations_are_the_reference_ones() {
        let start = Document::parse("<parameters ip='172.31.0.100' cidr_netmask='16'/>").unwrap();
        assert_eq!(start.digest_of_parameters(), "f4ea98b11d53f473970260f9d538c6d4");
        let monitor = "<parameters ip='172.31.0.100' cidr_netmask='16' CRM_meta_timeout='20000'/>";
        let monitor = Document::parse(monitor).unwrap();
        assert_eq!(monitor.digest_of_parameters(), "a95de2197abb67b3aa5359eb59c2cf07");
    }

    proptest::proptest! {
        #[test]
        fn pairs_have_the_digest_of_an_element_with_them(
            pairs in proptest::collection::btree_map("[a-zA-Z_-]{1,8}", ".{0,20}", 0..6),
        ) {
            let mut doc = Document::new("parameters");
            let root = doc.root();
            pairs.iter().for_each(|(name, value)| doc.set_attr(root, name, value));
            let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            proptest::prop_assert_eq!(digest_of_pairs(pairs), doc.digest_of_parameters());
        }
    }

    #[test]
    fn origin_of_a_change_stays_out_of_the_filtered_digest() {
        let one =
            Document::parse("<cib epoch='1' update-user='root'><a crm-debug-origin='x'/></cib>").unwrap();
        let two = Document::parse("<cib epoch='1' update-user='hacluster'><a/></cib>").unwrap();
        assert_eq!(one.digest_filtered(), two.digest_filtered());
        assert_ne!(one.digest_on_disk(), two.digest_on_disk());
    }
}
