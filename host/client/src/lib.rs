//! The side of a party: a host over the network, trusted no further than its proofs.
#![forbid(unsafe_code)]
