//! A bundle that has fewer replicas than are running: what runs in a removed one is a resource by itself, on each
//! guest node (Pacemaker 3.0.2 shows the two lines below for this input).

#![allow(clippy::unwrap_used, reason = "a test says what it expects by panicking")]

use simulate::sim::{self, Request};
use xml::Document;

const NOW_S: i64 = 1_700_000_000;

fn op(rsc: &str, task: &str, rc: u8) -> String {
    format!(
        "<lrm_rsc_op id='{rsc}_last_0' operation_key='{rsc}_{task}_0' operation='{task}' rc-code='{rc}' \
         op-status='0' call-id='1' interval='0' transition-key='1:1:{rc}:20fd8985-857e-43d6-9bc5-45c5cd86e96e'/>"
    )
}

/// Replica number N runs on node N + 1; a node has probed the others.
fn node(number: usize) -> String {
    let mut list = String::new();
    for replica in 0..3 {
        let (task, rc) = if replica + 1 == number { ("start", 0) } else { ("monitor", 7) };
        let (container, guest) = (format!("b-podman-{replica}"), format!("b-{replica}"));
        list += &format!(
            "<lrm_resource id='{container}' type='podman' class='ocf' provider='heartbeat'>{}</lrm_resource>\
             <lrm_resource id='{guest}' type='remote' class='ocf' provider='pacemaker' container='{container}'>{}\
             </lrm_resource>",
            op(&container, task, rc),
            op(&guest, task, rc)
        );
    }
    format!(
        "<node_state id='{number}' uname='node{number}' in_ccm='true' crmd='online' join='member' \
         expected='member'><lrm id='{number}'><lrm_resources>{list}</lrm_resources></lrm></node_state>"
    )
}

fn guest(number: usize, task: &str) -> String {
    format!(
        "<node_state remote_node='true' id='b-{number}' uname='b-{number}' in_ccm='true'><lrm id='b-{number}'>\
         <lrm_resources><lrm_resource id='base' class='ocf' provider='pacemaker' type='Stateful'>{}\
         </lrm_resource></lrm_resources></lrm></node_state>",
        op("base", task, 0)
    )
}

#[test]
fn removed_replicas_stay_apart() {
    let nodes: String = (1..=3).map(|number| format!("<node id='{number}' uname='node{number}'/>")).collect();
    let states = [node(1), node(2), guest(0, "start"), node(3), guest(1, "demote"), guest(2, "promote")];
    let text = format!(
        "<cib validate-with='pacemaker-3.9' epoch='1' num_updates='0' admin_epoch='0' have-quorum='1'>\
         <configuration><crm_config/><nodes>{nodes}</nodes><resources><bundle id='b'>\
         <podman image='i' replicas='1'/><network control-port='3121'/>\
         <primitive id='base' class='ocf' provider='pacemaker' type='Stateful'/></bundle></resources><constraints/>\
         </configuration><status>{}</status></cib>",
        states.concat()
    );
    let run = sim::run(&Document::parse(&text).unwrap(), &Request::full(NOW_S, None)).unwrap();
    let shown = status::tree::text(&simulate::record::text(&run.parts));
    for line in ["ORPHANED Unpromoted b-1", "ORPHANED Promoted b-2"] {
        assert!(shown.lines().any(|l| l.starts_with("    * base\t") && l.ends_with(line)), "{line}\n{shown}");
    }
}
