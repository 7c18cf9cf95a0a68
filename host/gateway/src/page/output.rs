//! One output: its first rows, and its file.

use std::io::Seek as _;
use std::sync::Arc;

use glovebox_contract::name::{Identifier, RunId};
use glovebox_contract::receipt::OutputFile;
use tempfile::NamedTempFile;

use super::TablePreview;
use super::html::Markup;
use super::visit::{Answer, Page, Visit};
use super::words;
use crate::access::Action;
use crate::app::{App, Entered};
use crate::error::Failure;

/// Rows that are shown.
const ROWS: usize = 100;
/// Longest file that is looked into here.
const MAX_PREVIEW_BYTES: u64 = 64 << 20;
/// Longest value that is shown.
const MAX_VALUE: usize = 200;

/// Shows its first rows.
pub(super) fn show(app: &Arc<App>, visit: &Visit) -> Result<Answer, Failure> {
    let entered = app.enter(&visit.call, Action::ReadOutput)?;
    let (run, name, file) = wanted(app, visit, &entered)?;
    let mut body = Markup::new();
    body.raw("<nav>").link(format_args!("/rooms/{}", entered.id), &entered.name).raw(" / ");
    body.link(format_args!("/rooms/{}/runs/{run}", entered.id), "run").raw("</nav><h1>");
    body.text(&name).raw("</h1><p class=\"hint\">").text(file.rows).raw(" rows, ");
    body.text(words::size(file.bytes)).raw(", ").digest(file.digest.blake3).raw(" · ");
    let parquet = format!("/rooms/{}/runs/{run}/outputs/{name}/parquet", entered.id);
    body.link(parquet, "Parquet").raw("</p>");
    match app.preview {
        Some(_) if file.bytes > MAX_PREVIEW_BYTES => {
            body.raw("<p>It is too large to look at here.</p>");
        }
        Some(read) => {
            let kept = fetch(app, &entered, &run, &name)?;
            match read(kept.path(), ROWS) {
                Ok(preview) => table(&mut body, &preview),
                // What the reader says may hold values, and this visitor may read them all.
                Err(why) => {
                    body.raw("<p class=\"problem\">").text(why).raw("</p>");
                }
            }
        }
        None => {
            body.raw("<p>This gateway cannot look into files.</p>");
        }
    }
    Ok(Answer::Page(Page::new(name.as_str(), body)))
}

/// Its Parquet file.
pub(super) fn download(app: &Arc<App>, visit: &Visit) -> Result<Answer, Failure> {
    let entered = app.enter(&visit.call, Action::ReadOutput)?;
    let (run, name, file) = wanted(app, visit, &entered)?;
    let mut content = fetch(app, &entered, &run, &name)?.into_file();
    content.rewind().map_err(Failure::internal)?;
    Ok(Answer::Parquet { content, bytes: file.bytes, name: format!("{name}.parquet") })
}

/// The output that the path names, if the party may read it. What it may not read is not there.
fn wanted(
    app: &App,
    visit: &Visit,
    entered: &Entered,
) -> Result<(RunId, Identifier, OutputFile), Failure> {
    let (run, name): (RunId, Identifier) = (visit.call.name("run")?, visit.call.name("output")?);
    let room = entered.fresh()?;
    let state = room.state();
    let missing = || Failure::missing("there is no such output that this party may read");
    let receipt =
        state.may_read_output(&run, &app.me(state)?, room.now()).map_err(|_| missing())?;
    let file = receipt.outputs().and_then(|outputs| outputs.get(&name)).ok_or_else(missing)?;
    Ok((run, name, *file))
}

/// Fetches it; the party signs that it reads it.
fn fetch(
    app: &App,
    entered: &Entered,
    run: &RunId,
    output: &Identifier,
) -> Result<NamedTempFile, Failure> {
    // A room of its own: a large output takes a while, and others go on meanwhile.
    let mut room = app.host.open(&entered.id)?;
    let mut file = NamedTempFile::new_in(&app.state).map_err(Failure::internal)?;
    room.read_output_with(run, output, &mut file)?;
    tracing::info!(
        room = %entered.id, principal = %entered.principal.name(), %run, %output, "read an output"
    );
    Ok(file)
}

fn table(body: &mut Markup, preview: &TablePreview) {
    body.raw("<div class=\"wide\"><table><thead><tr>");
    for column in &preview.columns {
        body.raw(if column.numeric { "<th class=\"number\"" } else { "<th" });
        body.attribute("title", &column.kind).raw(">").text(&column.name);
    }
    body.raw("</tr></thead><tbody>");
    for row in &preview.rows {
        body.raw("<tr>");
        for (at, value) in row.iter().enumerate() {
            let numeric = preview.columns.get(at).is_some_and(|column| column.numeric);
            body.raw(if numeric { "<td class=\"number\">" } else { "<td>" });
            match value {
                Some(value) => cell(body, value),
                None => {
                    body.raw("<span class=\"none\">none</span>");
                }
            }
        }
        body.raw("</tr>");
    }
    body.raw("</tbody></table></div>");
    let shown = u64::try_from(preview.rows.len()).unwrap_or(u64::MAX);
    if preview.total_rows > shown {
        body.raw("<p class=\"hint\">and ").text(preview.total_rows.saturating_sub(shown));
        body.raw(" more rows in the file</p>");
    }
}

fn cell(body: &mut Markup, value: &str) {
    let cut = value.floor_char_boundary(MAX_VALUE.min(value.len()));
    body.text(value.get(..cut).unwrap_or_default());
    if cut < value.len() {
        body.raw("…");
    }
}

#[cfg(test)]
mod tests {
    use super::super::PreviewColumn;
    use super::*;

    #[test]
    fn rows_are_text() {
        let column =
            |name: &str, numeric| PreviewColumn { name: name.into(), kind: "utf8".into(), numeric };
        let preview = TablePreview {
            columns: vec![column("<b>", false), column("n", true)],
            rows: vec![
                vec![Some("<img src=x>".into()), None],
                vec![Some("é".repeat(300)), Some("7".into())],
            ],
            total_rows: 9,
        };
        let mut body = Markup::new();
        table(&mut body, &preview);
        let html = body.into_string();
        for part in [
            "<th title=\"utf8\">&lt;b&gt;",
            "<td>&lt;img src=x&gt;<td class=\"number\"><span class=\"none\">none</span></tr>",
            "é…<td class=\"number\">7</tr>",
            "and 7 more rows",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
    }
}
