//! The paths that tell of the server itself: is it up, is it ready; how much it does, what it takes. The first two
//! are answered here, to anyone; the others take a key, and `handle.rs` sees to that.

use crate::call::Call;
use crate::envelope::{self, Reply};
use crate::error::{Problem, shown};
use crate::store::{Store, catalogue_version};

/// One of these paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    pub path: &'static str,
    pub page: Page,
    pub takes_key: bool,
    /// What it tells.
    pub tells: &'static str,
    /// What the answer is called that it gives.
    pub answer: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    Health,
    Ready,
    Metrics,
    OpenApi,
}

/// All of them.
pub static PAGES: [About; 4] = [
    About {
        path: "/healthz",
        page: Page::Health,
        takes_key: false,
        tells: "Whether the server is up.",
        answer: "It is up.",
    },
    About {
        path: "/readyz",
        page: Page::Ready,
        takes_key: false,
        tells: "Whether the server answers requests: its database answers, and it is not stopping.",
        answer: "It is ready.",
    },
    About {
        path: "/metrics",
        page: Page::Metrics,
        takes_key: true,
        tells: "How much the server does, for Prometheus. It takes the permission system.UsageLog:read.",
        answer: "Numbers, in the text format 0.0.4.",
    },
    About {
        path: "/openapi.json",
        page: Page::OpenApi,
        takes_key: true,
        tells: "This description, with the models that the key may do something with.",
        answer: "An OpenAPI document.",
    },
];

/// The methods of all of them.
pub const METHODS: &str = "GET, HEAD";

/// The page that takes a key at that path.
pub fn with_key(path: &str) -> Option<Page> {
    PAGES.iter().find(|about| about.takes_key && about.path == path).map(|about| about.page)
}

/// Answers a request that takes no key.
///
/// # Errors
/// There is no such path, or not with that method; or the server is not ready.
pub fn answer(call: &Call, store: &Store, stopping: bool) -> Result<Reply, Problem> {
    if let Some(problem) = &call.broken {
        return Err(problem.clone());
    }
    let page = PAGES.iter().find(|about| about.path == call.path).map(|about| about.page);
    match (page, call.method.as_str()) {
        (Some(Page::Health), "GET" | "HEAD") => Ok(envelope::note("up")),
        (Some(Page::Ready), "GET" | "HEAD") => ready(store, stopping).map(|()| envelope::note("ready")),
        (Some(_), _) => Err(Problem::MethodNotAllowed { allow: METHODS }),
        (None, _) => Err(Problem::NoSuchPath { path: shown(&call.path) }),
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
