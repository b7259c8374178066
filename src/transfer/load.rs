//! Loading: one thread hands records over and plans them, the other has them in the database, each checked as one that a
//! client makes. A record that refers to one that is not there yet waits until the others are in.

use super::progress::Progress;
use super::records::{Mark, Record};
use super::waiting::{self, Waiting};
use crate::error::{Error, Errors};
use crate::json::{self, Json, Object};
use crate::model::{Kind, Model};
use crate::plan::load::Load;
use crate::plan::planner::Given;
use crate::plan::{Row, Write};
use crate::run::{Refused, Table};
use crate::store::{Failure, Session};
use crate::value::Scalar;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SendError, SyncSender, sync_channel};

/// Records handed over at a time, how many such packets wait, and records of one step.
const PACKET: usize = 500;
const PACKETS: usize = 8;
const STEP: u64 = 20_000;

/// Records that may wait for others.
const MOST_WAITING: usize = 100_000;

/// Mistakes told where nothing is to go in unless all does.
const MOST_MISTAKES: usize = 100;

/// Where the records of a model come from.
pub trait Origin: Sync {
    fn model(&self) -> &Arc<Model>;
    /// What is wrong with the record of a line, with where.
    fn described(&self, line: u64, what: &dyn Display) -> String;
    /// Where a record stands, as a script reads it.
    fn place(&self, line: u64) -> [(&'static str, Json); 2];
}

/// How to load.
#[derive(Clone, Copy, Default)]
pub struct Options {
    /// What is refused is set aside, and the rest goes in. Otherwise it is all or nothing.
    pub skips: bool,
    /// In steps, each of which stays, going on behind those of an earlier run.
    pub resumes: bool,
    /// Nothing stays.
    pub dry_run: bool,
}

/// A record that did not go in.
pub struct Reject<'s> {
    pub origin: &'s dyn Origin,
    pub line: u64,
    pub errors: Vec<Mistake>,
    /// As it was read, where it could be.
    pub values: Option<Object>,
}

/// What is wrong with a record, and with which value.
pub struct Mistake {
    pub pointer: Option<String>,
    pub message: String,
}

/// Who hears how a load goes.
pub trait Listener {
    fn rejects(&mut self, reject: &Reject<'_>) -> Result<(), String>;
    /// What was rejected so far must be kept now: the others are about to be.
    fn keep(&mut self) -> Result<(), String>;
    /// Records that are in, and how much of all there is was read.
    fn tell(&mut self, records: u64, read: u64);
}

/// What a load came to.
#[derive(Debug, Default, PartialEq)]
pub struct Done {
    pub loaded: u64,
    pub rejected: u64,
    /// Records that an earlier run had loaded.
    pub before: u64,
}

/// A record on its way.
struct Item {
    line: u64,
    row: Result<Row, Vec<Mistake>>,
    values: Option<Object>,
}

enum Packet {
    /// Records of an origin, the place of the last, and how much of all there is was read.
    Items {
        origin: usize,
        items: Vec<Item>,
        mark: Mark,
        read: u64,
    },
    /// So many records were done before.
    Skipped(u64),
    Failed(String),
}

/// What each origin is known by from one run to the next, and how much of it is done.
pub type Marks = Vec<(Scalar, Progress)>;

/// Loads what `hand_over` has of these origins into the transaction that is open. Without `marks` it is all of it.
///
/// # Errors
/// It cannot be read, the database takes nothing more, or all or nothing was wanted and something is wrong. The transaction is to
/// be undone then.
pub fn load(
    session: &Session,
    given: &Given,
    origins: &[&dyn Origin],
    mut marks: Marks,
    options: Options,
    listener: &mut dyn Listener,
    hand_over: impl FnOnce(&mut Hand<'_>) -> Result<(), Cut> + Send,
) -> Result<Done, String> {
    marks.resize_with(origins.len(), || (Scalar::Null, Progress::default()));
    let plans: Vec<Load<'_>> = origins.iter().map(|origin| Load::new(given, origin.model())).collect();
    let (give, take) = sync_channel(PACKETS);
    let mut hand = Hand { plans: &plans, keeps: options.skips, give, items: Vec::new() };
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if let Err(Cut::Failed(why)) = hand_over(&mut hand) {
                drop(hand.give.send(Packet::Failed(why)));
            }
        });
        let (waiting, done) = (Vec::new(), Done::default());
        let mut loading =
            Loading { session, origins, plans: &plans, options, listener, marks, waiting, done, unsaved: 0 };
        let outcome = loading.all(&take);
        drop(take); // where that failed nobody takes any more, so that the other thread ends, which the scope waits for
        outcome.map(|()| loading.done)
    })
}

fn told(failure: Failure) -> String {
    failure.to_string()
}

/// Takes records one by one, plans them, and passes them on together.
pub struct Hand<'h> {
    plans: &'h [Load<'h>],
    /// Whether records are kept as they were read.
    keeps: bool,
    give: SyncSender<Packet>,
    items: Vec<Item>,
}

/// Why there is nothing more to hand over.
pub enum Cut {
    /// Nobody takes it.
    Unwanted,
    Failed(String),
}

