//! The configuration as a whole: CIB and corosync.conf.

use std::process::Command;

use xml::Document;

use super::services::members;
use super::setup::remote_text;
use crate::cmd::host::{call_all, load, timeout};
use crate::context::Context;
use crate::remote::{Body, Host};
use crate::report::{Failure, Message, Outcome};

/// Sections that `scope` may name.
const SCOPES: &[&str] = &[
    "acls",
    "alerts",
    "configuration",
    "constraints",
    "crm_config",
    "fencing-topology",
    "nodes",
    "op_defaults",
    "resources",
    "rsc_defaults",
    "tags",
];

fn scope(context: &Context<'_>, given: Option<&str>) -> Result<Option<String>, Failure> {
    match given {
        Some(_) if context.options.has("--config") => Err(Failure::USAGE),
        Some(scope) if SCOPES.contains(&scope) => Ok(Some(scope.to_string())),
        Some(scope) => Err(Failure::Error(format!("invalid CIB scope '{scope}'"))),
        None => Ok(context.options.has("--config").then(|| "configuration".to_string())),
    }
}

pub(super) fn cib(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let mut file = None;
    let mut given = None;
    for word in words {
        match word.split_once('=') {
            Some(("scope", value)) if given.is_none() => given = Some(value),
            None if file.is_none() => file = Some(word),
            _ => return Err(Failure::USAGE),
        }
    }
    let scope = scope(context, given)?;
    let doc = context.load()?;
    let node = match &scope {
        None => doc.root(),
        Some(scope) => cib::section_path(&doc, Some(scope))
            .ok_or_else(|| Failure::Error(format!("unable to get cib, there is no section '{scope}'")))?,
    };
    let text = doc.node_to_pretty(node);
    match file {
        None => context.output(text.trim_end()),
        Some(path) => std::fs::write(path, text)
            .map_err(|e| Failure::Error(format!("Unable to write to file '{path}', {e}")))?,
    }
    Ok(())
}

fn read(path: &str) -> Result<Document, Failure> {
    let bytes = std::fs::read(path).map_err(|e| Failure::Error(format!("unable to read {path}: {e}")))?;
    if bytes.is_empty() {
        return Err(Failure::error("cannot update cib: the file is empty"));
    }
    Document::parse_bytes(&bytes).map_err(|e| Failure::Error(format!("unable to parse new cib: {path}: {e}")))
}

pub(super) fn cib_push(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let (mut file, mut given, mut against) = (None, None, None);
    for word in words {
        match word.split_once('=') {
            Some(("scope", value)) if given.is_none() => given = Some(value),
            Some(("diff-against", value)) if against.is_none() => against = Some(value.to_string()),
            None if file.is_none() => file = Some(word),
            _ => return Err(Failure::USAGE),
        }
    }
    let Some(path) = file else { return Err(Failure::USAGE) };
    let scope = scope(context, given)?;
    if against.is_some() && scope.is_some() {
        return Err(Failure::USAGE);
    }
    let wait = context.wait_limit()?;
    let new = read(path)?;
    match against {
        Some(original) => push_difference(context, &read(&original)?, &new)?,
        None => push(context, &new, scope.as_deref())?,
    }
    context.info("CIB updated");
    context.settle_wait(wait)
}

fn push(context: &mut Context<'_>, new: &Document, scope: Option<&str>) -> Outcome {
    let before = context.load()?;
    let mut after = before.clone();
    if scope.is_none() {
        let (old, given) = (cib::Version::of(before.root_element()), cib::Version::of(new.root_element()));
        if (given.admin_epoch, given.epoch) < (old.admin_epoch, old.epoch) {
            return Err(Failure::error(
                "Unable to push to the CIB because CIB configuration in the file is older than the current one: \
                 Update was older than existing configuration",
            ));
        }
    }
    let name = scope.unwrap_or("configuration");
    let source =
        if new.name(new.root()) == name { Some(new.root()) } else { cib::section_path(new, Some(name)) };
    let source = source.ok_or_else(|| {
        Failure::Error(format!("unable to push cib, section '{name}' not found in the file"))
    })?;
    let target = match cib::section_path(&after, Some(name)) {
        Some(found) => found,
        None => crate::model::section(&mut after, name),
    };
    after.overwrite(target, new, source);
    context.save(&before, &after)
}

/// Brings what differs between two files into the current configuration.
fn push_difference(context: &mut Context<'_>, original: &Document, new: &Document) -> Outcome {
    let mut target = new.clone();
    cib::Version::of(original.root_element()).write(&mut target);
    let Some(mut patch) = cib::make_patchset(original, &target) else {
        context.info("The new and original CIB have no differences in their configuration");
        return Err(Failure::Exit(0));
    };
    let before = context.load()?;
    let mut after = before.clone();
    // The patch is for whatever version is there now.
    let root = patch.root();
    if let Some(version) = patch.child(root, "version") {
        patch.remove(version);
    }
    if let Some(digest) = patch.attr(root, "digest").map(str::to_string) {
        drop(digest);
        patch.remove_attr(root, "digest");
    }
    cib::apply_patchset(&mut after, patch.root_element())
        .map_err(|e| Failure::Error(format!("unable to push the difference: {e}")))?;
    context.save(&before, &after)
}

