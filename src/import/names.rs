//! Names of apps, models and fields made of those that a file has: the same words, in the form that ours have.

/// Bytes of a field's name, and of an app's and a model's: together they are a namespace.
const LONGEST: usize = 60;
const LONGEST_APP: usize = 50;
const LONGEST_MODEL: usize = 50;

/// The app that a file's name suggests.
pub fn app(stem: &str) -> String {
    let name = joined(stem, "app", LONGEST_APP);
    let is_taken = name == crate::access::SYSTEM || name.starts_with("sqlite");
    if is_taken { format!("app_{name}") } else { name }
}

/// The model that a table's name suggests; `None` where there is nothing in it that a name could be made of.
pub fn model(table: &str) -> Option<String> {
    let is_loud = !table.contains(|c: char| c.is_ascii_lowercase());
    let words = table.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let capital = |word: &str| {
        let (first, rest) = word.split_at(1);
        first.to_ascii_uppercase() + &if is_loud { rest.to_ascii_lowercase() } else { rest.to_owned() }
    };
    let name: String = words.map(capital).collect();
    let name = if name.starts_with(|c: char| c.is_ascii_digit()) { format!("Table{name}") } else { name };
    Some(name).filter(|name| (1..=LONGEST_MODEL).contains(&name.len()))
}

/// The field that a column's name suggests.
pub fn field(column: &str) -> String {
    match joined(column, "field", LONGEST).as_str() {
        "id" => "own_id".into(), // every record has an id, which this is not
        "pk" => "own_pk".into(),
        name => name.into(),
    }
}

/// The field of a reference: Django's names of the id that it holds end in `_id`.
pub fn reference(column: &str) -> String {
    let name = field(column);
    match name.strip_suffix("_id") {
        Some(bare) if !["own", "id", "pk"].contains(&bare) => bare.to_owned(),
        _ => name,
    }
}

/// A name, numbered where it is taken.
pub fn free(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let numbered = |number: usize| {
        let ending = format!("_{number}");
        let bare = &name[..name.len().min(LONGEST - ending.len())];
        bare.trim_end_matches('_').to_owned() + &ending
    };
    let mut names = std::iter::once(name.to_owned()).chain((2..).map(numbered));
    names.find(|name| !is_taken(name)).expect("numbers do not end")
}

/// A name's words in small letters with `_` between them, as the name of a field or an app has them.
pub fn joined(name: &str, prefix: &str, longest: usize) -> String {
    let characters: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (place, c) in characters.iter().enumerate() {
        if !c.is_ascii_alphanumeric() {
            out.push('_');
            continue;
        }
        let before = place.checked_sub(1).map(|before| characters[before]);
        let after = characters.get(place + 1);
        // A capital begins a word behind a small letter, and as the last of several: `CustomerID`, `HTTPServer`.
        let is_first = before.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
            || before.is_some_and(|c| c.is_ascii_uppercase()) && after.is_some_and(char::is_ascii_lowercase);
        if c.is_ascii_uppercase() && is_first {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    let words: Vec<&str> = out.split('_').filter(|word| !word.is_empty()).collect();
    let name = match words.join("_") {
        name if name.is_empty() => prefix.to_owned(),
        name if name.starts_with(|c: char| c.is_ascii_digit()) => format!("{prefix}_{name}"),
        name => name,
    };
    name[..name.len().min(longest)].trim_end_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_keep_their_words() {
        for (column, name) in [
            ("FirstName", "first_name"),
            ("CustomerID", "customer_id"),
            ("HTTPServer", "http_server"),
            ("order-date ", "order_date"),
            ("__a__b__", "a_b"),
            ("2nd", "field_2nd"),
            ("line2Text", "line2_text"),
            ("Größe", "gr_e"),
            ("日本", "field"),
            ("ID", "own_id"),
            ("pk", "own_pk"),
        ] {
            assert_eq!(field(column), name, "{column}");
        }
        for (table, name) in [
            ("artists", Some("Artists")),
            ("invoice_items", Some("InvoiceItems")),
            ("ORDER_ITEMS", Some("OrderItems")),
            ("PlaylistTrack", Some("PlaylistTrack")),
            ("Order Details", Some("OrderDetails")),
            ("2024", Some("Table2024")),
            ("日本", None),
        ] {
            assert_eq!(model(table).as_deref(), name, "{table}");
        }
        assert_eq!([app("Chinook_Sqlite"), app("system"), app("2.db")], ["chinook_sqlite", "app_system", "app_2_db"]);
        assert_eq!(
            [reference("ArtistId"), reference("id"), reference("ReportsTo")],
            ["artist", "own_id", "reports_to"]
        );
    }

    proptest! {
        #[test]
        fn every_name_is_one(text in "[a-cA-C0-9_. é]{0,70}", taken in 0_usize..3) {
            let counted = std::cell::Cell::new(0);
            let is_taken = |_: &str| { counted.set(counted.get() + 1); counted.get() <= taken };
            for name in [field(&text), free(&field(&text), is_taken), reference(&text)] {
                let file = format!(r#"{{"a.B": {{"fields": {{"{name}": {{"type": "text"}}}}}}}}"#);
                let read = crate::model::parse::models(&crate::json::Json::parse(file.as_bytes()).unwrap());
                prop_assert!(read.is_ok(), "{} {:?}", text, read);
            }
            let namespace = format!("{}.{}", app(&text), model(&text).unwrap_or("A".into()));
            prop_assert!(namespace.parse::<crate::access::Namespace>().is_ok(), "{}", namespace);
        }
    }
}
