//! Answers of writes that are kept for a while, so that a client that did not get one can send its request
//! again and nothing is done twice.
//!
//! An answer is kept in the transaction of the write itself: either both are there or neither is. A request that was
//! refused changed nothing, so nothing of it is kept, and it may be sent again under the same key.

use crate::auth::text::holds_key;
use crate::envelope::Reply;
use crate::error::Problem;
use crate::lock::lock;
use crate::sql::Statement;
use crate::store::{Failure, Session};
use crate::value::{Scalar, time};
use jiff::SignedDuration;
use std::collections::HashSet;
use std::sync::Mutex;

/// How long an answer is kept.
pub const KEPT: SignedDuration = SignedDuration::from_hours(24);
/// The longest key of a client.
pub const LONGEST: usize = 255;
/// Bytes of an answer that is kept.
pub const MOST_KEPT: usize = 1 << 20;
/// Most answers pruned at once.
pub const PRUNED_AT_ONCE: usize = 500;

/// A request that may be sent again: whose it is and under which key, and what it says. Both are hashes, so that
/// nothing of a header or a body is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    key: blake3::Hash,
    request: blake3::Hash,
}

impl Retry {
    /// Of a request of the API key with that id.
    ///
    /// # Errors
    /// The client's key is not a sane one.
    pub fn of(api_key: i64, key: &str, body: &[u8]) -> Result<Retry, Problem> {
        if !(1..=LONGEST).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            let why = format!("must be 1 to {LONGEST} visible ASCII characters");
            return Err(Problem::Refused { field: "Idempotency-Key".into(), why });
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(&api_key.to_le_bytes()).update(key.as_bytes());
        Ok(Retry { key: hasher.finalize(), request: blake3::hash(body) })
    }
}

/// The answer that was kept of the same request.
///
/// # Errors
/// The key was used for another one.
pub fn find(session: &Session, retry: &Retry) -> Result<Option<Vec<u8>>, Problem> {
    let rows = session.rows(&Statement::fixed(
        r#"SELECT "request", "answer" FROM "system.KeptAnswer" WHERE "key" = unhex(?1) AND "at" > ?2"#,
        [hex(&retry.key), Scalar::Text(oldest()?)],
    ))?;
    match rows.iter().next() {
        Some([Scalar::Text(request), Scalar::Text(answer)]) if *request == retry.request.to_hex().as_str() => {
            Ok(Some(answer.clone().into_bytes()))
        }
        Some(_) => Err(Problem::KeyReused),
        None => Ok(None),
    }
}

/// Keeps an answer, in the transaction of its write.
///
/// # Errors
/// There is the text of a key in it, or it is too large to be kept.
pub fn keep(session: &Session, retry: &Retry, reply: &Reply) -> Result<(), Failure> {
    let answer = String::from_utf8_lossy(&reply.body).into_owned();
    if reply.holds_secret || holds_key(&answer) {
        return Err(Failure::Other(Problem::SecretNotKept));
    }
    if answer.len() > MOST_KEPT {
        return Err(Failure::Other(Problem::AnswerTooLarge { most: "1 MiB, which is kept for a retry" }));
    }
    session
        .execute(&Statement::fixed(
            r#"INSERT OR REPLACE INTO "system.KeptAnswer" ("key", "request", "at", "answer") VALUES (unhex(?1), unhex(?2), ?3, ?4)"#,
            [hex(&retry.key), hex(&retry.request), Scalar::Text(time::now()), Scalar::Text(answer)],
        ))
        .map(drop)
}

/// Takes away some of the answers whose time is over; how many.
pub fn prune(session: &Session) -> Result<usize, Failure> {
    let most = Scalar::Integer(i64::try_from(PRUNED_AT_ONCE).unwrap_or(i64::MAX));
    session.execute(&Statement::fixed(
        r#"DELETE FROM "system.KeptAnswer" WHERE "key" IN
           (SELECT "key" FROM "system.KeptAnswer" WHERE "at" <= ?1 ORDER BY "at" LIMIT ?2)"#,
        [Scalar::Text(oldest().map_err(Failure::Other)?), most],
    ))
}

/// The moment from before which nothing is kept.
fn oldest() -> Result<String, Problem> {
    time::from_now(-KEPT).map_err(|cause| Problem::Fault { cause })
}

fn hex(hash: &blake3::Hash) -> Scalar {
    Scalar::Text(hash.to_hex().to_string())
}

/// The keys of requests that are being carried out.
#[derive(Default)]
pub struct InFlight(Mutex<HashSet<blake3::Hash>>);

impl InFlight {
    /// Enters a request until what is given back is dropped.
    ///
    /// # Errors
    /// One with that key is on its way already.
    pub fn enter(&self, retry: &Retry) -> Result<Entered<'_>, Problem> {
        if lock(&self.0).insert(retry.key) { Ok(Entered { all: self, key: retry.key }) } else { Err(Problem::InFlight) }
    }
}

/// A request on its way.
pub struct Entered<'f> {
    all: &'f InFlight,
    key: blake3::Hash,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        lock(&self.all.0).remove(&self.key);
    }
}