pub(super) fn cib_upgrade(context: &mut Context<'_>, words: &[String]) -> Outcome {
    if !words.is_empty() {
        return Err(Failure::USAGE);
    }
    context.change(|_, doc| match cib::schema::upgrade(doc) {
        Ok(()) | Err(base::CibError::SchemaUnchanged) => Ok(()),
        Err(error) => Err(Failure::Error(format!("Upgrading of CIB to the latest schema failed: {error}"))),
    })?;
    context.info("Cluster CIB has been upgraded to latest version");
    Ok(())
}

pub(super) fn corosync(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let text = match words {
        [] => std::fs::read_to_string(&context.paths.corosync_conf).map_err(|e| {
            Failure::Error(format!("Unable to read {}: {e}", context.paths.corosync_conf.display()))
        })?,
        [node] => {
            let host = load(context)?.find(node);
            let limit = timeout(context);
            let replies =
                call_all(context, &[host], "remote/get_corosync_conf", &Body::None, limit, |_, _, _| {})?;
            match replies.into_values().next() {
                Some(Ok(text)) => text,
                Some(Err(error)) => return Err(Failure::Error(remote_text(&error))),
                None => return Err(Failure::Error(format!("{node} gave no answer"))),
            }
        }
        _ => return Err(Failure::USAGE),
    };
    context.output(text.trim_end());
    Ok(())
}

pub(super) fn sync(context: &mut Context<'_>, words: &[String]) -> Outcome {
    if !words.is_empty() {
        return Err(Failure::USAGE);
    }
    let text = std::fs::read_to_string(&context.paths.corosync_conf).map_err(|e| {
        Failure::Error(format!("Unable to read {}: {e}", context.paths.corosync_conf.display()))
    })?;
    let known = load(context)?;
    let hosts: Vec<Host> = members(context)?.iter().map(|name| known.find(name)).collect();
    let limit = timeout(context);
    let body = Body::Form(vec![("corosync_conf".into(), text)]);
    let mut failed = false;
    call_all(
        context,
        &hosts,
        "remote/set_corosync_conf",
        &body,
        limit,
        |context, name, reply| match reply {
            Ok(_) => context.info(format!("{name}: Succeeded")),
            Err(error) => {
                failed = true;
                context.message(Message::Error(format!(
                    "Unable to set corosync config: {}",
                    remote_text(error)
                )));
            }
        },
    )?;
    if failed { Err(Failure::Exit(1)) } else { Ok(()) }
}

pub(super) fn reload(context: &mut Context<'_>, _: &[String]) -> Outcome {
    clients::Cfg::open()
        .and_then(|mut cfg| cfg.reload())
        .map_err(|e| Failure::Error(format!("Unable to reload corosync configuration: {e}")))?;
    context.info("Corosync reloaded");
    Ok(())
}

pub(super) fn auth(context: &mut Context<'_>, words: &[String]) -> Outcome {
    if !words.is_empty() {
        return Err(Failure::Usage {
            message: None,
            hint: Some(
                "Syntax has changed from previous version. Use 'pcs host auth' for single hosts.".into(),
            ),
        });
    }
    let known = load(context)?;
    let names: Vec<String> = members(context)?
        .iter()
        .flat_map(|name| [name.clone(), format!("addr={}", known.find(name).address)])
        .collect();
    crate::router::run(
        context,
        &["host".to_string(), "auth".to_string()].into_iter().chain(names).collect::<Vec<_>>(),
    )
}

pub(super) fn verify(context: &mut Context<'_>, words: &[String]) -> Outcome {
    if !words.is_empty() {
        return Err(Failure::USAGE);
    }
    let doc = context.load()?;
    if let Err(faults) = cib::schema::validate(&doc) {
        let list: Vec<String> = faults.iter().map(ToString::to_string).collect();
        return Err(Failure::Error(format!("invalid cib:\n{}", list.join("\n"))));
    }
    let mut verify = Command::new("crm_verify");
    if context.options.has("--full") {
        verify.args(["-V", "-V"]);
    }
    match context.options.file() {
        Some(file) => verify.args(["--xml-file", file]),
        None => verify.arg("--live-check"),
    };
    let output = verify.output().map_err(|e| Failure::Error(format!("crm_verify: {e}")))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).trim().to_string();
    Err(Failure::Error(format!("invalid cib:\n{text}")))
}
