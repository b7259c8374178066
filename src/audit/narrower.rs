//! The narrower list of permissions that use suggests.
//!
//! The log names what a request does to the model of its namespace. What it needs besides (to read what it only nests,
//! filters or orders by, to delete or change what a deletion reaches) is not in the log, so whatever the models in
//! force would let it need is kept.

use crate::access::{Action, Namespace, Permission, Permissions};
use crate::model::{Catalogue, OnDelete};
use std::collections::BTreeSet;

/// What is done to which models.
pub type Acts = BTreeSet<(Namespace, Action)>;

/// A narrower list, and how it came about.
#[derive(Debug, PartialEq)]
pub struct Narrower {
    pub permissions: Permissions,
    /// What it leaves out.
    pub unused: Vec<Permission>,
    /// What is in it only because a request may have needed it without the log telling.
    pub kept: Vec<Permission>,
}

/// The list for a key that holds these permissions and was used so.
pub fn narrower(held: &Permissions, used: &Acts, catalogue: &Catalogue) -> Narrower {
    let implied = implied(held, used, catalogue);
    let is_wanted = |act: &(Namespace, Action)| used.contains(act) || implied.contains(act);
    let mut found = Narrower { permissions: Permissions::default(), unused: Vec::new(), kept: Vec::new() };
    for permission in &held.0 {
        // For each model it is about, what of it is wanted and what is not.
        let mut parts: Vec<(Vec<Permission>, Vec<Permission>)> = Vec::new();
        for model in catalogue.all() {
            let name = &model.namespace;
            let acts = model.actions().filter(|action| permission.allows(name, *action));
            let (wanted, unused): (Vec<_>, Vec<_>) = acts.partition(|action| is_wanted(&(name.clone(), *action)));
            for action in wanted.iter().filter(|action| !used.contains(&(name.clone(), **action))) {
                add(&mut found.kept, Permission::one(name.clone(), Some(*action)));
            }
            let all = |part: &[Action], other: &[Action]| part.len() > 1 && other.is_empty();
            let told = |part: &[Action], whole: bool| match whole {
                true => vec![Permission::one(name.clone(), None)],
                false => part.iter().map(|action| Permission::one(name.clone(), Some(*action))).collect(),
            };
            parts.push((told(&wanted, all(&wanted, &unused)), told(&unused, all(&unused, &wanted))));
        }
        let (wanted, unused): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let (wanted, unused) = (wanted.concat(), unused.concat());
        match (wanted.is_empty(), unused.is_empty()) {
            (false, true) => add(&mut found.permissions.0, permission.clone()),
            (true, _) => add(&mut found.unused, permission.clone()),
            (false, false) => {
                wanted.into_iter().for_each(|one| add(&mut found.permissions.0, one));
                unused.into_iter().for_each(|one| add(&mut found.unused, one));
            }
        }
    }
    found
}

fn add(list: &mut Vec<Permission>, one: Permission) {
    if !list.contains(&one) {
        list.push(one);
    }
}