impl From<String> for Cut {
    fn from(why: String) -> Cut {
        Cut::Failed(why)
    }
}

impl From<SendError<Packet>> for Cut {
    fn from(_: SendError<Packet>) -> Cut {
        Cut::Unwanted
    }
}

impl Hand<'_> {
    /// Takes a record of an origin, and tells whether it is time to pass on.
    pub fn takes(&mut self, origin: usize, record: Record) -> bool {
        let row = match &record.values {
            Ok(values) => self.plans[origin].row(values).map_err(|errors| mistakes(&errors)),
            Err(why) => Err(vec![Mistake { pointer: None, message: why.clone() }]),
        };
        self.items.push(Item { line: record.line, row, values: record.values.ok().filter(|_| self.keeps) });
        self.items.len() >= PACKET
    }

    /// Passes on the records of an origin that were taken, with the place of the last and how much was read.
    pub fn pass(&mut self, origin: usize, mark: Mark, read: u64) -> Result<(), Cut> {
        let items = std::mem::replace(&mut self.items, Vec::with_capacity(PACKET));
        Ok(self.give.send(Packet::Items { origin, items, mark, read })?)
    }

    /// Tells of records that an earlier run had loaded.
    pub fn skip(&self, records: u64) -> Result<(), Cut> {
        Ok(self.give.send(Packet::Skipped(records))?)
    }
}

fn mistakes(errors: &Errors) -> Vec<Mistake> {
    let mistake = |error: &Error| Mistake { pointer: error.pointer.clone(), message: error.problem.with_hint() };
    errors.iter().map(mistake).collect()
}

/// A load under way.
struct Loading<'l> {
    session: &'l Session,
    origins: &'l [&'l dyn Origin],
    plans: &'l [Load<'l>],
    options: Options,
    listener: &'l mut dyn Listener,
    marks: Marks,
    waiting: Vec<Waiting>,
    done: Done,
    /// Records since the last step.
    unsaved: u64,
}

