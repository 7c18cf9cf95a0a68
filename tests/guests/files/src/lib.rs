//! Reads a volume in every way there is.

use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};

use glovebox_guest::{Result, Room, Volume, bail, columns, notebook};

#[notebook]
pub fn run(room: &Room) -> Result<()> {
    let ask: String = room.parameter("ask")?;
    if !ask.is_empty() {
        return ask_for(room, &ask);
    }
    if room.volume_names() != ["acme.model"] {
        bail!("volumes are {:?}", room.volume_names());
    }
    let volume = room.volume("acme.model")?;
    let (mut paths, mut bytes, mut digests, mut last) = (vec![], vec![], vec![], vec![]);
    for info in volume.files() {
        let content = volume.read(&info.path)?;
        last.push(last_character(&volume, &info.path, &content)?);
        bytes.push(i64::try_from(content.len())?);
        paths.push(info.path.clone());
        digests.push(info.digest.clone());
    }
    let mut files = room.output("files")?;
    files.write(columns! {
        "path" => paths, "bytes" => bytes, "digest" => digests, "last" => last,
    })?;
    files.finish()?;
    score(room, &volume)
}

/// The last character, found by seeking from the end; what is read in pieces is the same.
fn last_character(volume: &Volume, path: &str, content: &[u8]) -> Result<String> {
    let mut file = volume.open(path)?;
    let mut pieces = Vec::new();
    let mut piece = [0; 7];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            read => pieces.extend_from_slice(&piece[..read]),
        }
    }
    if pieces != content {
        bail!("{path}: pieces are not the whole");
    }
    if content.is_empty() {
        return Ok(String::new());
    }
    file.seek(SeekFrom::End(-1))?;
    let mut rest = String::new();
    file.read_to_string(&mut rest)?;
    // Behind the end there is nothing.
    file.seek(SeekFrom::Current(1 << 40))?;
    if file.read(&mut piece)? != 0 || file.seek(SeekFrom::Current(-(1 << 50))).is_ok() {
        bail!("{path}: there is something behind the end or before the beginning");
    }
    Ok(rest)
}

/// Each amount times the sum of the weights.
fn score(room: &Room, volume: &Volume) -> Result<()> {
    let mut weight = 0;
    for line in BufReader::new(volume.open("weights.txt")?).lines() {
        weight += line?.parse::<i64>()?;
    }
    let mut scores = room.output("scores")?;
    for batch in room.table("shop.sales")?.scan().batches()? {
        let amounts = batch?.column("amount")?;
        let scored: Vec<i64> = amounts.int64()?.iter().flatten().map(|n| n * weight).collect();
        scores.write(columns! { "score" => scored })?;
    }
    scores.finish()?;
    Ok(())
}

/// `VOLUME PATH`: asks for a file that it may not have.
fn ask_for(room: &Room, ask: &str) -> Result<()> {
    let (volume, path) = ask.split_once(':').unwrap_or((ask, ""));
    let content = room.volume(volume)?.read(path)?;
    bail!("it got {} bytes", content.len())
}

#[cfg(test)]
mod tests {
    use glovebox_guest::mock::MockRoom;

    use super::*;

    #[test]
    fn reads_a_mock_volume() {
        let run = MockRoom::new()
            .parameter("ask", "")
            .file("acme.model", "weights.txt", "2\n3\n")
            .file("acme.model", "docs/empty", "")
            .table("shop.sales", columns! { "amount" => vec![1_i64, 10] })
            .output(
                "files",
                &[("path", "utf8"), ("bytes", "int64"), ("digest", "utf8"), ("last", "utf8")],
            )
            .output("scores", &[("score", "int64")])
            .run(run)
            .unwrap();
        assert_eq!(run.output("scores").column("score").int64().unwrap().values(), [5, 50]);
        assert_eq!(run.output("files").column("bytes").int64().unwrap().values(), [0, 4]);
    }
}
