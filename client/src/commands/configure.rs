//! `sentinel configure`: the end point in the settings, and AWS profiles that get their credentials from here.
//!
//! Shows the change, asks, keeps a copy of what was there. A profile that somebody else wrote is left alone.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{Context, profiles};
use crate::aws_files::{AwsConfig, Written};
use crate::cli::Configure;
use crate::edited_file::{EditedFile, append};
use crate::failure::{Exit, Failure, quoted};
use crate::settings::{ClientTokenSource, Endpoint, SettingsFile, checked_region};
use crate::terminal;
use crate::wanted::{check_profile, check_scope};

pub(crate) fn run(context: &Context, arguments: &Configure) -> Result<ExitCode, Failure> {
    if let Some(scope) = &arguments.scope {
        check_scope(scope)?;
    }
    let endpoint = context.endpoint()?;
    let settings = settings(context, arguments, &endpoint)?;
    let name = endpoint.name.clone().unwrap_or_else(|| arguments.name.clone());
    let names = match &arguments.profiles[..] {
        [] => available(context, arguments, &endpoint)?,
        named => named.to_vec(),
    };
    let aws = aws_config(context, arguments, &endpoint, &name, &names)?;
    let changed: Vec<_> = [settings, aws].into_iter().filter(EditedFile::is_changed).collect();
    if changed.is_empty() {
        terminal::print_line("Nothing is left to change.")?;
        return Ok(ExitCode::SUCCESS);
    }
    for file in &changed {
        terminal::show(&file.change());
    }
    if !arguments.yes && !terminal::confirm("Write this?") {
        return Err(Failure::new(Exit::Local, "nothing was changed", "answer y, or use --yes"));
    }
    for file in &changed {
        if let Some(copy) = file.save()? {
            terminal::print_line(&format!("A copy of what was there is in {}", copy.display()))?;
        }
    }
    if let Some(first) = names.first() {
        let profile = arguments.aws_profile(first);
        terminal::print_line(&format!("Try it: aws sts get-caller-identity --profile {profile}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The profiles that this caller could get now: with `--scope`, only those that have it.
fn available(
    context: &Context,
    arguments: &Configure,
    endpoint: &Endpoint,
) -> Result<Vec<String>, Failure> {
    let all = profiles::fetch(endpoint, &context.environment)?.profiles;
    let wanted = |profile: &profiles::Profile| {
        let has = |scope: &String| profile.scopes.iter().any(|it| it.name == *scope);
        arguments.scope.as_ref().is_none_or(has)
    };
    let names: Vec<_> = all.into_iter().filter(wanted).map(|profile| profile.name).collect();
    match &arguments.scope {
        Some(scope) if names.is_empty() => Err(Failure::new(
            Exit::Usage,
            format!("no profile that you could get now has the scope `{scope}`"),
            "run `sentinel profiles`: it lists the scopes; or name the profile, too",
        )),
        _ => Ok(names),
    }
}

impl Configure {
    /// The name of the AWS profile for a profile. No name of a profile has a colon: one with a scope is never another one.
    fn aws_profile(&self, profile: &str) -> String {
        let scope = self.scope.as_ref().map(|scope| format!(":{scope}")).unwrap_or_default();
        format!("{}{profile}{scope}", self.prefix)
    }
}

/// The settings file, with the end point of `--url` in it.
fn settings(
    context: &Context,
    arguments: &Configure,
    endpoint: &Endpoint,
) -> Result<EditedFile, Failure> {
    let path = context.environment.settings_file().ok_or_else(|| no_home("the settings"))?;
    let mut file = EditedFile::open(&path)?;
    if endpoint.name.is_some() {
        return Ok(file);
    }
    check_name(&arguments.name)?;
    let known = SettingsFile::parse(&file.after, &path.display().to_string())?;
    match known.endpoints.get(&arguments.name) {
        Some(table) if table.url == endpoint.url.at("") => {}
        Some(_) => {
            return Err(Failure::settings(
                format!("the settings have an end point `{}` with another URL", arguments.name),
                format!("edit {}, or choose another name with --as", path.display()),
            ));
        }
        None => append(&mut file.after, &table(&arguments.name, endpoint)),
    }
    Ok(file)
}

/// The table of a new end point.
fn table(name: &str, endpoint: &Endpoint) -> String {
    // A JSON string is a TOML basic string, too.
    let text = |value: &str| serde_json::Value::from(value).to_string();
    // A bare key has no dot.
    let key = if name.contains('.') { text(name) } else { name.to_owned() };
    let mut table = format!("[endpoints.{key}]\nurl = {}\n", text(&endpoint.url.at("")));
    if endpoint.url.region() != Some(&endpoint.region) {
        let _ = writeln!(table, "region = {}", text(&endpoint.region));
    }
    if let Some(profile) = &endpoint.aws_profile {
        let _ = writeln!(table, "aws_profile = {}", text(profile));
    }
    if let ClientTokenSource::File(path) = &endpoint.client_token {
        // Whoever uses the settings later may be in another directory.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let _ = writeln!(table, "client_token_file = {}", text(&path.to_string_lossy()));
    }
    table
}

/// The AWS configuration file, with a profile for each of `names`.
fn aws_config(
    context: &Context,
    arguments: &Configure,
    endpoint: &Endpoint,
    endpoint_name: &str,
    names: &[String],
) -> Result<EditedFile, Failure> {
    let path =
        context.environment.aws_config_file().ok_or_else(|| no_home("the AWS configuration"))?;
    let mut file = EditedFile::open(&path)?;
    let program = quoted_program(&program(context))?;
    let region = checked_region(arguments.profile_region.as_deref().unwrap_or(&endpoint.region))?;
    check_name(endpoint_name)?;
    let scope = arguments.scope.as_ref().map(|scope| format!(" --scope {scope}"));
    let scope = scope.unwrap_or_default();
    for name in names {
        check_profile(name)?;
        check_name(&format!("{}{name}", arguments.prefix))?;
        let profile = arguments.aws_profile(name);
        let command = format!("{program} credentials {name}{scope} --endpoint {endpoint_name}");
        let mut config = AwsConfig::of_text(file.after);
        if config.write_profile(&profile, region, &command) == Written::NotOurs {
            terminal::note(&format!(
                "the AWS profile `{}` exists and is left alone; choose other names with --prefix",
                quoted(&profile)
            ));
        }
        file.after = config.into_text();
    }
    Ok(file)
}

/// This program, by the place in `PATH` that leads to it: package managers move what is behind a link.
fn program(context: &Context) -> PathBuf {
    let Ok(program) = std::env::current_exe() else { return PathBuf::from("sentinel") };
    let name = program.file_name().unwrap_or_default();
    let search = context.environment.path("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&search).map(|directory| directory.join(name));
    let leads_here = |place: &PathBuf| {
        place.is_absolute()
            && place.canonicalize().is_ok_and(|it| Some(it) == program.canonicalize().ok())
    };
    places.find(leads_here).unwrap_or(program)
}

/// The program as the first word of a command line, which the AWS CLI and SDKs split in different ways.
fn quoted_program(program: &Path) -> Result<String, Failure> {
    let text = program.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "/._-+@:~ ()".contains(c);
    if !text.chars().all(|c| plain(c) || (cfg!(windows) && c == '\\')) {
        return Err(Failure::local(
            format!(
                "the path of this program, {}, has characters that AWS tools read in different ways",
                quoted(&text)
            ),
            "move the program to another directory, such as ~/.local/bin",
        ));
    }
    Ok(if text.contains([' ', '(', ')']) { format!("\"{text}\"") } else { text.into_owned() })
}

/// Names go into files and command lines, so they are plain.
fn check_name(name: &str) -> Result<(), Failure> {
    let valid = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !name.is_empty() && name.len() <= 128 && !name.starts_with('-') && name.chars().all(valid) {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Usage,
        format!("`{}` cannot be a name", quoted(name)),
        "use letters, digits, `.`, `_` and `-` in the names of end points, --as and --prefix",
    ))
}

fn no_home(what: &str) -> Failure {
    Failure::local(
        format!("there is no home directory for {what}"),
        "set HOME (on Windows, USERPROFILE)",
    )
}
