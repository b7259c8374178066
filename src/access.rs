//! Permissions such as `tickets.Ticket:read`: their form, what they allow, and who may grant them.
//!
//! `tickets.*:read` is every model of an app, `*.*:*` every model but those of the app `system`,
//! `system.*:*` those. Nothing else is a pattern, and nothing that is not of this form is a permission.

use smol_str::{SmolStr, format_smolstr};
use std::fmt;
use std::str::FromStr;

/// What a request does to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    Create,
    Read,
    Update,
    Delete,
}

impl Action {
    pub const ALL: [Action; 4] = [Action::Create, Action::Read, Action::Update, Action::Delete];

    pub fn name(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Read => "read",
            Action::Update => "update",
            Action::Delete => "delete",
        }
    }
}

/// The app whose models are the server's own.
pub const SYSTEM: &str = "system";

/// The full name of a model: `<app>.<Name>`. It is kept as one text, as it names a table in most statements; a dot
/// sorts before all that an app may hold, so that the order is that of apps.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Namespace {
    text: SmolStr,
    dot: usize,
}

impl Namespace {
    pub fn new(app: &str, name: &str) -> Namespace {
        Namespace { text: format_smolstr!("{app}.{name}"), dot: app.len() }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn app(&self) -> &str {
        &self.text[..self.dot]
    }

    /// The name of the model within its app.
    pub fn name(&self) -> &str {
        &self.text[self.dot + 1..]
    }

    /// The permission that `action` on this model takes.
    pub fn permission(&self, action: Action) -> String {
        format!("{self}:{}", action.name())
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Namespace {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Namespace, &'static str> {
        let form = "a namespace is <app>.<Name>, such as tickets.Ticket";
        let (app, name) = text.split_once('.').ok_or(form)?;
        if text.len() > 120 || !is_app(app) || !is_name(name) {
            return Err(form);
        }
        Ok(Namespace { text: text.into(), dot: app.len() })
    }
}

fn is_app(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase()) && text.chars().all(|c| c.is_ascii_alphanumeric())
}

/// One permission: which models, which action. `None` stands for the `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    models: Models,
    action: Option<Action>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Models {
    /// `*.*`: all but those of `system`.
    Users,
    /// `app.*`
    App(String),
    /// `app.Model`
    One(Namespace),
}

impl Permission {
    /// The permission for that action on one model; `None` for every action.
    pub fn one(namespace: Namespace, action: Option<Action>) -> Permission {
        Permission { models: Models::One(namespace), action }
    }

    /// Whether it is one of the two that allow everything: to all models, or to all of the server's own.
    pub fn is_wide(&self) -> bool {
        let all = match &self.models {
            Models::Users => true,
            Models::App(app) => app == SYSTEM,
            Models::One(_) => false,
        };
        all && self.action.is_none()
    }

    /// The one model that it is about, where it is about one.
    pub fn model(&self) -> Option<&Namespace> {
        if let Models::One(namespace) = &self.models { Some(namespace) } else { None }
    }

    /// Whether it allows all of these models that action.
    fn covers(&self, models: &Models, action: Action) -> bool {
        let all = match (&self.models, models) {
            (Models::Users, Models::App(app)) => app != SYSTEM,
            (Models::Users, Models::One(one)) => one.app() != SYSTEM,
            (Models::App(app), Models::One(one)) => app == one.app(),
            (own, other) => own == other,
        };
        all && self.action.is_none_or(|allowed| allowed == action)
    }

    /// Whether it allows that action on that model.
    pub fn allows(&self, namespace: &Namespace, action: Action) -> bool {
        let model = match &self.models {
            Models::Users => namespace.app() != SYSTEM,
            Models::App(app) => app == namespace.app(),
            Models::One(one) => one == namespace,
        };
        model && self.action.is_none_or(|allowed| allowed == action)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.models {
            Models::Users => f.write_str("*.*")?,
            Models::App(app) => write!(f, "{app}.*")?,
            Models::One(namespace) => namespace.fmt(f)?,
        }
        write!(f, ":{}", self.action.map_or("*", Action::name))
    }
}

impl FromStr for Permission {
    type Err = String;

