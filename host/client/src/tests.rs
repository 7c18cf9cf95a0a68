//! The client against hosts that fail and hosts that cheat.
