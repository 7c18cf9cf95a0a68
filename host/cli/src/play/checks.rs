//! What a story checked, and whether it held.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::context::Context;
use crate::terminal::{self, plain, print_json};

/// The checks of a story so far.
#[derive(Debug, Default)]
pub(crate) struct Checks(Vec<Check>);

#[derive(Debug)]
struct Check {
    what: String,
    /// What was found instead, when it does not hold.
    differs: Option<String>,
}

impl Checks {
    pub(crate) fn holds(&mut self, what: String) {
        self.0.push(Check { what, differs: None });
    }

    pub(crate) fn differs(&mut self, what: String, found: String) {
        eprintln!("differs: {}", plain(&found));
        self.0.push(Check { what, differs: Some(found) });
    }

    /// Prints all checks and says whether all hold.
    pub(crate) fn report(&self, context: &Context, title: &str, took: Duration) -> Result<bool> {
        let differ = self.0.iter().filter(|check| check.differs.is_some()).count();
        if context.json() {
            let checks =
                self.0.iter().map(|check| json!({ "check": check.what, "differs": check.differs }));
            print_json(
                &json!({ "story": title, "checks": checks.collect::<Vec<_>>(), "holds": differ == 0 }),
            )?;
            return Ok(differ == 0);
        }
        let rows = self.0.iter().map(|check| {
            let verdict = if check.differs.is_none() { "holds" } else { "DIFFERS" };
            [check.what.clone(), verdict.to_owned()]
        });
        println!("\n{}", terminal::table(&["check", ""], &[], rows));
        for check in &self.0 {
            if let Some(found) = &check.differs {
                println!("{}: {}", plain(&check.what), plain(found));
            }
        }
        let seconds = took.as_secs_f64();
        if differ == 0 {
            println!("\n{title}: the story holds, played in {seconds:.1} s");
        } else {
            println!(
                "\n{title}: the story does not hold, {differ} of {} checks differ",
                self.0.len()
            );
        }
        Ok(differ == 0)
    }
}
