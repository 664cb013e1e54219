//! `pcs constraint`: where resources run, in which order, and together with what.

mod colocation;
mod location;
mod order;
mod set;
pub mod show;

use xml::{Document, Element, NodeId};

use crate::context::Context;
use crate::model::{constraints, find, resource_ids};
use crate::report::{Failure, Message, Outcome, nearest};
use crate::router::Command;

pub const COMMANDS: &[Command] = &[
    Command {
        path: "constraint config",
        synopsis: "[--full] [--all]",
        about: "Show all constraints, with --full with their ids, with --all also those whose \
                rules have expired.",
        options: &["-f", "--full", "--all"],
        run: show::config,
    },
    Command {
        path: "constraint list",
        synopsis: "[--full] [--all]",
        about: "Older spelling of 'pcs constraint config'.",
        options: &["-f", "--full", "--all"],
        run: list,
    },
    Command {
        path: "constraint show",
        synopsis: "[--full] [--all]",
        about: "Older spelling of 'pcs constraint config'.",
        options: &["-f", "--full", "--all"],
        run: list,
    },
    Command {
        path: "constraint location",
        synopsis: "<resource> prefers|avoids <node>[=<score>] ... | <resource> rule [id=<rule id>] \
                   [resource-discovery=<option>] [role=promoted|unpromoted] [constraint-id=<id>] \
                   [score=<score>|score-attribute=<attribute>] <expression>",
        about: "Make a resource prefer or avoid nodes; the score is INFINITY unless given. \
                'regexp%<pattern>' stands for all resources whose id matches. With 'rule', the \
                expression decides where and when the score counts.",
        options: &["-f", "--force"],
        run: location::location,
    },
    Command {
        path: "constraint location config",
        synopsis: "[resources [<resource>...]] | [nodes [<node>...]] [--full] [--all]",
        about: "Show location constraints by resource or by node.",
        options: &["-f", "--full", "--all"],
        run: show::location_config,
    },
    Command {
        path: "constraint location show",
        synopsis: "[resources [<resource>...]] | [nodes [<node>...]] [--full] [--all]",
        about: "Older spelling of 'pcs constraint location config'.",
        options: &["-f", "--full", "--all"],
        run: location::show,
    },
    Command {
        path: "constraint location add",
        synopsis: "<id> <resource> <node> <score> [resource-discovery=<option>]",
        about: "Add a location constraint with an id of your own.",
        options: &["-f", "--force"],
        run: location::add,
    },
    Command {
        path: "constraint location delete",
        synopsis: "<id>",
        about: "Remove a location constraint.",
        options: &["-f"],
        run: location::delete,
    },
    Command {
        path: "constraint location remove",
        synopsis: "<id>",
        about: "Remove a location constraint.",
        options: &["-f"],
        run: location::delete,
    },
    Command {
        path: "constraint order",
        synopsis: "[action] <resource> then [action] <resource> [kind=Optional|Mandatory|Serialize] \
                   [symmetrical=true|false] [require-all=true|false] [id=<id>]",
        about: "Let one action (start, stop, promote, demote; start unless given) wait for another.",
        options: &["-f", "--force"],
        run: order::order,
    },
    Command {
        path: "constraint order config",
        synopsis: "[--full]",
        about: "Show ordering constraints.",
        options: &["-f", "--full"],
        run: show::order_config,
    },
    Command {
        path: "constraint order set",
        synopsis: "<resource>... [sequential=true|false] [require-all=true|false] [action=<action>] \
                   [role=<role>] [set <resource>... [options]] [setoptions [id=<id>] [kind=<kind>] \
                   [symmetrical=true|false]]",
        about: "Order sets of resources.",
        options: &["-f", "--force"],
        run: set::order,
    },
    Command {
        path: "constraint order delete",
        synopsis: "<resource>...",
        about: "Take resources out of all ordering constraints.",
        options: &["-f"],
        run: order::delete,
    },
    Command {
        path: "constraint order remove",
        synopsis: "<resource>...",
        about: "Take resources out of all ordering constraints.",
        options: &["-f"],
        run: order::delete,
    },
    Command {
        path: "constraint colocation config",
        synopsis: "[--full]",
        about: "Show colocation constraints.",
        options: &["-f", "--full"],
        run: show::colocation_config,
    },
    Command {
        path: "constraint colocation add",
        synopsis: "[<role>] <resource> with [<role>] <resource> [score] [options] [id=<id>]",
        about: "Keep the first resource where the second is (or, with a negative score, away from it).",
        options: &["-f", "--force"],
        run: colocation::add,
    },
    Command {
        path: "constraint colocation set",
        synopsis: "<resource>... [sequential=true|false] [role=<role>] [set <resource>... [options]] \
                   [setoptions [id=<id>] [score=<score>]]",
        about: "Keep sets of resources together.",
        options: &["-f", "--force"],
        run: set::colocation,
    },
    Command {
        path: "constraint colocation delete",
        synopsis: "<resource> <resource>",
        about: "Remove the colocation of two resources.",
        options: &["-f"],
        run: colocation::delete,
    },
    Command {
        path: "constraint colocation remove",
        synopsis: "<resource> <resource>",
        about: "Remove the colocation of two resources.",
        options: &["-f"],
        run: colocation::delete,
    },
    Command {
        path: "constraint ticket config",
        synopsis: "[--full]",
        about: "Show ticket constraints.",
        options: &["-f", "--full"],
        run: show::ticket_config,
    },
    Command {
        path: "constraint ref",
        synopsis: "<resource>...",
        about: "Show the constraints that speak of a resource.",
        options: &["-f"],
        run: references,
    },
    Command {
        path: "constraint delete",
        synopsis: "<constraint id>...",
        about: "Remove constraints or rules of constraints by their ids.",
        options: &["-f"],
        run: delete,
    },
    Command {
        path: "constraint remove",
        synopsis: "<constraint id>...",
        about: "Remove constraints or rules of constraints by their ids.",
        options: &["-f"],
        run: delete,
    },
];

