//! What all that makes schemas of a model goes by: the models in force, and what the key may do with them.

use crate::access::{Action, Namespace};
use crate::auth::Authenticated;
use crate::intent::{Rule, Schema};
use crate::model::{Catalogue, Model, Relation};
use crate::plan::Limits;
use std::sync::Arc;

/// What makes the schemas of a model.
pub struct Maker<'a> {
    pub catalogue: &'a Catalogue,
    pub caller: &'a Authenticated,
    pub limits: Limits,
    /// The schemas that are requests.
    pub requests: Vec<String>,
}

/// The name of a schema that is a part of a model.
pub fn part(model: &Model, what: &str) -> String {
    format!("{}.{what}", model.namespace)
}

impl<'a> Maker<'a> {
    pub fn new(catalogue: &'a Catalogue, caller: &'a Authenticated, limits: Limits) -> Maker<'a> {
        Maker { catalogue, caller, limits, requests: Vec::new() }
    }

    /// Whether the caller may send requests of that intent on the model.
    pub fn is_shown(&self, model: &Model, rule: &Rule) -> bool {
        let served = model.intents.is_none_or(|served| served.contains(&rule.intent));
        let goes_with = match rule.of {
            None => rule.schema == Schema::Model,
            Some(of) => of == model.namespace.as_str(),
        };
        served && goes_with && rule.least(&model.namespace).all(|(model, action)| self.may(&model, action))
    }

    pub fn may(&self, namespace: &Namespace, action: Action) -> bool {
        self.caller.may(namespace, action)
    }

    pub fn reads(&self, model: &Model) -> bool {
        self.may(&model.namespace, Action::Read)
    }

    /// The model that a relation leads to, where it may be read.
    pub fn target(&self, relation: &Relation) -> Option<&Arc<Model>> {
        self.catalogue.model(&relation.target).filter(|target| self.reads(target))
    }
}
