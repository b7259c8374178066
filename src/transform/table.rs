//! The transforms that a query may name: one row each, with the options that it takes and the kinds it goes with.

use super::cast::{CASTS, Cast};
use super::moment::{self, Pattern};
use super::{Kind, Step};
use crate::error::{Problem, nearest, shown};
use crate::json::{Json, Object, member};
use std::collections::HashMap;

/// The kinds that a transform goes with. [`Kind::Any`] is always among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Every,
    /// All but lists and records.
    Plain,
    Numbers,
    Moments,
    Lists,
}

impl On {
    fn goes_with(self, kind: Kind) -> bool {
        match self {
            _ if kind == Kind::Any => true,
            On::Every => true,
            On::Plain => !matches!(kind, Kind::List | Kind::Record),
            On::Numbers => matches!(kind, Kind::Number | Kind::Decimal),
            On::Moments => matches!(kind, Kind::Date | Kind::Datetime | Kind::Time),
            On::Lists => kind == Kind::List,
        }
    }

    fn described(self) -> &'static str {
        match self {
            On::Every => "every value",
            On::Plain => "plain values",
            On::Numbers => "numbers (\"cast\" makes one)",
            On::Moments => "dates, datetimes and times (\"cast\" makes one)",
            On::Lists => "lists",
        }
    }
}

/// What an option must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A string of so many characters.
    Text { least: usize, most: usize },
    /// A whole number from one to the other, both included.
    Whole { least: i64, most: i64 },
    /// Any JSON.
    Value,
    /// An object from texts to any JSON.
    Table,
    /// The name of a [`Cast`].
    Cast,
}

/// One option of a transform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    pub name: &'static str,
    pub takes: Takes,
    pub required: bool,
}

const fn may(name: &'static str, takes: Takes) -> Setting {
    Setting { name, takes, required: false }
}

const fn must(name: &'static str, takes: Takes) -> Setting {
    Setting { name, takes, required: true }
}

/// The most characters of an option: a string, or a value written as JSON.
pub const LONGEST: usize = 1000;
/// The most characters of a format.
pub const LONGEST_FORMAT: usize = 200;

const TEXT: Takes = Takes::Text { least: 0, most: LONGEST };
const SOME_TEXT: Takes = Takes::Text { least: 1, most: LONGEST };
const FORMAT: Takes = Takes::Text { least: 1, most: LONGEST_FORMAT };
const CUT: Takes = Takes::Whole { least: 1, most: 100_000 };
const DIGITS: Takes = Takes::Whole { least: -18, most: 18 };
const PLACES: Takes = Takes::Whole { least: 0, most: 18 };

