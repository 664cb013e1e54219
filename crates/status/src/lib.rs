//! Cluster status as text, XML and HTML, in the reference's layout.
//!
//! ```no_run
//! # fn main() -> Result<(), xml::XmlError> {
//! # let cib_text = "<cib/>";
//! let cib = xml::Document::parse(cib_text)?;
//! let options = scheduler::Options { now_s: 1_700_000_000, ..Default::default() };
//! let mut cluster = scheduler::Cluster::unpack(&cib, &options);
//! let show = status::Show { inactive: true, ..Default::default() };
//! let items = status::sections(&mut cluster, &show, &status::Sections::MON, &status::Outside::default());
//! print!("{}", status::tree::text(&items));
//! # Ok(()) }
//! ```
//!
//! The text is a tree of [`tree::Item`]s: a tool adds what it knows itself (fencing history, header)
//! before it prints the tree with [`tree::text`] or [`tree::html`]. [`xml::xml`](crate::xml::xml) gives
//! the same as elements.

pub mod bundle;
pub mod clone;
pub mod nodes;
pub mod resources;
pub mod sections;
pub mod tree;
pub mod xml;

pub use sections::sections;

use scheduler::Cluster;

/// How much to show, and what of.
#[derive(Debug, Clone, Default)]
pub struct Show {
    /// Inactive resources as well.
    pub inactive: bool,
    /// Counts per agent instead of primitives.
    pub brief: bool,
    /// Resources below the node they run on.
    pub by_node: bool,
    /// Ids of nodes, and hosts of guest nodes.
    pub node_ids: bool,
    /// Every instance of a clone.
    pub clone_detail: bool,
    /// Resources that a bundle consists of.
    pub implicit: bool,
    /// Actions that are under way.
    pub pending: bool,
    /// Times of operations.
    pub timing: bool,
    /// Failures with all technical details.
    pub failed_detail: bool,
    /// Descriptions of resources.
    pub description: bool,
    /// Feature sets of nodes.
    pub feature_set: bool,
    /// Only these nodes (names); all if empty.
    pub only_nodes: Vec<String>,
    /// Only these resources (ids); all if empty.
    pub only_rscs: Vec<String>,
    /// Only location constraints whose ids start so.
    pub ban_prefix: String,
    /// The name of a node is known from the context.
    pub rsc_only: bool,
}

impl Show {
    pub(crate) fn node(&self, name: &str) -> bool {
        self.only_nodes.is_empty() || self.only_nodes.iter().any(|n| n.eq_ignore_ascii_case(name))
    }

    pub(crate) fn names_rsc(&self, id: &str) -> bool {
        self.only_rscs.is_empty() || self.only_rscs.iter().any(|r| r == id)
    }

    /// The same with members in the place of tags. A name that is neither stays, and shows nothing.
    pub(crate) fn without_tags(&self, cluster: &Cluster) -> Show {
        let is_node =
            |name: &str| cluster.nodes.indices().any(|n| cluster.node_name(n).eq_ignore_ascii_case(name));
        let is_rsc = |id: &str| {
            cluster.rscs.indices().any(|r| &*cluster.rscs[r].id == id || **cluster.printable_id(r) == *id)
        };
        let node_name = |id: &str| {
            cluster.find_node_id(id).map_or_else(|| id.to_string(), |n| cluster.node_name(n).to_string())
        };
        Show {
            only_nodes: members(cluster, &self.only_nodes, is_node, node_name),
            only_rscs: members(cluster, &self.only_rscs, is_rsc, str::to_string),
            ..self.clone()
        }
    }
}

/// Names with each tag replaced by its members.
fn members(
    cluster: &Cluster,
    names: &[String],
    is_known: impl Fn(&str) -> bool,
    member: impl Fn(&str) -> String,
) -> Vec<String> {
    let tags = cluster.doc.root_element().path(&["configuration", "tags"]);
    let mut out = Vec::new();
    for name in names {
        let tag = tags.and_then(|t| t.children_named("tag").find(|t| t.attr("id") == Some(name)));
        match tag.filter(|_| !is_known(name)) {
            Some(tag) => {
                out.extend(tag.children_named("obj_ref").filter_map(|r| r.attr("id")).map(&member));
            }
            None => out.push(name.clone()),
        }
    }
    out
}

/// Parts of the display.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sections {
    pub stack: bool,
    pub dc: bool,
    pub times: bool,
    pub counts: bool,
    pub options: bool,
    pub maintenance: bool,
    pub nodes: bool,
    pub resources: bool,
    pub attributes: bool,
    pub failcounts: bool,
    pub operations: bool,
    pub failures: bool,
    pub tickets: bool,
    pub bans: bool,
}

impl Sections {
    /// Nodes and resources only.
    pub const SHORT: Sections = Sections {
        stack: false,
        dc: false,
        times: false,
        counts: false,
        options: false,
        maintenance: false,
        nodes: true,
        resources: true,
        attributes: false,
        failcounts: false,
        operations: false,
        failures: false,
        tickets: false,
        bans: false,
    };

    /// What a monitor shows unless asked for more.
    pub const MON: Sections = Sections {
        stack: true,
        dc: true,
        times: true,
        counts: true,
        maintenance: true,
        failures: true,
        ..Self::SHORT
    };

    pub const ALL: Sections = Sections {
        options: true,
        attributes: true,
        failcounts: true,
        operations: true,
        tickets: true,
        bans: true,
        ..Self::MON
    };
}

/// What the CIB does not say.
#[derive(Debug, Clone, Default)]
pub struct Outside {
    /// State of the manager on this node, as shown ("Pacemaker is running").
    pub manager_state: Option<String>,
    /// The same as a word ("running"), for XML.
    pub manager_word: Option<String>,
    /// Name of this node.
    pub local_node: Option<String>,
}

/// A time as C's `ctime` writes it.
pub fn time_text(epoch_s: i64, zone: scheduler::iso8601::Zone) -> String {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let time = zone.time(epoch_s);
    let name = |names: &[&'static str], at: i64| names.get(at as usize - 1).copied().unwrap_or("?");
    let ((year, month, day), (hour, minute, second)) = (time.calendar(), time.clock());
    let weekday = name(&DAYS, time.week().2.max(1));
    let month = name(&MONTHS, month.max(1));
    format!("{weekday} {month} {day:>2} {hour:02}:{minute:02}:{second:02} {year}")
}
