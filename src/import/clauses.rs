//! What SQLite tells of a table only as it was written: its `CHECK` clauses, its default values, whether it has row ids. Enough of
//! SQL's words to find them: <https://www.sqlite.org/lang_createtable.html>.

use crate::value::Scalar;

/// What may become of a row that breaks a rule, other than being refused: <https://www.sqlite.org/lang_conflict.html>.
const CONFLICTS: [&str; 4] = ["ROLLBACK", "FAIL", "IGNORE", "REPLACE"];

/// A word of SQL, and where it stands.
struct Token<'s> {
    word: Word<'s>,
    start: usize,
    end: usize,
}

#[derive(Debug, PartialEq)]
enum Word<'s> {
    /// A keyword, or a name or number without quotes.
    Bare(&'s str),
    /// A name in quotes.
    Name(String),
    Text(String),
    Mark(char),
}

/// A `CHECK`.
#[derive(Debug, PartialEq)]
pub struct Check {
    pub text: String,
    /// The column and the values, where it says that the one is among the others, and nothing else.
    pub choices: Option<(String, Vec<Scalar>)>,
}

/// The `CHECK` clauses of a `CREATE TABLE`.
pub fn checks(sql: &str) -> Vec<Check> {
    let tokens = tokens(sql);
    let mut found = Vec::new();
    for (place, token) in tokens.iter().enumerate() {
        let Some(inside) =
            tokens.get(place + 1).filter(|_| is_word(token, "CHECK")).and_then(|_| closed(&tokens, place + 1))
        else {
            continue;
        };
        if let (Some(first), Some(last)) = (inside.first(), inside.last()) {
            found.push(Check { text: sql[first.start..last.end].to_owned(), choices: choices(inside) });
        }
    }
    found
}

/// Rules of a `CREATE TABLE` that SQLite tells nothing of and no model has, each once, and what holds instead.
pub fn strange(sql: &str) -> Vec<(String, &'static str)> {
    let tokens = tokens(sql);
    let mut found = Vec::new();
    for (place, three) in tokens.windows(3).enumerate() {
        let are = |words: [&str; 3]| three.iter().zip(words).all(|(token, word)| is_word(token, word));
        let is_denied = place.checked_sub(1).is_some_and(|before| is_word(&tokens[before], "NOT"));
        let rule = if are(["DEFERRABLE", "INITIALLY", "DEFERRED"]) && !is_denied {
            ("DEFERRABLE INITIALLY DEFERRED".to_owned(), "a reference holds from the write on that makes it")
        } else if let Some(way) = CONFLICTS.iter().find(|way| are(["ON", "CONFLICT", way])) {
            (format!("ON CONFLICT {way}"), "a write that breaks a rule is refused")
        } else {
            continue;
        };
        if !found.contains(&rule) {
            found.push(rule);
        }
    }
    found
}

/// Whether a `CREATE TABLE` ends in `WITHOUT ROWID`.
pub fn is_without_rowid(sql: &str) -> bool {
    let tokens = tokens(sql);
    let options = tokens.rsplit(|token| token.word == Word::Mark(')')).next().unwrap_or_default();
    options.windows(2).any(|pair| is_word(&pair[0], "WITHOUT") && is_word(&pair[1], "ROWID"))
}

/// The module of a `CREATE VIRTUAL TABLE`.
pub fn module(sql: &str) -> Option<String> {
    let mut tokens = tokens(sql).into_iter().skip_while(|token| !is_word(token, "USING")).skip(1);
    match tokens.next()?.word {
        Word::Bare(name) => Some(name.to_owned()),
        Word::Name(name) | Word::Text(name) => Some(name),
        Word::Mark(_) => None,
    }
}

