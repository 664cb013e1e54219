//! `pcs resource defaults`, `pcs resource op defaults`: values for what resources leave open.

use xml::{Document, Element};

use crate::context::Context;
use crate::model::{id, nvset, rule, section};
use crate::report::{Failure, Issue, Outcome};
use crate::router::Command;
use crate::words::{self, groups, joined};

const OPTIONS: &[&str] = &["-f", "--force", "--full", "--all", "--no-expire-check"];

pub const COMMANDS: &[Command] = &[
    Command {
        path: "resource defaults config",
        synopsis: "[--full]",
        about: "Show default values of resource meta attributes.",
        options: OPTIONS,
        run: |c, _| config(c, "rsc_defaults"),
    },
    Command {
        path: "resource defaults",
        synopsis: "<name>=<value>...",
        about: "Older spelling of 'pcs resource defaults update'.",
        options: OPTIONS,
        run: |c, w| older(c, w, "rsc_defaults", "pcs resource defaults update"),
    },
    Command {
        path: "resource defaults update",
        synopsis: "<name>=<value>...",
        about: "Set default values for resources; an empty value removes one.",
        options: OPTIONS,
        run: |c, w| update(c, w, "rsc_defaults"),
    },
    Command {
        path: "resource defaults set create",
        synopsis: "[<set options>] [meta [<name>=<value>]...] [rule [<expression>]]",
        about: "Add a set of default values, which may depend on a rule.",
        options: OPTIONS,
        run: |c, w| create(c, w, "rsc_defaults"),
    },
    Command {
        path: "resource defaults set delete",
        synopsis: "[<set id>]...",
        about: "Remove sets of default values.",
        options: OPTIONS,
        run: |c, w| delete(c, w, "rsc_defaults"),
    },
    Command {
        path: "resource op defaults config",
        synopsis: "[--full]",
        about: "Show default values of operations.",
        options: OPTIONS,
        run: |c, _| config(c, "op_defaults"),
    },
    Command {
        path: "resource op defaults",
        synopsis: "<name>=<value>...",
        about: "Older spelling of 'pcs resource op defaults update'.",
        options: OPTIONS,
        run: |c, w| older(c, w, "op_defaults", "pcs resource op defaults update"),
    },
    Command {
        path: "resource op defaults update",
        synopsis: "<name>=<value>...",
        about: "Set default values for operations; an empty value removes one.",
        options: OPTIONS,
        run: |c, w| update(c, w, "op_defaults"),
    },
    Command {
        path: "resource op defaults set create",
        synopsis: "[<set options>] [meta [<name>=<value>]...] [rule [<expression>]]",
        about: "Add a set of default values, which may depend on a rule.",
        options: OPTIONS,
        run: |c, w| create(c, w, "op_defaults"),
    },
    Command {
        path: "resource op defaults set delete",
        synopsis: "[<set id>]...",
        about: "Remove sets of default values.",
        options: OPTIONS,
        run: |c, w| delete(c, w, "op_defaults"),
    },
];

const OVERRIDDEN: &str =
    "Defaults do not apply to resources which override them with their own defined values";

fn sets<'a>(doc: &'a Document, section: &'a str) -> Vec<Element<'a>> {
    doc.root_element()
        .path(&["configuration", section])
        .map(|s| s.children_named("meta_attributes").collect())
        .unwrap_or_default()
}

/// The defaults of one section as lines.
pub fn lines(doc: &Document, section: &str, full: bool) -> Vec<String> {
    let found = sets(doc, section);
    if found.is_empty() {
        return vec!["No defaults set".into()];
    }
    let mut lines = Vec::new();
    for set in found {
        let mut head = format!("Meta Attrs: {}", set.attr("id").unwrap_or_default());
        if let Some(score) = set.attr("score") {
            head.push_str(&format!(" score={score}"));
        }
        lines.push(head);
        lines.extend(nvset::pairs(set).iter().map(|(n, v)| format!("  {}", nvset::show(n, v))));
        lines.extend(set.children_named("rule").flat_map(|r| rule::lines(r, full, 2)));
    }
    lines
}

fn config(context: &mut Context<'_>, section: &str) -> Outcome {
    let doc = context.load()?;
    let lines = lines(&doc, section, context.options.has("--full"));
    context.lines(&lines);
    Ok(())
}

