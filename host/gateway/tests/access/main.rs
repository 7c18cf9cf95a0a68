//! Access at the gateway: tokens, JWTs, policies, groups, the audit.

mod audit;
mod groups;
mod oidc;
mod policies;
mod support;
mod tokens;
