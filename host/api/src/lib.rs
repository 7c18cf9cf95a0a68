//! What a party and a host say to each other over HTTP.
#![forbid(unsafe_code)]