    fn from_str(text: &str) -> Result<Permission, String> {
        let wrong = || {
            format!(
                "\"{}\" is not a permission; one is <app>.<Model>:<action>, such as tickets.Ticket:read, with * for every model of an app or every action",
                text.escape_debug()
            )
        };
        let (models, action) = text.split_once(':').ok_or_else(wrong)?;
        let models = match models.split_once('.') {
            Some(("*", "*")) => Models::Users,
            Some((app, "*")) if is_app(app) && app.len() <= 100 => Models::App(app.into()),
            _ => Models::One(models.parse().map_err(|_| wrong())?),
        };
        let action = match action {
            "*" => None,
            name => Some(Action::ALL.into_iter().find(|action| action.name() == name).ok_or_else(wrong)?),
        };
        Ok(Permission { models, action })
    }
}

/// The permissions of one key. None at all grants nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions(pub Vec<Permission>);

impl Permissions {
    /// The first of `others` that these do not hold in full, so that whoever has these may not grant it.
    pub fn lack<'p>(&self, others: &'p Permissions) -> Option<&'p Permission> {
        others.0.iter().find(|other| {
            let mut actions = Action::ALL.into_iter().filter(|action| other.action.is_none_or(|one| one == *action));
            !actions.all(|action| self.0.iter().any(|own| own.covers(&other.models, action)))
        })
    }

    pub fn allow(&self, namespace: &Namespace, action: Action) -> bool {
        self.0.iter().any(|permission| permission.allows(namespace, action))
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, permission) in self.0.iter().enumerate() {
            write!(f, "{}{permission}", if index > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

impl FromStr for Permissions {
    type Err = String;

    /// Reads permissions with commas between them. An empty text is no permission.
    fn from_str(text: &str) -> Result<Permissions, String> {
        if text.trim().is_empty() {
            return Ok(Permissions::default());
        }
        text.split(',').map(|one| one.trim().parse()).collect::<Result<_, _>>().map(Permissions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::select;

    fn permissions() -> impl Strategy<Value = Permissions> {
        let scope = select(&["a.B", "a.C", "a.*", "c.D", "*.*", "system.ApiKey", "system.*"][..]);
        let action = select(&["create", "read", "update", "delete", "*"][..]);
        let one = (scope, action).prop_map(|(scope, action)| format!("{scope}:{action}").parse().unwrap());
        prop::collection::vec(one, 0..7).prop_map(Permissions)
    }

    proptest! {
        #[test]
        fn what_may_be_granted_is_what_gives_nothing_new(own in permissions(), other in permissions()) {
            // What there may be one day is among them.
            let models = ["a.B", "a.C", "a.Later", "c.D", "later.One", "system.ApiKey", "system.Later"];
            let mut all = models.iter().flat_map(|model| Action::ALL.map(|action| (model.parse().unwrap(), action)));
            let within = all.all(|(model, action)| !other.allow(&model, action) || own.allow(&model, action));
            prop_assert_eq!(own.lack(&other).is_none(), within);
        }

        #[test]
        fn what_is_read_as_permissions_prints_so_that_it_is_read_alike(text in "[aB.:*_ ,]{0,6}(:read)?|[aB.:*_ ,é]{0,12}") {
            if let Ok(read) = text.parse::<Permissions>() {
                prop_assert_eq!(read.to_string().parse::<Permissions>(), Ok(read));
            }
        }
    }

    fn allows(permission: &str, namespace: &str, action: Action) -> bool {
        permission.parse::<Permissions>().unwrap().allow(&namespace.parse().unwrap(), action)
    }

    #[test]
    fn a_permission_allows_what_it_says_and_no_more() {
        assert!(allows("tickets.Ticket:read", "tickets.Ticket", Action::Read));
        assert!(!allows("tickets.Ticket:read", "tickets.Ticket", Action::Update));
        assert!(allows("tickets.Ticket:*", "tickets.Ticket", Action::Delete));
        assert!(!allows("tickets.Ticket:*", "tickets.TicketSecret", Action::Read));
        assert!(allows("tickets.*:read", "tickets.Tag", Action::Read));
        assert!(!allows("tickets.*:read", "ticketsold.Tag", Action::Read));
        assert!(allows("*.*:*", "a.B", Action::Create));
        assert!(!allows("*.*:*", "system.ApiKey", Action::Read));
        assert!(allows("system.*:*", "system.ApiKey", Action::Read));
        assert!(!allows("system.*:*", "a.B", Action::Read));
        assert!(allows("a.B:read, c.D:create", "c.D", Action::Create));
        assert!(!allows("", "a.B", Action::Read));
    }

    #[test]
    fn malformed_permissions_are_refused() {
        for text in [
            "*",
            "*:*",
            "*.*",
            "tickets",
            "tickets.Ticket",
            "tickets.Ticket:",
            ":read",
            "tickets.ticket:read",
            "Tickets.Ticket:read",
            "*.Ticket:read",
            "tickets.Ticket:READ",
            "tickets.Ticket:read:",
            "tickets.Ticket:rea*",
            "tickets.Tick*:read",
            "a.B:read,",
            ",",
            "a.B:read,,c.D:read",
            "a.B.C:read",
            "tickets.Ticket: read",
            "a.B:r\u{e9}ad",
        ] {
            assert!(text.parse::<Permissions>().is_err(), "{text}");
        }
    }

    #[test]
    fn nobody_may_grant_more_than_they_hold() {
        let lack = |own: &str, other: &str| {
            let (own, other): (Permissions, Permissions) = (own.parse().unwrap(), other.parse().unwrap());
            own.lack(&other).map(ToString::to_string)
        };
        for (own, other) in [
            ("*.*:*", "a.B:read,a.*:*,*.*:delete"),
            ("a.*:*", "a.B:*"),
            ("a.B:read,a.B:create,a.B:update,a.B:delete", "a.B:*"),
            ("system.*:*", "system.ApiKey:create"),
            ("a.B:read", ""),
        ] {
            assert_eq!(lack(own, other), None, "{own} {other}");
        }
        for (own, other, lacking) in [
            ("*.*:*", "system.ApiKey:read", "system.ApiKey:read"),
            ("*.*:*", "system.*:*", "system.*:*"),
            ("*.*:read", "a.B:*", "a.B:*"),
            ("a.B:*", "a.B:read,a.C:read", "a.C:read"),
            ("a.B:*", "a.*:read", "a.*:read"),
            ("a.*:*", "*.*:read", "*.*:read"),
            ("", "a.B:read", "a.B:read"),
        ] {
            assert_eq!(lack(own, other).as_deref(), Some(lacking), "{own} {other}");
        }
    }

    #[test]
    fn a_permission_prints_as_it_was_written() {
        let text = "tickets.Ticket:read,profile.Customer:*,app.*:delete,*.*:*,system.*:*";
        assert_eq!(text.parse::<Permissions>().unwrap().to_string(), text);
    }
}
