//! MD5 digests of XML as the manager compares them between nodes and across restarts
//! (behaviour: reference `lib/common/digest.c`, versions 1 and 2).

use md5::{Digest, Md5};

use crate::Document;

/// Attributes that differ between nodes without meaning and stay out of a filtered digest.
const FILTERED: &[&str] =
    &["crm-debug-origin", "cib-last-written", "update-origin", "update-client", "update-user"];

/// MD5 as 32 hexadecimal digits.
pub fn md5_hex(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
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

    #[test]
    fn origin_of_a_change_stays_out_of_the_filtered_digest() {
        let one =
            Document::parse("<cib epoch='1' update-user='root'><a crm-debug-origin='x'/></cib>").unwrap();
        let two = Document::parse("<cib epoch='1' update-user='hacluster'><a/></cib>").unwrap();
        assert_eq!(one.digest_filtered(), two.digest_filtered());
        assert_ne!(one.digest_on_disk(), two.digest_on_disk());
    }
}
