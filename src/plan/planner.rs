//! Making a plan: who asks and against which models, what is counted on the way, and which part plans what.

use super::{DEFAULT_LIMIT, Limits, MOST_TERMS, Of, Order, Output, Plan, Select, Tell, Work};
use crate::access::{Action, Namespace};
use crate::auth::Authenticated;
use crate::cursor::{Cursors, Secret};
use crate::error::{Code, Error, Errors, Problem, nearest, note, shown};
use crate::intent::{self, Intent};
use crate::json::Pointer;
use crate::model::{Catalogue, Model, system};
use crate::request::{Narrowing, Request};
use crate::value::time::Moment;
use crate::value::{Scalar, Type};
use smol_str::SmolStr;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Who asks, when, and against which models: what a request is planned with.
#[derive(Clone)]
pub struct Given {
    pub catalogue: Arc<Catalogue>,
    pub caller: Authenticated,
    pub limits: Limits,
    /// What cursors are made of.
    pub secret: Secret,
    /// The moment of the request, for the fields that the server sets.
    pub now: Moment,
    /// The id of the request, for the server's own log.
    pub request_id: SmolStr,
}

/// Plans a request. `malformed` is what is wrong with it already.
///
/// # Errors
/// All that is wrong with it; where permission is lacking, nothing but that.
pub fn build(given: &Given, request: &Request, malformed: Errors) -> Result<Plan, Errors> {
    let mut planner = Planner::new(given, malformed);
    let plan = planner.plan(request);
    let mut errors = planner.errors;
    if errors.iter().any(|error| error.problem.code() == Code::Authentication) {
        errors.retain(|error| error.problem.code() == Code::Authentication);
        return Err(errors);
    }
    if errors.iter().any(|error| matches!(error.problem, Problem::Forbidden { .. })) {
        errors.retain(|error| matches!(error.problem, Problem::Forbidden { .. }));
        errors.dedup_by(|next, kept| next.problem == kept.problem);
        return Err(errors);
    }
    match plan {
        Some((model, work)) if errors.is_empty() => {
            let (touched, dry_run, cached) = (planner.touched, request.dry_run, request.cached);
            Ok(Plan { model, work, touched, dry_run, cached })
        }
        _ => Err(errors),
    }
}

/// Asks permission for what is done to a server for tests as a whole.
///
/// # Errors
/// The caller lacks it.
pub fn permitted_fixture(given: &Given) -> Result<(), Errors> {
    let fixture = system::namespace(system::FIXTURE);
    if given.caller.may(&fixture, Action::Update) {
        return Ok(());
    }
    let permission = fixture.permission(Action::Update);
    let at = Pointer::ROOT.key("__meta__").key("namespace").to_string();
    Err(Error::at(at, Problem::Forbidden { permission }).into())
}

/// Collects what is wrong while it plans. A `None` from one of its methods means that an error was noted.
pub struct Planner<'a> {
    pub(super) catalogue: &'a Arc<Catalogue>,
    pub(super) caller: &'a Authenticated,
    pub(super) limits: Limits,
    pub(super) secret: &'a Secret,
    pub(super) now: &'a str,
    pub(super) errors: Errors,
    /// Fields and conditions so far.
    pub(super) terms: u64,
    /// Nested references so far.
    pub(super) references: u64,
    /// Regular expressions so far.
    pub(super) expressions: u64,
    /// Groups and totals that something is wrong with: what names them is not wrong as well.
    pub(super) lost: Vec<String>,
    /// The models asked for so far.
    pub(super) touched: BTreeSet<Namespace>,
}

