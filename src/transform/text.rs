//! Values as text, and what is made of it.

use crate::json::{Json, number};
use std::borrow::Cow;

/// The text form of a value: a string itself, anything else as JSON has it.
pub fn of(value: &Json) -> Cow<'_, str> {
    match value {
        Json::String(text) | Json::Number(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

/// The first character in upper case, the rest in lower.
pub fn capitalize(text: &str) -> String {
    let mut rest = text.chars();
    match rest.next() {
        Some(first) => first.to_uppercase().chain(rest.as_str().to_lowercase().chars()).collect(),
        None => String::new(),
    }
}

/// Cuts text to at most `length` characters, the suffix that tells of the cut among them.
pub fn truncate(text: Cow<'_, str>, length: usize, suffix: &str) -> String {
    if text.chars().nth(length).is_none() {
        return text.into_owned();
    }
    let kept = length.saturating_sub(suffix.chars().count());
    text.chars().take(kept).chain(suffix.chars()).collect()
}

/// Characters of a text, items of a list, members of an object.
pub fn length(value: &Json) -> Json {
    let length = match value {
        Json::List(items) => items.len(),
        Json::Object(members) => members.len(),
        plain => of(plain).chars().count(),
    };
    number(length)
}

/// The texts of a list's items, `null` left out; `null` of what is no list.
pub fn join(value: &Json, separator: &str) -> Json {
    let Json::List(items) = value else { return Json::Null };
    let texts: Vec<Cow<'_, str>> = items.iter().map(inner).filter(|item| **item != Json::Null).map(of).collect();
    Json::String(texts.join(separator))
}

/// A record of one field stands for it.
fn inner(item: &Json) -> &Json {
    match item {
        Json::Object(members) if members.len() == 1 => &members[0].1,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use crate::transform::Kind;
    use crate::transform::tests::case;

    #[test]
    fn case_changes_over_all_of_unicode() {
        case(Kind::Text, r#"{"upper":{}}"#, r#""straße éa""#, r#""STRASSE ÉA""#);
        case(Kind::Text, r#"{"lower":{}}"#, r#""ÉÀ ΟΔΟΣ""#, r#""éà οδος""#);
        case(Kind::Text, r#"{"capitalize":{}}"#, r#""éCOLE Normale""#, r#""École normale""#);
        case(Kind::Text, r#"{"capitalize":{}}"#, r#""""#, r#""""#);
        case(Kind::Text, r#"{"trim":{}}"#, r#""\u00a0\n a b\t""#, r#""a b""#);
    }

    #[test]
    fn text_is_cut_by_characters_the_suffix_among_them() {
        case(Kind::Text, r#"{"truncate":{"length":4}}"#, r#""abcd""#, r#""abcd""#);
        case(Kind::Text, r#"{"truncate":{"length":4}}"#, r#""abcde""#, r#""abc…""#);
        case(Kind::Text, r#"{"truncate":{"length":3}}"#, r#""🦀🦀🦀🦀""#, r#""🦀🦀…""#);
        case(Kind::Text, r#"{"truncate":{"length":3,"suffix":"..."}}"#, r#""abcd""#, r#""...""#);
        case(Kind::Text, r#"{"truncate":{"length":2,"suffix":""}}"#, r#""abcd""#, r#""ab""#);
        case(Kind::Text, r#"{"truncate":{"length":1}}"#, r#""""#, r#""""#);
    }

    #[test]
    fn replacing_is_literal_and_everywhere() {
        case(Kind::Text, r#"{"replace":{"from":".","to":"--"}}"#, r#""a.b.c""#, r#""a--b--c""#);
        case(Kind::Text, r#"{"replace":{"from":"aa"}}"#, r#""aaaab""#, r#""b""#);
        case(Kind::Text, r#"{"prefix":{"value":"<"},"suffix":{"value":">"}}"#, r#""""#, r#""<>""#);
    }

    #[test]
    fn plain_values_are_taken_by_their_text() {
        case(Kind::Number, r#"{"prefix":{"value":"@"}}"#, "-5", r#""@-5""#);
        case(Kind::Number, r#"{"suffix":{"value":"%"}}"#, "1.50", r#""1.50%""#);
        case(Kind::Boolean, r#"{"upper":{}}"#, "true", r#""TRUE""#);
        case(Kind::Date, r#"{"replace":{"from":"-","to":"/"}}"#, r#""2026-01-31""#, r#""2026/01/31""#);
        case(Kind::Any, r#"{"upper":{}}"#, r#"{"a": [null]}"#, r#""{\"A\":[NULL]}""#);
    }

    #[test]
    fn lengths_are_of_characters_items_and_members() {
        case(Kind::Text, r#"{"length":{}}"#, r#""é🦀""#, "2");
        case(Kind::Number, r#"{"length":{}}"#, "-10", "3");
        case(Kind::List, r#"{"length":{}}"#, "[null,1]", "2");
        case(Kind::Record, r#"{"length":{}}"#, r#"{"a":1}"#, "1");
        case(Kind::Any, r#"{"length":{}}"#, "[]", "0");
        case(Kind::Any, r#"{"length":{}}"#, "false", "5");
    }

    #[test]
    fn lists_are_joined() {
        case(Kind::List, r#"{"join":{}}"#, r#"[{"name":"a"},null,{"name":null},{"name":"b"}]"#, r#""a, b""#);
        case(Kind::List, r#"{"join":{"separator":""}}"#, r#"[1,"x",true,1.5]"#, r#""1xtrue1.5""#);
        case(
            Kind::List,
            r#"{"join":{"separator":";"}}"#,
            r#"[{"a":1,"b":"c"},[2],{"d":{"e":3}}]"#,
            r#""{\"a\":1,\"b\":\"c\"};[2];{\"e\":3}""#,
        );
        case(Kind::List, r#"{"join":{}}"#, "[]", r#""""#);
        case(Kind::Any, r#"{"join":{}}"#, r#""a""#, "null");
    }
}
