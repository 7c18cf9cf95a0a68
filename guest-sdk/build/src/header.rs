//! The declarations of a notebook in TOML, as people write them, and the manifest they make.

use std::collections::BTreeMap;
use std::fmt;

use glovebox_contract::column::{Column, ColumnType};
use glovebox_contract::library::LibraryRequirement;
use glovebox_contract::manifest::{
    ComponentKind, InputDeclaration, Manifest, OutputDeclaration, OutputMode, VolumeDeclaration,
};
use glovebox_contract::name::{AssetName, Identifier, TableName};
use glovebox_contract::parameter::{ParameterDeclaration, ParameterType, ParameterValue};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::error::{BuildError, Position};

/// The keys of a SQL notebook's header and of `[package.metadata.glovebox]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    pub(crate) name: Option<Spanned<String>>,
    pub(crate) version: Option<Spanned<String>>,
    pub(crate) description: Option<String>,
    /// Needed where the files do not tell.
    pub(crate) language: Option<String>,
    /// Absent for a package that declares no table: whether it is a library, its exports tell.
    pub(crate) kind: Option<ComponentKind>,
    #[serde(default)]
    inputs: BTreeMap<TableName, Spanned<InputDeclaration>>,
    #[serde(default)]
    libraries: BTreeMap<AssetName, LibraryRequirement>,
    #[serde(default)]
    outputs: BTreeMap<Identifier, Spanned<OutputTable>>,
    #[serde(default)]
    parameters: BTreeMap<Identifier, Spanned<Parameter>>,
    /// Packages that a Python notebook brings along; its builder takes them out.
    #[serde(default)]
    pub(crate) requirements: Vec<String>,
    #[serde(default)]
    volumes: BTreeMap<TableName, VolumeDeclaration>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputTable {
    columns: Vec<OutputColumn>,
    #[serde(default)]
    description: String,
    max_bytes: Option<u64>,
    max_rows: Option<u64>,
    #[serde(default)]
    mode: OutputMode,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameter {
    #[serde(rename = "type")]
    parameter_type: ParameterType,
    #[serde(default)]
    choices: Vec<Spanned<ValueText>>,
    default: Option<Spanned<ValueText>>,
    #[serde(default)]
    description: String,
    maximum: Option<Spanned<ValueText>>,
    minimum: Option<Spanned<ValueText>>,
}

/// Where a header stands in a file: errors point there.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The whole text of the file.
    pub(crate) file: &'a str,
    /// Byte offset of the TOML in the file.
    pub(crate) start: usize,
}

impl Place<'_> {
    pub(crate) fn error(self, offset: usize, message: impl Into<String>) -> BuildError {
        BuildError::new(message).at(Position::of_offset(self.file, self.start + offset))
    }

    /// Turns a TOML error into one line with a place.
    pub(crate) fn toml_error(self, error: &toml::de::Error) -> BuildError {
        let message = error.message().trim_end().replace('\n', "; ");
        match error.span() {
            Some(span) => self.error(span.start, message),
            None => BuildError::new(message),
        }
    }
}

impl Header {
    pub(crate) fn parse(text: &str, place: Place<'_>) -> Result<Self, BuildError> {
        toml::from_str(text).map_err(|error| place.toml_error(&error))
    }

    /// Takes a package that declares no table for a library.
    pub(crate) fn guess_kind(&mut self) {
        if self.inputs.is_empty() && self.outputs.is_empty() && self.parameters.is_empty() {
            self.kind.get_or_insert(ComponentKind::Library);
        }
    }

    /// The manifest, checked. `language` and `toolchain` come from the builder.
    pub(crate) fn into_manifest(
        self,
        place: Place<'_>,
        language: &str,
        toolchain: &str,
    ) -> Result<Manifest, BuildError> {
        if let Some(named) = &self.language
            && named != language
        {
            return Err(place.error(
                0,
                format!(
                    "the header says language = {named:?}, but this is a notebook in {language}"
                ),
            ));
        }
        let missing = |key: &str, example: &str| {
            place
                .error(0, format!("the header lacks `{key}`"))
                .help(format!("add {key} = {example:?}"))
        };
        if !self.requirements.is_empty() {
            return Err(place.error(0, "only a Python notebook has requirements"));
        }
        let name = self.name.ok_or_else(|| missing("name", "my-notebook"))?;
        let version = self.version.ok_or_else(|| missing("version", "1.0.0"))?;
        let version_offset = version.span().start;
        let mut manifest = Manifest {
            description: self.description.unwrap_or_default(),
            functions: BTreeMap::new(),
            inputs: BTreeMap::new(),
            kind: self.kind.unwrap_or(ComponentKind::Notebook),
            language: language.into(),
            libraries: self.libraries,
            name: parse_at(&name, place)?,
            outputs: BTreeMap::new(),
            parameters: BTreeMap::new(),
            toolchain: toolchain.into(),
            version: version.into_inner(),
            volumes: self.volumes,
        };
        // Every part is added and validated in turn, so that an error points at the part.
        for (name, parameter) in self.parameters {
            let declaration = parameter.into_inner().into_declaration(&name, place)?;
            manifest.parameters.insert(name, declaration);
        }
        for (name, input) in self.inputs {
            let offset = input.span().start;
            if input.get_ref().columns.is_empty() {
                return Err(place.error(offset, format!("input `{name}` declares no column")));
            }
            manifest.inputs.insert(name, input.into_inner());
        }
        let mut offset = 0;
        for (name, output) in self.outputs {
            offset = output.span().start;
            check_columns(&name, &output.get_ref().columns)
                .map_err(|message| place.error(offset, message))?;
            manifest.outputs.insert(name, output.into_inner().into());
        }
        if manifest.outputs.is_empty() && manifest.kind == ComponentKind::Notebook {
            return Err(place.error(0, "the header declares no output").help(
                "a notebook writes at least one table: add [outputs.NAME] with its columns",
            ));
        }
        manifest.validate().map_err(|error| {
            let text = error.to_string();
            let offset = if text.contains(": version `") { version_offset } else { offset };
            place.error(offset, text)
        })?;
        Ok(manifest)
    }
}

