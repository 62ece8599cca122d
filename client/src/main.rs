//! `sentinel`: what callers of sentinel-tvm run.
//!
//! A request's way, from the command line to the output:
//!
//! | module | does |
//! |---|---|
//! | [`cli`], [`settings`], [`environment`] | which end point, which profile, who signs |
//! | [`wanted`], [`vend`], [`cache`] | what is asked for; cached credentials, or one request for all processes |
//! | [`aws_credentials`], [`aws_files`], [`client_token`], [`device`], [`proof`] | what a request carries |
//! | [`endpoint`], [`sign`], [`http`], [`memo`] | the request, its retries and its refusals |
//! | [`commands`], [`server`] | the commands; the loopback end point of `exec` and `serve` |
//! | [`identity`], [`edited_file`] | who signs; a file of the user that is changed |
//! | [`credentials`], [`failure`], [`terminal`] | what is printed |
//!
//! Invariants: standard output holds the result and nothing else; standard error holds no secret; a cached answer needs no
//! runtime, no TLS and no AWS configuration.

mod aws_credentials;
mod aws_files;
mod cache;
mod cli;
mod client_token;
mod clock;
mod commands;
mod credentials;
mod device;
mod edited_file;
mod endpoint;
mod environment;
mod failure;
mod hex;
mod http;
mod identity;
mod memo;
mod proof;
mod server;
mod settings;
mod sign;
mod terminal;
mod vend;
mod wanted;

use clap::Parser as _;
use std::process::ExitCode;

use cli::{Arguments, Command};
use commands::Context;
use environment::Environment;
use failure::Failure;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        // The place only: a panic's message can hold data.
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        terminal::note(&format!("a defect of this program at {place}; next: report it"));
    }));
    let arguments = Arguments::parse();
    let outcome = std::panic::catch_unwind(|| run(arguments));
    match outcome {
        Ok(Ok(code)) => code,
        Ok(Err(failure)) => {
            terminal::report(&failure);
            ExitCode::from(failure.exit as u8)
        }
        Err(_) => ExitCode::from(failure::Exit::Defect as u8),
    }
}

fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let environment = Environment::of_this_process();
    let context = Context { shared: arguments.shared, environment };
    match arguments.command {
        Command::Credentials(arguments) => commands::credentials::run(&context, &arguments),
        Command::Exec(arguments) => commands::exec::run(context, &arguments),
        Command::Serve(arguments) => commands::serve::run(context, &arguments),
        Command::Configure(arguments) => commands::configure::run(&context, &arguments),
        Command::Profiles(output) => commands::profiles::run(&context, output),
        Command::Explain(arguments) => commands::explain::run(&context, &arguments),
        Command::Request(arguments) => commands::access::request(&context, &arguments),
        Command::Requests(output) => commands::access::list(&context, output),
        Command::Approve(arguments) => commands::access::decide(&context, &arguments, "approve"),
        Command::Deny(arguments) => commands::access::decide(&context, &arguments, "deny"),
        Command::Withdraw(arguments) => commands::access::decide(&context, &arguments, "withdraw"),
        Command::BreakGlass(arguments) => commands::access::break_glass(&context, &arguments),
        Command::Whoami(output) => commands::whoami::run(&context, output),
        Command::Doctor(output) => commands::doctor::run(&context, output),
        Command::Console(arguments) => commands::console::run(&context, &arguments),
        Command::Token { action } => commands::token::run(&context, action),
        Command::Forget => commands::forget::run(&context),
        Command::Completion { shell } => commands::completion::run(shell),
    }
}
