//! Which records: every lookup on every type, paths over relations, search, order and pages.
//!
//! Each case names the records that a filter must find; that `exclude` finds exactly the others, and that
//! `count` agrees, is checked along with it.

use crate::support::{MODELS, Server, request};
use serde_json::{Value, json};

/// A server with one model `v.Thing`, whose field `x` is of this type, and a record for each value: the
/// first has the id 1.
fn things(kind: &Value, values: &[Value]) -> Server {
    let mut field = json!({"null": true});
    field.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
    let server = Server::with(&json!({"v.Thing": {"fields": {"x": field}}}).to_string(), &[]);
    for value in values {
        server.create("v.Thing", &json!({"x": value}));
    }
    server
}

/// Holds filters against the ids that they must find.
#[track_caller]
fn find(server: &Server, namespace: &str, cases: &[(Value, &[u64])]) {
    let all = server.ids(namespace, &json!({"ordering": "pk"}));
    for (filter, expected) in cases {
        let others: Vec<&Value> =
            all.as_array().unwrap().iter().filter(|id| !expected.contains(&id.as_u64().unwrap())).collect();
        let found = server.ids(namespace, &json!({"filter": filter, "ordering": "pk"}));
        assert_eq!(found, json!(expected), "filter {filter}");
        let found = server.ids(namespace, &json!({"exclude": filter, "ordering": "pk"}));
        assert_eq!(found, json!(others), "exclude {filter}");
        let counted = json!({"__meta__": {"intent": "count", "namespace": namespace, "filter": filter}});
        assert_eq!(server.data(&counted)["count"], json!(expected.len()), "count {filter}");
    }
}

/// Sends filters that must be refused with one error, which points at the key and holds these words.
#[track_caller]
fn refuse(server: &Server, namespace: &str, cases: &[(Value, &[&str])]) {
    for (filter, words) in cases {
        let request = json!({"__meta__": {"intent": "retrieve", "namespace": namespace, "filter": filter}});
        let errors = server.refused(400, &request);
        assert_eq!(errors.len(), 1, "{filter}: {errors:?}");
        let key = filter.as_object().unwrap().keys().next().unwrap();
        assert!(errors[0].starts_with(&format!("/__meta__/filter/{key}")), "{filter}: {errors:?}");
        for word in *words {
            assert!(errors[0].contains(word), "{filter}: {errors:?} without {word}");
        }
    }
}

// -- Types --------------------------------------------------------------------------------------

#[test]
fn text_lookups_mind_case_unless_they_begin_with_i() {
    let values = [
        json!("Straße"),
        json!("STRASSE"),
        json!("strasse"),
        json!("ΣΊΣΥΦΟΣ"),
        json!("σίσυφος"),
        json!("İstanbul"),
        json!("istanbul"),
        json!("50% off"),
        json!("50 off"),
        json!("a_b"),
        json!("axb"),
        json!("back\\slash"),
        json!(""),
        Value::Null,
        json!("it's \"so\" 😀"),
    ];
    let every: &[u64] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15];
    for kind in [json!({"type": "string", "max_length": 20}), json!({"type": "text"})] {
        let server = things(&kind, &values);
        find(
            &server,
            "v.Thing",
            &[
                (json!({"x": "Straße"}), &[1]),
                (json!({"x__exact": "strasse"}), &[3]),
                (json!({"x": ""}), &[13]),
                (json!({"x": "it's \"so\" 😀"}), &[15]),
                (json!({"x__iexact": "STRASSE"}), &[1, 2, 3]),
                (json!({"x__iexact": "straße"}), &[1, 2, 3]),
                (json!({"x__iexact": "Σίσυφος"}), &[4, 5]),
                (json!({"x__iexact": "İSTANBUL"}), &[6]),
                (json!({"x__iexact": "ISTANBUL"}), &[7]),
                (json!({"x__iexact": "A_B"}), &[10]),
                (json!({"x__iexact": "%"}), &[]),
                (json!({"x__contains": "strass"}), &[3]),
                (json!({"x__contains": "ίσυφ"}), &[5]),
                (json!({"x__contains": "😀"}), &[15]),
                (json!({"x__icontains": "STRASS"}), &[1, 2, 3]),
                (json!({"x__icontains": "ΊΣΥΦ"}), &[4, 5]),
                (json!({"x__icontains": "STANBUL"}), &[6, 7]),
                (json!({"x__startswith": "Str"}), &[1]),
                (json!({"x__startswith": "STR"}), &[2]),
                (json!({"x__istartswith": "sTRASS"}), &[1, 2, 3]),
                (json!({"x__endswith": "SSE"}), &[2]),
                (json!({"x__endswith": "ße"}), &[1]),
                (json!({"x__iendswith": "ßE"}), &[1, 2, 3]),
                (json!({"x__iendswith": "φοσ"}), &[4, 5]),
                // Metacharacters of LIKE are plain text.
                (json!({"x__contains": "%"}), &[8]),
                (json!({"x__icontains": "50%"}), &[8]),
                (json!({"x__startswith": "50%"}), &[8]),
                (json!({"x__istartswith": "5_"}), &[]),
                (json!({"x__contains": "_"}), &[10]),
                (json!({"x__icontains": "A_B"}), &[10]),
                (json!({"x__endswith": "_b"}), &[10]),
                (json!({"x__iendswith": "_B"}), &[10]),
                (json!({"x__contains": "\\"}), &[12]),
                (json!({"x__istartswith": "BACK\\"}), &[12]),
                // An empty piece is in every text.
                (json!({"x__contains": ""}), every),
                (json!({"x__icontains": ""}), every),
                (json!({"x__startswith": ""}), every),
                (json!({"x__istartswith": ""}), every),
                (json!({"x__endswith": ""}), every),
                (json!({"x__iendswith": ""}), every),
                (json!({"x__regex": "^[a-z]+$"}), &[3, 7, 11]),
                (json!({"x__iregex": "^[a-z]+$"}), &[2, 3, 7, 11]),
                (json!({"x__regex": "^$"}), &[13]),
                (json!({"x__regex": "σ.σ"}), &[5]),
                (json!({"x__iregex": "σ.σ"}), &[4, 5]),
                (json!({"x__regex": "\\\\"}), &[12]),
                (json!({"x__iregex": "A|STANBUL"}), &[1, 2, 3, 6, 7, 10, 11, 12]),
                (json!({"x__in": ["a_b", "axb", null, "nothing"]}), &[10, 11]),
                (json!({"x__in": []}), &[]),
                (json!({"x__in": [null]}), &[]),
                (json!({"x__gt": "a"}), &[3, 4, 5, 6, 7, 10, 11, 12, 15]),
                (json!({"x__gte": "strasse"}), &[3, 4, 5, 6]),
                (json!({"x__lt": "50 off"}), &[13]),
                (json!({"x__lte": "50 off"}), &[9, 13]),
                (json!({"x__range": ["a", "b"]}), &[10, 11]),
                (json!({"x": null}), &[14]),
                (json!({"x__exact": null}), &[14]),
                (json!({"x__iexact": null}), &[14]),
                (json!({"x__isnull": true}), &[14]),
                (json!({"x__isnull": false}), every),
            ],
        );
    }
}

#[test]
fn a_capital_sharp_s_is_a_sharp_s_in_another_case() {
    let server = things(&json!({"type": "string"}), &[json!("Straße"), json!("STRAẞE"), json!("STRASSE")]);
    find(
        &server,
        "v.Thing",
        &[
            (json!({"x__iexact": "straße"}), &[1, 2, 3]),
            (json!({"x__iexact": "straẞe"}), &[1, 2, 3]),
            (json!({"x__icontains": "ASS"}), &[1, 2, 3]),
        ],
    );
}

#[test]
fn numbers_are_text_to_a_text_field() {
    let server = things(&json!({"type": "string"}), &[json!("18"), json!("1.5")]);
    find(&server, "v.Thing", &[(json!({"x": 18}), &[1]), (json!({"x__contains": 1.5}), &[2])]);
    refuse(&server, "v.Thing", &[(json!({"x__contains": null}), &["null"]), (json!({"x": {}}), &["\"x\"", "string"])]);
}