/// One transform. `make` is asked only when every option has the form that its row says.
pub struct Transform {
    pub name: &'static str,
    pub on: On,
    pub settings: &'static [Setting],
    make: fn(&Options<'_>, Kind) -> Made,
}

/// A step, and the kind of what it makes.
type Made = Result<(Step, Kind), Vec<Mistake>>;

/// A new transform is a row here, a [`Step`], a line in the manual and a test.
pub static TRANSFORMS: [Transform; 16] = [
    row("dateFormat", On::Moments, &[must("format", FORMAT), may("timezone", TEXT)], date_format),
    row("upper", On::Plain, &[], |_, _| Ok((Step::Upper, Kind::Text))),
    row("lower", On::Plain, &[], |_, _| Ok((Step::Lower, Kind::Text))),
    row("capitalize", On::Plain, &[], |_, _| Ok((Step::Capitalize, Kind::Text))),
    row("trim", On::Plain, &[], |_, _| Ok((Step::Trim, Kind::Text))),
    row("truncate", On::Plain, &[must("length", CUT), may("suffix", TEXT)], truncate),
    row("replace", On::Plain, &[must("from", SOME_TEXT), may("to", TEXT)], replace),
    row("prefix", On::Plain, &[must("value", TEXT)], |o, _| Ok((Step::Prefix(o.text("value", "")), Kind::Text))),
    row("suffix", On::Plain, &[must("value", TEXT)], |o, _| Ok((Step::Suffix(o.text("value", "")), Kind::Text))),
    row("map", On::Plain, &[must("values", Takes::Table), may("default", Takes::Value)], map),
    row("default", On::Every, &[must("value", Takes::Value)], default),
    row("round", On::Numbers, &[may("digits", DIGITS)], |o, kind| Ok((Step::Round(o.whole("digits", 0)), kind))),
    row(
        "numberFormat",
        On::Numbers,
        &[may("decimals", PLACES), may("thousands", TEXT), may("point", TEXT)],
        number_format,
    ),
    row("cast", On::Plain, &[must("type", Takes::Cast)], cast),
    row("length", On::Every, &[], |_, _| Ok((Step::Length, Kind::Number))),
    row("join", On::Lists, &[may("separator", TEXT)], |o, _| Ok((Step::Join(o.text("separator", ", ")), Kind::Text))),
];

const fn row(
    name: &'static str,
    on: On,
    settings: &'static [Setting],
    make: fn(&Options<'_>, Kind) -> Made,
) -> Transform {
    Transform { name, on, settings, make }
}

/// Not a transform, but read like one by the functions on results.
pub static ABS: Transform = row("abs", On::Numbers, &[], |_, kind| Ok((Step::Abs, kind)));

/// What is wrong with a transform: with one of its options, or where there is none, with itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Mistake {
    pub option: Option<String>,
    pub problem: Problem,
}

impl Mistake {
    /// The sentence is `"option" why`.
    fn refused(option: &str, why: String) -> Mistake {
        Mistake { option: Some(option.into()), problem: Problem::Refused { field: option.into(), why } }
    }
}

/// Reads the transform of that name for a value of that kind: the step, and the kind of what it makes.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(name: &str, options: &Json, kind: Kind) -> Result<(Step, Kind), Vec<Mistake>> {
    let Some(transform) = Transform::named(name) else {
        let nearest = nearest(name, TRANSFORMS.iter().map(|transform| transform.name));
        let problem = Problem::UnknownKey { place: "\"__transform__\"".into(), key: name.into(), nearest };
        return Err(vec![Mistake { option: None, problem }]);
    };
    transform.read(options, kind)
}

impl Transform {
    /// The one of that name, which must be one; `abs` too, which only functions make use of.
    pub fn with(name: &str) -> &'static Transform {
        let all = TRANSFORMS.iter().chain([&ABS]);
        all.into_iter().find(|transform| transform.name == name).expect("the functions name transforms that there are")
    }

    pub fn named(name: &str) -> Option<&'static Transform> {
        TRANSFORMS.iter().find(|transform| transform.name == name)
    }

    /// As [`read`], where the transform is known.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(&self, options: &Json, kind: Kind) -> Result<(Step, Kind), Vec<Mistake>> {
        let none = Object::new();
        let mut mistakes = Vec::new();
        if !self.on.goes_with(kind) {
            let why = format!("goes with {}, not with {}", self.on.described(), kind.described());
            mistakes.push(Mistake { option: None, problem: Problem::Refused { field: self.name.into(), why } });
        }
        let options = match options {
            Json::Null => &none,
            Json::Object(members) => members,
            other => {
                let (what, given) = (format!("\"{}\"", self.name), shown(other));
                let problem = Problem::WrongForm { what, wanted: "an object of options", given };
                mistakes.push(Mistake { option: None, problem });
                return Err(mistakes);
            }
        };
        mistakes.extend(options.iter().filter_map(|(name, value)| self.check(name, value)));
        let missing =
            self.settings.iter().filter(|setting| setting.required && member(options, setting.name).is_none());
        mistakes.extend(missing.map(|setting| Mistake {
            option: None,
            problem: Problem::MissingKey { place: format!("\"{}\"", self.name), key: setting.name },
        }));
        if mistakes.is_empty() { (self.make)(&Options(options), kind) } else { Err(mistakes) }
    }

    fn check(&self, name: &str, value: &Json) -> Option<Mistake> {
        let Some(setting) = self.settings.iter().find(|setting| setting.name == name) else {
            let nearest = nearest(name, self.settings.iter().map(|setting| setting.name));
            let problem = Problem::UnknownKey { place: format!("\"{}\"", self.name), key: name.into(), nearest };
            return Some(Mistake { option: Some(name.into()), problem });
        };
        setting.takes.check(value).err().map(|why| Mistake::refused(name, why))
    }
}

