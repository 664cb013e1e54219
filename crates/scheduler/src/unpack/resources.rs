//! Resources of the configuration.

use crate::cluster::{Cluster, NoQuorum};
use crate::expand::is_remote_connection;
use crate::model::*;
use crate::rules::{RuleInput, bool_attr, resolve, unpack_table};
use crate::text::{Str, Table, interval_ms, is_true, min_int, parse_int};
use std::sync::Arc;
use xml::NodeId;

impl Cluster {
    pub(super) fn unpack_resources(&mut self, section: Option<NodeId>) {
        let doc = self.doc.clone();
        let Some(section) = section else { return };
        for entry in doc.element(section).children() {
            let Some(id) = entry.attr("id").filter(|id| !id.is_empty()) else {
                self.error(format!("Ignoring <{}> resource without ID", entry.name()));
                continue;
            };
            if entry.name() == "template" {
                self.templates.entry(id.into()).or_default();
                continue;
            }
            match self.unpack_rsc(entry.id(), None, None) {
                Some(rsc) => {
                    self.register(rsc);
                    self.top.push(rsc);
                }
                None => self.error(format!(
                    "Ignoring <{}> resource '{id}' because configuration is invalid",
                    entry.name()
                )),
            }
        }
        for rsc in self.top.clone() {
            self.unpack_launcher(rsc);
            self.link_remote_node(rsc);
        }
        let mut top = std::mem::take(&mut self.top);
        top.sort_by_key(|r| -i64::from(self.rscs[*r].priority));
        self.top = top;
        if self.config.fencing_enabled && !self.config.have_fencing {
            self.error(
                "Resource start-up disabled since no fencing resources have been defined. Either configure \
                 some or disable fencing with the fencing-enabled option. NOTE: Clusters with shared data need \
                 fencing to ensure data integrity.",
            );
        }
    }

    /// Makes a resource and its parts known by id.
    pub(super) fn register(&mut self, rsc: RscIx) {
        let id = self.rscs[rsc].id.clone();
        self.by_id.entry(id).or_insert(rsc);
        for child in self.rscs[rsc].children.clone() {
            self.register(child);
        }
    }

    fn unpack_launcher(&mut self, rsc: RscIx) {
        let children = self.rscs[rsc].children.clone();
        if !children.is_empty() {
            for child in children {
                self.unpack_launcher(child);
            }
            return;
        }
        let Some(id) = self.rscs[rsc].meta.get_str("container") else { return };
        if id == self.rscs[rsc].id {
            return;
        }
        match self.find_rsc(&id) {
            Some(launcher) => {
                self.rscs[rsc].launcher = Some(launcher);
                self.rscs[launcher].launched.push(rsc);
            }
            None => {
                let own = self.rscs[rsc].id.clone();
                self.error(format!("Resource {own}: Unknown container {id}"));
            }
        }
    }

    pub(super) fn link_remote_node(&mut self, rsc: RscIx) {
        if !self.rscs[rsc].is(rf::REMOTE_CONNECTION) {
            return;
        }
        let Some(node) = self.find_node(&self.rscs[rsc].id) else { return };
        self.nodes[node].remote = Some(rsc);
        if self.rscs[rsc].launcher.is_none() {
            self.startup_fencing(node);
        } else {
            self.nodes[node].attrs.insert(Str::lit("#kind"), Str::lit("container"));
        }
    }