impl Loading<'_> {
    fn all(&mut self, take: &Receiver<Packet>) -> Result<(), String> {
        while let Ok(packet) = take.recv() {
            match packet {
                Packet::Items { origin, items, mark, read } => {
                    self.put_in(origin, items, mark)?;
                    self.listener.tell(self.done.loaded, read);
                    if self.unsaved >= STEP && self.takes_steps() {
                        self.save()?;
                    }
                }
                Packet::Skipped(records) => self.done.before += records,
                Packet::Failed(why) => return Err(why),
            }
        }
        self.put_in_waiting()?;
        if self.options.resumes {
            self.marks.iter_mut().for_each(|(_, progress)| progress.is_whole = true);
            self.note_progress()?;
        }
        if self.done.rejected > 0 && !self.options.skips {
            return Err(self.nothing());
        }
        self.listener.keep()
    }

    /// Whether what is in may stay by itself. What was refused is not to lie behind a step where it has to be mended.
    fn takes_steps(&self) -> bool {
        self.options.resumes && (self.options.skips || self.done.rejected == 0)
    }

    /// Puts in records of an origin.
    fn put_in(&mut self, origin: usize, items: Vec<Item>, mark: Mark) -> Result<(), String> {
        self.unsaved += items.len() as u64;
        let (mut rows, mut there) = (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
        let mut rejected = Vec::new();
        for item in items {
            match item.row {
                Ok(row) => {
                    rows.push(row);
                    there.push((item.line, item.values));
                }
                Err(errors) => rejected.push((item.line, errors, item.values)),
            }
        }
        self.marks[origin].1.mark = mark;
        let (mut write, refused) = self.insert(origin, rows)?;
        for (place, refused) in refused {
            let ((line, values), mut errors) = (std::mem::take(&mut there[place]), mistakes(&refused.errors));
            let is_full = self.waiting.len() >= MOST_WAITING;
            if refused.is_dangling && is_full {
                let more = format!(
                    " so far, and {MOST_WAITING} records wait for others already; have those come first that others refer to"
                );
                errors.iter_mut().for_each(|mistake| mistake.message += &more);
            }
            if refused.is_dangling && !is_full {
                self.marks[origin].1.waiting.insert(line);
                let row = std::mem::take(&mut write.rows[place]);
                self.waiting.push(Waiting { origin, line, row, values, errors });
            } else {
                rejected.push((line, errors, values));
            }
        }
        rejected.sort_by_key(|(line, ..)| *line);
        rejected.into_iter().try_for_each(|(line, errors, values)| self.reject(origin, line, errors, values))
    }

    /// Inserts rows, and tells which were refused, by their places.
    fn insert(&mut self, origin: usize, rows: Vec<Row>) -> Result<(Write, Vec<(usize, Refused)>), String> {
        let model = self.origins[origin].model();
        let table = Table { session: self.session, model, name: model.namespace.as_str() };
        let (write, mut refused) = (self.plans[origin].write(rows), Vec::new());
        table.load(&write, |place, why| refused.push((place, why))).map_err(|errors| why(&errors))?;
        self.done.loaded += (write.rows.len() - refused.len()) as u64;
        Ok((write, refused))
    }

    /// Puts in the records that wait for others, all together, as they may wait for each other; those aside that refer to
    /// what is neither there nor among them.
    fn put_in_waiting(&mut self) -> Result<(), String> {
        while !self.waiting.is_empty() {
            let (whole, lost) = waiting::sorted(std::mem::take(&mut self.waiting), self.session, self.plans)?;
            for one in lost {
                self.reject(one.origin, one.line, one.errors, one.values)?;
            }
            let refused = self.put_in_together(&whole)?;
            if refused.is_empty() {
                for one in &whole {
                    self.marks[one.origin].1.waiting.remove(&one.line);
                }
                break;
            }
            // All of it was undone, for another try without these.
            let mut refused = refused.into_iter().peekable();
            for (place, one) in whole.into_iter().enumerate() {
                match refused.next_if(|(refused, _)| *refused == place) {
                    Some((_, errors)) => self.reject(one.origin, one.line, errors, one.values)?,
                    None => self.waiting.push(one),
                }
            }
        }
        Ok(())
    }

    /// Tries to put in all that waits; where any of it is refused, that is told, by its places, and nothing is in.
    fn put_in_together(&mut self, waiting: &[Waiting]) -> Result<Vec<(usize, Vec<Mistake>)>, String> {
        let loaded = self.done.loaded;
        let origins: BTreeSet<usize> = waiting.iter().map(|one| one.origin).collect();
        let (session, all) = (self.session, self.origins);
        let together = session.unjudged(|| {
            let mut refused = Vec::new();
            for (place, one) in waiting.iter().enumerate() {
                let (_, mut why) = self.insert(one.origin, vec![one.row.clone()]).map_err(Undone::Failed)?;
                refused.extend(why.pop().map(|(_, why)| (place, mistakes(&why.errors))));
            }
            if !refused.is_empty() {
                return Err(Undone::Refused(refused));
            }
            for table in origins.iter().flat_map(|origin| tables(all[*origin].model())) {
                if !session.holds(&table)? {
                    return Err(Undone::Failed("references do not hold that were there a moment ago".into()));
                }
            }
            Ok(())
        });
        match together {
            Ok(()) => Ok(Vec::new()),
            Err(Undone::Failed(why)) => Err(why),
            Err(Undone::Refused(refused)) => {
                self.done.loaded = loaded;
                Ok(refused)
            }
        }
    }

    fn reject(&mut self, origin: usize, line: u64, errors: Vec<Mistake>, values: Option<Object>) -> Result<(), String> {
        self.done.rejected += 1;
        self.marks[origin].1.waiting.remove(&line);
        self.listener.rejects(&Reject { origin: self.origins[origin], line, errors, values })?;
        if !self.options.skips && self.done.rejected >= MOST_MISTAKES as u64 {
            return Err(format!("these are the first {MOST_MISTAKES} mistakes; {}", self.nothing()));
        }
        Ok(())
    }

    fn note_progress(&self) -> Result<(), String> {
        self.marks.iter().try_for_each(|(name, progress)| progress.write(self.session, name)).map_err(told)
    }

    /// What a load that ends in mistakes says at its end.
    fn nothing(&self) -> String {
        let kept =
            "what earlier steps loaded stays; once the rest of the file is mended, run it again to go on behind them";
        if self.options.resumes { kept.into() } else { "nothing was loaded".into() }
    }

    /// Has what is in stay, and with it how far that is.
    fn save(&mut self) -> Result<(), String> {
        self.unsaved = 0;
        self.note_progress()?;
        self.listener.keep()?; // one that is told twice is better than one that is lost
        self.session.commit().map_err(told)?;
        self.session.begin().map_err(told)
    }
}

/// The tables of a model: its own, and those of its `refs` fields.
fn tables(model: &Model) -> Vec<String> {
    let lists = model.fields.iter().filter(|field| matches!(field.kind, Kind::Refs(_)));
    std::iter::once(model.namespace.to_string()).chain(lists.map(|field| model.link_table(&field.name))).collect()
}

/// Why nothing of what was put in together is there.
enum Undone {
    /// Some of it, by its places.
    Refused(Vec<(usize, Vec<Mistake>)>),
    Failed(String),
}

impl From<Failure> for Undone {
    fn from(failure: Failure) -> Undone {
        Undone::Failed(told(failure))
    }
}

/// Why the database takes nothing more.
fn why(errors: &Errors) -> String {
    errors.first().map_or_else(|| "the database takes nothing more".into(), |error| error.problem.for_owner())
}

impl Mistake {
    /// As a line for people.
    pub fn shown(&self) -> String {
        let place = self.pointer.as_deref().map(|pointer| format!("{pointer}: ")).unwrap_or_default();
        format!("{place}{}", self.message)
    }

    /// As a script reads it.
    pub fn member(&self) -> Json {
        let pointer = self.pointer.as_deref().map_or(Json::Null, Json::from);
        json::object(vec![("pointer", pointer), ("message", self.message.as_str().into())])
    }
}