impl Takes {
    /// What the value must be instead, to stand behind the option's name.
    fn check(self, value: &Json) -> Result<(), String> {
        match (self, value) {
            (Takes::Text { least, most }, Json::String(text)) if (least..=most).contains(&text.chars().count()) => {
                Ok(())
            }
            (Takes::Whole { least, most }, Json::Integer(number)) if (least..=most).contains(number) => Ok(()),
            (Takes::Value, value) => short(value),
            (Takes::Table, Json::Object(members)) => members.iter().try_for_each(|(_, value)| short(value)),
            (Takes::Cast, Json::String(name)) if Cast::named(name).is_some() => Ok(()),
            _ => Err(format!("must be {}, not {}", self.described(), shown(value))),
        }
    }

    fn described(self) -> String {
        match self {
            Takes::Text { least: 0, most } => format!("a string of at most {most} characters"),
            Takes::Text { least, most } => format!("a string of {least} to {most} characters"),
            Takes::Whole { least, most } => format!("a whole number from {least} to {most}"),
            Takes::Value => "a value".into(),
            Takes::Table => "an object of values".into(),
            Takes::Cast => format!("one of {}", CASTS.map(|(name, _)| name).join(", ")),
        }
    }
}

/// A value in a query may stand in each record of the answer.
fn short(value: &Json) -> Result<(), String> {
    match value.to_string().chars().nth(LONGEST) {
        Some(_) => Err(format!("must have at most {LONGEST} characters a value, unlike {}", shown(value))),
        None => Ok(()),
    }
}

/// Options that have the forms that their rows say.
struct Options<'j>(&'j Object);

impl Options<'_> {
    fn get(&self, name: &str) -> Option<&Json> {
        member(self.0, name)
    }

    fn text(&self, name: &str, otherwise: &str) -> String {
        if let Some(Json::String(text)) = self.get(name) { text.clone() } else { otherwise.to_owned() }
    }

    fn whole(&self, name: &str, otherwise: i64) -> i64 {
        if let Some(Json::Integer(number)) = self.get(name) { *number } else { otherwise }
    }
}

fn date_format(options: &Options<'_>, kind: Kind) -> Made {
    let zone = match options.get("timezone") {
        Some(_) if matches!(kind, Kind::Date | Kind::Time) => {
            Err(format!("goes with datetimes, not with {}", kind.described()))
        }
        _ => moment::zone(&options.text("timezone", "UTC")),
    };
    let pattern = Pattern::new(options.text("format", ""), kind);
    match (zone, pattern) {
        (Ok(zone), Ok(pattern)) => Ok((Step::DateFormat(pattern.within(zone)), Kind::Text)),
        (zone, pattern) => {
            let wrong = [("timezone", zone.err()), ("format", pattern.err())];
            Err(wrong.into_iter().filter_map(|(option, why)| Some(Mistake::refused(option, why?))).collect())
        }
    }
}

fn truncate(options: &Options<'_>, _: Kind) -> Made {
    let suffix = options.text("suffix", "…");
    let length = usize::try_from(options.whole("length", 1)).unwrap_or_default();
    if suffix.chars().count() > length {
        let why = format!("must have at most the {length} characters of \"length\"");
        return Err(vec![Mistake::refused("suffix", why)]);
    }
    Ok((Step::Truncate { length, suffix }, Kind::Text))
}

