//! Declarations of functions: constants, and their JSON as a constant too, because it goes into a
//! custom section of the module, where `glovebox build` finds it for the manifest.

/// A column or an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declared {
    /// Its name.
    pub name: &'static str,
    /// Its type, as in a manifest.
    pub data_type: &'static str,
    /// Whether a row may lack a value.
    pub nullable: bool,
}

/// A function as its manifest shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declaration {
    /// `scalar`, `aggregate` or `table`.
    pub kind: &'static str,
    /// What SQL calls it.
    pub name: &'static str,
    /// The first paragraph of its documentation.
    pub description: &'static str,
    /// What it takes.
    pub arguments: &'static [Declared],
    /// The table that it reads.
    pub input: Option<&'static [Declared]>,
    /// What it returns.
    pub returns: &'static [Declared],
    /// What an aggregate keeps.
    pub state: &'static [Declared],
    /// Whether its result may change from statement to statement.
    pub stable: bool,
}

/// Bytes of [`json`].
pub const fn json_len(declaration: &Declaration) -> usize {
    let mut writer = Writer::<0>::new();
    writer.declaration(declaration);
    writer.len
}

/// The declaration as one line of JSON.
pub const fn json<const N: usize>(declaration: &Declaration) -> [u8; N] {
    let mut writer = Writer::<N>::new();
    writer.declaration(declaration);
    writer.bytes
}

/// Writes what fits and counts all of it.
struct Writer<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Writer<N> {
    const fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    const fn byte(&mut self, byte: u8) {
        if self.len < N {
            self.bytes[self.len] = byte;
        }
        self.len += 1;
    }

    const fn plain(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut index = 0;
        while index < bytes.len() {
            self.byte(bytes[index]);
            index += 1;
        }
    }

    const fn text(&mut self, text: &str) {
        let bytes = text.as_bytes();
        self.byte(b'"');
        let mut index = 0;
        while index < bytes.len() {
            match bytes[index] {
                b'"' => self.plain("\\\""),
                b'\\' => self.plain("\\\\"),
                b'\n' => self.plain("\\n"),
                // Other control characters do not belong into a description.
                control if control < 0x20 => self.byte(b' '),
                other => self.byte(other),
            }
            index += 1;
        }
        self.byte(b'"');
    }

    const fn columns(&mut self, columns: &[Declared]) {
        self.byte(b'[');
        let mut index = 0;
        while index < columns.len() {
            let Declared { name, data_type, nullable } = columns[index];
            self.plain(if index == 0 { "{\"name\":" } else { ",{\"name\":" });
            self.text(name);
            self.plain(",\"type\":");
            self.text(data_type);
            self.plain(if nullable { "}" } else { ",\"nullable\":false}" });
            index += 1;
        }
        self.byte(b']');
    }

    const fn declaration(&mut self, declaration: &Declaration) {
        self.plain("{\"name\":");
        self.text(declaration.name);
        self.plain(",\"kind\":");
        self.text(declaration.kind);
        self.plain(",\"description\":");
        self.text(declaration.description);
        self.plain(",\"arguments\":");
        self.columns(declaration.arguments);
        if let Some(input) = declaration.input {
            self.plain(",\"input\":");
            self.columns(input);
        }
        self.plain(",\"returns\":");
        self.columns(declaration.returns);
        self.plain(",\"state\":");
        self.columns(declaration.state);
        self.plain(",\"volatility\":");
        self.text(if declaration.stable { "stable" } else { "immutable" });
        self.plain("}\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_is_one_line() {
        const DECLARATION: Declaration = Declaration {
            kind: "scalar",
            name: "score",
            description: "says \"how\" \\ much,\n\tin short",
            arguments: &[
                Declared { name: "a", data_type: "int64", nullable: false },
                Declared { name: "b", data_type: "utf8", nullable: true },
            ],
            input: None,
            returns: &[Declared { name: "score", data_type: "float64", nullable: true }],
            state: &[],
            stable: false,
        };
        const LINE: [u8; json_len(&DECLARATION)] = json(&DECLARATION);
        assert_eq!(
            String::from_utf8_lossy(&LINE),
            concat!(
                r#"{"name":"score","kind":"scalar","description":"says \"how\" \\ much,\n in short","#,
                r#""arguments":[{"name":"a","type":"int64","nullable":false},"#,
                r#"{"name":"b","type":"utf8"}],"returns":[{"name":"score","type":"float64"}],"#,
                r#""state":[],"volatility":"immutable"}"#,
                "\n"
            )
        );
    }
}
