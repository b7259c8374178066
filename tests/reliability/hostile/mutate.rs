//! What makes a request hostile: changes of its tree, and changes of its bytes.

use super::tree::{Tree, quoted};
use super::words::{ENDS, NAMES, NONSENSE, NUMBERS, PIECES, VALUES};
use crate::dice::Dice;

/// How deep one thing may be put into another.
const DEPTHS: [usize; 14] = [1, 2, 7, 8, 9, 31, 32, 33, 126, 127, 128, 129, 1000, 10_000];
/// Bytes of a text that is not made longer any more.
const LARGE: usize = 200_000;

/// Changes a tree, once. `others` are trees to take parts from, `names` what means something somewhere.
pub fn tree(dice: &mut Dice, all: &mut Tree, others: &[Tree], names: &[String]) {
    let size = all.size();
    let place = dice.below(size);
    match dice.below(16) {
        0 | 1 => *all.nth(place) = value(dice),
        2 => *all.nth(place) = part(dice, others),
        3 => {
            let part = all.nth(dice.below(size)).clone();
            *all.nth(place) = part;
        }
        4 => wrap(dice, all.nth(place)),
        5 => *all.nth(place) = deep(dice),
        6 => repeat(dice, all.nth(place)),
        7 => *all.nth(place) = text(dice),
        _ => {
            let change = dice.below(8);
            let object = (0..4).map(|_| dice.below(size)).find(|place| matches!(all.nth(*place), Tree::Object(_)));
            let part = part(dice, others);
            if let Tree::Object(members) = all.nth(object.unwrap_or(0)) {
                member(dice, change, members, part, names);
            }
        }
    }
}

/// Changes the members of an object.
fn member(dice: &mut Dice, change: usize, members: &mut Vec<(String, Tree)>, part: Tree, names: &[String]) {
    let place = dice.below(members.len().max(1));
    match (change, members.get_mut(place)) {
        (0, Some(_)) => drop(members.remove(place)),
        (1, Some(member)) => {
            let twin = member.clone();
            members.push(twin);
        }
        (2, Some((name, _))) => *name = self::name(dice, names),
        (3 | 4, Some((name, _))) => {
            let end = quoted(dice.pick(&ENDS));
            name.truncate(name.len().saturating_sub(1));
            name.push_str(&end[1..]);
        }
        (5, Some((_, value))) => *value = part,
        (6, Some(_)) => members.swap(0, place),
        _ => members.insert(place.min(members.len()), (name(dice, names), part)),
    }
}

/// A name: one that means something, one that is hostile, or one without end.
fn name(dice: &mut Dice, names: &[String]) -> String {
    match dice.below(8) {
        0 | 1 => quoted(dice.pick(&NAMES)),
        2 => quoted(dice.pick(&NAMES).chars().cycle().take(1024).collect::<String>()),
        3 => "\"\\ud800\"".to_owned(),
        4 => quoted(format!("{}__{}", dice.pick(names), dice.pick(names))),
        5 => quoted(format!("-{}", dice.pick(names))),
        _ => quoted(dice.pick(names)),
    }
}

/// A value of another kind.
fn value(dice: &mut Dice) -> Tree {
    let text = match dice.below(20) {
        0..8 => (*dice.pick(&VALUES)).to_owned(),
        8..15 => (*dice.pick(&NUMBERS)).to_owned(),
        15 => quoted(dice.pick(&NAMES)),
        16 => quoted(dice.pick(&NUMBERS)),
        17 => "9".repeat(dice.between(17, 1002)),
        18 => quoted("x".repeat(dice.between(100, 5000))),
        _ => (*dice.pick(&NONSENSE)).to_owned(),
    };
    Tree::Raw(text)
}

/// A text of characters that mean something to one reader or another.
fn text(dice: &mut Dice) -> Tree {
    let of: Vec<char> =
        "aZ09_-%*?[](){}|\\/.,:;+^$'\"` \u{0}\u{7f}\u{e9}\u{df}\u{130}\u{1f600}\u{200d}".chars().collect();
    Tree::Raw(quoted(dice.text(&of, 1, 40)))
}

/// A part of another request.
fn part(dice: &mut Dice, others: &[Tree]) -> Tree {
    if others.is_empty() || dice.one_in(3) {
        return Tree::Raw((*dice.pick(&PIECES)).to_owned());
    }
    let mut other = dice.pick(others).clone();
    let place = dice.below(other.size());
    other.nth(place).clone()
}

/// Puts a value into another one.
fn wrap(dice: &mut Dice, value: &mut Tree) {
    let inner = std::mem::replace(value, Tree::Raw(String::new()));
    let names = ["__not__", "__field__", "__result__", "__transform__", "__meta__", "value", "a"];
    *value = match dice.below(4) {
        0 => Tree::List(vec![inner]),
        1 => Tree::Object(vec![(quoted("__and__"), Tree::List(vec![inner.clone(), inner]))]),
        _ => Tree::Object(vec![(quoted(dice.pick(&names)), inner)]),
    };
}

/// One thing in another, again and again.
fn deep(dice: &mut Dice) -> Tree {
    let (open, close) = *dice.pick(&[
        ("[", "]"),
        ("{\"__not__\":", "}"),
        ("{\"__and__\":[", "]}"),
        ("{\"category\":", "}"),
        ("{\"tickets\":{\"category\":", "}}"),
        ("{\"a\":[{\"b\":", "}]}"),
    ]);
    let depth = *dice.pick(&DEPTHS);
    let middle = if dice.one_in(2) { "{}" } else { "null" };
    Tree::Raw(format!("{}{middle}{}", open.repeat(depth), close.repeat(depth)))
}

/// Has a part of a list or an object stand there many times.
fn repeat(dice: &mut Dice, value: &mut Tree) {
    let count = *dice.pick(&[2, 17, 101, 501, 1001, 10_001]);
    match value {
        Tree::List(items) if !items.is_empty() => {
            let item = items[dice.below(items.len())].clone();
            let count = count.min(LARGE / item.text().len().max(1));
            items.extend(std::iter::repeat_n(item, count));
        }
        Tree::Object(members) if !members.is_empty() => {
            let (name, value) = members[dice.below(members.len())].clone();
            let count = count.min(LARGE / (name.len() + value.text().len()));
            let name = name.trim_matches('"').to_owned();
            members.extend((0..count).map(|number| (format!("\"{name}{number}\""), value.clone())));
        }
        other => *other = Tree::List(vec![other.clone(); count.min(LARGE / other.text().len().max(1))]),
    }
}

/// Changes bytes, once.
pub fn bytes(dice: &mut Dice, all: &mut Vec<u8>) {
    if all.is_empty() {
        all.push(dice.next() as u8);
        return;
    }
    let place = dice.below(all.len());
    let end = (place + dice.between(1, 12)).min(all.len());
    match dice.below(6) {
        0 => all.truncate(place),
        1 => all[place] ^= 1 << dice.below(8),
        2 => all[place] = dice.next() as u8,
        3 => drop(all.drain(place..end)),
        4 => {
            let count = dice.between(1, 8);
            let more: Vec<u8> = (0..count).map(|_| dice.next() as u8).collect();
            all.splice(place..place, more);
        }
        _ => {
            let times = if dice.one_in(10) { 1000 } else { dice.between(1, 3) };
            let more = all[place..end].repeat(times);
            all.splice(place..place, more);
        }
    }
}