const KINDS: &[&str] = &["rsc_location", "rsc_order", "rsc_colocation", "rsc_ticket"];

fn list(context: &mut Context<'_>, words: &[String]) -> Outcome {
    context.deprecated(
        "This command is deprecated and will be removed. Please use 'pcs constraint config' instead.",
    );
    show::config(context, words)
}

/// All constraints of one kind.
fn of_kind<'a>(doc: &'a Document, kind: &'a str) -> Vec<Element<'a>> {
    doc.root_element()
        .path(&["configuration", "constraints"])
        .map(|top| top.children_named(kind).collect())
        .unwrap_or_default()
}

/// Does a constraint speak of this resource?
fn mentions(constraint: Element<'_>, resource: &str) -> bool {
    ["rsc", "with-rsc", "first", "then"].iter().any(|name| constraint.attr(name) == Some(resource))
        || constraint.descendants().any(|e| e.name() == "resource_ref" && e.attr("id") == Some(resource))
}

fn references(context: &mut Context<'_>, words: &[String]) -> Outcome {
    if words.is_empty() {
        return Err(Failure::USAGE);
    }
    let doc = context.load()?;
    let top = doc.root_element().path(&["configuration", "constraints"]);
    for resource in words {
        let mut lines = vec![format!("Resource: {resource}")];
        let (sets, single): (Vec<_>, Vec<_>) = top
            .iter()
            .flat_map(|t| t.children())
            .filter(|c| mentions(*c, resource))
            .partition(|c| c.child("resource_set").is_some());
        for kind in ["rsc_colocation", "rsc_location", "rsc_order", "rsc_ticket"] {
            let of_kind = single.iter().filter(|c| c.name() == kind);
            lines.extend(of_kind.filter_map(|c| c.attr("id")).map(|id| format!("  {id}")));
        }
        lines.extend(sets.iter().filter_map(|c| c.attr("id")).map(|id| format!("  {id}")));
        if lines.len() == 1 {
            lines.push("  No Matches.".into());
        }
        context.lines(&lines);
    }
    Ok(())
}

fn delete(context: &mut Context<'_>, words: &[String]) -> Outcome {
    if words.is_empty() {
        return Err(Failure::USAGE);
    }
    let before = context.load()?;
    let mut after = before.clone();
    let mut bad = false;
    for id in words {
        if !delete_one(&mut after, id) {
            context.message(Message::Error(format!("Unable to find constraint - '{id}'")));
            let known = constraint_ids(&before);
            if let Some(near) = nearest(id, known.iter().map(String::as_str)) {
                context.info(format!("Hint: did you mean '{near}'?"));
            }
            bad = true;
        }
    }
    if bad {
        return Err(Failure::Exit(1));
    }
    context.save(&before, &after)
}

fn constraint_ids(doc: &Document) -> Vec<String> {
    KINDS
        .iter()
        .flat_map(|kind| of_kind(doc, kind))
        .filter_map(|c| c.attr("id").map(str::to_string))
        .collect()
}

/// Removes a constraint, or a rule; a constraint goes with its last rule.
fn delete_one(doc: &mut Document, id: &str) -> bool {
    let top = constraints(doc);
    let Some(found) = doc.find_id(top, id) else { return false };
    if KINDS.contains(&doc.name(found)) {
        doc.remove(found);
        return true;
    }
    if doc.name(found) != "rule" {
        return false;
    }
    let owner = doc.parent(found);
    doc.remove(found);
    if let Some(owner) = owner.filter(|o| doc.name(*o) == "rsc_location" && doc.child(*o, "rule").is_none()) {
        doc.remove(owner);
    }
    true
}