fn parse_at<T>(text: &Spanned<String>, place: Place<'_>) -> Result<T, BuildError>
where
    T: std::str::FromStr<Err: fmt::Display>,
{
    text.get_ref()
        .parse()
        .map_err(|error: T::Err| place.error(text.span().start, error.to_string()))
}

fn check_columns(name: &Identifier, columns: &[OutputColumn]) -> Result<(), String> {
    if columns.is_empty() {
        return Err(format!("output `{name}` declares no column"));
    }
    for (index, OutputColumn(column)) in columns.iter().enumerate() {
        if columns[..index].iter().any(|earlier| earlier.0.name == column.name) {
            return Err(format!("output `{name}` declares column `{}` twice", column.name));
        }
    }
    Ok(())
}

impl From<OutputTable> for OutputDeclaration {
    fn from(table: OutputTable) -> Self {
        Self {
            columns: table.columns.into_iter().map(|column| column.0).collect(),
            description: table.description,
            max_bytes: table.max_bytes,
            max_rows: table.max_rows,
            mode: table.mode,
        }
    }
}

impl Parameter {
    /// Values become their canonical text: `1e3` of type float64 is written `1000`.
    fn into_declaration(
        self,
        name: &Identifier,
        place: Place<'_>,
    ) -> Result<ParameterDeclaration, BuildError> {
        let parameter_type = self.parameter_type;
        let canonical = |value: &Spanned<ValueText>| {
            let at = |message: String| {
                place.error(value.span().start, format!("parameter `{name}`: {message}"))
            };
            ParameterValue::parse(parameter_type, &value.get_ref().0)
                .map(|value| value.to_string())
                .map_err(|error| at(error.to_string()))
        };
        let declaration = ParameterDeclaration {
            choices: self.choices.iter().map(canonical).collect::<Result<_, _>>()?,
            default: self.default.as_ref().map(canonical).transpose()?,
            description: self.description,
            maximum: self.maximum.as_ref().map(canonical).transpose()?,
            minimum: self.minimum.as_ref().map(canonical).transpose()?,
            parameter_type,
        };
        let offset = self.default.as_ref().map_or(0, |default| default.span().start);
        match declaration.validate() {
            Ok(()) => Ok(declaration),
            Err(error) => {
                Err(place.error(offset, format!("default of parameter `{name}`: {error}")))
            }
        }
    }
}

/// A parameter's value: text, or the TOML value that looks like it.
#[derive(Debug)]
struct ValueText(String);

impl<'de> Deserialize<'de> for ValueText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => Ok(Self(text)),
            toml::Value::Integer(number) => Ok(Self(number.to_string())),
            toml::Value::Float(number) => Ok(Self(number.to_string())),
            toml::Value::Boolean(value) => Ok(Self(value.to_string())),
            toml::Value::Datetime(date) => Ok(Self(date.to_string())),
            other => Err(D::Error::custom(format!(
                "a value is a text, a number, a boolean or a date, not {}",
                other.type_str()
            ))),
        }
    }
}

/// A column of an output: `{ name = …, type = …, nullable = … }` or `"name type [not null]"`.
#[derive(Debug)]
struct OutputColumn(Column);

impl<'de> Deserialize<'de> for OutputColumn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ColumnVisitor;

        impl<'de> Visitor<'de> for ColumnVisitor {
            type Value = OutputColumn;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`{ name = …, type = … }` or \"name type [not null]\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                parse_column(text).map(OutputColumn).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Column::deserialize(MapAccessDeserializer::new(map)).map(OutputColumn)
            }
        }

        deserializer.deserialize_any(ColumnVisitor)
    }
}

/// Reads `name type [not null]`.
fn parse_column(text: &str) -> Result<Column, String> {
    let (name, rest) = text
        .trim()
        .split_once(char::is_whitespace)
        .ok_or_else(|| format!("column `{}`: write \"name type\"", text.escape_debug()))?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (type_words, nullable) = match words.as_slice() {
        [start @ .., not, null]
            if not.eq_ignore_ascii_case("not") && null.eq_ignore_ascii_case("null") =>
        {
            (start, false)
        }
        all => (all, true),
    };
    let column_type: ColumnType =
        type_words.join(" ").parse().map_err(|error| format!("column `{name}`: {error}"))?;
    Ok(Column { name: name.into(), nullable, column_type })
}
