//! What a client says it understands, and which form the answer gets.

use std::collections::BTreeSet;

use axum::http::HeaderMap;
use glovebox_delta::Protocol;

use super::error::{Result, SharingError};

/// Name of the header.
pub(crate) const HEADER: &str = "delta-sharing-capabilities";

/// Name of the header that asks for one way to name files.
pub(crate) const FILE_IDS: &str = "fileidhash";

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Lines of the protocol's own.
    Parquet,
    /// Lines that hold actions of a Delta log.
    Delta,
}

/// What a client says it understands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Capabilities {
    formats: BTreeSet<String>,
    /// Whether it wants a last line about the answer itself.
    pub(crate) end_line: bool,
}

impl Format {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Delta => "delta",
        }
    }
}

impl Capabilities {
    /// Reads the header: `key=value,value;key=value`, in any case. What is unknown says nothing.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut capabilities = Self::default();
        let texts = headers.get_all(HEADER).iter().filter_map(|value| value.to_str().ok());
        for (key, values) in
            texts.flat_map(|text| text.split(';')).filter_map(|p| p.split_once('='))
        {
            let values = values.split(',').map(|value| value.trim().to_ascii_lowercase());
            match key.trim().to_ascii_lowercase().as_str() {
                "responseformat" => capabilities.formats.extend(values),
                "includeendstreamaction" => {
                    capabilities.end_line = values.into_iter().any(|value| value == "true");
                }
                _ => {}
            }
        }
        capabilities
    }

    /// The form of the answer about a table with this protocol: Parquet's, which every client
    /// reads, wherever the table needs no more. In Delta's form the answer says which features the
    /// table has, so a client that takes the form finds out by itself; the Python client reads
    /// changes of tables with features that it does not list.
    pub(crate) fn format(&self, protocol: &Protocol) -> Result<Format> {
        let takes = |format: &str| self.formats.contains(format);
        let parquet = self.formats.is_empty() || takes("parquet");
        match (&protocol.reader_features, parquet, takes("delta")) {
            (None, true, _) => Ok(Format::Parquet),
            (_, _, true) => Ok(Format::Delta),
            (_, false, false) => Err(SharingError::invalid(
                "responseformat: the formats of this server are `parquet` and `delta`",
            )),
            (Some(features), true, false) => Err(SharingError::unsupported(format!(
                "the table has the features {}, so the client has to ask for \
                 responseformat=delta: in Python pass use_delta_format=True, in Spark set the \
                 option responseFormat to delta",
                features.join(", ")
            ))),
        }
    }
}

/// The wanted way to name files, which is said back.
pub(crate) fn file_ids(headers: &HeaderMap) -> Result<Option<&'static str>> {
    let Some(wanted) = headers.get(FILE_IDS) else { return Ok(None) };
    match wanted.to_str().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "parquet" => Ok(Some("parquet")),
        "delta" => Ok(Some("delta")),
        _ => Err(SharingError::invalid("fileidhash is `parquet` or `delta`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        let pairs = values
            .iter()
            .map(|value| (HEADER.parse().unwrap(), axum::http::HeaderValue::from_static(value)));
        pairs.collect()
    }

    fn protocol(features: Option<&[&str]>) -> Protocol {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Protocol {
            min_reader_version: if features.is_some() { 3 } else { 1 },
            min_writer_version: 7,
            reader_features: features.map(owned),
            writer_features: None,
        }
    }

    #[test]
    fn the_form_is_one_that_the_client_takes_and_the_table_needs() {
        let plain = protocol(None);
        let ntz = protocol(Some(&["timestampNtz"]));
        let cases = [
            (&[][..], Some(Format::Parquet), None),
            (&["responseformat=parquet"], Some(Format::Parquet), None),
            (&["responseformat=delta"], Some(Format::Delta), Some(Format::Delta)),
            (
                &["responseformat=delta,parquet;readerfeatures=deletionvectors,timestampntz"],
                Some(Format::Parquet),
                Some(Format::Delta),
            ),
            (
                &["ResponseFormat = DELTA ; readerFeatures=TimestampNTZ"],
                Some(Format::Delta),
                Some(Format::Delta),
            ),
            (
                &["responseformat=delta", "readerfeatures=timestampntz"],
                Some(Format::Delta),
                Some(Format::Delta),
            ),
            (&["responseformat=arrow"], None, None),
            (&["responseformat;;=;x"], Some(Format::Parquet), None),
        ];
        for (values, of_plain, of_ntz) in cases {
            let capabilities = Capabilities::of(&headers(values));
            assert_eq!(capabilities.format(&plain).ok(), of_plain, "{values:?}");
            assert_eq!(capabilities.format(&ntz).ok(), of_ntz, "{values:?}");
        }
    }

    #[test]
    fn the_last_line_is_sent_when_asked_for() {
        let asks = |value: &'static str| Capabilities::of(&headers(&[value])).end_line;
        assert!(asks("includeendstreamaction=true"));
        assert!(asks("responseformat=delta;IncludeEndStreamAction=True"));
        assert!(!asks("includeendstreamaction=false"));
        assert!(!asks("includeendstreamaction"));
        assert!(!asks("responseformat=delta"));
    }

    #[test]
    fn file_ids_are_said_back_or_refused() {
        let header = |value| HeaderMap::from_iter([(FILE_IDS.parse().unwrap(), value)]);
        let value = axum::http::HeaderValue::from_static;
        assert_eq!(file_ids(&HeaderMap::new()).unwrap(), None);
        assert_eq!(file_ids(&header(value("PARQUET"))).unwrap(), Some("parquet"));
        assert_eq!(file_ids(&header(value("delta"))).unwrap(), Some("delta"));
        assert!(file_ids(&header(value("md5"))).is_err());
    }
}