/// What requests may have needed besides what the log names: to read the models of their namespaces and all that
/// relations lead to from there, as far as the key may; and what a deletion reaches.
fn implied(held: &Permissions, used: &Acts, catalogue: &Catalogue) -> Acts {
    let mut implied = Acts::new();
    let mut waiting: Vec<Namespace> = used.iter().map(|(namespace, _)| namespace.clone()).collect();
    while let Some(namespace) = waiting.pop() {
        let Some(model) = catalogue.model(&namespace) else { continue };
        if held.allow(&namespace, Action::Read) {
            implied.insert((namespace, Action::Read));
        }
        for relation in catalogue.relations(model) {
            let target = &relation.target;
            if held.allow(target, Action::Read) && implied.insert((target.clone(), Action::Read)) {
                waiting.push(target.clone());
            }
        }
    }
    let deletes = used.iter().filter(|(_, action)| *action == Action::Delete);
    let mut waiting: Vec<Namespace> = deletes.map(|(namespace, _)| namespace.clone()).collect();
    while let Some(namespace) = waiting.pop() {
        let Some(model) = catalogue.model(&namespace) else { continue };
        for (from, _, rule) in catalogue.referrers(model) {
            match rule {
                OnDelete::Restrict => {}
                OnDelete::SetNull => drop(implied.insert((from.clone(), Action::Update))),
                OnDelete::Cascade => {
                    if implied.insert((from.clone(), Action::Delete)) {
                        waiting.push(from.clone());
                    }
                }
            }
        }
    }
    implied
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Json;
    use crate::model::parse;

    /// Tickets refer to categories, notes to tickets, with which they go; vehicles to nothing.
    const MODELS: &str = r#"{
      "a.Category": {"fields": {}},
      "a.Ticket": {"fields": {"category": {"type": "ref", "to": "a.Category", "null": true, "on_delete": "set_null"}}},
      "a.Note": {"fields": {"ticket": {"type": "ref", "to": "a.Ticket", "on_delete": "cascade"}}},
      "b.Vehicle": {"fields": {}}
    }"#;

    fn case(held: &str, used: &str) -> [String; 3] {
        let models = parse::models(&Json::parse(MODELS.as_bytes()).unwrap()).unwrap();
        let catalogue = Catalogue::new(1, models);
        let all = |held: &str| -> Permissions { held.parse().unwrap() };
        let act = |one: &str| {
            let (namespace, action) = one.split_once(':').unwrap();
            let action = Action::ALL.into_iter().find(|known| known.name() == action).unwrap();
            (namespace.parse().unwrap(), action)
        };
        let used: Acts = used.split(',').filter(|one| !one.is_empty()).map(act).collect();
        let found = narrower(&all(held), &used, &catalogue);
        let again = narrower(&found.permissions, &used, &catalogue);
        assert_eq!((again.unused, &again.permissions), (vec![], &found.permissions), "{held}: it stays so");
        [found.permissions, Permissions(found.unused), Permissions(found.kept)].map(|list| list.to_string())
    }

    #[test]
    fn what_was_not_used_and_cannot_be_needed_is_left_out() {
        for (held, used, permissions, unused, kept) in [
            ("a.Ticket:read", "a.Ticket:read", "a.Ticket:read", "", ""),
            ("a.Ticket:*", "a.Ticket:read", "a.Ticket:read", "a.Ticket:create,a.Ticket:update,a.Ticket:delete", ""),
            ("a.Ticket:read,b.Vehicle:*", "a.Ticket:read", "a.Ticket:read", "b.Vehicle:*", ""),
            ("a.Ticket:read,a.Gone:read", "a.Ticket:read", "a.Ticket:read", "a.Gone:read", ""),
            ("a.Ticket:*", "", "", "a.Ticket:*", ""),
            // A request to tickets may nest categories and notes.
            ("a.*:read", "a.Ticket:read", "a.*:read", "", "a.Category:read,a.Note:read"),
            ("a.Ticket:read,a.Note:read", "a.Ticket:read", "a.Ticket:read,a.Note:read", "", "a.Note:read"),
            (
                "*.*:read",
                "a.Ticket:read",
                "a.Category:read,a.Note:read,a.Ticket:read",
                "b.Vehicle:read",
                "a.Category:read,a.Note:read",
            ),
            // From notes to categories the way leads over tickets, which this key may not read.
            ("a.Note:read,a.Category:read", "a.Note:read", "a.Note:read", "a.Category:read", ""),
            // A write may filter, and answer with other fields than it wrote.
            (
                "a.Category:*",
                "a.Category:create",
                "a.Category:create,a.Category:read",
                "a.Category:update,a.Category:delete",
                "a.Category:read",
            ),
            // What a deletion reaches.
            ("a.*:delete", "a.Ticket:delete", "a.Note:delete,a.Ticket:delete", "a.Category:delete", "a.Note:delete"),
            (
                "a.*:update,a.*:delete",
                "a.Category:delete",
                "a.Ticket:update,a.Category:delete",
                "a.Category:update,a.Note:update,a.Note:delete,a.Ticket:delete",
                "a.Ticket:update",
            ),
            // Of the log nothing but reading can be done.
            ("system.*:*", "system.UsageLog:read", "system.UsageLog:read", "system.ApiKey:*,system.Model:*", ""),
            ("system.UsageLog:*", "system.UsageLog:read", "system.UsageLog:*", "", ""),
        ] {
            assert_eq!(case(held, used), [permissions, unused, kept], "{held} used as {used}");
        }
    }
}
