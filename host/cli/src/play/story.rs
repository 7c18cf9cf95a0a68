//! The format of `story.toml`: what a story says, does and expects. `examples/README.md` explains it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context as _, Result, bail};
use glovebox_contract::name::{Alias, AssetName, Identifier};
use glovebox_contract::reason::ReasonCode;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Numbers agree when they differ by no more than this share, unless the story says otherwise.
const TOLERANCE: f64 = 1e-9;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Story {
    pub(crate) title: String,
    /// Who wants what; said first.
    pub(crate) about: String,
    /// Name of the room.
    pub(crate) room: AssetName,
    /// The first creates the room, the others accept it.
    pub(crate) parties: Vec<Party>,
    /// Text of the room file after the collaborators: `[outputs]`, `[logs]`, `[limits]`.
    #[serde(default)]
    pub(crate) settings: String,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Party {
    pub(crate) alias: Alias,
    pub(crate) organisation: String,
}

/// What happens next. Its parts happen in the order in which they stand here.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Step {
    pub(crate) chapter: Option<String>,
    pub(crate) say: Option<String>,
    pub(crate) edit: Option<Edit>,
    /// Notebooks whose newest revision is approved by everyone but its author, or by those in `by`.
    pub(crate) approve: OneOrMore<AssetName>,
    pub(crate) by: Vec<Alias>,
    /// Commands, without the word `glovebox`.
    pub(crate) run: OneOrMore<String>,
    /// The reason code with which the last command must be refused, or its run must fail.
    pub(crate) refused: Option<ReasonCode>,
    /// Words that the error of the last command must contain, where it has no reason code.
    pub(crate) fails: Option<String>,
    /// What the run of the last command must put out, by output table.
    pub(crate) outputs: BTreeMap<Identifier, Expected>,
    /// Parties that must not be able to read what the run put out.
    pub(crate) unreadable_by: Vec<Alias>,
}

/// A change to a file of the story, in the working directory only.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Edit {
    pub(crate) file: String,
    /// Pairs of a text that must be there and the text in its place.
    pub(crate) replace: Vec<(String, String)>,
}

/// A table that was computed apart, and how close an output must come to it.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) file: String,
    /// Columns by which rows are matched; without, rows must come in the file's order.
    pub(crate) key: Vec<String>,
    pub(crate) tolerance: f64,
}

/// A list; a list of one may be written without brackets.
#[derive(Debug)]
pub(crate) struct OneOrMore<T>(pub(crate) Vec<T>);

impl<T> Default for OneOrMore<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl Story {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let story: Self = toml::from_str(text)?;
        story.validate()?;
        Ok(story)
    }

    fn validate(&self) -> Result<()> {
        let mut aliases = BTreeSet::new();
        for party in &self.parties {
            if !aliases.insert(&party.alias) {
                bail!("the party {} stands in it twice", party.alias);
            }
        }
        if self.parties.is_empty() {
            bail!("it has no party");
        }
        for (index, step) in self.steps.iter().enumerate() {
            step.validate(&aliases).with_context(|| format!("step {}", index + 1))?;
        }
        if self.steps.iter().all(|step| step.outputs.is_empty()) {
            bail!("it expects no output; give a step that runs a notebook `outputs`");
        }
        Ok(())
    }
}

impl Step {
    fn validate(&self, aliases: &BTreeSet<&Alias>) -> Result<()> {
        if let Some(stranger) =
            self.by.iter().chain(&self.unreadable_by).find(|alias| !aliases.contains(alias))
        {
            bail!("{stranger} is no party of the story");
        }
        if !self.by.is_empty() && self.approve.0.is_empty() {
            bail!("`by` says who approves; it needs `approve`");
        }
        let refused = self.refused.is_some() || self.fails.is_some();
        let reads = !self.outputs.is_empty() || !self.unreadable_by.is_empty();
        match self.run.0.last() {
            None if refused || reads => {
                bail!(
                    "`refused`, `fails`, `outputs` and `unreadable_by` are about a command; it needs `run`"
                )
            }
            Some(_) if refused && reads => bail!("a refused command has no outputs"),
            Some(line) if reads && !line.starts_with("run ") => {
                bail!(
                    "`outputs` and `unreadable_by` are about a run; the last command is not `run …`"
                )
            }
            _ => {}
        }
        if self.refused.is_some() && self.fails.is_some() {
            bail!("`refused` is for errors with a reason code, `fails` for others; give one");
        }
        Ok(())
    }
}

