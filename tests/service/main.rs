//! The service as its users meet it: real servers, real clients, each party in a process of its own.
