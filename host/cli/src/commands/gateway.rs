//! `glovebox gateway`: a party's own front door, and who may use it.

mod serve;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use glovebox_gateway::access::{
    AuditFilter, Grant, Kind, NewPrincipal, PrincipalInfo, Scope, Store, TokenInfo,
};
use serde_json::json;

use crate::arguments::{Gateway, GatewayCommand, Held, Moment, Principal, Token};
use crate::context::{self, Context};
use crate::terminal::{self, print_json};

pub(crate) fn run(context: &Context, gateway: &Gateway) -> Result<ExitCode> {
    let state = match &gateway.state {
        Some(state) => state.clone(),
        None => context.home_path().join("gateway"),
    };
    match &gateway.command {
        None => serve::run(context, &gateway.serve, &state)?,
        Some(GatewayCommand::Serve(serve)) => serve::run(context, serve, &state)?,
        Some(GatewayCommand::Principal(command)) => principal(context, &open(&state)?, command)?,
        Some(GatewayCommand::Grant(held)) => {
            open(&state)?.grant(&held.principal, held.privilege, &scope(held))?;
            say_held(context, held, "has")?;
        }
        Some(GatewayCommand::Revoke(held)) => {
            open(&state)?.revoke(&held.principal, held.privilege, &scope(held))?;
            say_held(context, held, "no longer has")?;
        }
        Some(GatewayCommand::Token(command)) => token(context, &open(&state)?, command)?,
        Some(GatewayCommand::Audit { principal, since, limit }) => {
            let principal = principal.as_ref().map(ToString::to_string);
            let since = since.map(|since: Moment| since.from(context::now()));
            audit(context, &open(&state)?, &AuditFilter { since, principal, limit: *limit })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The file of principals, tokens and the audit.
fn store_file(state: &Path) -> PathBuf {
    state.join("access.sqlite")
}

fn open(state: &Path) -> Result<Store> {
    make_private(state)?;
    Ok(Store::open(&store_file(state))?)
}

/// Makes the directory of the gateway's state, for its user only.
fn make_private(state: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(state);
    made.with_context(|| format!("cannot make the directory {}", state.display()))
}

fn scope(held: &Held) -> Scope {
    held.room.map_or(Scope::Gateway, Scope::Room)
}

fn say_held(context: &Context, held: &Held, verb: &str) -> Result<()> {
    let (principal, privilege, scope) = (&held.principal, held.privilege, scope(held));
    if context.json() {
        let shown = privilege.to_string();
        let room = held.room;
        return print_json(&json!({ "principal": principal, "privilege": shown, "room": room }));
    }
    println!("{principal} {verb} {privilege} on {}", place(&scope));
    Ok(())
}

/// `the gateway and every room`, `the room blake3:…`.
fn place(scope: &Scope) -> String {
    match scope {
        Scope::Gateway => "the gateway and every room".into(),
        Scope::Room(id) => format!("the room {id}"),
    }
}

fn principal(context: &Context, store: &Store, command: &Principal) -> Result<()> {
    let done = match command {
        Principal::List => return list_principals(context, store),
        Principal::Add { name, kind, subject, groups } => {
            let new = NewPrincipal { name: name.clone(), kind: *kind, subject: subject.clone() };
            store.add_principal(&new)?;
            for group in groups {
                store.add_member(group, name)?;
            }
            let lets_in = match kind {
                Kind::Group => String::new(),
                _ => format!(", `glovebox gateway token new {name}` lets it in"),
            };
            context.hint(format!(
                "on its own it may do nothing yet: `glovebox gateway grant {name} PRIVILEGE` lets \
                 it{lets_in}"
            ));
            (name, format!("{name} is a {kind} of this gateway"))
        }
        Principal::Remove { name } => {
            store.remove_principal(name)?;
            (name, format!("{name} is no principal any more"))
        }
        Principal::Join { name, group } => {
            store.add_member(group, name)?;
            (name, format!("{name} is in {group}"))
        }
        Principal::Leave { name, group } => {
            store.remove_member(group, name)?;
            (name, format!("{name} is no longer in {group}"))
        }
    };
    if context.json() {
        return print_json(&json!({ "principal": done.0, "says": done.1 }));
    }
    println!("{}", done.1);
    Ok(())
}

fn list_principals(context: &Context, store: &Store) -> Result<()> {
    let (principals, grants) = (store.principals()?, store.grants()?);
    if context.json() {
        return print_json(&json!({ "principals": principals, "grants": grants }));
    }
    let row = |principal: &PrincipalInfo| {
        let members: Vec<_> = principal.members.iter().map(ToString::to_string).collect();
        let held = grants.iter().filter(|grant| grant.principal == principal.name);
        let held: Vec<_> = held.map(privilege_text).collect();
        [
            principal.name.to_string(),
            principal.kind.to_string(),
            principal.subject.clone().unwrap_or_default(),
            members.join(", "),
            held.join(", "),
        ]
    };
    let header = ["principal", "kind", "subject", "members", "privileges"];
    println!("{}", terminal::table(&header, &[], principals.iter().map(row)));
    Ok(())
}

fn privilege_text(grant: &Grant) -> String {
    match &grant.scope {
        Scope::Gateway => grant.privilege.to_string(),
        Scope::Room(id) => format!("{} on {id}", grant.privilege),
    }
}

fn token(context: &Context, store: &Store, command: &Token) -> Result<()> {
    match command {
        Token::New { principal, label, expires } => {
            let lifetime = Duration::from_secs(expires.seconds());
            let token = store.new_token(principal, label, lifetime)?;
            if context.json() {
                return print_json(&json!({ "token": token.reveal(), "info": token.info() }));
            }
            println!("{}", token.reveal());
            context.hint(format!(
                "a token of {principal}, shown once, good until {}; `glovebox gateway token revoke {}` \
                 ends it",
                terminal::time(token.info().expires),
                token.info().id
            ));
        }
        Token::List => list_tokens(context, &store.tokens()?)?,
        Token::Revoke { token } => {
            store.revoke_token(token)?;
            if context.json() {
                return print_json(&json!({ "revoked": token }));
            }
            println!("token {token} is revoked");
        }
    }
    Ok(())
}

fn list_tokens(context: &Context, tokens: &[TokenInfo]) -> Result<()> {
    if context.json() {
        return print_json(&tokens);
    }
    let now = context::now();
    let row = |token: &TokenInfo| {
        let stands = match token.revoked {
            Some(at) => format!("revoked {}", terminal::time(at)),
            None if token.expires <= now => format!("ended {}", terminal::time(token.expires)),
            None => format!("ends {}", terminal::time(token.expires)),
        };
        let used = token.last_used.map_or_else(|| "never".to_owned(), terminal::time);
        [token.id.to_string(), token.principal.to_string(), token.label.clone(), stands, used]
    };
    let header = ["token", "of", "for", "stands", "last used"];
    println!("{}", terminal::table(&header, &[], tokens.iter().map(row)));
    Ok(())
}

fn audit(context: &Context, store: &Store, filter: &AuditFilter) -> Result<()> {
    let entries = store.audit(filter)?;
    if context.json() {
        return print_json(&entries);
    }
    let rows = entries.into_iter().map(|entry| {
        [
            terminal::time(entry.last),
            entry.times.to_string(),
            entry.principal.unwrap_or_default(),
            entry.peer.unwrap_or_default(),
            entry.action,
            entry.resource,
            entry.reason,
        ]
    });
    let header = ["last", "times", "principal", "from", "action", "on", "reason"];
    println!("{}", terminal::table(&header, &["times"], rows));
    Ok(())
}