impl<'de, T: Deserialize<'de> + std::str::FromStr<Err: fmt::Display>> Deserialize<'de>
    for OneOrMore<T>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de> + std::str::FromStr<Err: fmt::Display>> Visitor<'de>
            for ListVisitor<T>
        {
            type Value = OneOrMore<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                text.parse().map(|one| OneOrMore(vec![one])).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(OneOrMore)
            }
        }

        deserializer.deserialize_any(ListVisitor(std::marker::PhantomData))
    }
}

/// `"file"`, or `{ file = "…", key = ["…"], tolerance = … }`.
impl<'de> Deserialize<'de> for Expected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Whole {
            file: String,
            #[serde(default)]
            key: Vec<String>,
            tolerance: Option<f64>,
        }

        struct ExpectedVisitor;

        impl<'de> Visitor<'de> for ExpectedVisitor {
            type Value = Expected;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a file's name or `{ file = …, key = […], tolerance = … }`")
            }

            fn visit_str<E: serde::de::Error>(self, file: &str) -> Result<Self::Value, E> {
                Ok(Expected { file: file.into(), key: Vec::new(), tolerance: TOLERANCE })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let whole = Whole::deserialize(MapAccessDeserializer::new(map))?;
                let tolerance = whole.tolerance.unwrap_or(TOLERANCE);
                Ok(Expected { file: whole.file, key: whole.key, tolerance })
            }
        }

        deserializer.deserialize_any(ExpectedVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = "title = 't'\nabout = 'a'\nroom = 'r'\n\
        parties = [{ alias = 'a', organisation = 'A' }, { alias = 'b', organisation = 'B' }]\n";
    const CHECKED: &str = "[[steps]]\nrun = 'run r n --as a.key'\noutputs.t = 'expected/t.csv'\n";

    #[test]
    fn what_is_not_a_story_is_refused_with_the_reason() {
        let check = |steps: &str, expect: &str| {
            let error = Story::parse(&format!("{START}{steps}")).expect_err(steps);
            let text = format!("{error:#}");
            assert!(text.contains(expect), "{steps}: {text}");
        };
        check("", "missing field `steps`");
        check("[[steps]]\nrun = 'room list'\n", "expects no output");
        check(&format!("{CHECKED}sya = 'x'\n"), "unknown field `sya`");
        check(&format!("{CHECKED}refused = 'nonsense'\n"), "nonsense");
        check(&format!("{CHECKED}refused = 'not-approved'\n"), "step 1: a refused command");
        check(&format!("{CHECKED}unreadable_by = ['c']\n"), "c is no party");
        check(&format!("{CHECKED}[[steps]]\nby = ['a']\n"), "step 2: `by` says who approves");
        check(&format!("{CHECKED}[[steps]]\nfails = 'x'\n"), "it needs `run`");
        check("[[steps]]\nrun = 'room list'\noutputs.t = 'x.csv'\n", "not `run …`");
        check("[[steps]]\nrun = 'run r n'\noutputs.t = { file = 'x', order = 1 }\n", "`order`");
        check("[[steps]]\nrun = 7\n", "a text or a list of texts");
    }

    #[test]
    fn one_text_is_a_list_of_one() {
        let story = Story::parse(&format!("{START}{CHECKED}")).expect("a story");
        assert_eq!(story.steps[0].run.0, ["run r n --as a.key"]);
        let expected = story.steps[0].outputs.values().next().expect("an expected table");
        assert_eq!((expected.file.as_str(), expected.tolerance), ("expected/t.csv", TOLERANCE));
    }
}
