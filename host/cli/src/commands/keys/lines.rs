//! One value a line in, one key a line out; an empty line for a value that makes none.

use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use indicatif::ProgressBar;

use super::Destination;
use super::hasher::Hasher;
use crate::arguments::HashKeys;

pub(super) fn hash(command: &HashKeys, hasher: &mut Hasher, bar: &ProgressBar) -> Result<()> {
    let mut from: Box<dyn BufRead> = if command.input == Path::new("-") {
        Box::new(BufReader::new(std::io::stdin()))
    } else {
        let file = File::open(&command.input)
            .with_context(|| format!("cannot read {}", command.input.display()))?;
        Box::new(BufReader::new(file))
    };
    let destination = Destination::new(command.output.as_deref())?;
    let mut to = destination.writer()?;
    let mut line = String::new();
    let mut count = 0_u64;
    while from.read_line(&mut line).with_context(|| format!("line {} is not UTF-8", count + 1))? > 0
    {
        writeln!(to, "{}", hasher.hash(Some(&line)).unwrap_or_default())?;
        line.clear();
        count += 1;
        if count.is_multiple_of(10_000) {
            bar.set_message(format!("{count} lines"));
        }
    }
    to.flush()?;
    drop(to);
    hasher.check()?;
    destination.finish()
}