    /// Unpacks one resource with everything in it. `instance` is the number of a clone instance.
    pub(super) fn unpack_rsc(
        &mut self,
        xml: NodeId,
        instance: Option<Str>,
        parent: Option<RscIx>,
    ) -> Option<RscIx> {
        if self.invalid.contains(&xml) {
            return None;
        }
        let merged = self.merged.get(&xml).copied();
        let template = merged.and_then(|_| self.doc.attr(xml, "template").map(Str::from));
        let xml = merged.unwrap_or(xml);
        let variant = match self.doc.name(xml) {
            "primitive" | "lrm_resource" => Variant::Primitive,
            "group" => Variant::Group,
            "clone" => Variant::Clone,
            "bundle" => Variant::Bundle,
            other => {
                let text = format!("Ignoring resource of unknown type '{other}'");
                self.error(text);
                return None;
            }
        };
        let xml_id: Str = self.doc.attr(xml, "id")?.into();
        let rsc = self.new_rsc(xml, xml_id.clone(), variant, instance.as_ref(), parent);
        self.unpack_meta(rsc, instance.as_ref());
        let (guest, remote) = self.unpack_flags(rsc);
        self.unpack_policies(rsc, remote);
        if let Some(role) = self.target_role(rsc) {
            self.rscs[rsc].next_role = role;
        }
        let ok = match variant {
            Variant::Primitive => self.check_primitive(rsc),
            Variant::Group => self.unpack_group(rsc, instance),
            Variant::Clone => self.unpack_clone(rsc),
            Variant::Bundle => self.unpack_bundle(rsc),
        };
        if !ok {
            return None;
        }
        if self.config.symmetric {
            self.location(rsc, None, 0, crate::cluster::SYMMETRIC_DEFAULT);
        } else if guest {
            self.location(rsc, None, 0, "remote_connection_default");
        }
        let (doc, mut next, mut table) = (self.doc.clone(), None, Table::default());
        unpack_table(&doc, Some(xml), "utilization", &self.rule_input(), &mut next, &mut table);
        self.recheck_time(next);
        self.rscs[rsc].utilization = table;
        if let Some(template) = template {
            let refs = self.templates.entry(template).or_default();
            if !refs.contains(&xml_id) {
                refs.push(xml_id);
            }
        }
        Some(rsc)
    }

    fn new_rsc(
        &mut self,
        xml: NodeId,
        xml_id: Str,
        variant: Variant,
        instance: Option<&Str>,
        parent: Option<RscIx>,
    ) -> RscIx {
        let id = match instance {
            Some(number) => Str::from(format!("{xml_id}:{number}")),
            None => xml_id.clone(),
        };
        let attr = |name: &str| self.doc.attr(xml, name).map(Str::from);
        let (class, provider, agent) = (attr("class"), attr("provider"), attr("type"));
        let ops = self.unpack_ops(xml);
        self.rscs.push(Resource {
            id,
            xml_id,
            xml,
            variant,
            flags: rf::UNASSIGNED,
            class,
            provider,
            agent,
            history_id: None,
            meta: Table::default(),
            utilization: Table::default(),
            priority: 0,
            promotion_priority: 0,
            role: Role::Stopped,
            next_role: Role::Unknown,
            stickiness: 0,
            failure_timeout_ms: 0,
            migration_threshold: base::INFINITY,
            remote_reconnect_ms: 0,
            pending_action: None,
            pending_node: None,
            lock_time: 0,
            lock_node: None,
            actions: Vec::new(),
            children: Vec::new(),
            parent,
            ops,
            params: Default::default(),
            params_static: false,
            addr_override: None,
            action_index: ActionIndex::default(),
            meta_cache: Vec::new(),
            launcher: None,
            launched: Vec::new(),
            multiply_active: MultiplyActive::Restart,
            assigned: None,
            assigned_score: 0,
            active_nodes: Vec::new(),
            probed: Vec::new(),
            allowed: OwnRow::default(),
            partial_source: None,
            partial_target: None,
            dangling: Vec::new(),
            with_this: Vec::new(),
            this_with: Vec::new(),
            locations: Vec::new(),
            tickets: Vec::new(),
            clone: None,
            group: None,
            bundle: None,
        })
    }

    fn unpack_ops(&mut self, xml: NodeId) -> Arc<Vec<OpConfig>> {
        let doc = self.doc.clone();
        let holder = doc.child(xml, "operations").and_then(|ops| resolve(&doc, ops));
        let Some(holder) = holder else { return Arc::new(Vec::new()) };
        if let Some(found) = self.ops_cache.get(&holder) {
            return found.clone();
        }
        let ops: Vec<OpConfig> = doc
            .element(holder)
            .children()
            .filter(|e| e.name() == "op")
            .map(|e| {
                let text = |name: &str| e.attr(name).map(Str::from);
                OpConfig {
                    xml: e.id(),
                    id: text("id"),
                    name: text("name"),
                    interval_ms: interval_ms(e.attr("interval")),
                    enabled: bool_attr(&doc, e.id(), "enabled"),
                    role: text("role"),
                    on_fail: text("on-fail"),
                    timeout: text("timeout"),
                }
            })
            .collect();
        let ops = Arc::new(ops);
        self.ops_cache.insert(holder, ops.clone());
        ops
    }

