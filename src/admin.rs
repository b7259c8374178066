//! The files of the admin page, which are part of the binary. They tell nothing of the database: what the page shows it asks for
//! with the key of whoever opens it, as any client does. So they take no key and leave no entry in the usage log.
//!
//! A new file is a row here; a test sees to it that none is forgotten.

use crate::about::METHODS;
use crate::call::Call;
use crate::envelope::{self, Reply};
use crate::error::Problem;

/// One of them.
#[derive(Debug)]
pub struct File {
    pub path: &'static str,
    media: &'static str,
    bytes: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";
const TEXT: &str = "text/plain; charset=utf-8";

/// All of them.
static FILES: [File; 36] = [
    File { path: "/", media: HTML, bytes: include_bytes!("admin/index.html") },
    File { path: "/admin/app.js", media: SCRIPT, bytes: include_bytes!("admin/app.js") },
    File { path: "/admin/chart.js", media: SCRIPT, bytes: include_bytes!("admin/chart.js") },
    File { path: "/admin/completion.js", media: SCRIPT, bytes: include_bytes!("admin/completion.js") },
    File { path: "/admin/console.js", media: SCRIPT, bytes: include_bytes!("admin/console.js") },
    File { path: "/admin/dom.js", media: SCRIPT, bytes: include_bytes!("admin/dom.js") },
    File { path: "/admin/editor.js", media: SCRIPT, bytes: include_bytes!("admin/editor.js") },
    File { path: "/admin/entries.js", media: SCRIPT, bytes: include_bytes!("admin/entries.js") },
    File { path: "/admin/examples.js", media: SCRIPT, bytes: include_bytes!("admin/examples.js") },
    File { path: "/admin/fields.js", media: SCRIPT, bytes: include_bytes!("admin/fields.js") },
    File { path: "/admin/filter.js", media: SCRIPT, bytes: include_bytes!("admin/filter.js") },
    File { path: "/admin/findings.js", media: SCRIPT, bytes: include_bytes!("admin/findings.js") },
    File { path: "/admin/icon.svg", media: IMAGE, bytes: include_bytes!("admin/icon.svg") },
    File { path: "/admin/jql.js", media: SCRIPT, bytes: include_bytes!("admin/jql.js") },
    File { path: "/admin/key-form.js", media: SCRIPT, bytes: include_bytes!("admin/key-form.js") },
    File { path: "/admin/key.js", media: SCRIPT, bytes: include_bytes!("admin/key.js") },
    File { path: "/admin/keys.js", media: SCRIPT, bytes: include_bytes!("admin/keys.js") },
    File { path: "/admin/log.js", media: SCRIPT, bytes: include_bytes!("admin/log.js") },
    File { path: "/admin/models.js", media: SCRIPT, bytes: include_bytes!("admin/models.js") },
    File { path: "/admin/permissions.js", media: SCRIPT, bytes: include_bytes!("admin/permissions.js") },
    File { path: "/admin/picker.js", media: SCRIPT, bytes: include_bytes!("admin/picker.js") },
    File { path: "/admin/picture.js", media: SCRIPT, bytes: include_bytes!("admin/picture.js") },
    File { path: "/admin/record.js", media: SCRIPT, bytes: include_bytes!("admin/record.js") },
    File { path: "/admin/records.js", media: SCRIPT, bytes: include_bytes!("admin/records.js") },
    File { path: "/admin/scan.js", media: SCRIPT, bytes: include_bytes!("admin/scan.js") },
    File { path: "/admin/session.js", media: SCRIPT, bytes: include_bytes!("admin/session.js") },
    File { path: "/admin/signin.js", media: SCRIPT, bytes: include_bytes!("admin/signin.js") },
    File { path: "/admin/span.js", media: SCRIPT, bytes: include_bytes!("admin/span.js") },
    File { path: "/admin/style.css", media: STYLE, bytes: include_bytes!("admin/style.css") },
    File { path: "/admin/tree.js", media: SCRIPT, bytes: include_bytes!("admin/tree.js") },
    File { path: "/admin/ui.js", media: SCRIPT, bytes: include_bytes!("admin/ui.js") },
    File { path: "/admin/usage.js", media: SCRIPT, bytes: include_bytes!("admin/usage.js") },
    File { path: "/admin/values.js", media: SCRIPT, bytes: include_bytes!("admin/values.js") },
    File { path: "/admin/vendor/uplot.LICENSE", media: TEXT, bytes: include_bytes!("admin/vendor/uplot.LICENSE") },
    File { path: "/admin/vendor/uplot.css", media: STYLE, bytes: include_bytes!("admin/vendor/uplot.css") },
    File { path: "/admin/vendor/uplot.js", media: SCRIPT, bytes: include_bytes!("admin/vendor/uplot.js") },
];

/// What a browser is told with each. Nothing runs and nothing is fetched but what comes from here, so that a value of a
/// record that looks like a script stays a text, and no other page may frame the page or hold a window of it.
const HEADERS: [(&str, &str); 4] = [
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
];

/// The file at that path.
pub fn file(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}

/// Answers a request for a file; to a browser that has it already only that it is still so.
///
/// # Errors
/// The request is broken, or by another method.
pub fn answer(call: &Call, file: &File) -> Result<Reply, Problem> {
    call.is_sound()?;
    call.is_by(METHODS)?;
    let tag = format!("\"{}\"", blake3::hash(file.bytes).to_hex());
    // Compared as RFC 9110 has it: weak tags count, and `*` is any file.
    let is_same = |one: &str| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag;
    let is_known = call.if_none_match.is_some_and(|known| known.split(',').any(|one| is_same(one.trim())));
    let mut page = envelope::page(file.media, file.bytes.to_vec());
    page.keeping = envelope::ASK_AGAIN;
    page.headers = HEADERS.map(|(name, value)| (name, value.to_owned())).into_iter().chain([("ETag", tag)]).collect();
    Ok(if is_known { envelope::unchanged(page) } else { page })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// The files of a folder and of those in it.
    fn files(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, found);
            } else {
                found.insert(path.strip_prefix(ROOT).unwrap().to_str().unwrap().replace('\\', "/"));
            }
        }
    }

    const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

    #[test]
    fn every_file_has_its_row_and_every_row_its_file() {
        let mut there = BTreeSet::new();
        files(&Path::new(ROOT).join("admin"), &mut there);
        let name = |path: &str| if path == "/" { "admin/index.html".to_owned() } else { path[1..].to_owned() };
        let rows: BTreeSet<String> = FILES.iter().map(|file| name(file.path)).collect();
        assert_eq!((rows.len(), &rows), (FILES.len(), &there));
        for file in &FILES {
            assert_eq!(file.bytes, std::fs::read(Path::new(ROOT).join(name(file.path))).unwrap(), "{}", file.path);
        }
    }
}
