//! The code that a provider hides: what customers spend, by segment.

use std::collections::BTreeMap;

use glovebox_guest::{Column, Result, Room, notebook};

#[notebook]
fn run(room: &Room) -> Result<()> {
    let least: i64 = room.parameter("least")?;
    let mut segments = BTreeMap::<String, (i64, i64)>::new();
    for batch in room.table("retail.customers")?.scan().columns(["segment", "spend"]).batches()? {
        let batch = batch?;
        let (names, spend) = (batch.column("segment")?, batch.column("spend")?);
        for (name, spend) in names.utf8()?.iter().zip(spend.int64()?.iter()) {
            let (customers, total) = segments.entry(name.unwrap_or_default().to_owned()).or_default();
            *customers += 1;
            *total += spend.unwrap_or_default();
        }
    }
    segments.retain(|_, (customers, _)| *customers >= least);
    let mut output = room.output("scores")?;
    output.write([
        ("segment", segments.keys().map(String::as_str).collect::<Column>()),
        ("spend", segments.values().map(|(_, total)| *total).collect()),
    ])?;
    output.finish()?;
    Ok(())
}
