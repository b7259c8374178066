//! jqlite: JQL over HTTP from one SQLite file, with API keys and a usage log.
//!
//! The modules stand in reading order; each imports only from those above it. All but [`stages`] are private:
//! this is a library only so that more than the command can be built from it, and it promises nothing to other crates.

mod clock;
mod trial;

mod lock;

mod crew;
mod handoff;
mod json;
mod random;

mod access;
mod error;

mod budget;
mod network;

mod config;
mod value;

mod intent;
mod transform;

mod cli;

mod function;
mod lookup;
mod model;
mod sql;

mod cursor;

mod store;

mod auth;
mod log;

mod call;
mod request;

mod plan;

mod compile;

mod apply;

mod run;

mod shape;

mod envelope;

mod about;
mod admin;
mod cache;
mod idempotency;
mod rate;
mod usage;

mod metrics;
mod openapi;

mod audit;
mod road;
mod transfer;
mod writer;

mod fixture;
mod handle;
mod http;
mod import;

mod server;

mod terminal;

mod commands;

#[doc(hidden)]
pub mod stages;

#[cfg(test)]
mod manual;

use auth::text::{holds_key, without_secrets};
use clap::Parser;
use std::process::ExitCode;

/// musl's own allocator has one lock for all threads: with 64 clients nested lists took twenty times the processor.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs the command that this process was called with, and says on standard error why it failed, if it did.
pub fn run() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        // It repeats what was typed, and standard error is often kept.
        Err(error) if holds_key(&error.to_string()) => {
            eprint!("{}", without_secrets(&error.to_string()));
            return ExitCode::from(2);
        }
        Err(error) => error.exit(),
    };
    outlive_limits();
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            log::message(log::Level::Error, format_args!("jqlite: {why}"));
            ExitCode::FAILURE
        }
    }
}

/// A file that may not grow any further (`ulimit -f`) is told by a signal that ends the process, unless somebody takes it: then
/// the write fails, as it does where a disk is full.
fn outlive_limits() {
    #[cfg(unix)]
    {
        use std::sync::{Arc, atomic::AtomicBool};
        let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::<AtomicBool>::default());
    }
}