fn replace(options: &Options<'_>, _: Kind) -> Made {
    Ok((Step::Replace { from: options.text("from", ""), to: options.text("to", "") }, Kind::Text))
}

fn map(options: &Options<'_>, _: Kind) -> Made {
    let values = match options.get("values") {
        Some(Json::Object(members)) => members.iter().map(|(name, value)| (name.to_string(), value.clone())).collect(),
        _ => HashMap::new(),
    };
    Ok((Step::Map { values, default: options.get("default").cloned() }, Kind::Any))
}

fn default(options: &Options<'_>, kind: Kind) -> Made {
    let value = options.get("value").cloned().unwrap_or(Json::Null);
    let after = if kind.has(&value) { kind } else { Kind::Any };
    Ok((Step::Default(value), after))
}

fn number_format(options: &Options<'_>, _: Kind) -> Made {
    let decimals = options.whole("decimals", 0);
    let (thousands, point) = (options.text("thousands", ","), options.text("point", "."));
    Ok((Step::NumberFormat { decimals, thousands, point }, Kind::Text))
}

fn cast(options: &Options<'_>, _: Kind) -> Made {
    let cast = Cast::named(&options.text("type", "")).unwrap_or(Cast::String);
    Ok((Step::Cast(cast), cast.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mistakes of a transform, each as `option: sentence (hint)`.
    #[track_caller]
    fn case(kind: Kind, name: &str, options: &str, expected: &[&str]) {
        let options = Json::parse(options.as_bytes()).unwrap();
        let mistakes = read(name, &options, kind).err().unwrap_or_default();
        let shown: Vec<String> = mistakes
            .iter()
            .map(|mistake| {
                let hint = mistake.problem.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
                format!("{}: {}{hint}", mistake.option.as_deref().unwrap_or_default(), mistake.problem)
            })
            .collect();
        assert_eq!(shown, expected, "{name} {options}");
    }

    #[test]
    fn names_are_exact() {
        case(Kind::Text, "uper", "{}", &[": \"__transform__\" has no key \"uper\" (did you mean \"upper\"?)"]);
        case(Kind::Text, "Upper", "{}", &[": \"__transform__\" has no key \"Upper\" (did you mean \"upper\"?)"]);
        case(Kind::Text, "abs", "{}", &[": \"__transform__\" has no key \"abs\""]);
        case(Kind::Text, "upper", "{\"x\":1}", &["x: \"upper\" has no key \"x\""]);
        case(
            Kind::Number,
            "round",
            "{\"digit\":1}",
            &["digit: \"round\" has no key \"digit\" (did you mean \"digits\"?)"],
        );
    }

    #[test]
    fn all_mistakes_are_told() {
        case(
            Kind::List,
            "replace",
            "{\"form\":\"a\",\"to\":5}",
            &[
                ": \"replace\" goes with plain values, not with a list",
                "form: \"replace\" has no key \"form\" (did you mean \"from\"?)",
                "to: \"to\" must be a string of at most 1000 characters, not 5",
                ": \"replace\" needs the key \"from\"",
            ],
        );
        case(
            Kind::Date,
            "dateFormat",
            "{\"format\":\"%H\",\"timezone\":\"UTC\"}",
            &[
                "timezone: \"timezone\" goes with datetimes, not with a date",
                "format: \"format\" is no format for a date: requires time to format",
            ],
        );
    }

    #[test]
    fn each_goes_with_its_kinds() {
        case(Kind::Text, "round", "{}", &[": \"round\" goes with numbers (\"cast\" makes one), not with text"]);
        case(Kind::Record, "join", "{}", &[": \"join\" goes with lists, not with a record"]);
        case(Kind::Text, "join", "{}", &[": \"join\" goes with lists, not with text"]);
        case(Kind::Record, "cast", "{\"type\":\"string\"}", &[": \"cast\" goes with plain values, not with a record"]);
        case(
            Kind::Text,
            "dateFormat",
            "{\"format\":\"%d\"}",
            &[": \"dateFormat\" goes with dates, datetimes and times (\"cast\" makes one), not with text"],
        );
        for transform in &TRANSFORMS {
            let settings = transform.settings.iter().filter(|setting| setting.required);
            let options = settings.map(|setting| (setting.name.into(), example(setting.takes))).collect();
            assert!(transform.read(&Json::Object(options), Kind::Any).is_ok(), "{}", transform.name);
        }
    }

    fn example(takes: Takes) -> Json {
        match takes {
            Takes::Text { .. } => "x".into(),
            Takes::Whole { least, .. } => Json::Integer(least),
            Takes::Value => Json::Null,
            Takes::Table => Json::Object(Object::new()),
            Takes::Cast => "string".into(),
        }
    }

    #[test]
    fn options_have_their_forms() {
        case(Kind::Text, "upper", "[]", &[": \"upper\" must be an object of options, not []"]);
        case(Kind::Text, "truncate", "null", &[": \"truncate\" needs the key \"length\""]);
        let length = "length: \"length\" must be a whole number from 1 to 100000, not ";
        case(Kind::Text, "truncate", "{\"length\":0}", &[&format!("{length}0")]);
        case(Kind::Text, "truncate", "{\"length\":1.5}", &[&format!("{length}1.5")]);
        case(Kind::Text, "truncate", "{\"length\":\"9\"}", &[&format!("{length}\"9\"")]);
        case(
            Kind::Text,
            "truncate",
            "{\"length\":2,\"suffix\":\"...\"}",
            &["suffix: \"suffix\" must have at most the 2 characters of \"length\""],
        );
        case(
            Kind::Text,
            "replace",
            "{\"from\":\"\"}",
            &["from: \"from\" must be a string of 1 to 1000 characters, not \"\""],
        );
        case(
            Kind::Number,
            "round",
            "{\"digits\":19}",
            &["digits: \"digits\" must be a whole number from -18 to 18, not 19"],
        );
        case(Kind::Text, "map", "{\"values\":[]}", &["values: \"values\" must be an object of values, not []"]);
        case(
            Kind::Text,
            "cast",
            "{\"type\":\"int\"}",
            &["type: \"type\" must be one of integer, float, decimal, string, boolean, date, datetime, not \"int\""],
        );
        case(Kind::Text, "prefix", &format!("{{\"value\":\"{}\"}}", "é".repeat(1000)), &[]);
        for (name, option) in [("prefix", "value"), ("default", "value")] {
            let options = Json::Object(vec![(option.into(), Json::String("é".repeat(1001)))]);
            assert!(read(name, &options, Kind::Text).is_err(), "{name}");
        }
    }

    #[test]
    fn formats_and_zones_are_tried_beforehand() {
        let zone = "timezone: \"timezone\" must be the name of a time zone such as Europe/London, not ";
        case(
            Kind::Datetime,
            "dateFormat",
            "{\"format\":\"%d\",\"timezone\":\"Europe/Londn\"}",
            &[&format!("{zone}\"Europe/Londn\"; did you mean \"Europe/London\"?")],
        );
        case(Kind::Any, "dateFormat", "{\"format\":\"%d\",\"timezone\":\"europe/london\"}", &[]);
        case(Kind::Any, "dateFormat", "{\"format\":\"%d\",\"timezone\":\"\"}", &[&format!("{zone}\"\"")]);
        for (kind, format, why) in [
            (Kind::Time, "%Y", "a time: requires date to format"),
            (Kind::Date, "%Z", "a date: requires IANA time zone identifier"),
            (Kind::Any, "%!", "a datetime: found unrecognized specifier directive `!`"),
            (
                Kind::Datetime,
                "%d %",
                "a datetime: invalid format string, expected byte after `%`, but found end of format string",
            ),
        ] {
            let options = format!("{{\"format\":\"{format}\"}}");
            case(kind, "dateFormat", &options, &[&format!("format: \"format\" is no format for {why}")]);
        }
    }
}