#[test]
fn integers_are_exact_over_64_bits_both_ways() {
    let (least, most) = (i64::MIN, i64::MAX);
    let values = [
        json!(least),
        json!(most),
        json!(0),
        json!(18),
        Value::Null,
        json!(9_007_199_254_740_993_i64),
        json!(9_007_199_254_740_992_i64),
        json!(-1),
    ];
    let server = things(&json!({"type": "integer"}), &values);
    find(
        &server,
        "v.Thing",
        &[
            (json!({"x": least}), &[1]),
            (json!({"x": most}), &[2]),
            (json!({"x": "9223372036854775807"}), &[2]),
            (json!({"x__in": [most, least]}), &[1, 2]),
            (json!({"x__in": ["-9223372036854775808"]}), &[1]),
            (json!({"x__in": [9_007_199_254_740_993_i64]}), &[6]),
            (json!({"x__in": [9_007_199_254_740_992_i64]}), &[7]),
            (json!({"x__range": [9_007_199_254_740_993_i64, most]}), &[2, 6]),
            (json!({"x__gt": 9_007_199_254_740_992_i64}), &[2, 6]),
            (json!({"x__lt": most}), &[1, 3, 4, 6, 7, 8]),
            (json!({"x": 18.0}), &[4]),
            (json!({"x": "18"}), &[4]),
            (json!({"x__in": ["18", 0, null]}), &[3, 4]),
            (json!({"x__in": []}), &[]),
            (json!({"x__lt": 0}), &[1, 8]),
            (json!({"x__lte": "0"}), &[1, 3, 8]),
            (json!({"x__gte": 18}), &[2, 4, 6, 7]),
            (json!({"x__range": [0, 18]}), &[3, 4]),
            (json!({"x__range": [18, 0]}), &[]),
            (json!({"x": null}), &[5]),
            (json!({"x__isnull": false}), &[1, 2, 3, 4, 6, 7, 8]),
        ],
    );
    let reply =
        server.send(&json!({"__meta__": {"intent": "retrieve", "namespace": "v.Thing", "limit": 2}, "x": null}));
    assert!(reply.body.contains(r#"[{"x":-9223372036854775808},{"x":9223372036854775807}]"#), "{}", reply.body);
    refuse(
        &server,
        "v.Thing",
        &[
            (json!({"x": "abc"}), &["\"x\"", "integer", "abc"]),
            (json!({"x": "9223372036854775808"}), &["64 bits"]),
            (json!({"x": 18.5}), &["18.5"]),
            (json!({"x": ""}), &["integer"]),
            (json!({"x": []}), &["integer"]),
            (json!({"x__gt": null}), &["null"]),
            (json!({"x__in": 5}), &["list"]),
            (json!({"x__in": [1, "b"]}), &["/1", "integer"]),
            (json!({"x__range": [1]}), &["two values"]),
            (json!({"x__range": [1, null]}), &["/1"]),
            (json!({"x__isnull": 1}), &["true or false"]),
            (json!({"x__contains": "1"}), &["contains"]),
            (json!({"x__regex": "1"}), &["regex"]),
            (json!({"x__year": 1}), &["year"]),
            (json!({"x__has_key": "a"}), &["has_key"]),
            (json!({"x__nonsense": 1}), &["nonsense"]),
            (json!({"x__gt__lt": 1}), &["gt__lt"]),
            (json!({"y": 1}), &["v.Thing has no field \"y\""]),
        ],
    );
}

#[test]
fn floats_compare_as_the_numbers_they_are() {
    let values = [json!(0.1), json!(-0.0), json!(1e300), json!(5e-324), Value::Null, json!(2.5), json!(3)];
    let server = things(&json!({"type": "float"}), &values);
    find(
        &server,
        "v.Thing",
        &[
            (json!({"x": 0.1}), &[1]),
            (json!({"x": "0.1"}), &[1]),
            (json!({"x": 0}), &[2]),
            (json!({"x": 3}), &[7]),
            (json!({"x__in": [1e300, 5e-324, 0.1]}), &[1, 3, 4]),
            (json!({"x__in": [3]}), &[7]),
            (json!({"x__gt": 2}), &[3, 6, 7]),
            (json!({"x__gt": 0}), &[1, 3, 4, 6, 7]),
            (json!({"x__range": [0, 1]}), &[1, 2, 4]),
            (json!({"x__isnull": true}), &[5]),
        ],
    );
    refuse(&server, "v.Thing", &[(json!({"x": "nan"}), &["float"]), (json!({"x": "1e999"}), &["out of range"])]);
}

#[test]
fn decimals_compare_exactly() {
    let values = ["12.50", "0.01", "-0.01", "99999999.99", "0.10", "0.20", "0.30"].map(|text| json!(text));
    let server = things(&json!({"type": "decimal", "max_digits": 10, "decimal_places": 2}), &values);
    server.create("v.Thing", &json!({}));
    find(
        &server,
        "v.Thing",
        &[
            (json!({"x": "12.5"}), &[1]),
            (json!({"x": 12.5}), &[1]),
            (json!({"x": "12.500"}), &[1]),
            (json!({"x__in": ["0.1", 0.2, "99999999.99"]}), &[4, 5, 6]),
            (json!({"x__range": ["0.10", "0.30"]}), &[5, 6, 7]),
            (json!({"x__gt": "0.01"}), &[1, 4, 5, 6, 7]),
            (json!({"x__lt": 0}), &[3]),
            (json!({"x__lte": "0.01"}), &[2, 3]),
            (json!({"x": null}), &[8]),
        ],
    );
    refuse(&server, "v.Thing", &[(json!({"x": "ten"}), &["\"x\"", "decimal", "ten"])]);
}

#[test]
fn booleans_take_djangos_words() {
    let server = things(&json!({"type": "boolean"}), &[json!(true), json!(false), Value::Null]);
    for yes in [json!(true), json!("true"), json!("True"), json!("t"), json!("1"), json!(1)] {
        find(&server, "v.Thing", &[(json!({"x": yes}), &[1])]);
    }
    for no in [json!(false), json!("false"), json!("False"), json!("f"), json!("0"), json!(0)] {
        find(&server, "v.Thing", &[(json!({"x": no}), &[2])]);
    }
    find(
        &server,
        "v.Thing",
        &[
            (json!({"x__in": [true, false]}), &[1, 2]),
            (json!({"x__gt": false}), &[1]),
            (json!({"x__isnull": true}), &[3]),
        ],
    );
    refuse(&server, "v.Thing", &[(json!({"x": "yes please"}), &["boolean"]), (json!({"x": 2}), &["boolean", "2"])]);
}

#[test]
fn every_part_of_a_date_is_that_of_the_iso_calendar() {
    let values = [
        json!("2024-12-30"), // Monday, week 1 of 2025
        json!("2024-12-29"), // Sunday, week 52 of 2024
        json!("2021-01-01"), // Friday, week 53 of 2020
        json!("2021-01-03"), // Sunday, week 53 of 2020
        json!("2021-01-04"), // Monday, week 1 of 2021
        json!("2024-02-29"), // Thursday, week 9
        json!("2024-03-31"), // Sunday, week 13
        json!("2024-04-01"), // Monday, week 14
        json!("2016-01-01"), // Friday, week 53 of 2015
        json!("2018-12-31"), // Monday, week 1 of 2019
        Value::Null,
    ];
    let server = things(&json!({"type": "date"}), &values);
    find(
        &server,
        "v.Thing",
        &[
            (json!({"x": "2024-02-29"}), &[6]),
            (json!({"x__gt": "2024-04-01"}), &[1, 2]),
            (json!({"x__range": ["2021-01-01", "2021-01-03"]}), &[3, 4]),
            (json!({"x__in": ["2016-01-01", "2018-12-31"]}), &[9, 10]),
            (json!({"x__isnull": true}), &[11]),
            (json!({"x__year": 2024}), &[1, 2, 6, 7, 8]),
            (json!({"x__year": "2016"}), &[9]),
            (json!({"x__iso_year": 2024}), &[2, 6, 7, 8]),
            (json!({"x__iso_year": 2025}), &[1]),
            (json!({"x__iso_year": 2020}), &[3, 4]),
            (json!({"x__iso_year": 2015}), &[9]),
            (json!({"x__iso_year": 2019}), &[10]),
            (json!({"x__quarter": 1}), &[3, 4, 5, 6, 7, 9]),
            (json!({"x__quarter": 2}), &[8]),
            (json!({"x__quarter": 3}), &[]),
            (json!({"x__quarter": 4}), &[1, 2, 10]),
            (json!({"x__month": 12}), &[1, 2, 10]),
            (json!({"x__week": 1}), &[1, 5, 10]),
            (json!({"x__week": 9}), &[6]),
            (json!({"x__week": 13}), &[7]),
            (json!({"x__week": 14}), &[8]),
            (json!({"x__week": 52}), &[2]),
            (json!({"x__week": 53}), &[3, 4, 9]),
            (json!({"x__day": 31}), &[7, 10]),
            (json!({"x__day": 1}), &[3, 8, 9]),
            (json!({"x__week_day": 1}), &[2, 4, 7]), // Sunday
            (json!({"x__week_day": 2}), &[1, 5, 8, 10]),
            (json!({"x__week_day": 5}), &[6]),
            (json!({"x__week_day": 6}), &[3, 9]),
            (json!({"x__iso_week_day": 1}), &[1, 5, 8, 10]),
            (json!({"x__iso_week_day": 4}), &[6]),
            (json!({"x__iso_week_day": 5}), &[3, 9]),
            (json!({"x__iso_week_day": 7}), &[2, 4, 7]),
            (json!({"x__year__gte": 2021}), &[1, 2, 3, 4, 5, 6, 7, 8]),
            (json!({"x__year__exact": 2018}), &[10]),
            (json!({"x__year__in": [2016, "2018", null]}), &[9, 10]),
            (json!({"x__month__range": [2, 4]}), &[6, 7, 8]),
            (json!({"x__day__lt": 4}), &[3, 4, 8, 9]),
            (json!({"x__week__gt": 52}), &[3, 4, 9]),
            (json!({"x__quarter__lte": 2}), &[3, 4, 5, 6, 7, 8, 9]),
            (json!({"x__week_day__gte": 6}), &[3, 9]),
            (json!({"x__year__isnull": true}), &[11]),
            (json!({"x__iso_year__isnull": false}), &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ],
    );
    refuse(
        &server,
        "v.Thing",
        &[
            (json!({"x": "2023-02-29"}), &["\"x\"", "date", "2023-02-29"]),
            (json!({"x": 20240229}), &["date"]),
            (json!({"x__year": "last"}), &["integer"]),
            (json!({"x__hour": 1}), &["hour"]),
            (json!({"x__year__contains": "2"}), &["contains"]),
            (json!({"x__date": "2024-02-29"}), &["date"]),
        ],
    );
}

/// Records of [`moments`], of which all but the null are near the end of a day.
fn moments() -> Server {
    things(
        &json!({"type": "datetime"}),
        &[
            json!("2024-12-31T23:59:59.999999Z"),      // Tuesday, week 1 of 2025
            json!("2025-01-01T00:30:00+02:00"),        // 2024-12-31T22:30:00Z
            json!("2024-02-29T12:00:01.500000-00:30"), // 2024-02-29T12:30:01.5Z, Thursday, week 9
            json!("2021-01-03T23:59:59.999999Z"),      // Sunday, week 53 of 2020
            Value::Null,
            json!("2016-02-29T23:59:59.999600Z"), // Monday, week 9
        ],
    )
}

#[test]
fn every_part_of_a_moment_is_that_of_its_utc_form() {
    find(
        &moments(),
        "v.Thing",
        &[
            (json!({"x": "2025-01-01T00:59:59.999999+01:00"}), &[1]),
            (json!({"x": "2024-12-31 22:30"}), &[2]),
            (json!({"x__gt": "2024-12-31"}), &[1, 2]),
            (json!({"x__lt": "2016-03-01"}), &[6]),
            (json!({"x__range": ["2024-02-29T14:30:01.5+02:00", "2024-12-31T22:30:00Z"]}), &[2, 3]),
            (json!({"x__in": ["2021-01-03T23:59:59.999999Z", null]}), &[4]),
            (json!({"x__date": "2024-12-31"}), &[1, 2]),
            (json!({"x__date__gte": "2024-02-29"}), &[1, 2, 3]),
            (json!({"x__date__in": ["2021-01-03", "2016-02-29"]}), &[4, 6]),
            (json!({"x__year": 2024}), &[1, 2, 3]),
            (json!({"x__month": 12}), &[1, 2]),
            (json!({"x__day": 31}), &[1, 2]),
            (json!({"x__day": 29}), &[3, 6]),
            (json!({"x__quarter": 1}), &[3, 4, 6]),
            (json!({"x__hour": 23}), &[1, 4, 6]),
            (json!({"x__hour__lt": 23}), &[2, 3]),
            (json!({"x__minute": 30}), &[2, 3]),
            (json!({"x__minute": 59}), &[1, 4, 6]),
            (json!({"x__second": 1}), &[3]),
            (json!({"x__second": 59}), &[1, 4, 6]),
            (json!({"x__second__range": [0, 1]}), &[2, 3]),
            (json!({"x__date": null}), &[5]),
        ],
    );
}

#[test]
fn the_last_microsecond_of_a_day_belongs_to_that_day() {
    find(
        &moments(),
        "v.Thing",
        &[
            (json!({"x__iso_year": 2025}), &[1, 2]),
            (json!({"x__iso_year": 2020}), &[4]),
            (json!({"x__week": 53}), &[4]),
            (json!({"x__week": 1}), &[1, 2]),
            (json!({"x__week": 9}), &[3, 6]),
            (json!({"x__week_day": 3}), &[1, 2]),
            (json!({"x__week_day": 1}), &[4]),
            (json!({"x__week_day": 2}), &[6]),
            (json!({"x__iso_week_day": 2}), &[1, 2]),
            (json!({"x__iso_week_day": 7}), &[4]),
            (json!({"x__iso_week_day": 1}), &[6]),
            (json!({"x__hour": 23}), &[1, 4, 6]),
        ],
    );
}

#[test]
fn times_have_hours_minutes_and_seconds() {
    let values = [json!("09:30:15.5"), json!("00:00"), json!("23:59:59.999999"), Value::Null];
    let server = things(&json!({"type": "time"}), &values);
    find(
        &server,
        "v.Thing",
        &[
            (json!({"x": "09:30:15.500000"}), &[1]),
            (json!({"x__gt": "09:30"}), &[1, 3]),
            (json!({"x__range": ["00:00:00", "09:30:15.5"]}), &[1, 2]),
            (json!({"x__in": ["00:00:00.000"]}), &[2]),
            (json!({"x__hour": 9}), &[1]),
            (json!({"x__hour": 23}), &[3]),
            (json!({"x__hour__gte": 9}), &[1, 3]),
            (json!({"x__minute": 30}), &[1]),
            (json!({"x__minute__gt": 30}), &[3]),
            (json!({"x__second": 15}), &[1]),
            (json!({"x__second": 59}), &[3]),
            (json!({"x__hour": null}), &[4]),
        ],
    );
    refuse(&server, "v.Thing", &[(json!({"x": "24:00"}), &["time"]), (json!({"x__year": 2024}), &["year"])]);
}

#[test]
fn uuids_are_found_in_every_form() {
    let values =
        [json!("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), json!("B0EEBC999C0B4EF8BB6D6BB9BD380A11"), Value::Null];
    let server = things(&json!({"type": "uuid"}), &values);
    find(
        &server,
        "v.Thing",
        &[
            (json!({"x": "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"}), &[1]),
            (json!({"x": "a0eebc999c0b4ef8bb6d6bb9bd380a11"}), &[1]),
            (json!({"x": "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"}), &[1]),
            (json!({"x": "urn:uuid:a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}), &[1]),
            (json!({"x": "b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}), &[2]),
            (json!({"x__in": ["B0EEBC999C0B4EF8BB6D6BB9BD380A11", null]}), &[2]),
            (json!({"x__isnull": true}), &[3]),
        ],
    );
    refuse(&server, "v.Thing", &[(json!({"x": "a0eebc99"}), &["uuid"]), (json!({"x__contains": "a0"}), &["contains"])]);
}

#[test]
fn json_is_reached_inside_and_null_missing_zero_and_empty_differ() {
    let values = [
        json!({"a": 1, "list": [10, {"k": "v"}], "text": "Ab", "on": true}),
        json!({"a": null}),
        json!({"a": 0}),
        json!({"a": ""}),
        json!({}),
        Value::Null,
        json!({"a.b": 1, "q\"uote": 2, "sp ace": 3, "back\\slash": 4, "ключ": 5, "it's": 6, "$": 7, "[0]": 8}),
        json!([5, 6]),
        json!({"big": 9_007_199_254_740_993_i64}),
        json!({"a": "1"}),
        json!({"a": 1.5, "deep": {"er": {"est": [1, [2, 3]]}}}),
        json!({"a": false}),
    ];
    let server = things(&json!({"type": "json"}), &values);
    find(
        &server,
        "v.Thing",
        &[
            (json!({"x__a": 1}), &[1]),
            (json!({"x__a": null}), &[2]),
            (json!({"x__a": 0}), &[3]),
            (json!({"x__a": ""}), &[4]),
            (json!({"x__a": "1"}), &[10]),
            (json!({"x__a": 1.5}), &[11]),
            (json!({"x__a": false}), &[12]),
            (json!({"x__on": true}), &[1]),
            (json!({"x__a__isnull": true}), &[5, 6, 7, 8, 9]),
            (json!({"x__a__isnull": false}), &[1, 2, 3, 4, 10, 11, 12]),
            (json!({"x__a__gt": 0}), &[1, 11]),
            (json!({"x__a__gte": 0}), &[1, 3, 11]),
            (json!({"x__a__lt": 1.5}), &[1, 3]),
            (json!({"x__a__range": [1, 2]}), &[1, 11]),
            (json!({"x__a__in": [0, 1]}), &[1, 3]),
            (json!({"x__a__in": ["", "1"]}), &[4, 10]),
            (json!({"x__a__in": []}), &[]),
            (json!({"x__text__contains": "aB"}), &[]),
            (json!({"x__text__icontains": "aB"}), &[1]),
            (json!({"x__text__startswith": "A"}), &[1]),
            (json!({"x__text__regex": "^A.$"}), &[1]),
            (json!({"x__list__0": 10}), &[1]),
            (json!({"x__list__1__k": "v"}), &[1]),
            (json!({"x__list__1__has_key": "k"}), &[1]),
            (json!({"x__0": 5}), &[8]),
            (json!({"x__1__gt": 5}), &[8]),
            (json!({"x__2": 5}), &[]),
            (json!({"x__deep__er__est__1__0": 2}), &[11]),
            (json!({"x__deep__er": {"est": [1, [2, 3]]}}), &[11]),
            (json!({"x__list": [10, {"k": "v"}]}), &[1]),
            (json!({"x__has_key": "a"}), &[1, 2, 3, 4, 10, 11, 12]),
            (json!({"x__has_key": "a.b"}), &[7]),
            (json!({"x__has_key": "q\"uote"}), &[7]),
            (json!({"x__has_key": "back\\slash"}), &[7]),
            (json!({"x__has_key": "[0]"}), &[7]),
            (json!({"x__deep__has_key": "er"}), &[11]),
            (json!({"x__a.b": 1}), &[7]),
            (json!({"x__q\"uote": 2}), &[7]),
            (json!({"x__sp ace": 3}), &[7]),
            (json!({"x__back\\slash": 4}), &[7]),
            (json!({"x__ключ": 5}), &[7]),
            (json!({"x__it's": 6}), &[7]),
            (json!({"x__$": 7}), &[7]),
            (json!({"x__[0]": 8}), &[7]),
            (json!({"x__big": 9_007_199_254_740_993_i64}), &[9]),
            (json!({"x__big": 9_007_199_254_740_992_i64}), &[]),
            (json!({"x__big__gt": 9_007_199_254_740_992_i64}), &[9]),
            (json!({"x": {}}), &[5]),
            (json!({"x": {"a": 0}}), &[3]),
            (json!({"x": [5, 6]}), &[8]),
            (json!({"x__in": [{"a": 0}, {}]}), &[3, 5]),
            (json!({"x": null}), &[6]),
            (json!({"x__isnull": true}), &[6]),
        ],
    );
    refuse(
        &server,
        "v.Thing",
        &[
            (json!({"x__gt": 1}), &["gt"]),
            (json!({"x__contains": "a"}), &["contains"]),
            (json!({"x__has_key": 1}), &["string"]),
            (json!({"x__a__gt": null}), &["null"]),
        ],
    );
}

#[test]
fn integers_inside_json_are_exact_in_lists_and_ranges() {
    let server = things(&json!({"type": "json"}), &[json!({"big": 9_007_199_254_740_993_i64})]);
    find(
        &server,
        "v.Thing",
        &[
            (json!({"x__big__in": [9_007_199_254_740_993_i64]}), &[1]),
            (json!({"x__big__in": [9_007_199_254_740_992_i64]}), &[]),
            (json!({"x__big__range": [9_007_199_254_740_993_i64, 9_007_199_254_740_993_i64]}), &[1]),
        ],
    );
}

#[test]
fn an_in_of_a_json_path_takes_values_of_several_kinds() {
    let server = things(&json!({"type": "json"}), &[json!({"a": 1}), json!({"a": null}), json!({}), json!({"a": "1"})]);
    find(
        &server,
        "v.Thing",
        &[
            (json!({"x__a__in": [1, null]}), &[1]),
            (json!({"x__a__in": [null]}), &[]),
            (json!({"x__a__in": [1, "1", true]}), &[1, 4]),
        ],
    );
}

// -- Relations ----------------------------------------------------------------------------------

const GARDEN: &str = r#"{
  "g.Bed": { "fields": { "name": { "type": "string" }, "rank": { "type": "integer", "null": true } },
             "ordering": ["-rank"] },
  "g.Tag": { "fields": { "name": { "type": "string" } } },
  "g.Plant": { "fields": {
      "name": { "type": "string" },
      "bed": { "type": "ref", "to": "g.Bed", "null": true, "related_name": "plants" },
      "tags": { "type": "refs", "to": "g.Tag", "related_name": "plants" },
      "parent": { "type": "ref", "to": "g.Plant", "null": true, "related_name": "children" } },
    "search": ["name", "bed__name"] } }"#;

/// Beds: red (1), blue (2), and one without plants or rank (3). Tags: hot (1), cold (2), unused (3).
/// Plants: apple (1), beet (2), corn (3), date (4).
fn garden() -> Server {
    let server = Server::with(GARDEN, &[]);
    for (name, rank) in [("red", json!(1)), ("blue", json!(2)), ("bare", Value::Null)] {
        server.create("g.Bed", &json!({"name": name, "rank": rank}));
    }
    for name in ["hot", "cold", "unused"] {
        server.create("g.Tag", &json!({"name": name}));
    }
    server.create("g.Plant", &json!({"name": "apple", "bed": 1, "tags": [1, 2]}));
    server.create("g.Plant", &json!({"name": "beet", "bed": 1, "tags": [1], "parent": 1}));
    server.create("g.Plant", &json!({"name": "corn", "bed": 2, "tags": [2], "parent": 1}));
    server.create("g.Plant", &json!({"name": "date", "parent": 2}));
    server
}

#[test]
fn paths_lead_over_relations_both_ways() {
    let server = garden();
    find(
        &server,
        "g.Plant",
        &[
            (json!({"bed": 1}), &[1, 2]),
            (json!({"bed": "1"}), &[1, 2]),
            (json!({"bed_id": 1}), &[1, 2]),
            (json!({"bed_id__in": [1, 2]}), &[1, 2, 3]),
            (json!({"bed__in": [2, null]}), &[3]),
            (json!({"bed__id": 1}), &[1, 2]),
            (json!({"bed__pk__gt": 1}), &[3]),
            (json!({"bed__name": "red"}), &[1, 2]),
            (json!({"bed__name__icontains": "E"}), &[1, 2, 3]),
            (json!({"tags": 1}), &[1, 2]),
            (json!({"tags__in": [1, 2]}), &[1, 2, 3]),
            (json!({"tags__name": "cold"}), &[1, 3]),
            (json!({"tags__name__in": ["hot", "cold"]}), &[1, 2, 3]),
            (json!({"parent__name": "apple"}), &[2, 3]),
            (json!({"parent__parent__name": "apple"}), &[4]),
            (json!({"parent__bed__name": "red"}), &[2, 3, 4]),
            (json!({"children": 2}), &[1]),
            (json!({"children__name": "beet"}), &[1]),
            (json!({"children__children__name": "date"}), &[1]),
            (json!({"children__tags__name": "cold"}), &[1]),
            (json!({"bed__plants__name": "beet"}), &[1, 2]),
            (json!({"tags__plants__name": "corn"}), &[1, 3]),
            (json!({"pk": 3}), &[3]),
            (json!({"pk__in": ["3", 4]}), &[3, 4]),
        ],
    );
    find(
        &server,
        "g.Bed",
        &[
            (json!({"plants": 2}), &[1]),
            (json!({"plants__in": [1, 2, 3]}), &[1, 2]),
            (json!({"plants__name__startswith": "c"}), &[2]),
            (json!({"plants__tags__name": "cold"}), &[1, 2]),
            (json!({"plants__children__isnull": false}), &[1]),
        ],
    );
    find(&server, "g.Tag", &[(json!({"plants__bed__name": "blue"}), &[2]), (json!({"plants": 1}), &[1, 2])]);
    refuse(
        &server,
        "g.Plant",
        &[
            (json!({"bed__nme": "red"}), &["g.Bed has no field \"nme\""]),
            (json!({"bed": "red"}), &["\"bed\"", "integer"]),
            (json!({"name__bed": 1}), &["name"]),
            (json!({"bed_id__name": "red"}), &["name"]),
        ],
    );
}

#[test]
fn a_path_to_nothing_is_null_as_in_an_outer_join() {
    let server = garden();
    find(
        &server,
        "g.Plant",
        &[
            (json!({"bed__isnull": true}), &[4]),
            (json!({"bed": null}), &[4]),
            (json!({"bed_id": null}), &[4]),
            (json!({"bed__isnull": false}), &[1, 2, 3]),
            (json!({"bed__name__isnull": true}), &[4]),
            (json!({"bed__name": null}), &[4]),
            (json!({"bed__name__isnull": false}), &[1, 2, 3]),
            (json!({"bed__rank__isnull": true}), &[4]),
            (json!({"tags__isnull": true}), &[4]),
            (json!({"tags": null}), &[4]),
            (json!({"tags__name__isnull": true}), &[4]),
            (json!({"tags__isnull": false}), &[1, 2, 3]),
            (json!({"parent__bed__isnull": true}), &[1]),
            (json!({"parent__bed__name__isnull": true}), &[1]),
            (json!({"children__isnull": true}), &[3, 4]),
            (json!({"children__bed__isnull": true}), &[2, 3, 4]),
            (json!({"children__bed__name__isnull": true}), &[2, 3, 4]),
            (json!({"children__bed__isnull": false}), &[1]),
            (json!({"bed__isnull": true, "bed__name__isnull": true}), &[4]),
            (json!({"bed__isnull": true, "bed__name": "red"}), &[]),
        ],
    );
    find(
        &server,
        "g.Bed",
        &[
            (json!({"plants__isnull": true}), &[3]),
            (json!({"plants": null}), &[3]),
            (json!({"plants__name__isnull": true}), &[3]),
            (json!({"plants__tags__isnull": true}), &[3]),
            (json!({"plants__parent__isnull": true}), &[1, 3]),
        ],
    );
}

#[test]
fn conditions_of_one_object_hold_for_one_related_record() {
    let server = garden();
    find(
        &server,
        "g.Plant",
        &[
            (json!({"tags__name": "hot", "tags__id": 2}), &[]),
            (json!({"tags__name": "hot", "tags__id": 1}), &[1, 2]),
            (json!({"tags__name": "hot", "tags": 2}), &[]),
            (json!({"__and__": [{"tags__name": "hot"}, {"tags__id": 2}]}), &[1]),
            (json!({"tags__name": "hot", "__and__": [{"tags__id": 2}]}), &[1]),
            (json!({"children__name": "beet", "children__bed__name": "blue"}), &[]),
            (json!({"__and__": [{"children__name": "beet"}, {"children__bed__name": "blue"}]}), &[1]),
        ],
    );
    find(
        &server,
        "g.Bed",
        &[
            (json!({"plants__name": "beet", "plants__tags__name": "cold"}), &[]),
            (json!({"plants__name": "apple", "plants__tags__name": "cold"}), &[1]),
            (json!({"__and__": [{"plants__name": "beet"}, {"plants__tags__name": "cold"}]}), &[1]),
            (json!({"plants__tags__name": "hot", "plants__tags__id": 2}), &[]),
        ],
    );
}

#[test]
fn and_or_and_not_nest_anywhere() {
    let server = garden();
    find(
        &server,
        "g.Plant",
        &[
            (json!({}), &[1, 2, 3, 4]),
            (json!({"__and__": []}), &[1, 2, 3, 4]),
            (json!({"__or__": []}), &[]),
            (json!({"__or__": [{}]}), &[1, 2, 3, 4]),
            (json!({"__not__": {}}), &[]),
            (json!({"__not__": {"__or__": []}}), &[1, 2, 3, 4]),
            (json!({"__or__": [{"name": "date"}, {"bed__name": "blue"}]}), &[3, 4]),
            (json!({"bed": 1, "__or__": [{"name": "date"}, {"name": "beet"}]}), &[2]),
            (json!({"__not__": {"bed": 1}}), &[3, 4]),
            (json!({"__not__": {"tags": 1}}), &[3, 4]),
            (json!({"__not__": {"__not__": {"bed": 1}}}), &[1, 2]),
            (json!({"__not__": {"bed__rank__gt": 1}}), &[1, 2, 4]),
            (json!({"__and__": [{"__not__": {"name": "apple"}}, {"__or__": [{"bed": 1}, {"parent": 1}]}]}), &[2, 3]),
            (json!({"__not__": {"tags__name": "hot", "tags__id": 2}}), &[1, 2, 3, 4]),
        ],
    );
    let filtered = json!({"filter": {"bed": 1}, "exclude": {"tags": 2}, "search": {"value": "e"}});
    assert_eq!(server.ids("g.Plant", &filtered), json!([2]));
    refuse(
        &server,
        "g.Plant",
        &[
            (json!({"__or__": {}}), &["list"]),
            (json!({"__and__": [1]}), &["/0"]),
            (json!({"__not__": []}), &["__not__"]),
            (json!({"__xor__": []}), &["__xor__"]),
        ],
    );
}

#[test]
fn bounds_of_a_filter_are_named_when_passed() {
    let server = garden();
    let nested = |levels: usize| (1..levels).fold(json!({"bed": 1}), |inner, _| json!({"__not__": inner}));
    find(&server, "g.Plant", &[(nested(31), &[1, 2]), (nested(32), &[3, 4])]);
    let ids = |count: u64| json!({"pk__in": (1..=count).collect::<Vec<_>>()});
    find(&server, "g.Plant", &[(ids(10_000), &[1, 2, 3, 4])]);
    let path = |hops: usize| json!({format!("{}name", "parent__".repeat(hops)): "apple"});
    find(&server, "g.Plant", &[(path(8), &[])]);
    let terms = |count: usize| json!({"__or__": vec![json!({"name": "corn"}); count]});
    find(&server, "g.Plant", &[(terms(240), &[3])]);
    find(&server, "g.Plant", &[(json!({"name__regex": format!("corn|{}", "b".repeat(995))}), &[3])]);
    for (filter, words) in [
        (nested(33), "32 levels of filter"),
        (ids(10_001), "10000"),
        (path(9), "8 relations"),
        (terms(501), "500 fields and conditions"),
        (json!({"name__regex": "b".repeat(1001)}), "1000 characters"),
        (json!({"name__iregex": "b".repeat(1001)}), "1000 characters"),
        (json!({"name__regex": "("}), "regular expression"),
        (json!({"name__regex": "(?=a)"}), "regular expression"),
    ] {
        let request = json!({"__meta__": {"intent": "retrieve", "namespace": "g.Plant", "filter": filter}});
        let errors = server.refused(400, &request);
        assert!(errors.len() == 1 && errors[0].contains(words), "{words}: {errors:?}");
    }
}

#[test]
fn an_iregex_may_be_as_long_as_a_regex() {
    let server = garden();
    find(&server, "g.Plant", &[(json!({"name__iregex": format!("CORN|{}", "b".repeat(995))}), &[3])]);
}

#[test]
fn an_iregex_too_large_once_compiled_is_the_clients_mistake() {
    let server = garden();
    for size in [100, 200, 300, 400, 500, 600, 700, 800, 900, 1000] {
        let filter = json!({"name__iregex": format!("(?:[a-z]{{{size}}}){{20}}")});
        let reply = server.send(&json!({"__meta__": {"intent": "retrieve", "namespace": "g.Plant", "filter": filter}}));
        assert!(matches!(reply.status, 200 | 400), "{size}: {}", reply.body);
    }
}

// -- Other fields -------------------------------------------------------------------------------

const SHELVES: &str = r#"{
  "f.Box": { "fields": { "name": { "type": "string" }, "most": { "type": "integer", "null": true } } },
  "f.Row": { "fields": {
      "whole": { "type": "integer", "null": true }, "other": { "type": "integer", "null": true },
      "d2": { "type": "decimal", "max_digits": 18, "decimal_places": 2, "null": true },
      "d4": { "type": "decimal", "max_digits": 18, "decimal_places": 4, "null": true },
      "d18": { "type": "decimal", "max_digits": 18, "decimal_places": 18, "null": true },
      "ratio": { "type": "float", "null": true },
      "day": { "type": "date", "null": true }, "due": { "type": "date", "null": true },
      "moment": { "type": "datetime", "null": true }, "closed": { "type": "datetime", "null": true },
      "clock": { "type": "time", "null": true }, "until": { "type": "time", "null": true },
      "name": { "type": "string", "null": true }, "label": { "type": "text", "null": true },
      "flag": { "type": "boolean", "null": true }, "sure": { "type": "boolean", "null": true },
      "code": { "type": "uuid", "null": true }, "twin": { "type": "uuid", "null": true },
      "data": { "type": "json", "null": true },
      "box": { "type": "ref", "to": "f.Box", "null": true, "related_name": "rows" },
      "parent": { "type": "ref", "to": "f.Row", "null": true, "related_name": "children" } } } }"#;

/// Boxes: ab (1) and x (2). Rows: two (1, 2) with values of every type in box ab, the second below the first; one (3)
/// in box x, also below the first, whose numbers are those where floats end to be exact; one (4) with nothing in it;
/// and two (5, 6) with the largest and the least numbers.
fn shelves() -> Server {
    let server = Server::with(SHELVES, &[]);
    server.create("f.Box", &json!({"name": "ab", "most": 4}));
    server.create("f.Box", &json!({"name": "x", "most": 9_007_199_254_740_993_i64}));
    let (a, b) = ("00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b");
    for row in [
        json!({"whole": 3, "other": 3, "d2": "3", "d4": "3", "ratio": 3, "day": "2024-05-01", "due": "2024-05-01",
               "moment": "2024-05-01T00:00:00Z", "closed": "2024-05-01T02:00:00+02:00",
               "clock": "09:00", "until": "09:00",
               "name": "ab", "label": "ab", "flag": true, "sure": true, "code": a, "twin": a, "box": 1,
               "data": {"n": 3, "m": 3.0, "t": "ab", "u": "AB", "b": true, "d": "2024-05-01"}}),
        json!({"whole": 5, "other": 3, "d2": "5.50", "d4": "5.4999", "ratio": 5.5,
               "day": "2024-05-02", "due": "2024-05-01", "moment": "2024-05-02T10:00:00Z",
               "closed": "2024-05-02T09:00:00Z", "clock": "10:00", "until": "09:00",
               "name": "ABC", "label": "b", "flag": true, "sure": false, "code": a, "twin": b, "box": 1, "parent": 1,
               "data": {"n": "3", "m": 5, "t": "b", "b": false, "d": "2024-05-03"}}),
        json!({"whole": 9_007_199_254_740_993_i64, "other": 9_007_199_254_740_992_i64, "ratio": 9_007_199_254_740_992.0,
               "d2": "0.10", "d4": "0.1", "name": "same", "label": "SAME", "box": 2, "parent": 1,
               "data": {"n": 9_007_199_254_740_993_i64, "m": 0.1, "t": "Same"}}),
        json!({}),
        json!({"whole": i64::MAX, "other": i64::MIN, "d2": "9999999999999999.99", "d4": "99999999999999.9999",
               "d18": "0.999999999999999999", "ratio": 1e300}),
        json!({"whole": i64::MIN, "d2": "-9999999999999999.99", "d18": "-0.999999999999999999", "ratio": -1e300}),
    ] {
        server.create("f.Row", &row);
    }
    server
}

/// Stands for another field of the record.
fn field(name: &str) -> Value {
    json!({"__field__": name})
}

#[test]
fn a_field_compares_with_every_other_whose_type_compares() {
    let server = shelves();
    for (key, other, expected) in [
        // Numbers, exactly where both are exact.
        ("whole", "other", &[1][..]),
        ("whole__exact", "other", &[1]),
        ("whole__gt", "other", &[2, 3, 5]),
        ("whole__gte", "other", &[1, 2, 3, 5]),
        ("whole__lt", "other", &[]),
        ("whole__lte", "other", &[1]),
        ("whole", "whole", &[1, 2, 3, 5, 6]),
        ("whole", "d2", &[1]),
        ("whole__lt", "d2", &[2, 6]),
        ("whole__gt", "d2", &[3, 5]),
        ("d2", "whole", &[1]),
        ("d2__lt", "whole", &[3, 5]),
        ("whole__gt", "d18", &[5]),
        ("whole__lt", "d18", &[6]),
        ("d18__lt", "whole", &[5]),
        ("d2", "d4", &[1, 3]),
        ("d2__gt", "d4", &[2, 5]),
        ("d4__lt", "d2", &[2, 5]),
        ("d2__gt", "d18", &[5]),
        ("d18__gt", "d2", &[6]),
        ("whole", "ratio", &[1]),
        ("whole__gt", "ratio", &[3, 6]),
        ("whole__lt", "ratio", &[2, 5]),
        ("ratio__lt", "whole", &[3, 6]),
        ("d2", "ratio", &[1, 2]),
        ("ratio", "d2", &[1, 2]),
        ("d2__lt", "ratio", &[3, 5]),
        ("ratio__gte", "d4", &[1, 2, 3, 5]),
        ("d4", "ratio", &[1]),
        ("d18__gt", "ratio", &[6]),
        ("pk__lt", "whole", &[1, 2, 3, 5]),
        // Dates, moments, times, and parts of them.
        ("day", "due", &[1]),
        ("day__gt", "due", &[2]),
        ("day__year", "due__year", &[1, 2]),
        ("day__day__gt", "due__day", &[2]),
        ("day", "moment__date", &[1, 2]),
        ("moment__date__gt", "due", &[2]),
        ("moment", "closed", &[1]),
        ("moment__gt", "closed", &[2]),
        ("moment__hour__gt", "closed__hour", &[2]),
        ("whole", "day__month", &[2]),
        ("moment__month__gt", "whole", &[1]),
        ("clock", "until", &[1]),
        ("clock__gte", "until", &[1, 2]),
        ("clock__hour", "moment__hour", &[2]),
        // Texts, by every lookup that takes one.
        ("name", "label", &[1]),
        ("name__lt", "label", &[2]),
        ("name__iexact", "label", &[1, 3]),
        ("name__contains", "label", &[1]),
        ("name__icontains", "label", &[1, 2, 3]),
        ("name__startswith", "label", &[1]),
        ("name__istartswith", "label", &[1, 3]),
        ("name__endswith", "label", &[1]),
        ("name__iendswith", "label", &[1, 3]),
        ("flag", "sure", &[1]),
        ("flag__gt", "sure", &[2]),
        ("code", "twin", &[1]),
        ("code__lt", "twin", &[2]),
        // What is inside json is read as what it is compared with.
        ("data__n", "whole", &[1, 3]),
        ("whole", "data__n", &[1, 3]),
        ("whole__gt", "data__m", &[3]),
        ("data__m__lte", "whole", &[1, 2, 3]),
        ("data__n", "d2", &[1]),
        ("data__m", "d2", &[1, 3]),
        ("d4", "data__m", &[1, 3]),
        ("d4__gt", "data__m", &[2]),
        ("data__n", "ratio", &[1]),
        ("ratio__lt", "data__n", &[3]),
        ("data__t", "name", &[1]),
        ("data__t__iexact", "name", &[1, 3]),
        ("name__icontains", "data__t", &[1, 2, 3]),
        ("data__t__contains", "label", &[1, 2]),
        ("data__b", "flag", &[1]),
        ("flag__gt", "data__b", &[2]),
        ("data__d", "day", &[1]),
        ("data__d__gt", "day", &[2]),
        ("day__lt", "data__d", &[2]),
        ("data__n", "data__m", &[1]),
        ("data__n__gt", "data__m", &[3]),
        ("data__t", "data__u", &[]),
        ("data__t__iexact", "data__u", &[1]),
        ("data__t", "data__t", &[1, 2, 3]),
        ("data__nothing", "data__nothing", &[]),
        ("data", "data", &[1, 2, 3]),
    ] {
        find(&server, "f.Row", &[(json!({key: field(other)}), expected)]);
    }
}

#[test]
fn another_field_is_one_of_the_record_that_the_whole_filter_is_about() {
    let server = shelves();
    find(
        &server,
        "f.Row",
        &[
            (json!({"name": field("box__name")}), &[1]),
            (json!({"whole__lte": field("box__most")}), &[1, 3]),
            (json!({"box__name": field("name")}), &[1]),
            (json!({"box__most__gt": field("whole")}), &[1]),
            (json!({"parent__whole__lt": field("whole")}), &[2, 3]),
            (json!({"parent__name": field("box__name")}), &[2]),
            (json!({"other": field("parent__whole")}), &[2]),
            (json!({"box": field("parent__box")}), &[2]),
            (json!({"parent": field("box__id")}), &[2]),
            (json!({"children__whole__gt": field("whole")}), &[1]),
            (json!({"children__other": field("whole")}), &[1]),
            (json!({"children__other": field("whole"), "children__name": "same"}), &[]),
            (json!({"children__other": field("whole"), "children__name": "ABC"}), &[1]),
            (json!({"box__rows__whole__lt": field("whole")}), &[2]),
            (json!({"box__rows__parent": field("id")}), &[1]),
            (json!({"__or__": [{"whole": field("other")}, {"name": "ABC"}]}), &[1, 2]),
            (json!({"__not__": {"whole": field("other")}}), &[2, 3, 4, 5, 6]),
            (json!({"__and__": [{"whole__gt": field("other")}, {"__not__": {"d2__gt": field("d4")}}]}), &[3]),
        ],
    );
    find(
        &server,
        "f.Box",
        &[(json!({"rows__whole__gt": field("most")}), &[1]), (json!({"rows__name": field("name")}), &[1])],
    );
    // In the filter of a nested list that is the record in the list.
    for (filter, expected) in [
        (json!({"whole": field("other")}), json!([[1], []])),
        (json!({"parent__whole": field("other")}), json!([[2], []])),
        (json!({"box__most__gte": field("whole")}), json!([[1], [3]])),
        (json!({"children__whole__gt": field("whole")}), json!([[1], []])),
    ] {
        let rows = json!({"rows": {"__meta__": {"filter": filter}, "id": null}});
        let boxes = server.data(&request("retrieve", "f.Box", &json!({"ordering": "pk"}), &rows));
        let ids = |one: &Value| one["rows"].as_array().unwrap().iter().map(|row| row["id"].clone()).collect();
        let found: Vec<Value> = boxes.as_array().unwrap().iter().map(ids).collect();
        assert_eq!(json!(found), expected, "{filter}");
    }
    let changed = json!({"filter": {"whole__gt": field("other"), "box__isnull": false}});
    assert_eq!(server.data(&request("updateMany", "f.Row", &changed, &json!({"label": "new"})))["count"], json!(2));
    assert_eq!(server.data(&request("deleteMany", "f.Row", &changed, &json!({})))["count"], json!(2));
}

#[test]
fn fields_that_do_not_compare_are_refused() {
    let server = shelves();
    let refused = |key: &str, value: &Value, mistake: &str| {
        for narrowing in ["filter", "exclude"] {
            let request = request("retrieve", "f.Row", &json!({narrowing: {key: value}}), &json!({}));
            server.assert_mistakes(&request, &format!("/__meta__/{narrowing}/{key}"), mistake);
        }
    };
    for (key, lookup, kind, other, other_kind) in [
        ("whole", "exact", "an integer", "name", "a string"),
        ("name__gt", "gt", "a string", "whole", "an integer"),
        ("day", "exact", "a date", "moment", "a datetime"),
        ("moment__lte", "lte", "a datetime", "due", "a date"),
        ("clock__lt", "lt", "a time", "moment", "a datetime"),
        ("flag", "exact", "a boolean", "whole", "an integer"),
        ("code", "exact", "a uuid", "name", "a string"),
        ("data", "exact", "a json", "name", "a string"),
        ("name", "exact", "a string", "data", "a json"),
        ("name__icontains", "icontains", "a string", "day", "a date"),
        ("day__year", "exact", "an integer", "name", "a string"),
        ("box", "exact", "an integer", "box__name", "a string"),
    ] {
        let why = format!("is {kind} and cannot be compared by {lookup} with \"{other}\", which is {other_kind}");
        refused(key, &field(other), &format!("/__field__: \"{key}\" {why}"));
    }
    for (key, lookup, instead) in [
        ("whole__in", "in", ""),
        ("whole__range", "range", "; compare it by gte and lte instead"),
        ("whole__isnull", "isnull", ""),
        ("name__regex", "regex", ""),
        ("name__iregex", "iregex", ""),
        ("data__has_key", "has_key", ""),
    ] {
        let why = format!("cannot be compared with a field by {lookup}{instead}");
        refused(key, &field("name"), &format!("/__field__: \"{key}\" {why}"));
    }
    for (other, why) in [
        ("othr", "f.Row has no field \"othr\" (did you mean \"other\"?)"),
        ("box__mst", "f.Box has no field \"mst\" (did you mean \"most\"?)"),
        ("other__gt", "\"other\" has no lookup \"gt\" (it takes no lookup here)"),
        ("children", "\"children\" leads to many records, where one value is wanted"),
        ("children__whole", "\"children__whole\" leads to many records, where one value is wanted"),
        ("box__rows__whole", "\"box__rows__whole\" leads to many records, where one value is wanted"),
    ] {
        refused("whole", &field(other), &format!("/__field__: {why}"));
    }
    for value in [json!({"__field__": 1}), json!({"__field__": null}), json!({"__field__": "other", "x": 1})] {
        let form = r#"must be a value, or {"__field__": the name of a field}, not"#;
        refused("whole", &value, &format!(": \"whole\" {form} {value}"));
    }
    let lookups = "(it takes exact, in, gt, gte, lt, lte, range, isnull)";
    refused("whole__contains", &field("other"), &format!(": \"whole\" has no lookup \"contains\" {lookups}"));
    let terms = |count: usize| {
        let filter = json!({"__or__": vec![json!({"whole": field("other")}); count]});
        request("count", "f.Row", &json!({"filter": filter}), &json!({}))
    };
    assert_eq!(server.send(&terms(250)).status, 200);
    let errors = server.refused(400, &terms(251));
    assert!(errors[0].contains("500 fields and conditions"), "{errors:?}");
}

// -- Search, order, pages -----------------------------------------------------------------------

#[test]
fn every_word_of_a_search_must_occur_in_some_searched_field() {
    let server = garden();
    for (words, expected) in [
        ("apple", json!([1])),
        ("APPLE", json!([1])),
        ("red", json!([1, 2])),
        ("red  PPL", json!([1])),
        ("red corn", json!([])),
        ("e", json!([1, 2, 3, 4])),
        ("hot", json!([])),
        ("", json!([1, 2, 3, 4])),
        (" \t ", json!([1, 2, 3, 4])),
        ("%", json!([])),
    ] {
        let search = json!({"search": {"value": words}, "ordering": "pk"});
        assert_eq!(server.ids("g.Plant", &search), expected, "{words:?}");
    }
    // Without a list of its own, a model is searched in all its texts.
    assert_eq!(server.ids("g.Bed", &json!({"search": {"value": "BLU"}})), json!([2]));
}

#[test]
fn a_search_folds_case_over_all_of_unicode() {
    let server = Server::with(MODELS, &[]);
    server.create("tickets.Ticket", &json!({"title": "Große Straße", "description": "ΣΊΣΥΦΟΣ"}));
    server.create("tickets.Ticket", &json!({"title": "Small street"}));
    for (words, expected) in [
        ("STRASSE grosse", json!([1])),
        ("σίσυφος straße", json!([1])),
        ("street ΣΊΣΥΦΟΣ", json!([])),
        ("open", json!([])),
    ] {
        assert_eq!(server.ids("tickets.Ticket", &json!({"search": {"value": words}})), expected, "{words}");
    }
}

#[test]
fn orders_are_djangos_with_nulls_lowest() {
    let server = garden();
    for (ordering, expected) in [
        (json!([]), [1, 2, 3, 4]),
        (json!("-name"), [4, 3, 2, 1]),
        (json!(["-pk"]), [4, 3, 2, 1]),
        (json!(["id"]), [1, 2, 3, 4]),
        (json!(["bed__rank"]), [4, 1, 2, 3]),
        (json!(["-bed__rank"]), [3, 1, 2, 4]),
        (json!(["-bed__rank", "-name"]), [3, 2, 1, 4]),
        (json!(["bed__name", "-pk"]), [4, 3, 2, 1]),
        // A reference stands for the order of the beds, which is `-rank`.
        (json!("bed"), [3, 1, 2, 4]),
        (json!("-bed"), [4, 1, 2, 3]),
        (json!("bed_id"), [4, 1, 2, 3]),
        (json!("-bed_id"), [3, 1, 2, 4]),
        (json!("bed__id"), [4, 1, 2, 3]),
        // Plants have no order of their own, so their ids count.
        (json!("parent"), [1, 2, 3, 4]),
        (json!("-parent"), [4, 2, 3, 1]),
        (json!("parent__bed__rank"), [1, 2, 3, 4]),
        // The least of many values counts, descending the greatest.
        (json!("tags__name"), [4, 1, 3, 2]),
        (json!("-tags__name"), [1, 2, 3, 4]),
        (json!("children__name"), [3, 4, 1, 2]),
        (json!("-children__name"), [2, 1, 3, 4]),
        (json!(["-children__tags__name", "-pk"]), [1, 4, 3, 2]),
    ] {
        assert_eq!(server.ids("g.Plant", &json!({"ordering": ordering})), json!(expected), "{ordering}");
    }
    assert_eq!(server.ids("g.Bed", &json!({})), json!([2, 1, 3]), "the model's own order");
    assert_eq!(server.ids("g.Bed", &json!({"ordering": "rank"})), json!([3, 1, 2]));
    for (ordering, word) in
        [(json!(["nme"]), "nme"), (json!(["name__gt"]), "gt"), (json!([1]), "ordering"), (json!("--name"), "-name")]
    {
        let request = json!({"__meta__": {"intent": "retrieve", "namespace": "g.Plant", "ordering": ordering}});
        let errors = server.refused(400, &request);
        assert!(errors.len() == 1 && errors[0].contains(word), "{ordering}: {errors:?}");
    }
}

#[test]
fn json_paths_order_by_the_values_that_they_lead_to() {
    let values = [
        json!({"k": 10, "list": [2, 1]}),
        json!({"k": 9}),
        json!({"k": 9.5}),
        json!({"k": "b", "list": [1, "a"]}),
        json!({"k": "B"}),
        json!({"k": true}),
        json!({"k": false}),
        json!({"k": null}),
        json!({}),
        Value::Null,
        json!({"k": [1]}),
        json!({"k": {"a": 1}}),
        json!({"k": -1}),
        json!({"k": ""}),
        json!({"k": 9_007_199_254_740_993_i64}),
        json!({"k": 9_007_199_254_740_992_i64}),
        json!({"k": 9}),
    ];
    let server = things(&json!({"type": "json"}), &values);
    // Nothing and null, then numbers with false and true as 0 and 1, then texts, with lists and objects as their JSON.
    let rising = [8, 9, 10, 13, 7, 6, 2, 17, 3, 1, 16, 15, 14, 5, 11, 4, 12];
    let falling = [12, 4, 11, 5, 14, 15, 16, 1, 3, 2, 17, 6, 7, 13, 8, 9, 10];
    for (ordering, expected) in [
        (json!("x__k"), &rising[..]),
        (json!(["-x__k"]), &falling),
        (json!(["-x__k", "-pk"]), &[12, 4, 11, 5, 14, 15, 16, 1, 3, 17, 2, 6, 7, 13, 10, 9, 8]),
        (json!(["x__list__0", "-pk"]), &[17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 3, 2, 4, 1]),
        (json!(["-x__list__1", "x__k"]), &[4, 1, 8, 9, 10, 13, 7, 6, 2, 17, 3, 16, 15, 14, 5, 11, 12]),
        (json!("-x__k__a"), &[12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17]),
        (json!("x__nothing__0"), &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]),
    ] {
        assert_eq!(server.ids("v.Thing", &json!({"ordering": ordering})), json!(expected), "{ordering}");
        // Page by page, each behind the cursor of the one before.
        let (mut found, mut after) = (Vec::new(), Value::Null);
        loop {
            let mut meta = json!({"ordering": ordering, "limit": 3});
            if after != Value::Null {
                meta["after"] = after;
            }
            let reply = server.send(&request("retrieve", "v.Thing", &meta, &json!({"id": null}))).json();
            found.extend(reply["data"].as_array().unwrap().iter().map(|record| record["id"].as_u64().unwrap()));
            after = reply["extras"]["next"].clone();
            if after == Value::Null {
                break;
            }
        }
        assert_eq!(found, expected, "{ordering} by pages");
    }
    let server = shelves();
    for (ordering, expected) in [
        (json!("parent__data__t"), [1, 4, 5, 6, 2, 3]),
        (json!(["-parent__data__t", "-data__m"]), [2, 3, 1, 4, 5, 6]),
        (json!("-children__data__n"), [1, 2, 3, 4, 5, 6]),
        (json!("children__data__m"), [2, 3, 4, 5, 6, 1]),
        (json!("-box__rows__data__m"), [1, 2, 3, 4, 5, 6]),
    ] {
        let expected = json!(expected);
        assert_eq!(server.ids("f.Row", &json!({"ordering": ordering})), expected, "{ordering}");
    }
}

#[test]
fn pages_are_cut_by_offset_and_limit() {
    let server = garden();
    for (page, expected) in [
        (json!({"limit": 2}), json!([1, 2])),
        (json!({"limit": 2, "offset": 1}), json!([2, 3])),
        (json!({"limit": 2, "offset": 3}), json!([4])),
        (json!({"offset": 2}), json!([3, 4])),
        (json!({"limit": 0}), json!([])),
        (json!({"offset": 4}), json!([])),
        (json!({"offset": i64::MAX}), json!([])),
        (json!({"offset": 1, "limit": 1, "ordering": "-name", "filter": {"tags__isnull": false}}), json!([2])),
    ] {
        assert_eq!(server.ids("g.Plant", &page), expected, "{page}");
    }
    let request = |meta: &str| format!(r#"{{"__meta__": {{"intent": "retrieve", "namespace": "g.Plant", {meta}}}}}"#);
    for meta in [
        r#""limit": -1"#,
        r#""limit": 1.5"#,
        r#""limit": 1001"#,
        r#""offset": -1"#,
        r#""offset": 0.5"#,
        r#""limit": "2""#,
    ] {
        let request = serde_json::from_str(&request(meta)).unwrap();
        let errors = server.refused(400, &request);
        assert!(errors.len() == 1 && errors[0].starts_with("/__meta__/"), "{meta}: {errors:?}");
    }
}

#[test]
fn extras_tell_how_many_match_as_the_request_wants_it() {
    let server = garden();
    for (count, filtered, at_least) in [
        (json!(true), json!(3), Value::Null),
        (json!(false), Value::Null, Value::Null),
        (json!({"upTo": 2}), json!(2), json!(true)),
        (json!({"upTo": 10}), json!(3), Value::Null),
    ] {
        let meta = json!({"intent": "retrieve", "namespace": "g.Plant", "count": count, "limit": 1,
                          "filter": {"bed__isnull": false}});
        let extras = server.send(&json!({"__meta__": meta})).json()["extras"].clone();
        assert_eq!((&extras["filtered"], &extras["filteredAtLeast"]), (&filtered, &at_least), "{count}");
        assert_eq!(extras["display"], json!(1));
    }
}
