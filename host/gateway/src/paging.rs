//! Pages of lists. A page token says after which item the next page starts; it is opaque, and good
//! for the one list and the one principal that it was made for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use glovebox_contract::digest::Blake3Digest;

use crate::call::Query;
use crate::error::Failure;

/// Most bytes of a page token.
const MAX_TOKEN_BYTES: usize = 1024;

/// Makes and checks page tokens.
pub(crate) struct Pager {
    secret: [u8; 32],
}

/// What part of a list is asked for.
pub(crate) struct Page<'a> {
    pager: &'a Pager,
    scope: String,
    size: usize,
    after: Option<String>,
}

/// How many items a page of a list has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// When the call does not say.
    pub(crate) usual: usize,
    /// However many it asks for.
    pub(crate) most: usize,
}

impl Pager {
    /// A pager whose tokens only who knows the secret can make.
    pub(crate) fn new(secret: [u8; 32]) -> Self {
        Self { secret }
    }

    /// Reads `page_size` and `page_token`. `scope` names the list, its filter and who asks.
    pub(crate) fn page(
        &self,
        query: Query<'_>,
        size_name: &str,
        scope: &[&str],
        sizes: Sizes,
    ) -> Result<Page<'_>, Failure> {
        let scope: String = scope.iter().map(|part| format!("{}:{part};", part.len())).collect();
        let asked = query.parsed::<usize>(size_name)?;
        let size = match asked {
            None | Some(0) => sizes.usual,
            Some(size) => size.min(sizes.most),
        };
        let after = match query.text("page_token") {
            Some(token) => Some(self.open(&scope, token)?),
            None => None,
        };
        Ok(Page { pager: self, scope, size, after })
    }

    fn open(&self, scope: &str, token: &str) -> Result<String, Failure> {
        self.try_open(scope, token).ok_or_else(|| {
            Failure::invalid("the page token is not one that this call gave to this caller")
        })
    }

    fn try_open(&self, scope: &str, token: &str) -> Option<String> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let bytes = BASE64.decode(token).ok()?;
        let (seal, after) = bytes.split_at_checked(32)?;
        let good = self.seal(scope, after);
        // Compared under another hash, so that the time tells nothing about the seal.
        (Blake3Digest::of(seal) == Blake3Digest::of(&good)).then_some(())?;
        String::from_utf8(after.to_vec()).ok()
    }

    /// BLAKE3 over secret, scope and position; it has no length extension.
    fn seal(&self, scope: &str, after: &[u8]) -> [u8; 32] {
        let length = (scope.len() as u64).to_le_bytes();
        let message = [&self.secret[..], &length, scope.as_bytes(), after].concat();
        *Blake3Digest::of(&message).as_bytes()
    }

    fn token(&self, scope: &str, after: &str) -> String {
        BASE64.encode([&self.seal(scope, after.as_bytes())[..], after.as_bytes()].concat())
    }
}

impl Page<'_> {
    /// Takes the page out of all items, which stand in the order of their keys. The token of the
    /// next page comes with it, when there is one. Items that come and go between two calls shift
    /// nothing: the next page starts behind the last key of this one.
    pub(crate) fn cut<T>(
        &self,
        items: impl IntoIterator<Item = T>,
        key: impl Fn(&T) -> String,
    ) -> (Vec<T>, Option<String>) {
        let mut items: Vec<T> = items.into_iter().collect();
        let start = match &self.after {
            None => 0,
            Some(after) => items.iter().position(|item| key(item) > *after).unwrap_or(items.len()),
        };
        let mut page: Vec<T> = items.drain(start..).collect();
        let more = page.len() > self.size;
        page.truncate(self.size);
        let next =
            page.last().filter(|_| more).map(|last| self.pager.token(&self.scope, &key(last)));
        (page, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::tests::call;

    const SIZES: Sizes = Sizes { usual: 3, most: 5 };

    fn cut(
        pager: &Pager,
        scope: &[&str],
        query: &str,
    ) -> Result<(Vec<u32>, Option<String>), Failure> {
        let call = call(&[], query, "").unwrap();
        let query = call.query(&["page_size", "page_token"])?;
        let page = pager.page(query, "page_size", scope, SIZES)?;
        Ok(page.cut(1..=8_u32, ToString::to_string))
    }

    #[test]
    fn pages_follow_each_other_to_the_end() {
        let pager = Pager::new([7; 32]);
        let (first, token) = cut(&pager, &["rooms"], "").unwrap();
        assert_eq!(first, [1, 2, 3]);
        let (second, token) =
            cut(&pager, &["rooms"], &format!("page_size=99&page_token={}", token.unwrap()))
                .unwrap();
        assert_eq!(second, [4, 5, 6, 7, 8]);
        assert_eq!(token, None);
        let (all, token) = cut(&pager, &["rooms"], "page_size=0").unwrap();
        assert_eq!((all.len(), token.is_some()), (3, true));
    }

    #[test]
    fn forged_and_borrowed_tokens_are_refused() {
        let pager = Pager::new([7; 32]);
        let token = cut(&pager, &["rooms", "alice"], "").unwrap().1.unwrap();
        let asked = |pager: &Pager, scope: &[&str], token: &str| {
            cut(pager, scope, &format!("page_token={token}")).is_ok()
        };
        assert!(asked(&pager, &["rooms", "alice"], &token));
        assert!(!asked(&pager, &["rooms", "bob"], &token));
        assert!(!asked(&pager, &["roomsalice"], &token));
        assert!(!asked(&Pager::new([8; 32]), &["rooms", "alice"], &token));
        for at in 0..token.len() {
            let mut changed: Vec<char> = token.chars().collect();
            changed[at] = if changed[at] == 'A' { 'B' } else { 'A' };
            let changed: String = changed.into_iter().collect();
            assert!(!asked(&pager, &["rooms", "alice"], &changed), "{at}");
        }
        assert!(!asked(&pager, &["rooms", "alice"], &"A".repeat(2000)));
        assert!(!asked(&pager, &["rooms", "alice"], "%00"));
    }
}
