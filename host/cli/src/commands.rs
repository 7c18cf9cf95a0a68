//! One module a command.

pub(crate) mod build;
pub(crate) mod bundle;
pub(crate) mod cancel;
pub(crate) mod diff;
pub(crate) mod gateway;
pub(crate) mod inspect;
pub(crate) mod key;
pub(crate) mod keys;
pub(crate) mod library;
pub(crate) mod log;
pub(crate) mod notebook;
pub(crate) mod output;
pub(crate) mod rebuild;
pub(crate) mod result;
pub(crate) mod review;
pub(crate) mod room;
pub(crate) mod rule;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod serve;
pub(crate) mod share;
pub(crate) mod table;
pub(crate) mod verify;
pub(crate) mod view;
pub(crate) mod volume;