    fn unpack_meta(&mut self, rsc: RscIx, instance: Option<&Str>) {
        let doc = self.doc.clone();
        let (mut meta, mut next) = (Table::default(), None);
        let r = &self.rscs[rsc];
        let add = |meta: &mut Table, name: &str, value: &str| {
            if !value.eq_ignore_ascii_case("#default") && !meta.contains(name) {
                meta.set(name, value);
            }
        };
        if let Some(instance) = instance {
            meta.set(Str::lit("clone"), instance.clone());
        }
        for (name, value) in doc.attrs(r.xml) {
            add(&mut meta, name, value);
        }
        let input = RuleInput {
            class: r.class.as_deref(),
            provider: r.provider.as_deref(),
            agent: r.agent.as_deref(),
            ..self.rule_input()
        };
        unpack_table(&doc, Some(r.xml), "meta_attributes", &input, &mut next, &mut meta);
        let mut inherited = Table::default();
        let mut up = r.parent;
        while let Some(parent) = up {
            unpack_table(
                &doc,
                Some(self.rscs[parent].xml),
                "meta_attributes",
                &input,
                &mut next,
                &mut inherited,
            );
            up = self.rscs[parent].parent;
        }
        for (name, value) in inherited.iter() {
            add(&mut meta, name, value);
        }
        unpack_table(&doc, self.rsc_defaults, "meta_attributes", &input, &mut next, &mut meta);
        if let Some(parent) = r.parent {
            for (name, value) in self.rscs[parent].meta.iter() {
                add(&mut meta, name, value);
            }
        }
        self.recheck_time(next);
        self.rscs[rsc].meta = meta;
    }

    /// Sets flags from meta-attributes; tells whether this is a guest's or a remote node's connection.
    fn unpack_flags(&mut self, rsc: RscIx) -> (bool, bool) {
        let remote_connection = is_remote_connection(&self.doc, self.rscs[rsc].xml);
        let top_is_clone = self.is_clone(self.top_of(rsc, false));
        let in_maintenance = self.config.maintenance;
        let r = &self.rscs[rsc];
        let meta = &r.meta;
        let yes = |name: &str| is_true(meta.get(name));
        let mut flags = r.flags;
        let mut set = |flag: u64, on: bool| if on { flags |= flag } else { flags &= !flag };
        set(rf::MANAGED, !in_maintenance);
        set(rf::CRITICAL, meta.get("critical").is_none_or(|v| is_true(Some(v))));
        set(rf::NOTIFY, yes("notify"));
        set(rf::TARGET_ROLE, meta.contains("target-role"));
        set(rf::REMOTE_CONNECTION, remote_connection);
        let guest = remote_connection && meta.contains("container");
        let remote = remote_connection && !guest;
        set(rf::MIGRATABLE, yes("allow-migrate") || (remote && !meta.contains("allow-migrate")));
        match meta.get("is-managed") {
            Some(v) if v.eq_ignore_ascii_case("default") => {}
            Some(v) => set(rf::MANAGED, is_true(Some(v))),
            None => {}
        }
        if yes("maintenance") || in_maintenance {
            set(rf::MANAGED, false);
            set(rf::MAINTENANCE, true);
        }
        if top_is_clone {
            let unique = match meta.get("globally-unique") {
                Some(v) => is_true(Some(v)),
                // A number that is too large is none here.
                None => meta
                    .get("clone-node-max")
                    .and_then(parse_int)
                    .is_some_and(|most| (2..=i64::from(i32::MAX)).contains(&most)),
            };
            set(rf::UNIQUE, unique);
            set(rf::PROMOTABLE, yes("promotable"));
        } else {
            set(rf::UNIQUE, true);
        }
        let stonith = r.class.as_deref().is_some_and(|c| c.eq_ignore_ascii_case("stonith"));
        set(rf::FENCE_DEVICE, stonith);
        self.config.have_fencing |= stonith;
        self.rscs[rsc].flags = flags;
        (guest, remote)
    }

