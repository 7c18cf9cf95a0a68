//! Which places the operator allows besides those of the public internet.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::Host;

/// Places that parties over the network may name besides those of the public internet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourcePolicy {
    /// They.
    pub allow: Vec<AllowedSource>,
}

/// A place of [`SourcePolicy`]: `HOST`, `HOST:PORT` or `ADDRESS/PREFIX`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedSource {
    /// A host by the very name or address that the party writes, whatever it resolves to.
    Host {
        /// The name, in lower case; an IPv6 address without brackets.
        name: String,
        /// The port; any when there is none.
        port: Option<u16>,
    },
    /// Addresses that begin with the same bits.
    Network {
        /// One of them.
        address: IpAddr,
        /// How many bits.
        prefix: u8,
    },
}

/// Why a text names no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a host, HOST:PORT nor ADDRESS/PREFIX")]
pub struct ParseAllowedError(String);

impl FromStr for AllowedSource {
    type Err = ParseAllowedError;

    fn from_str(text: &str) -> Result<Self, ParseAllowedError> {
        let wrong = || ParseAllowedError(text.escape_debug().to_string());
        if let Some((address, prefix)) = text.split_once('/') {
            let address: IpAddr = address.parse().map_err(|_| wrong())?;
            let prefix: u8 = prefix.parse().map_err(|_| wrong())?;
            let longest = if address.is_ipv4() { 32 } else { 128 };
            return match prefix <= longest {
                true => Ok(Self::Network { address, prefix }),
                false => Err(wrong()),
            };
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Host { name: address.to_string(), port: None });
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let name = match Host::parse(name).map_err(|_| wrong())? {
            Host::Domain(name) => name,
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        Ok(Self::Host { name, port })
    }
}

impl fmt::Display for AllowedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { name, port: None } => f.write_str(name),
            Self::Host { name, port: Some(port) } if name.contains(':') => {
                write!(f, "[{name}]:{port}")
            }
            Self::Host { name, port: Some(port) } => write!(f, "{name}:{port}"),
            Self::Network { address, prefix } => write!(f, "{address}/{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_written() {
        let check = |text: &str, expect: Option<&str>| {
            let read = text.parse::<AllowedSource>().ok().map(|allowed| allowed.to_string());
            assert_eq!(read.as_deref(), expect, "{text}");
        };
        check("minio:9000", Some("minio:9000"));
        check("Minio.Example", Some("minio.example"));
        check("10.0.0.0/8", Some("10.0.0.0/8"));
        check("::1", Some("::1"));
        check("[::1]:5432", Some("[::1]:5432"));
        check("10.0.0.0/33", None);
        check("minio:port", None);
        check("https://minio", None);
        check("", None);
    }
}
