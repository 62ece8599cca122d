//! Compiles files of the function a second time, with other primitives below them.
//!
//! Each file of `src/` in [`MODULES`] becomes a module of `function.rs` in the build's output, with
//! [`REPLACED`] in place of the primitives that a scheduler must control. Nothing else changes:
//! comments and unit tests are left out.

#![expect(clippy::unwrap_used, reason = "a build that cannot go on should stop here")]
#![expect(clippy::disallowed_methods, reason = "Cargo tells a build script in the environment")]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The files of the function that share state, and what they import of it.
const MODULES: [&str; 10] = [
    "access",
    "alphabet",
    "claims",
    "clock",
    "digest",
    "grants",
    "lock",
    "rate_limit",
    "request",
    "upstream",
];

/// A text of the function, what stands for it here, and where it must occur.
const REPLACED: [(&str, &str, &str); 6] = [
    // Locks and atomics: each use is a point at which another task may run.
    ("std::sync::", "shuttle::sync::", "lock"),
    // A time-out comes when the schedule says so.
    ("tokio::time::timeout(", "crate::network::timeout(", "rate_limit"),
    // The client: its requests go to a table in this process.
    ("aws_sdk_dynamodb::Client;", "crate::dynamo::Client;", "rate_limit/dynamodb"),
    ("aws_sdk_dynamodb::Client;", "crate::dynamo::Client;", "grants/table"),
    // The same types, without the SDK of another service.
    ("aws_sdk_sts::error::", "aws_sdk_dynamodb::error::", "upstream"),
    (
        "aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;",
        "crate::dynamo::UpdateItemFluentBuilder;",
        "grants/table",
    ),
];

/// What must not be left: a primitive that no scheduler controls.
const UNCONTROLLED: [&str; 6] =
    ["std::sync", "std::thread", "tokio::", "dynamodb::Client", "UtcDateTime::now", "Instant"];

fn main() {
    let source = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap()).join("../../src");
    println!("cargo::rerun-if-changed={}", source.display());
    println!("cargo::rerun-if-changed=build.rs");
    let mut all = String::new();
    for module in MODULES {
        writeln!(all, "pub mod {module} {{\n{}}}", text(&source, module)).unwrap();
    }
    let output = PathBuf::from(env::var("OUT_DIR").unwrap()).join("function.rs");
    fs::write(output, all).unwrap();
}

/// The text of a module, its submodules inside.
fn text(source: &Path, module: &str) -> String {
    let file = source.join(format!("{module}.rs"));
    let text = fs::read_to_string(&file).unwrap_or_else(|_| panic!("no {}", file.display()));
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let mut out = String::new();
    for line in controlled(module, code).lines() {
        let child = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';'));
        if let Some(child) = child {
            let text = self::text(source, &format!("{module}/{child}"));
            writeln!(out, "mod {child} {{\n{text}}}").unwrap();
        } else if !line.trim_start().starts_with("//") {
            writeln!(out, "{line}").unwrap();
        }
    }
    out
}

/// The text with the replaced primitives.
fn controlled(module: &str, code: &str) -> String {
    for (text, _, required_in) in REPLACED {
        assert!(module != required_in || code.contains(text), "no `{text}` in {module}");
    }
    let own = code.replace("crate::", "crate::function::");
    let replace =
        |code: String, (text, replacement, _): &(&str, &str, _)| code.replace(text, replacement);
    let code = REPLACED.iter().fold(own, replace);
    let code_only = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    for line in code_only {
        let left = UNCONTROLLED.iter().find(|text| line.contains(*text));
        assert!(left.is_none(), "{module}: no scheduler controls `{}`", line.trim());
    }
    code
}
