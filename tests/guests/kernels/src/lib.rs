//! The five kernels of the boundary benchmark as a notebook.

use glovebox_guest::{Result, Room, bail, columns, notebook};

mod kernels;

#[notebook]
fn run(room: &Room) -> Result<()> {
    let name: String = room.parameter("kernel")?;
    let Some(kernel) = kernels::ALL.iter().find(|(listed, _)| *listed == name) else {
        bail!("no kernel {name}");
    };
    let mut state = kernels::State::default();
    for batch in room.table("bench.t")?.scan().batches()? {
        let batch = batch?;
        let columns = batch.columns()?;
        kernel.1(&mut state, columns[0].int64()?.values(), columns[1].float64()?.values());
    }
    let mut output = room.output("result")?;
    output.write(columns! { "value" => vec![state.value()] })?;
    output.finish()?;
    Ok(())
}
