//! The REST shape of Databricks Clean Rooms for the people and tools of one party.
#![forbid(unsafe_code)]