fn older(context: &mut Context<'_>, words: &[String], section: &str, newer: &str) -> Outcome {
    context
        .deprecated(format!("This command is deprecated and will be removed. Please use '{newer}' instead."));
    update(context, words, section)
}

fn update(context: &mut Context<'_>, words: &[String], section_name: &str) -> Outcome {
    if words.is_empty() {
        return Err(Failure::USAGE);
    }
    let pairs = words::pairs(words)?;
    context.change(|context, doc| {
        let ids: Vec<String> =
            sets(doc, section_name).iter().map(|s| s.attr("id").unwrap_or_default().to_string()).collect();
        if ids.len() > 1 {
            let command = if section_name == "op_defaults" { "resource op" } else { "resource" };
            return Err(Failure::issue(Issue::new(format!(
                "Several options sets exist, please use the 'pcs {command} defaults set update' command and \
                 specify an option set ID"
            ))));
        }
        context.warn(OVERRIDDEN);
        let owner = section(doc, section_name);
        let set = match doc.child(owner, "meta_attributes") {
            Some(set) => set,
            None if pairs.iter().all(|(_, v)| v.is_empty()) => return Ok(()),
            None => nvset::append(doc, owner, "meta_attributes", &[]),
        };
        for (name, value) in pairs.iter() {
            nvset::set_pair(doc, set, name, value);
        }
        Ok(())
    })
}

fn create(context: &mut Context<'_>, words: &[String], section_name: &str) -> Outcome {
    let (first, rest) = groups(words, &["meta", "rule"]);
    let options = words::pairs(&first)?;
    let meta = words::pairs(&joined(&rest, "meta"))?;
    let rule_words: Vec<String> = joined(&rest, "rule").into_iter().map(str::to_string).collect();
    if let Some((wrong, _)) = options.iter().find(|(n, _)| !matches!(*n, "id" | "score")) {
        return Err(Failure::issue(Issue::new(format!(
            "invalid option '{wrong}', allowed options are: 'id', 'score'"
        ))));
    }
    let condition = match rule_words.is_empty() {
        true => None,
        false => Some(rule::parse(&rule_words).map_err(|e| {
            Failure::issue(Issue::new(format!(
                "'{}' is not a valid rule expression: {e}",
                rule_words.join(" ")
            )))
        })?),
    };
    context.change(|context, doc| {
        context.warn(OVERRIDDEN);
        let owner = section(doc, section_name);
        let set_id = match options.value("id") {
            Some(given) => {
                id::validate("id", given).map_err(|e| Failure::issue(Issue::new(e)))?;
                if id::exists(doc, given) {
                    return Err(Failure::issue(Issue::new(format!("'{given}' already exists"))));
                }
                given.to_string()
            }
            None => id::unique(doc, &format!("{section_name}-meta_attributes")),
        };
        let set = doc.append_with(owner, "meta_attributes", &[("id", &set_id)]);
        if let Some(score) = options.value("score") {
            doc.set_attr(set, "score", score);
        }
        if let Some(condition) = &condition {
            rule::build(doc, set, None, &[], condition);
        }
        for (name, value) in meta.iter() {
            nvset::set_pair(doc, set, name, value);
        }
        Ok(())
    })
}

fn delete(context: &mut Context<'_>, words: &[String], section_name: &str) -> Outcome {
    context.change(|_, doc| {
        let owner = section(doc, section_name);
        for wanted in words {
            let found = doc.child_elements(owner).into_iter().find(|s| doc.attr(*s, "id") == Some(wanted));
            let Some(found) = found else {
                return Err(Failure::issue(Issue::new(format!("options set '{wanted}' does not exist"))));
            };
            doc.remove(found);
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cib, run};

    #[test]
    fn update_and_show() {
        let (doc, messages) = run(&cib(""), "resource op defaults update timeout=20s").unwrap();
        assert_eq!(messages, [crate::report::Message::Warning(OVERRIDDEN.into())]);
        assert_eq!(
            lines(&doc, "op_defaults", false),
            ["Meta Attrs: op_defaults-meta_attributes", "  timeout=20s"]
        );
        assert_eq!(lines(&doc, "rsc_defaults", false), ["No defaults set"]);
    }
}
