//! The paths that tell of the server itself: is it up, is it ready; how much it does, what it takes. The first two
//! are answered here, to anyone; the others take a key, and `handle.rs` sees to that.

use crate::access::Action;
use crate::call::Call;
use crate::envelope::{self, Reply};
use crate::error::{Problem, shown};
use crate::model::system;
use crate::store::{Store, catalogue_version};

/// One of these paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    pub path: &'static str,
    pub page: Page,
    pub takes: Takes,
    /// What it tells.
    tells: &'static str,
    /// What the answer is called that it gives.
    pub answer: &'static str,
}

/// What a client must have to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    Nothing,
    /// A key that may be used.
    Key,
    /// One that may do this to that model of the server's own.
    Permission(Action, &'static str),
}

impl About {
    pub fn takes_key(&self) -> bool {
        self.takes != Takes::Nothing
    }

    /// What it tells, and the permission that it takes.
    pub fn told(&self) -> String {
        match self.takes {
            Takes::Nothing | Takes::Key => self.tells.to_owned(),
            Takes::Permission(action, model) => {
                format!("{} It takes the permission {}.", self.tells, system::namespace(model).permission(action))
            }
        }
    }
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
        takes: Takes::Nothing,
        tells: "Whether the server is up.",
        answer: "It is up.",
    },
    About {
        path: "/readyz",
        page: Page::Ready,
        takes: Takes::Nothing,
        tells: "Whether the server answers requests: its database answers, and it is not stopping.",
        answer: "It is ready.",
    },
    About {
        path: "/metrics",
        page: Page::Metrics,
        takes: Takes::Permission(Action::Read, system::USAGE_LOG),
        tells: "How much the server does, for Prometheus.",
        answer: "Numbers, in the text format 0.0.4.",
    },
    About {
        path: "/openapi.json",
        page: Page::OpenApi,
        takes: Takes::Key,
        tells: "This description, with the models that the key may do something with.",
        answer: "An OpenAPI document.",
    },
];

/// The methods of all of them.
pub const METHODS: &str = "GET, HEAD";

/// The page that takes a key at that path.
pub fn with_key(path: &str) -> Option<&'static About> {
    PAGES.iter().find(|about| about.takes_key() && about.path == path)
}

/// Answers a request that takes no key.
///
/// # Errors
/// There is no such path, or not with that method; or the server is not ready.
pub fn answer(call: &Call, store: &Store, stopping: bool) -> Result<Reply, Problem> {
    call.is_sound()?;
    let Some(about) = PAGES.iter().find(|about| about.path == call.path) else {
        return Err(Problem::NoSuchPath { path: shown(&call.path) });
    };
    call.is_by(METHODS)?;
    match about.page {
        Page::Health => Ok(envelope::note("up")),
        Page::Ready => ready(store, stopping).map(|()| envelope::note("ready")),
        Page::Metrics | Page::OpenApi => Err(Problem::Unauthenticated),
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