/// A resource that a constraint may name: it exists and no clone or bundle is around it.
fn check_resource(context: &Context<'_>, doc: &Document, id: &str) -> Result<NodeId, Failure> {
    let Some(found) = find::resource(doc, id) else {
        let ids = resource_ids(doc);
        let near = nearest(id, ids.iter().map(String::as_str));
        let hint = near.map(|n| format!("\nHint: did you mean '{n}'?")).unwrap_or_default();
        return Err(Failure::Error(format!("Resource '{id}' does not exist{hint}")));
    };
    let Some(outer) = find::wrapper(doc, found).filter(|_| !context.force()) else { return Ok(found) };
    // Only the outermost resource has a place of its own.
    let outer_id = doc.attr(outer, "id").unwrap_or_default();
    let (what, word) = match doc.name(outer) {
        "bundle" => ("bundle", "bundle"),
        _ => ("clone", "clone"),
    };
    Err(Failure::Error(format!(
        "{id} is a {what} resource, you should use the {word} id: {outer_id} when adding constraints. \
         Use --force to override."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cib, dummy, run};

    fn three() -> Document {
        cib(&format!("{}{}<clone id='S-clone'>{}</clone>", dummy("A"), dummy("B"), dummy("S")))
    }

    fn shown(doc: &Document, line: &str) -> String {
        let (_, messages) = run(doc, line).unwrap();
        messages
            .into_iter()
            .filter_map(|m| if let Message::Output(text) = m { Some(text) } else { None })
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn the_life_of_constraints() {
        let mut doc = three();
        for line in [
            "constraint location A prefers nodo1.example.com",
            "constraint location B avoids nodo1.example.com=100",
            "constraint order A then B",
            "constraint colocation add A with Promoted S-clone -- -INFINITY",
            "constraint colocation set A B sequential=false setoptions score=100",
        ] {
            doc = run(&doc, line).unwrap().0;
        }
        let text = shown(&doc, "constraint config --full");
        assert_eq!(
            text,
            "Location Constraints:
  Resource: A
    Enabled on:
      Node: nodo1.example.com (score:INFINITY) (id:location-A-nodo1.example.com-INFINITY)
  Resource: B
    Disabled on:
      Node: nodo1.example.com (score:-100) (id:location-B-nodo1.example.com--100)
Ordering Constraints:
  start A then start B (kind:Mandatory) (id:order-A-B-mandatory)
Colocation Constraints:
  A with S-clone (score:-INFINITY) (rsc-role:Started) (with-rsc-role:Promoted) (id:colocation-A-S-clone--INFINITY)
  Resource Sets:
    set A B sequential=false (id:colocation_set_AABB_set) setoptions score=100 (id:colocation_set_AABB)
Ticket Constraints:"
        );
        let (doc, _) =
            run(&doc, "constraint delete location-A-nodo1.example.com-INFINITY order-A-B-mandatory").unwrap();
        assert!(!shown(&doc, "constraint").contains("Resource: A"));
    }

    #[test]
    fn bad_input_is_refused() {
        for line in [
            "constraint location NOPE prefers nodo1.example.com",
            "constraint location S prefers nodo1.example.com",
            "constraint location A prefers nodo1.example.com=abc",
            "constraint location A prefers",
            "constraint order A B",
            "constraint order A then NOPE",
            "constraint colocation add A with Nope S-clone",
            "constraint colocation add A B",
            "constraint delete nope",
            "constraint location A rule score=1",
            "constraint order set A",
        ] {
            assert!(run(&three(), line).is_err(), "{line}");
        }
    }

    #[test]
    fn rules() {
        let (doc, _) =
            run(&three(), "constraint location A rule score=50 #uname eq nodo1.example.com").unwrap();
        let text = shown(&doc, "constraint location");
        assert_eq!(
            text,
            "Location Constraints:\n  Resource: A\n    Constraint: location-A\n      Rule: score=50\n        \
             Expression: #uname eq nodo1.example.com"
        );
        let (doc, _) = run(&doc, "constraint delete location-A-rule").unwrap();
        assert_eq!(of_kind(&doc, "rsc_location").len(), 0);
    }

    #[test]
    fn doubles_need_force() {
        let (doc, _) = run(&three(), "constraint order A then B").unwrap();
        assert!(run(&doc, "constraint order A then B").is_err());
        let (doc, _) = run(&doc, "constraint order A then B --force").unwrap();
        assert_eq!(of_kind(&doc, "rsc_order").len(), 2);
    }
}
