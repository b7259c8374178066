//! The paths that tell of the server itself: is it up, is it ready.

use crate::call::Call;
use crate::envelope::{self, Reply};
use crate::error::{Problem, shown};
use crate::store::{Store, catalogue_version};

/// Answers a request that is no JQL.
///
/// # Errors
/// There is no such path, or not with that method; or the server is not ready.
pub fn answer(call: &Call, store: &Store, stopping: bool) -> Result<Reply, Problem> {
    if let Some(problem) = &call.broken {
        return Err(problem.clone());
    }
    match (call.path.as_str(), call.method.as_str()) {
        ("/healthz", "GET" | "HEAD") => Ok(envelope::note("up")),
        ("/readyz", "GET" | "HEAD") => ready(store, stopping).map(|()| envelope::note("ready")),
        ("/healthz" | "/readyz", _) => Err(Problem::MethodNotAllowed { allow: "GET, HEAD" }),
        (path, _) => Err(Problem::NoSuchPath { path: shown(&path) }),
    }
}

/// Whether requests are answered: not while stopping, and not without the database.
fn ready(store: &Store, stopping: bool) -> Result<(), Problem> {
    if stopping {
        return Err(Problem::ShuttingDown);
    }
    let reader = store.reader()?;
    reader.start();
    catalogue_version(&reader)?;
    Ok(())
}