impl<'a> Planner<'a> {
    pub(super) fn new(given: &'a Given, malformed: Errors) -> Planner<'a> {
        Planner {
            catalogue: &given.catalogue,
            caller: &given.caller,
            limits: given.limits,
            secret: &given.secret,
            now: &given.now,
            errors: malformed,
            terms: 0,
            references: 0,
            expressions: 0,
            lost: Vec::new(),
            touched: BTreeSet::new(),
        }
    }

    fn plan(&mut self, request: &Request) -> Option<(Arc<Model>, Work)> {
        let meta = Pointer::ROOT.key("__meta__");
        let at = meta.key("namespace");
        let rule = request.intent.rule();
        let narrowing = &request.narrowing;
        // A write that is narrowed by what it must not read would tell it.
        let reads = (narrowing.narrows() && !request.intent.reads()).then_some(Action::Read);
        let actions = rule.actions.iter().copied().chain(reads);
        let found = actions.map(|action| self.model(&request.namespace, action, &at));
        let found = found.reduce(Option::and); // of every action it is noted where leave is lacking
        let others = rule.others().filter(|other| self.model(other, Action::Read, &at).is_none()).count();
        let model = match found {
            Some(found) => found?,
            None => self.catalogue.model(&request.namespace)?.clone(), // one of the server's own
        };
        if others > 0 {
            return None;
        }
        if let Some(served) = model.intents.filter(|served| !served.contains(&request.intent)) {
            let (model, served) = (model.namespace.to_string(), served.iter().map(|one| one.rule().name).collect());
            let problem = Problem::NotForModel { model, intent: rule.name, served };
            self.note(Error::at(meta.key("intent"), problem));
            return None;
        }
        let is_key = || model.namespace.as_str() == intent::API_KEY;
        let work = match request.intent {
            Intent::Create | Intent::Update if is_key() => self.key_work(&model, request, &meta)?,
            Intent::Rotate | Intent::Revoke | Intent::Disable | Intent::Enable => {
                self.key_work(&model, request, &meta)?
            }
            Intent::WhoAmI => self.own_key(&model, &meta)?,
            Intent::Audit => self.audit_work(request),
            Intent::Describe => Work::Tell(Tell::Abilities),
            Intent::Diff | Intent::Apply => self.models_work(request)?,
            Intent::Retrieve => {
                let (condition, target) = match request.unique {
                    Some(_) => self.target(&model, request, &meta).map(|one| (one.whole(&model), Some(one))),
                    None => Some((self.condition(&model, narrowing, &meta), None)),
                }
                .unzip();
                let select = Select { ends_in_cursor: true, ..self.select(&model, request, &meta) };
                let cursors = Cursors::of(self.secret, signature(&select));
                let after = self.after(request, &cursors, &meta);
                let select = Select { condition: condition?, after, ..select };
                Work::Page { select, count: request.count, cursors, target: target? }
            }
            Intent::RetrieveOne => {
                let target = self.target(&model, request, &meta);
                // One record has no order, and is not kept from who may not read what the model is ordered by.
                let asked = request.fields.as_deref().unwrap_or_default();
                let select = Select::of(&model, self.fields(&model, asked, &Pointer::ROOT, "", 1));
                let target = target?;
                Work::One { select: Select { condition: target.whole(&model), limit: 1, ..select }, target }
            }
            Intent::Count => Work::Count { condition: self.condition(&model, narrowing, &meta) },
            Intent::Aggregate => self.groups(&model, request, &meta)?,
            Intent::Create | Intent::CreateMany => {
                Work::Create { write: self.create(&model, request), many: request.intent == Intent::CreateMany }
            }
            Intent::Update => {
                let target = self.target(&model, request, &meta);
                let write = self.update(&model, request);
                Work::Update { target: target?, write }
            }
            Intent::UpdateMany => {
                let condition = self.condition(&model, narrowing, &meta);
                Work::UpdateMany { condition, write: self.update(&model, request), most: request.most_affected }
            }
            Intent::Upsert => {
                let target = self.target(&model, request, &meta);
                let (update, create) = self.upsert(&model, request);
                Work::Upsert { target: target?, update, create }
            }
            Intent::DeleteOne => {
                let target = self.target(&model, request, &meta);
                let referrers = self.deletion(&model, &at);
                Work::Delete { target: target?, referrers }
            }
            Intent::DeleteMany => {
                let condition = self.condition(&model, narrowing, &meta);
                let referrers = self.deletion(&model, &at);
                Work::DeleteMany { condition, referrers, most: request.most_affected }
            }
            Intent::Execute | Intent::Reset | Intent::Snapshot | Intent::Restore | Intent::Clock => {
                let problem = Problem::Fault { cause: format!("{} is no plan", rule.name) };
                self.note(Error::at(at, problem));
                return None;
            }
        };
        Some((model, work))
    }

    /// The fields and the page of a reading request; its condition is the caller's to add.
    pub fn select(&mut self, model: &Arc<Model>, request: &Request, meta: &Pointer<'_>) -> Select {
        let asked = request.fields.as_deref().unwrap_or_default();
        let fields = self.fields(model, asked, &Pointer::ROOT, "", 1);
        self.page(model, &request.narrowing, meta, fields)
    }

    /// Order, limit and offset of a list; its condition is the caller's to add. `at` is its `__meta__`.
    pub fn page(&mut self, model: &Arc<Model>, narrowing: &Narrowing, at: &Pointer<'_>, fields: Vec<Output>) -> Select {
        let order = self.order(model, narrowing.ordering.as_ref(), &at.key("ordering"));
        let limit = self.limit(narrowing, at);
        Select { order, limit, offset: narrowing.offset.unwrap_or(0), ..Select::of(model, fields) }
    }

    pub fn limit(&mut self, narrowing: &Narrowing, at: &Pointer<'_>) -> u64 {
        let limit = narrowing.limit.unwrap_or(DEFAULT_LIMIT.min(self.limits.max_limit));
        if limit > self.limits.max_limit {
            let problem = Problem::TooMany { what: "records in one page (limit)", limit: self.limits.max_limit };
            self.note(Error::at(at.key("limit"), problem));
        }
        limit
    }

    /// The values in the cursor that a page is to begin behind.
    fn after(&mut self, request: &Request, cursors: &Cursors, meta: &Pointer<'_>) -> Option<Vec<Scalar>> {
        let found = cursors.open(request.after.as_ref()?);
        if found.is_none() {
            let why = "is not a cursor of this order: send back \"extras.next\" of the page before as it is, with the same ordering";
            let problem = Problem::Refused { field: "after".into(), why: why.into() };
            self.note(Error::at(meta.key("after"), problem));
        }
        found
    }

    /// Notes an argument that a controller does not take, and the nearest that it does.
    pub fn unknown_argument<const N: usize>(&mut self, at: &Pointer<'_>, intent: Intent, key: &str, known: [&str; N]) {
        let place = format!("the controller {}", intent.rule().name);
        self.note(Error::at(at, Problem::UnknownKey { place, key: shown(&key), nearest: nearest(key, known) }));
    }

    pub fn note(&mut self, error: Error) {
        note(&mut self.errors, error);
    }

    /// Counts one more field or condition; `false` where there are too many.
    pub fn term(&mut self, at: &Pointer<'_>) -> bool {
        self.terms += 1;
        if self.terms == MOST_TERMS + 1 {
            // First, so that it is told however much else is wrong.
            let problem = Problem::TooMany { what: "fields and conditions", limit: MOST_TERMS };
            self.errors.insert(0, Error::at(at, problem));
        }
        self.terms <= MOST_TERMS
    }
}

/// What tells an order, and its cursors, from all others.
fn signature(select: &Select) -> String {
    let mut text = String::with_capacity(128);
    text.push_str(select.model.namespace.as_str());
    for Order { value, descending } in &select.order {
        text.push_str(if *descending { " -" } else { " " });
        for relation in &value.path {
            text.push_str(&relation.name);
            text.push_str("__");
        }
        text.push_str(&value.term.column.name);
        let of = match &value.term.of {
            Of::Whole => "",
            Of::Part(part) => part.name,
            Of::Inside(path, _) => path.as_str(),
        };
        for part in ["__", of, ":", value.term.kind().name()] {
            text.push_str(part);
        }
        if let Type::Decimal { places, .. } = value.term.kind() {
            text.push_str(&places.to_string());
        }
    }
    text
}
