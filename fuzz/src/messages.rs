//! Files and frames that the daemons read.

use crate::documents::text;

/// `corosync.conf`.
pub fn conf(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let Ok(section) = corosync::conf::parse("corosync.conf", text) else { return };
    let mut map = engine::Map::default();
    let _ = corosync::conf::load("corosync.conf", &section, &mut map);
    let _ = corosync::conf::uidgid_keys("uidgid", &section, &mut map);
}

/// Headers of IPC and of the manager's messages.
pub fn frames(data: &[u8]) {
    let _ = qb::RequestHeader::decode(data);
    let _ = qb::ResponseHeader::decode(data);
    let _ = pacemakerd::frame::PeerMessage::decode(data);
    if let Ok(message) = pacemakerd::frame::ClientMessage::decode(data) {
        let again = pacemakerd::frame::ClientMessage::decode(&message.encode());
        assert_eq!(again.as_ref(), Ok(&message));
    }
    let _ = manager_client::Frame::decode(data);
}

/// Operations, as other nodes' managers send them.
pub fn manager(data: &[u8]) {
    let Ok(document) = xml::Document::parse_bytes(data) else { return };
    for element in document.root_element().descendants() {
        if let Ok(operation) = executor::Operation::read(element) {
            let _ = format!("{operation:?}");
        }
    }
}