/// The value of a `DEFAULT`, where it is one rather than something to be reckoned.
pub fn default(sql: &str) -> Option<Scalar> {
    let tokens = tokens(sql);
    match tokens.as_slice() {
        [Token { word: Word::Bare(name), .. }] if is_name(name) => match name.to_ascii_uppercase().as_str() {
            "NULL" | "TRUE" | "FALSE" => literal(&tokens),
            "CURRENT_TIME" | "CURRENT_DATE" | "CURRENT_TIMESTAMP" => None,
            _ => Some(Scalar::Text((*name).to_owned())), // a text without quotes
        },
        // SQLite takes a name in quotes for a text here.
        [Token { word: Word::Name(text), .. }] => Some(Scalar::Text(text.clone())),
        tokens => literal(tokens),
    }
}

/// What stands in the parentheses that open here.
fn closed<'t, 's>(tokens: &'t [Token<'s>], open: usize) -> Option<&'t [Token<'s>]> {
    let mut depth = 0;
    for (place, token) in tokens.iter().enumerate().skip(open) {
        match token.word {
            Word::Mark('(') => depth += 1,
            Word::Mark(')') if depth == 1 => return Some(&tokens[open + 1..place]),
            Word::Mark(')') => depth -= 1,
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// A column and values, of `column IN (value, …)`.
fn choices(tokens: &[Token<'_>]) -> Option<(String, Vec<Scalar>)> {
    let [column, is_in, rest @ ..] = tokens else { return None };
    let column = match &column.word {
        Word::Bare(name) if is_name(name) => (*name).to_owned(),
        Word::Name(name) => name.clone(),
        _ => return None,
    };
    let listed = closed(rest, 0).filter(|listed| is_word(is_in, "IN") && listed.len() + 2 == rest.len())?;
    let values = listed.split(|token| token.word == Word::Mark(',')).map(literal);
    values.collect::<Option<Vec<_>>>().filter(|values| !values.contains(&Scalar::Null)).map(|values| (column, values))
}

fn literal(tokens: &[Token<'_>]) -> Option<Scalar> {
    match tokens {
        [Token { word: Word::Text(text), .. }] => Some(Scalar::Text(text.clone())),
        [Token { word: Word::Bare(word), .. }] => match word.to_ascii_uppercase().as_str() {
            "NULL" => Some(Scalar::Null),
            "TRUE" => Some(Scalar::Integer(1)),
            "FALSE" => Some(Scalar::Integer(0)),
            _ => number(word),
        },
        [Token { word: Word::Mark('+'), .. }, Token { word: Word::Bare(word), .. }] => number(word),
        [Token { word: Word::Mark('-'), .. }, Token { word: Word::Bare(word), .. }] => number(&format!("-{word}")),
        _ => None,
    }
}

fn number(text: &str) -> Option<Scalar> {
    let is_number = text.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let real = || text.parse().ok().filter(|real: &f64| real.is_finite()).map(Scalar::Real);
    text.parse().ok().map(Scalar::Integer).or_else(real).filter(|_| is_number)
}

fn is_word(token: &Token<'_>, wanted: &str) -> bool {
    matches!(token.word, Word::Bare(word) if word.eq_ignore_ascii_case(wanted))
}

fn is_name(word: &str) -> bool {
    !word.starts_with(|c: char| c.is_ascii_digit() || c == '.')
}

/// All words, without what is between them.
fn tokens(sql: &str) -> Vec<Token<'_>> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(first) = sql[at..].chars().next() {
        let rest = &sql[at..];
        let (length, word) = match first {
            _ if rest.starts_with("--") => (rest.find('\n').unwrap_or(rest.len()), None),
            _ if rest.starts_with("/*") => (rest.find("*/").map_or(rest.len(), |end| end + 2), None),
            '\'' => quoted(rest, '\'').map_or((rest.len(), None), |(length, text)| (length, Some(Word::Text(text)))),
            '"' | '`' => {
                quoted(rest, first).map_or((rest.len(), None), |(length, name)| (length, Some(Word::Name(name))))
            }
            '[' => {
                rest.find(']').map_or((rest.len(), None), |end| (end + 1, Some(Word::Name(rest[1..end].to_owned()))))
            }
            _ if first.is_whitespace() => (first.len_utf8(), None),
            _ if is_bare(first) || first == '.' => {
                let length = bare(rest);
                (length, Some(Word::Bare(&rest[..length])))
            }
            _ => (first.len_utf8(), Some(Word::Mark(first))),
        };
        found.extend(word.map(|word| Token { word, start: at, end: at + length }));
        at += length;
    }
    found
}

fn is_bare(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

/// The bytes of a name or a number, whose exponent may have a sign.
fn bare(text: &str) -> usize {
    let is_number = text.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let mut before = ' ';
    let end = text.char_indices().find(|(_, c)| {
        let goes_on = is_bare(*c) || is_number && (*c == '.' || "+-".contains(*c) && "eE".contains(before));
        before = *c;
        !goes_on
    });
    end.map_or(text.len(), |(end, _)| end.max(1))
}

/// What stands in quotes, and how many bytes it takes with them; a doubled quote stands for one.
fn quoted(text: &str, quote: char) -> Option<(usize, String)> {
    let (mut inside, mut characters) = (String::new(), text.char_indices().skip(1).peekable());
    while let Some((at, c)) = characters.next() {
        if c != quote {
            inside.push(c);
        } else if characters.next_if(|(_, next)| *next == quote).is_some() {
            inside.push(quote);
        } else {
            return Some((at + 1, inside));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Scalar {
        Scalar::Text(text.to_owned())
    }

    #[test]
    fn checks_are_found_wherever_they_stand() {
        let sql = r#"CREATE TABLE "a CHECK (b)" ( -- CHECK (comment)
            state TEXT CHECK (state IN ('open', 'it''s')) DEFAULT 'CHECK (text)',
            [n] INT CHECK ("n" in (1,-2,+3)), /* CHECK (1) */
            p CHECK (p > 0 AND (p IN (1))), CONSTRAINT c CHECK (state NOT IN ('x')))"#;
        let found = checks(sql);
        let texts: Vec<&str> = found.iter().map(|check| check.text.as_str()).collect();
        assert_eq!(
            texts,
            ["state IN ('open', 'it''s')", "\"n\" in (1,-2,+3)", "p > 0 AND (p IN (1))", "state NOT IN ('x')"]
        );
        assert_eq!(found[0].choices, Some(("state".into(), vec![text("open"), text("it's")])));
        let numbers = [1, -2, 3].map(Scalar::Integer).to_vec();
        assert_eq!(found[1].choices, Some(("n".into(), numbers)));
        assert_eq!((&found[2].choices, &found[3].choices), (&None, &None));
        for other in ["a IN (SELECT 1)", "a IN (b)", "a IN (1) OR 1", "a IN (NULL)", "a IN ()", "lower(a) IN ('b')"] {
            assert_eq!(checks(&format!("CREATE TABLE t (a CHECK ({other}))"))[0].choices, None, "{other}");
        }
    }

    #[test]
    fn defaults_are_values_or_nothing() {
        for (sql, value) in [
            ("'it''s'", Some(text("it's"))),
            ("\"open\"", Some(text("open"))),
            ("open", Some(text("open"))),
            ("-1.5e-3", Some(Scalar::Real(-0.0015))),
            ("+7", Some(Scalar::Integer(7))),
            ("NULL", Some(Scalar::Null)),
            ("true", Some(Scalar::Integer(1))),
            ("CURRENT_TIMESTAMP", None),
            ("1 + 1", None),
            ("datetime('now')", None),
            ("x'00'", None),
            ("0x10", None),
        ] {
            assert_eq!(default(sql), value, "{sql}");
        }
    }

    #[test]
    fn what_has_no_row_ids_says_so_at_its_end() {
        assert!(is_without_rowid("CREATE TABLE t (a PRIMARY KEY) STRICT, without /* */ rowid"));
        assert!(!is_without_rowid("CREATE TABLE t (a DEFAULT 'WITHOUT ROWID') -- WITHOUT ROWID"));
    }

    #[test]
    fn any_text_is_read_to_its_end() {
        for sql in ["", "'", "\"", "[", "/*", "--", "é'é", "CHECK", "CHECK (", "CHECK ((", ".", "1e+", "x'"] {
            assert!(checks(sql).is_empty(), "{sql}");
            default(sql);
        }
    }
}
