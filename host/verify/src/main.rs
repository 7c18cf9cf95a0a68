//! `glovebox-verify`: verifies a room's bundle offline.
//!
//! Exit status: 0 verified, 1 not verified, 2 the question could not be asked (wrong usage, a file
//! that cannot be read).

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use glovebox_verify::{Arguments, Verdict, execute};

/// Verify a Glovebox room offline, from its bundle alone.
///
/// Checks every signature, replays every rule, compares the log with the host's signed checkpoint.
/// Without --room, --host-key and --party the bundle's own word is taken for who is who, and the
/// report says so.
#[derive(Parser)]
#[command(name = "glovebox-verify", version)]
struct CommandLine {
    #[command(flatten)]
    arguments: Arguments,
}

fn main() -> ExitCode {
    let CommandLine { arguments } = CommandLine::parse();
    let mut out = std::io::stdout().lock();
    let verdict = execute(&arguments, &mut out).and_then(|verdict| {
        out.flush()?;
        Ok(verdict)
    });
    match verdict {
        Ok(Verdict::Verified) => ExitCode::SUCCESS,
        Ok(Verdict::NotVerified) => ExitCode::from(1),
        Err(error) => {
            eprintln!("glovebox-verify: {error:#}");
            ExitCode::from(2)
        }
    }
}
