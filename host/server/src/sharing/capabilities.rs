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
    features: BTreeSet<String>,
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
                "readerfeatures" => capabilities.features.extend(values),
                "includeendstreamaction" => {
                    capabilities.end_line = values.into_iter().any(|value| value == "true");
                }
                _ => {}
            }
        }
        capabilities
    }

    /// The form of the answer about a table with this protocol: Parquet's, which every client
    /// reads, wherever the table needs no more.
    pub(crate) fn format(&self, protocol: &Protocol) -> Result<Format> {
        let takes = |format: &str| self.formats.contains(format);
        let parquet = self.formats.is_empty() || takes("parquet");
        let needed = protocol.reader_features.iter().flatten();
        let unknown: Vec<&str> = needed
            .map(String::as_str)
            .filter(|feature| !self.features.contains(&feature.to_ascii_lowercase()))
            .collect();
        if protocol.reader_features.is_none() {
            return match (parquet, takes("delta")) {
                (true, _) => Ok(Format::Parquet),
                (false, true) => Ok(Format::Delta),
                (false, false) => Err(SharingError::invalid(
                    "responseformat: the formats of this server are `parquet` and `delta`",
                )),
            };
        }
        if takes("delta") && unknown.is_empty() {
            return Ok(Format::Delta);
        }
        let unknown = if unknown.is_empty() { "them".into() } else { unknown.join(", ") };
        Err(SharingError::unsupported(format!(
            "the table has columns that need a newer client: use one that asks for \
             responseformat=delta and knows {unknown}; in Python and Spark, set the option \
             responseFormat or use_delta_format"
        )))
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
            (&["responseformat=delta"], Some(Format::Delta), None),
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
