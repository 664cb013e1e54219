//! Messages between controllers: Pacemaker's XML requests (`t="crmd"`).

use xml::{Document, Element};

/// Makes requests with references that are unique for this sender.
#[derive(Debug)]
pub struct Messages {
    counter: u32,
}

/// Addresses of a request.
#[derive(Debug, Clone, Copy)]
pub struct Route<'a> {
    pub task: &'a str,
    pub to: &'a str,
    pub from: &'a str,
    /// Node, or everybody.
    pub host: Option<&'a str>,
}

impl Messages {
    pub fn new() -> Self {
        Messages { counter: 0 }
    }

    /// A request; `wall_s` is the time in seconds since 1970 and only names the message.
    pub fn request(
        &mut self,
        origin: &str,
        route: Route<'_>,
        wall_s: i64,
        body: Option<&Document>,
    ) -> Document {
        let mut message = Document::new("create_request_adv");
        let root = message.root();
        let reference = format!("{}-{}-{wall_s}-{}", route.task, route.from, self.counter);
        self.counter = self.counter.wrapping_add(1);
        for (name, value) in [
            ("origin", origin),
            ("t", "crmd"),
            ("version", base::CRM_FEATURE_SET),
            ("subt", "request"),
            ("reference", &reference),
            ("crm_task", route.task),
            ("crm_sys_to", route.to),
            ("crm_sys_from", route.from),
        ] {
            message.set_attr(root, name, value);
        }
        if let Some(host) = route.host {
            message.set_attr(root, "crm_host_to", host);
        }
        if let Some(body) = body {
            let data = message.append(root, "crm_xml");
            message.import(data, body, body.root());
        }
        message
    }
}

impl Default for Messages {
    fn default() -> Self {
        Messages::new()
    }
}

/// The answer to a request that a client or a peer sent.
pub fn response(request: Element<'_>, origin: &str, host_from: &str, body: Option<&Document>) -> Document {
    let mut message = Document::new("create_reply_adv");
    let root = message.root();
    let attr = |name| request.attr(name).unwrap_or("");
    for (name, value) in [
        ("origin", origin),
        ("t", "crmd"),
        ("version", base::CRM_FEATURE_SET),
        ("subt", "response"),
        ("reference", attr("reference")),
        ("crm_task", attr("crm_task")),
        ("crm_sys_to", attr("crm_sys_from")),
        ("crm_sys_from", attr("crm_sys_to")),
        ("crm_host_to", attr("src")),
        ("src", host_from),
    ] {
        if !value.is_empty() {
            message.set_attr(root, name, value);
        }
    }
    if let Some(body) = body {
        let data = message.append(root, "crm_xml");
        message.import(data, body, body.root());
    }
    message
}

/// As [`response`], under another task's name: what is done for a resource is answered as `lrm_invoke`.
pub fn response_as(request: Element<'_>, task: &str, host_from: &str, body: Option<&Document>) -> Document {
    let mut message = response(request, task, host_from, body);
    let root = message.root();
    message.set_attr(root, "crm_task", task);
    message
}

/// The body of a message: what `<crm_xml>` contains.
pub fn body<'a>(message: Element<'a>) -> Option<Element<'a>> {
    message.child("crm_xml").and_then(|data| data.children().next())
}
