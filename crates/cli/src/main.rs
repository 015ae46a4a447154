//! `creel`: the command line, and `creel up`, which links the programs together.
//!
//! Commands live in `commands/`, one file each; what they print goes through `out/`; everything that
//! runs as a service lives in `up/`. Data goes to standard output, the rest to standard error. Exit
//! status: 0 done, 1 failed, 2 wrong use.

#![forbid(unsafe_code)]

mod args;
mod commands;
mod context;
mod failure;
mod out;
mod settings;
mod up;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = args::Args::parse();
    failure::exit_code(commands::run(args))
}
