//! `glovebox notebook result`: what the cells of a run displayed, for those who may read its log.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use glovebox_contract::media::MediaType;
use glovebox_room::Display;
use serde_json::json;

use super::output::Opened;
use crate::arguments::OutputOf;
use crate::context::Context;
use crate::terminal::{self, print_json};

/// Stands before what a guest wrote for a browser: nothing in the file may run or load anything.
const NO_SCRIPTS: &str = "<!doctype html>\n<meta charset=\"utf-8\">\n\
    <meta http-equiv=\"Content-Security-Policy\" \
    content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n";

pub(crate) fn run(context: &Context, of: &OutputOf, directory: Option<&Path>) -> Result<()> {
    let Opened { room, party, run } = Opened::new(context, of, |_| true)?;
    let displays = room.run_text(&run, &party.alias)?.displays;
    let files = match directory {
        Some(directory) => write_all(directory, &displays)?,
        None => Vec::new(),
    };
    if context.json() {
        let displays: Vec<_> = displays.iter().map(as_json).collect();
        return print_json(&json!({ "run": run, "displays": displays, "files": files }));
    }
    if displays.is_empty() {
        println!("run {run} displayed nothing");
    }
    match directory {
        Some(_) => files.iter().for_each(|file| println!("{}", file.display())),
        None => displays.iter().enumerate().for_each(|(number, display)| show(number, display)),
    }
    Ok(())
}

fn show(number: usize, Display { media_type, data }: &Display) {
    println!("[{}] {media_type}, {}", number + 1, terminal::bytes(data.len() as u64));
    match media_type.text(data) {
        // Markup reads badly here; `-o` writes it to a file that a browser shows.
        Some(text) if !matches!(media_type, MediaType::Html | MediaType::Svg) => {
            println!("{}", terminal::plain_lines(text));
        }
        _ => println!("(`--output DIRECTORY` writes it to a file)"),
    }
}

fn as_json(Display { media_type, data }: &Display) -> serde_json::Value {
    match media_type.text(data) {
        Some(text) => json!({ "media_type": media_type, "text": text }),
        None => json!({ "media_type": media_type, "base64": BASE64_STANDARD.encode(data) }),
    }
}

/// Writes each display to a numbered file in `directory`.
fn write_all(directory: &Path, displays: &[Display]) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let mut files = Vec::new();
    for (number, display) in displays.iter().enumerate() {
        let (ending, content) = as_file(display);
        let file = directory.join(format!("{:03}.{ending}", number + 1));
        std::fs::write(&file, content)
            .with_context(|| format!("cannot write {}", file.display()))?;
        files.push(file);
    }
    Ok(files)
}

/// The ending and the content of a display's file.
fn as_file(Display { media_type, data }: &Display) -> (&'static str, Vec<u8>) {
    let page = |body: &[u8]| [NO_SCRIPTS.as_bytes(), body].concat();
    match media_type {
        MediaType::Plain => ("txt", data.clone()),
        MediaType::Html => ("html", page(data)),
        MediaType::Markdown => ("md", data.clone()),
        MediaType::Csv => ("csv", data.clone()),
        MediaType::Json => ("json", data.clone()),
        MediaType::Png => ("png", data.clone()),
        // A browser runs the scripts of an SVG file, but not those of an image in a page.
        MediaType::Svg => {
            let data = BASE64_STANDARD.encode(data);
            let image = format!("<img src=\"data:image/svg+xml;base64,{data}\">");
            ("svg.html", page(image.as_bytes()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_markup_run_nothing() {
        let check = |media_type, data: &str, ending: &str, content: &str| {
            let (found, bytes) = as_file(&Display { media_type, data: data.into() });
            let text = String::from_utf8(bytes).unwrap();
            assert_eq!((found, text.as_str()), (ending, content));
        };
        check(MediaType::Plain, "<script>", "txt", "<script>");
        check(MediaType::Html, "<b>", "html", &format!("{NO_SCRIPTS}<b>"));
        let image = format!("{NO_SCRIPTS}<img src=\"data:image/svg+xml;base64,PHN2Zz4=\">");
        check(MediaType::Svg, "<svg>", "svg.html", &image);
    }
}
