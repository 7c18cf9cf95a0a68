//! `glovebox serve` on a stage, for benches of the whole service.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use super::support::Stage;

/// A host that is killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
}

impl Server {
    /// Serves the home of the stage on a free port.
    pub(crate) fn start(stage: &Stage) -> Self {
        let mut child = stage
            .command(&["--json", "serve", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the glovebox binary");
        let mut line = String::new();
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
        lines.read_line(&mut line).expect("a line");
        let said: serde_json::Value = serde_json::from_str(&line).expect("where it listens");
        Self { child, url: said["listening"][0].as_str().expect("a URL").to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
