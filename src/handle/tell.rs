//! What the server tells of itself to those who have a key.

use super::{App, let_in, wrong_key};
use crate::about::{self, About, Page, Takes};
use crate::call::Call;
use crate::envelope::{self, Reply};
use crate::error::{Errors, Problem};
use crate::metrics::{self, Now};
use crate::model::system;
use crate::openapi::{self, Served};
use crate::usage::Entry;
use std::sync::atomic::Ordering;

/// Answers a request for that page.
///
/// # Errors
/// The key is refused, or lacks the permission for it; or the description is too large, or takes too long.
pub fn answer(app: &App, call: &Call, about: &About, entry: &mut Entry) -> Result<Reply, Errors> {
    let key = call.admitted(about::METHODS, &app.cors_origins).map_err(|problem| wrong_key(app, call, problem))?;
    let reader = app.store.reader_for(key.public_id())?;
    reader.start();
    let (caller, catalogue, size) = reader.reading(|| {
        let caller = let_in(app, call, &reader, key, entry)?;
        Ok::<_, Problem>((caller, app.store.catalogue(&reader)?, app.store.size(&reader)?))
    })?;
    if let Takes::Permission(action, model) = about.takes {
        let model = system::namespace(model);
        entry.namespace = Some(model.as_str().into());
        entry.action = Some(action.name());
        if !caller.may(&model, action) {
            return Err(Problem::Forbidden { permission: model.permission(action) }.into());
        }
    }
    match about.page {
        Page::OpenApi => {
            // With the reader in hand, so that no more descriptions are made at once than there are readers.
            let (limits, is_fixture) = (app.limits, app.fixture.is_some());
            let served = Served { limits, jql_paths: &app.jql_paths, is_fixture };
            let document = openapi::document(&catalogue, &caller, served, &|| reader.in_time())?;
            Ok(envelope::page(envelope::JSON, document).counted(&app.answers)?)
        }
        Page::Metrics => {
            drop(reader); // and is not counted among those in use
            Ok(envelope::page(metrics::MEDIA, app.metrics.page(&now(app, size)).into_bytes()))
        }
        Page::Health | Page::Ready => Ok(about::answer(call, &app.store, app.stopping.load(Ordering::Relaxed))?),
    }
}

/// What is so at this moment; `size` is that of the database and of its write-ahead log.
fn now(app: &App, (database_bytes, wal_bytes): (u64, u64)) -> Now {
    let (readers, most_readers) = app.store.readers_in_use();
    let (cache_answers, cache_bytes) = app.cache.size();
    Now {
        connections: app.connections.load(Ordering::Relaxed) as u64,
        readers: readers as u64,
        most_readers: most_readers as u64,
        log_backlog: app.writer.log_backlog(),
        cache_answers: cache_answers as u64,
        cache_bytes: cache_bytes as u64,
        database_bytes,
        wal_bytes,
    }
}
