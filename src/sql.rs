//! SQL text and its parameters. The only place that quotes a name.
//!
//! Text grows through steps that take a `&'static str`, a name that gets quoted, or a value that becomes
//! a parameter, so that nothing a client sent can become SQL.

use crate::value::Scalar;

/// One statement, ready to be run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Statement {
    pub text: String,
    pub parameters: Vec<Scalar>,
}

/// The name of a table within a statement: `t0`, `t1`, …
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alias(pub usize);

impl Statement {
    /// An empty one with room for what most statements become.
    pub fn with_room() -> Statement {
        Statement { text: String::with_capacity(512), parameters: Vec::with_capacity(8) }
    }

    /// A statement of our own tables, written out.
    pub fn fixed(text: &'static str, parameters: impl Into<Vec<Scalar>>) -> Statement {
        Statement { text: text.into(), parameters: parameters.into() }
    }

    /// About how many bytes it takes.
    pub fn size(&self) -> usize {
        let text = |value: &Scalar| value.text().map_or(8, str::len);
        self.text.len() + self.parameters.iter().map(text).sum::<usize>()
    }

    /// Appends SQL of ours.
    pub fn push(&mut self, sql: &'static str) -> &mut Self {
        self.text.push_str(sql);
        self
    }

    /// Appends a table's or column's name.
    pub fn name(&mut self, name: &str) -> &mut Self {
        self.text.push('"');
        match name.bytes().any(|byte| byte == b'"') {
            false => self.text.push_str(name),
            true => self.text.push_str(&name.replace('"', "\"\"")),
        }
        self.text.push('"');
        self
    }

    /// Appends the name of a table within this statement.
    pub fn alias(&mut self, alias: Alias) -> &mut Self {
        self.text.push('t');
        self.digits(alias.0)
    }

    /// Appends a column, qualified: an unqualified unknown one would be read as a string.
    pub fn column(&mut self, alias: Alias, name: &str) -> &mut Self {
        self.alias(alias).push(".").name(name)
    }

    /// Appends the place of a column in the rows, from 1, to order or group by.
    pub fn ordinal(&mut self, place: usize) -> &mut Self {
        self.digits(place)
    }

    fn digits(&mut self, number: usize) -> &mut Self {
        if number >= 10 {
            self.digits(number / 10);
        }
        self.text.push(char::from(b"0123456789"[number % 10]));
        self
    }

    /// Binds a value and gives the number of its parameter, to be appended by [`Self::parameter`] any number of times.
    pub fn bind(&mut self, value: Scalar) -> usize {
        self.parameters.push(value);
        self.parameters.len()
    }

    /// Appends a parameter that was bound.
    pub fn parameter(&mut self, number: usize) -> &mut Self {
        self.text.push('?');
        self.digits(number)
    }

    /// Binds a value and appends its parameter.
    pub fn value(&mut self, value: Scalar) -> &mut Self {
        let number = self.bind(value);
        self.parameter(number)
    }

    /// Binds a whole number and appends its parameter.
    pub fn number(&mut self, number: u64) -> &mut Self {
        self.value(Scalar::Integer(i64::try_from(number).unwrap_or(i64::MAX)))
    }

    /// Appends a literal: `CHECK` and `DEFAULT` clauses take no parameters.
    pub fn literal(&mut self, value: &Scalar) -> &mut Self {
        match value {
            Scalar::Null => self.text.push_str("NULL"),
            Scalar::Integer(i64::MIN) => self.text.push_str("(-9223372036854775807 - 1)"),
            Scalar::Integer(number) => self.text.push_str(&number.to_string()),
            Scalar::Real(number) => self.text.push_str(&format!("{number:?}")),
            Scalar::Text(text) => {
                self.text.push('\'');
                self.text.push_str(&text.replace('\'', "''"));
                self.text.push('\'');
            }
        }
        self
    }

    /// Appends the parts with `separator` between them.
    pub fn list<T>(
        &mut self,
        parts: impl IntoIterator<Item = T>,
        separator: &'static str,
        mut append: impl FnMut(&mut Statement, T),
    ) -> &mut Self {
        for (index, part) in parts.into_iter().enumerate() {
            if index > 0 {
                self.push(separator);
            }
            append(self, part);
        }
        self
    }
}

/// Ids as one parameter, read back by `json_each`.
pub fn id_list<'a>(ids: impl Iterator<Item = &'a Scalar>) -> Scalar {
    let mut out = Vec::new();
    crate::json::write_list(ids, &mut out, |id, out| match id {
        Scalar::Null => out.extend_from_slice(b"null"),
        Scalar::Integer(number) => crate::json::write_integer(*number, out),
        Scalar::Real(number) => out.extend_from_slice(format!("{number:?}").as_bytes()),
        Scalar::Text(text) => crate::json::write_string(text, out),
    });
    Scalar::Text(String::from_utf8(out).expect("JSON is UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_literals_cannot_end_their_quotes() {
        let mut statement = Statement::default();
        statement.column(Alias(0), "a\"; DROP TABLE x; --").push(" = ").literal(&Scalar::Text("it's".into()));
        assert_eq!(statement.text, r#"t0."a""; DROP TABLE x; --" = 'it''s'"#);
    }
}
