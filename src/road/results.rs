//! The results of earlier requests of a batch, put into later ones that name them.

use crate::envelope::Reply;
use crate::error::{Error, Errors, Problem, shown};
use crate::json::{Json, Pointer};

/// What stands for an earlier result: `{"__result__": "/0/data/id"}`.
const RESULT: &str = "__result__";
/// Bytes of all results that a batch puts into its requests: each may be put in many times.
pub const MOST_FILLED: usize = 16 << 20;
/// Levels of a request with results in it, as many as one of a batch has without: deeper values would be stored that
/// nobody could read as results.
pub const MOST_LEVELS: usize = 125;

/// The envelopes of the requests so far.
#[derive(Default)]
pub struct Results {
    envelopes: Vec<Json>,
    /// Bytes that were put into requests.
    filled: usize,
    /// Bytes of the envelopes.
    read: usize,
    /// Whether any request names one: else none is read.
    wanted: bool,
}

impl Results {
    /// Those of a batch, before any of its requests is carried out.
    pub fn of(requests: &[Json]) -> Results {
        Results { wanted: requests.iter().any(names_one), ..Results::default() }
    }

    /// Adds the envelope of the next request. One with the text of a key in it gives no result: it would be put
    /// where it is kept.
    ///
    /// # Errors
    /// All of them together are larger than may be held as trees.
    pub fn add(&mut self, reply: &Reply) -> Result<(), Problem> {
        if !self.wanted {
            return Ok(());
        }
        self.read += reply.body.len();
        if self.read > MOST_FILLED {
            return Err(Problem::AnswerTooLarge { most: "16 MiB in a batch whose results are named" });
        }
        let envelope = if reply.holds_secret { None } else { Json::parse(&reply.body).ok() };
        self.envelopes.push(envelope.unwrap_or(Json::Null)); // what we wrote is JSON
        Ok(())
    }

    /// Adds the next envelope of a batch that was answered before.
    pub fn add_again(&mut self, envelope: Json) {
        self.envelopes.push(envelope);
    }

    /// A request with the results in place that it names.
    ///
    /// # Errors
    /// It names none that is there, or would get too large or too deep.
    pub fn fill_in(&mut self, request: &Json) -> Result<Json, Errors> {
        if !self.wanted {
            return Ok(request.clone());
        }
        let json = self.fill(request.clone(), &Pointer::ROOT)?;
        if json.levels() > MOST_LEVELS {
            let problem = Problem::TooMany { what: "levels of JSON with its results", limit: MOST_LEVELS as u64 };
            return Err(problem.into());
        }
        Ok(json)
    }

    fn fill(&mut self, json: Json, at: &Pointer<'_>) -> Result<Json, Errors> {
        if let Some(named) = json.only(RESULT) {
            return self.named(named, at);
        }
        match json {
            Json::List(items) => {
                let items = items.into_iter().enumerate().map(|(index, item)| self.fill(item, &at.index(index)));
                items.collect::<Result<_, _>>().map(Json::List)
            }
            Json::Object(members) => {
                let members = members.into_iter().map(|(name, value)| {
                    let value = self.fill(value, &at.key(&name))?;
                    Ok((name, value))
                });
                members.collect::<Result<_, Errors>>().map(Json::Object)
            }
            other => Ok(other),
        }
    }

    fn named(&mut self, named: &Json, at: &Pointer<'_>) -> Result<Json, Errors> {
        let Json::String(pointer) = named else {
            let (what, wanted) = (RESULT.to_owned(), "a path into an earlier result, such as /0/data/id");
            return Err(Error::at(at, Problem::WrongForm { what, wanted, given: shown(named) }).into());
        };
        let Some(found) = self.find(pointer).cloned() else {
            let why = format!(
                "names no earlier result: \"{}\" is not there; a result is named by its number and a path, such as /0/data/id",
                shown(pointer)
            );
            return Err(Error::at(at, Problem::Refused { field: RESULT.into(), why }).into());
        };
        self.filled += found.size();
        if self.filled > MOST_FILLED {
            let problem = Problem::TooMany { what: "bytes of earlier results", limit: MOST_FILLED as u64 };
            return Err(Error::at(at, problem).into());
        }
        Ok(found)
    }

    /// What an RFC 6901 pointer into the list of envelopes leads to.
    fn find(&self, pointer: &str) -> Option<&Json> {
        let mut tokens = pointer.strip_prefix('/')?.split('/').map(|token| token.replace("~1", "/").replace("~0", "~"));
        let mut here = self.envelopes.get(place(&tokens.next()?)?)?;
        for token in tokens {
            here = match here {
                Json::List(items) => items.get(place(&token)?)?,
                other => other.get(&token)?,
            };
        }
        Some(here)
    }
}

/// Whether a request names a result.
fn names_one(json: &Json) -> bool {
    match json {
        Json::List(items) => items.iter().any(names_one),
        Json::Object(members) => members.iter().any(|(name, value)| name == RESULT || names_one(value)),
        _ => false,
    }
}

/// The place in a list that a token names: digits without a zero before them.
fn place(token: &str) -> Option<usize> {
    let plain = token == "0" || (!token.starts_with('0') && token.bytes().all(|byte| byte.is_ascii_digit()));
    if plain { token.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_leads_into_earlier_results_only() {
        let envelopes = vec![Json::parse(br#"{"data": [{"id": 5, "a/b": {"~": 1}}]}"#).unwrap()];
        let results = Results { envelopes, wanted: true, ..Results::default() };
        assert_eq!(results.find("/0/data/0/id"), Some(&Json::Integer(5)));
        assert_eq!(results.find("/0/data/0/a~1b/~0"), Some(&Json::Integer(1)));
        for pointer in ["", "0", "/1/data", "/0/data/1", "/0/data/00", "/0/data/-", "/0/nothing", "/-1", "/+0"] {
            assert_eq!(results.find(pointer), None, "{pointer}");
        }
    }
}