    fn unpack_policies(&mut self, rsc: RscIx, remote: bool) {
        let meta = self.rscs[rsc].meta.clone();
        let id = self.rscs[rsc].id.clone();
        let mut score = |name: &str, default: i32| match meta.get(name) {
            None => default,
            Some(v) if v.eq_ignore_ascii_case("default") => default,
            Some(v) => self.parse_score(v).unwrap_or_else(|| {
                self.warn(format!(
                    "Using default for resource {id} {name} because '{v}' is not a valid value"
                ));
                default
            }),
        };
        let priority = score("priority", 0);
        let stickiness = score("resource-stickiness", 0);
        let threshold = score("migration-threshold", base::INFINITY);
        let policy = match meta.get("multiple-active").map(str::to_ascii_lowercase).as_deref() {
            Some("stop_only") => MultiplyActive::Stop,
            Some("block") => MultiplyActive::Block,
            Some("stop_unexpected") => MultiplyActive::Unexpected,
            _ => MultiplyActive::Restart,
        };
        let r = &mut self.rscs[rsc];
        r.priority = priority;
        r.stickiness = stickiness;
        r.migration_threshold = if threshold < 0 { base::INFINITY } else { threshold };
        r.multiply_active = policy;
        r.failure_timeout_ms = interval_ms(meta.get("failure-timeout"));
        self.unpack_requires(rsc, meta.get("requires"));
        if remote && let Some(value) = self.params(rsc, None).get("reconnect_interval") {
            let reconnect = interval_ms(Some(value));
            self.rscs[rsc].remote_reconnect_ms = reconnect;
            self.rscs[rsc].failure_timeout_ms = reconnect;
        }
        self.rscs[rsc].params.clear();
        self.rscs[rsc].params_static = false;
    }

    fn unpack_requires(&mut self, rsc: RscIx, value: Option<&str>) {
        let (device, fencing) = (self.rscs[rsc].is(rf::FENCE_DEVICE), self.config.fencing_enabled);
        let id = self.rscs[rsc].id.clone();
        let connection = self.rscs[rsc].is(rf::REMOTE_CONNECTION);
        let word = value.map(str::to_ascii_lowercase);
        let flags = match word.as_deref() {
            Some("nothing") => 0,
            Some("quorum") => rf::NEEDS_QUORUM,
            Some("fencing") => {
                if !fencing {
                    self.warn(format!("{id} requires fencing but fencing is disabled"));
                }
                rf::NEEDS_FENCING
            }
            Some("unfencing") if device || !fencing => {
                self.warn(format!("Resetting \"requires\" for {id} to \"quorum\""));
                rf::NEEDS_QUORUM
            }
            Some("unfencing") => rf::NEEDS_FENCING | rf::NEEDS_UNFENCING,
            other => {
                if let Some(other) = other {
                    self.error(format!("Resetting 'requires' for {id} because '{other}' is not valid"));
                }
                let primitive = self.rscs[rsc].variant == Variant::Primitive;
                if device || (primitive && connection) {
                    rf::NEEDS_QUORUM
                } else if self.config.enable_unfencing {
                    return self.unpack_requires(rsc, Some("unfencing"));
                } else if fencing {
                    rf::NEEDS_FENCING
                } else if self.config.no_quorum == NoQuorum::Ignore {
                    0
                } else {
                    rf::NEEDS_QUORUM
                }
            }
        };
        self.rscs[rsc].flags |= flags;
    }

    fn check_primitive(&mut self, rsc: RscIx) -> bool {
        let parent = self.uber_parent(rsc);
        let class = self.rscs[rsc].class.as_deref().unwrap_or("").to_ascii_lowercase();
        let can_be_unique = matches!(class.as_str(), "ocf" | "stonith");
        if !can_be_unique && self.rscs[rsc].is(rf::UNIQUE) && self.is_clone(parent) {
            let nodes = self.nodes.len() as i32;
            let id = self.rscs[parent].id.clone();
            self.warn(format!("Ignoring globally-unique for {id} because {class} resources can be used only as anonymous clones"));
            if let Some(clone) = &mut self.rscs[parent].clone {
                clone.node_max = 1;
                clone.max = clone.max.min(nodes);
            }
            self.clear_unique(parent);
            self.clear_unique(rsc);
        }
        if class != "ocf" && self.rscs[parent].is(rf::PROMOTABLE) {
            let id = self.rscs[rsc].id.clone();
            self.error(format!(
                "Resource {id} is of type {class} and therefore cannot be used as a promotable clone resource"
            ));
            return false;
        }
        true
    }

