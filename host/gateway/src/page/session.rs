//! Sessions of browsers, in memory.
//!
//! The cookie is the random name of a session; its token stays here, and every page shows it to
//! `access` again, so that a revoked token ends its sessions too. A restart forgets them all.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::error::Failure;

/// Name of the cookie.
pub(super) const COOKIE_NAME: &str = "glovebox_session";
/// A session ends so long after its last page.
const IDLE: Duration = Duration::from_secs(3600);
/// And so long after its login.
const LIFE: Duration = Duration::from_secs(12 * 3600);
/// Most sessions at once; the one that was idle longest goes.
const MOST: usize = 10_000;

/// All sessions.
pub(crate) struct Pages {
    sessions: Mutex<HashMap<[u8; 32], Session>>,
    secure: bool,
}

/// A browser that is logged in.
#[derive(Clone)]
pub(super) struct Session {
    /// What it logged in with.
    pub(super) token: String,
    /// Stands in every form of the session: what another site sends does not have it.
    pub(super) form_key: String,
    began: Instant,
    last: Instant,
}

impl Default for Pages {
    /// Cookies for TLS only, as long as nobody says otherwise.
    fn default() -> Self {
        Self::new(true)
    }
}

impl Pages {
    /// No session. `secure` when browsers come over TLS.
    pub(crate) fn new(secure: bool) -> Self {
        Self { sessions: Mutex::default(), secure }
    }

    /// Begins a session and returns its cookie.
    pub(super) fn begin(&self, token: String) -> Result<String, Failure> {
        let (name, form_key, now) = (random()?, random()?, Instant::now());
        let mut sessions = self.lock();
        sessions.retain(|_, session| session.goes_on(now));
        if sessions.len() >= MOST {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.last);
            if let Some(oldest) = oldest.map(|(name, _)| *name) {
                sessions.remove(&oldest);
            }
        }
        sessions.insert(hash(&name), Session { token, form_key, began: now, last: now });
        Ok(self.cookie(&name, LIFE.as_secs()))
    }

    /// The session of a request, if it goes on.
    pub(super) fn of(&self, headers: &HeaderMap) -> Option<Session> {
        let now = Instant::now();
        let mut sessions = self.lock();
        let session = sessions.get_mut(&hash(named(headers)?))?;
        if !session.goes_on(now) {
            return None;
        }
        session.last = now;
        Some(session.clone())
    }

    /// Ends the session of a request; the cookie that takes its name from the browser.
    pub(super) fn end(&self, headers: &HeaderMap) -> String {
        if let Some(name) = named(headers) {
            self.lock().remove(&hash(name));
        }
        self.cookie("", 0)
    }

    fn cookie(&self, name: &str, seconds: u64) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!(
            "{COOKIE_NAME}={name}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
        )
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn goes_on(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) < IDLE
            && now.saturating_duration_since(self.began) < LIFE
    }
}

/// The name of the session that a request gives.
fn named(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE_NAME)
        .map(|(_, value)| value)
}

/// 32 random bytes as text.
pub(super) fn random() -> Result<String, Failure> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(Failure::internal)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn hash(name: &str) -> [u8; 32] {
    Sha256::digest(name.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(cookies: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(COOKIE, cookie.parse().unwrap());
        }
        headers
    }

    #[test]
    fn sessions_begin_and_end() {
        let pages = Pages::new(true);
        let cookie = pages.begin("gbx_token".into()).unwrap();
        let (pair, rest) = cookie.split_once(';').unwrap();
        assert_eq!(rest, " Path=/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure");
        assert!(!cookie.contains("gbx_"));
        let headers = with(&["theme=dark", &format!("a=b; {pair}")]);
        let session = pages.of(&headers).unwrap();
        assert_eq!(session.token, "gbx_token");
        assert!(!cookie.contains(&session.form_key));
        assert!(pages.of(&with(&[])).is_none());
        assert!(pages.of(&with(&[&format!("{COOKIE_NAME}=")])).is_none());
        assert!(pages.of(&with(&[&format!("{pair}x")])).is_none());
        assert!(pages.end(&headers).starts_with("glovebox_session=; Path=/; Max-Age=0"));
        assert!(pages.of(&headers).is_none());
    }

    #[test]
    fn sessions_end_by_themselves() {
        let pages = Pages::new(false);
        let cookie = pages.begin("t".into()).unwrap();
        assert!(!cookie.contains("Secure"));
        let headers = with(&[cookie.split_once(';').unwrap().0]);
        let back = |by: Duration, idle: bool| {
            for session in pages.lock().values_mut() {
                session.began = session.began.checked_sub(by).unwrap();
                if idle {
                    session.last = session.last.checked_sub(by).unwrap();
                }
            }
        };
        back(IDLE - Duration::from_secs(60), true);
        assert!(pages.of(&headers).is_some());
        back(IDLE, true);
        assert!(pages.of(&headers).is_none());
        let headers = with(&[pages.begin("t".into()).unwrap().split_once(';').unwrap().0]);
        back(LIFE, false);
        assert!(pages.of(&headers).is_none());
    }
}
