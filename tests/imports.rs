//! Imports in `src/` point down the list of layers, never up and never in a circle.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The top modules in the documented order: a module may import only those that stand after its own line. Modules on one line
/// do not import each other.
const LAYERS: [&[&str]; 22] = [
    &["app"],
    &["response", "audit"],
    &["error"],
    &["services"],
    &["config"],
    &["policy_store", "sts", "caller_proof", "client_token", "rate_limit", "grants"],
    &["policy", "mdm"],
    &["access"],
    &["request"],
    &["caller", "device"],
    &["claims"],
    &["event"],
    &["secret"],
    &["refreshed"],
    &["single_flight"],
    &["upstream", "https"],
    &["clock"],
    &["lock"],
    &["digest"],
    &["alphabet"],
    &["amz_date"],
    &["telemetry"],
];

/// Modules of the domain: they know no SDK, no environment and no clock.
const PURE: [&str; 7] = ["access", "caller", "claims", "device", "event", "policy", "request"];

#[test]
fn every_import_points_down_the_layers() {
    let layer: BTreeMap<&str, usize> = LAYERS
        .iter()
        .enumerate()
        .flat_map(|(number, modules)| modules.iter().map(move |module| (*module, number)))
        .collect();
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let module = top_module(&file);
        if ["lib", "main", "security"].contains(&module.as_str()) {
            continue;
        }
        let own = *layer.get(module.as_str()).unwrap_or_else(|| panic!("{module} has no layer"));
        for imported in imports(&text) {
            let other = layer.get(imported.as_str());
            let other = *other.unwrap_or_else(|| panic!("{}: crate::{imported}?", file.display()));
            if imported != module && other <= own {
                wrong.push(format!("{} imports {imported}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "against the order of the layers:\n{}", wrong.join("\n"));
}

#[test]
fn the_files_of_a_module_do_not_import_in_a_circle() {
    let files: BTreeMap<String, String> =
        sources().map(|(file, text)| (module_path(&file), text)).collect();
    let known: BTreeSet<&str> = files.keys().map(String::as_str).collect();
    let arrows: BTreeMap<&str, BTreeSet<&str>> = files
        .iter()
        .map(|(module, text)| {
            let targets = siblings(module, text).filter_map(|path| known.get(path.as_str()));
            (module.as_str(), targets.copied().filter(|target| target != module).collect())
        })
        .collect();
    for module in arrows.keys() {
        let mut seen = BTreeSet::new();
        assert!(
            !reaches(module, module, &arrows, &mut seen),
            "{module} imports itself in a circle"
        );
    }
}

#[test]
fn the_domain_imports_no_sdk_and_no_environment() {
    for (file, text) in sources().filter(|(file, _)| PURE.contains(&top_module(file).as_str())) {
        for forbidden in ["aws_sdk", "aws_config", "hyper", "tokio", "std::env", "::now()"] {
            let code = code(&text);
            assert!(!code.contains(forbidden), "{} has {forbidden}", file.display());
        }
    }
}

/// Every source file below `src/`, and its text without tests.
fn sources() -> impl Iterator<Item = (PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_test = path.file_stem().is_some_and(|name| name == "tests");
            if path.is_dir() && !is_test {
                folders.push(path);
            } else if path.is_file() && !is_test {
                let text = fs::read_to_string(&path).unwrap();
                let text = text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned();
                files.push((path.strip_prefix(&root).unwrap().to_owned(), text));
            }
        }
    }
    assert!(files.len() > 50, "where is src?");
    files.into_iter()
}

/// The text without comments.
fn code(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn top_module(file: &Path) -> String {
    module_path(file).split("::").next().unwrap().to_owned()
}

/// `policy/rules.rs` is `policy::rules`.
fn module_path(file: &Path) -> String {
    file.with_extension("").to_str().unwrap().replace('/', "::")
}

/// The top modules that the text names as `crate::MODULE`.
fn imports(text: &str) -> impl Iterator<Item = String> {
    let code = code(text);
    let names: Vec<String> = code.split("crate::").skip(1).map(identifier).collect();
    names.into_iter().filter(|name| name.starts_with(char::is_lowercase))
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The modules of the same top module that a submodule imports with `super::`. A parent may import its children; children
/// import each other, and their parent's own types are not tracked.
fn siblings(module: &str, text: &str) -> impl Iterator<Item = String> {
    let parent = module.rsplit_once("::").map(|(parent, _)| parent.to_owned());
    let code = code(text);
    let names: Vec<String> = code.split("use super::").skip(1).flat_map(imported_names).collect();
    parent.into_iter().flat_map(move |parent| {
        names.clone().into_iter().map(move |name| format!("{parent}::{name}"))
    })
}

/// The first names after `use super::`: that of `a::B`, those of `{a::B, c}`.
fn imported_names(text: &str) -> Vec<String> {
    let Some(list) = text.strip_prefix('{') else {
        return vec![identifier(text)];
    };
    let (mut depth, mut item, mut names) = (1, String::new(), Vec::new());
    for character in list.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && character == ',') {
            names.push(identifier(item.trim_start()));
            item.clear();
        } else {
            item.push(character);
        }
        if depth == 0 {
            break;
        }
    }
    names
}

fn reaches<'a>(
    from: &'a str,
    to: &str,
    arrows: &BTreeMap<&'a str, BTreeSet<&'a str>>,
    seen: &mut BTreeSet<&'a str>,
) -> bool {
    arrows[from]
        .iter()
        .any(|next| *next == to || (seen.insert(next) && reaches(next, to, arrows, seen)))
}
