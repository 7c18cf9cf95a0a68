//! A line of a story as the words of a command.

use anyhow::{Result, bail};

/// Splits like a shell: at white space, except within single or double quotes.
pub(crate) fn split(line: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for character in line.chars() {
        match quote {
            Some(open) if character == open => quote = None,
            None if matches!(character, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            None if character.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    if quote.is_some() {
        bail!("`{line}` has a quote that does not end");
    }
    words.extend(word);
    Ok(words)
}

/// The words as a person would type them.
pub(crate) fn join(words: &[String]) -> String {
    let quoted = words.iter().map(|word| {
        if word.is_empty() || word.contains(|c: char| c.is_whitespace() || c == '"') {
            format!("'{word}'")
        } else {
            word.clone()
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// Puts values in the place of `{…}`; `value` knows what stands in the braces.
pub(crate) fn fill(line: &str, value: impl Fn(&str) -> Result<String>) -> Result<String> {
    let mut filled = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, behind)) = after.split_once('}') else {
            bail!("`{line}` has a brace that does not end");
        };
        filled += before;
        filled += &value(name)?;
        rest = behind;
    }
    Ok(filled + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_split_as_in_a_shell() {
        let check = |line: &str, expect: &[&str]| {
            assert_eq!(split(line).expect(line), expect, "{line}");
        };
        check("run  r n\t--as a.key", &["run", "r", "n", "--as", "a.key"]);
        check(
            "--comment 'two words' --param a=\"b c\"",
            &["--comment", "two words", "--param", "a=b c"],
        );
        check("--description ''", &["--description", ""]);
        check("", &[]);
        assert!(split("a 'b").is_err());
    }

    #[test]
    fn what_is_shown_can_be_typed() {
        let words = split("review r n --comment 'it is fine' ''").expect("words");
        assert_eq!(split(&join(&words)).expect("words"), words);
    }

    #[test]
    fn braces_are_filled_and_unknown_ones_refused() {
        let value = |name: &str| match name {
            "room" => Ok("overlap".to_owned()),
            other => bail!("unknown {other}"),
        };
        assert_eq!(fill("run {room} x {room}", value).expect("filled"), "run overlap x overlap");
        assert!(fill("run {rom}", value).is_err());
        assert!(fill("run {room", value).is_err());
    }
}