    fn clear_unique(&mut self, rsc: RscIx) {
        self.rscs[rsc].flags &= !rf::UNIQUE;
        self.rscs[rsc].meta.set(Str::lit("globally-unique"), Str::lit("false"));
        for child in self.rscs[rsc].children.clone() {
            self.clear_unique(child);
        }
    }

    fn unpack_group(&mut self, rsc: RscIx, instance: Option<Str>) -> bool {
        let flag =
            |meta: &Table, name: &str| meta.get(name).and_then(crate::text::parse_bool).unwrap_or(true);
        let meta = &self.rscs[rsc].meta;
        self.rscs[rsc].group =
            Some(GroupData { ordered: flag(meta, "ordered"), colocated: flag(meta, "collocated") });
        let doc = self.doc.clone();
        for member in doc.element(self.rscs[rsc].xml).children().filter(|e| e.name() == "primitive") {
            if let Some(child) = self.unpack_rsc(member.id(), instance.clone(), Some(rsc)) {
                self.rscs[rsc].children.push(child);
            }
        }
        if self.rscs[rsc].children.is_empty() {
            let id = self.rscs[rsc].id.clone();
            self.error(format!("Group {id} has no members"));
            return false;
        }
        true
    }

    fn unpack_clone(&mut self, rsc: RscIx) -> bool {
        let nodes = self.nodes.len() as i32;
        let doc = self.doc.clone();
        let id = self.rscs[rsc].id.clone();
        let meta = &self.rscs[rsc].meta;
        let number = |name: &str, old: &str, default: i32| match meta.get(name).or_else(|| meta.get(old)) {
            Some(value) => min_int(Some(value), 0),
            None => default,
        };
        let promotable = self.rscs[rsc].is(rf::PROMOTABLE);
        let mut data = CloneData {
            promoted_max: if promotable { number("promoted-max", "master-max", 1) } else { 0 },
            promoted_node_max: if promotable { number("promoted-node-max", "master-node-max", 1) } else { 0 },
            node_max: number("clone-node-max", "", 1),
            max: number("clone-max", "", nodes.max(1)),
            ordered: is_true(meta.get("ordered")),
            ..CloneData::default()
        };
        if !self.rscs[rsc].is(rf::UNIQUE) && data.node_max > 1 {
            self.error(format!(
                "Ignoring clone-node-max of {} for {id} because anonymous clones support only one instance per node",
                data.node_max
            ));
            data.node_max = 1;
        }
        let child =
            doc.element(self.rscs[rsc].xml).children().find(|e| matches!(e.name(), "primitive" | "group"));
        let Some(child) = child else {
            self.error(format!("{id} has nothing to clone"));
            return false;
        };
        data.child_xml = Some(child.id());
        self.rscs[rsc].clone = Some(Box::new(data));
        let unique = if self.rscs[rsc].is(rf::UNIQUE) { "true" } else { "false" };
        let meta = &mut self.rscs[rsc].meta;
        meta.add(Str::lit("resource-stickiness"), Str::lit("1"));
        meta.set(Str::lit("globally-unique"), Str::lit(unique));
        // At least one; the first one may show that there can be fewer than was asked for.
        loop {
            if self.create_clone_child(rsc).is_none() {
                return false;
            }
            if self.rscs[rsc].clone.as_ref().is_none_or(|data| data.total >= data.max) {
                return true;
            }
        }
    }

    /// Adds an instance to a clone; one too many is a removed instance.
    pub(super) fn create_clone_child(&mut self, rsc: RscIx) -> Option<RscIx> {
        let data = self.rscs[rsc].clone.as_ref()?;
        let (child_xml, number, max) = (data.child_xml?, data.total, data.max);
        let child = self.unpack_rsc(child_xml, Some(number.to_string().into()), Some(rsc))?;
        if let Some(data) = &mut self.rscs[rsc].clone {
            data.total += 1;
        }
        self.rscs[rsc].children.push(child);
        if number >= max {
            self.set_flags_recursive(child, rf::REMOVED);
        }
        self.rscs[child].meta.set(Str::lit("clone-max"), max.to_string());
        Some(child)
    }
}
