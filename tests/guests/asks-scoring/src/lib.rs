//! Passes batches to the library `scoring`, which its party hides.

use glovebox_guest::{Result, Room, bail, import, notebook};

import!("acme:scoring/score@1.0.0");

#[notebook]
fn run(room: &Room) -> Result<()> {
    // Its functions are there in queries, too.
    for batch in room.query("SELECT scoring.score(30, 16.0) AS score", &[])? {
        if batch?.column("score")?.float64()?.values() != [2.0] {
            bail!("the library scores otherwise in SQL");
        }
    }
    let calls: i64 = room.parameter("calls")?;
    let mut output = room.output("scores")?;
    for batch in room.table("nike.customers")?.scan().batches()? {
        let batch = score::pass(batch?);
        for _ in 0..calls {
            score::count(&batch);
        }
        if score::count(&batch) != batch.num_rows() as u64 {
            bail!("the library counts otherwise");
        }
        output.write_batch(&score::score(&batch)?)?;
    }
    output.finish()?;
    Ok(())
}
