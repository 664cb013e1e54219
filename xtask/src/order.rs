//! Which functions short commands run, for the linker: it puts them side by side, so that a short command brings in a
//! third fewer pieces of the program from the file.
//!
//! The list is only a hint: who renames a function makes nothing wrong, only a little slower.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use simulate::generate::{Shape, cib};

use crate::run::{command, root, target};

/// Read by the build script of the program.
const LIST: &str = "crates/relevo/first-functions.txt";

const HEAD: &str = "\
# Functions that short commands run, as the linker knows them, without what changes from build to build.
# The linker puts them first (build.rs). Written by `cargo xtask order`; what has several forms comes last.
";

/// A function with so many forms or fewer is among the first: of the others, most forms are of no use.
const FEW_FORMS: usize = 4;

/// The commands, on a cluster of two nodes and five primitives that is not started (`new`) or runs (`running`).
const COMMANDS: &[&str] = &[
    "crm_simulate -R -x new",
    "crm_simulate -S -s -x new",
    "crm_simulate -R -d node2 -x running",
    "crm_mon -1",
    "crm_verify -x running",
    "crm_resource -L",
    "crm_resource -W -r rsc1",
    "cibadmin -Q",
    "pcs -f running status",
    "pcs -f running resource config",
    "pcs -f running property",
];

/// Runs the commands and writes the list.
///
/// # Errors
/// When a program is missing or fails.
pub fn order() -> Result<(), String> {
    command("cargo", &["build", "--release", "--quiet", "--package", "relevo"])?;
    let program = target().join("release").join("relevo");
    let dir = std::env::temp_dir().join(format!("relevo-order-{}", std::process::id()));
    std::fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let result = functions(&program, &dir);
    // What remains in the temporary directory harms nobody.
    let _ = std::fs::remove_dir_all(&dir);
    let text = list(&result?, &forms(&program)?);
    let path = root().join(LIST);
    std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Names of the functions that any command runs.
fn functions(program: &Path, dir: &Path) -> Result<BTreeSet<String>, String> {
    let text = cib(Shape { nodes: 2, primitives: 5, clones: false }).to_pretty();
    for name in ["new", "running"] {
        std::fs::write(dir.join(name), &text).map_err(|error| error.to_string())?;
    }
    output(Command::new(program).args(["crm_simulate", "-X", "-x", "running"]).current_dir(dir))?;
    let mut names = BTreeSet::new();
    for line in COMMANDS {
        eprintln!("  {line}");
        let mut run = Command::new("valgrind");
        run.args(["--tool=callgrind", "--demangle=no", "--callgrind-out-file=calls"]).arg(program);
        output(run.args(line.split(' ')).env("CIB_file", "running").current_dir(dir))?;
        let calls = std::fs::read_to_string(dir.join("calls")).map_err(|error| error.to_string())?;
        names.extend(calls.lines().filter_map(called));
    }
    Ok(names)
}

fn output(command: &mut Command) -> Result<String, String> {
    let what = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{what}: {error}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(text) } else { Err(format!("{what}: {}: {errors}", output.status)) }
}

/// The function that a line of callgrind's names for the first time: `fn=(17) name`.
fn called(line: &str) -> Option<String> {
    let (_, name) = line.strip_prefix('c').unwrap_or(line).strip_prefix("fn=(")?.split_once(") ")?;
    pattern(name)
}

/// What is the same of a function's name in every build, with `*` for what is not: the hash at its end, or the
/// crates' numbers in it.
fn pattern(name: &str) -> Option<String> {
    let name = name.split(['\'', ' ']).next()?;
    if let Some(path) = name.strip_prefix("_ZN") {
        let (path, _) = path.rsplit_once("17h")?;
        return Some(format!("_ZN{path}17h*"));
    }
    let mut rest = name.strip_prefix("_R").map(|_| name)?;
    let mut out = String::new();
    while let Some((before, after)) = rest.split_once("Cs") {
        // A number of a crate ends with `_`, and its name begins with how long it is.
        let number = after.find('_').filter(|end| after[..*end].bytes().all(|b| b.is_ascii_alphanumeric()));
        out.push_str(before);
        out.push_str(if number.is_some() { "Cs*" } else { "Cs" });
        rest = &after[number.unwrap_or(0)..];
    }
    out.push_str(rest);
    Some(out)
}

/// How many functions of the program have each name.
fn forms(program: &Path) -> Result<BTreeMap<String, usize>, String> {
    let text = output(Command::new("nm").arg("--defined-only").arg(program))?;
    let mut all = BTreeMap::new();
    for name in text.lines().filter_map(|line| pattern(line.split(' ').nth(2)?)) {
        *all.entry(name).or_default() += 1;
    }
    Ok(all)
}

fn list(names: &BTreeSet<String>, forms: &BTreeMap<String, usize>) -> String {
    let count = |name: &&String| forms.get(*name).copied().unwrap_or_default();
    let own = names.iter().filter(|name| count(name) > 0);
    let (few, many): (Vec<&String>, Vec<&String>) = own.partition(|name| count(name) <= FEW_FORMS);
    let mut text = HEAD.to_string();
    for name in few.into_iter().chain(many) {
        let _ = writeln!(text, "{name}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_changes_from_build_to_build() {
        let of = |line: &str| called(line).unwrap_or_default();
        assert_eq!(of("fn=(17) _ZN3xml5parse7element17h9cc710dd349f78bbE"), "_ZN3xml5parse7element17h*");
        assert_eq!(of("cfn=(1) _ZN3xml4walk17h9cc710dd349f78bbE'2"), "_ZN3xml4walk17h*");
        assert_eq!(
            of("fn=(1) _RNvMNtCslNYArt_5alloc6string4fromCsabc_3std"),
            "_RNvMNtCs*_5alloc6string4fromCs*_3std"
        );
        assert_eq!(of("fn=(1) memcpy"), "");
        assert_eq!(of("fn=(17)"), "");
        assert_eq!(of("fl=(17) _ZN3xml17h9cc710dd349f78bbE"), "");
    }

    #[test]
    fn what_has_many_forms_comes_last_and_what_is_not_ours_does_not_come() {
        let names = ["a", "b", "c"].map(String::from).into();
        let forms = BTreeMap::from([("a".to_string(), 9), ("b".to_string(), 1)]);
        assert_eq!(list(&names, &forms), format!("{HEAD}b\na\n"));
    }
}
