//! What hostile requests are made of: the examples of the manual and of the README, and what the description allows.

use super::grammar::Grammar;
use super::mutate;
use super::tree::{Tree, quoted};
use crate::dice::Dice;
use crate::support::Server;
use crate::support::markdown::fences;
use serde_json::{Value, json};

const MANUAL: &str = include_str!("../../../docs/jql.md");
const README: &str = include_str!("../../../README.md");

/// The models of the manual's examples.
pub fn models() -> Value {
    let fence = fences(MANUAL).into_iter().find(|fence| fence.kind == "json models").unwrap();
    serde_json::from_str(&fence.text).unwrap()
}

/// The requests that make the records of the examples.
pub fn records() -> Vec<Value> {
    let end = MANUAL.lines().position(|line| line == "## First request").unwrap();
    requests().into_iter().filter(|(line, _)| *line < end).map(|(_, request)| request).collect()
}

/// The requests of the manual, each with its line.
fn requests() -> Vec<(usize, Value)> {
    let requests = fences(MANUAL).into_iter().filter(|fence| fence.kind == "json");
    let requests = requests.map(|fence| (fence.line, serde_json::from_str::<Value>(&fence.text).unwrap()));
    requests.filter(|(_, request)| request.get("__meta__").is_some()).collect()
}

/// The requests of the README, which stand behind `jql '`.
fn of_readme() -> Vec<Value> {
    let scripts = fences(README).into_iter().filter(|fence| fence.kind == "sh");
    let told = |script: &str| -> Vec<Value> {
        let parts = script.split("jql '").skip(1).map(|part| part.split('\'').next().unwrap());
        parts.filter_map(|text| serde_json::from_str(text).ok()).collect()
    };
    scripts.flat_map(|fence| told(&fence.text)).collect()
}

pub struct Corpus {
    pub grammar: Grammar,
    pub examples: Vec<Tree>,
}

impl Corpus {
    /// That of a key.
    pub fn of(server: &Server, key: &str) -> Corpus {
        let examples: Vec<Value> = requests().into_iter().map(|(_, request)| request).chain(of_readme()).collect();
        assert!(examples.len() > 140, "{} examples", examples.len());
        Corpus { grammar: Grammar::of(server, key), examples: examples.iter().map(Tree::of).collect() }
    }

    /// A request, changed up to three times.
    pub fn tree(&self, dice: &mut Dice) -> Tree {
        let mut tree = self.plain(dice);
        if dice.one_in(12) {
            tree = self.batch(tree, dice);
        }
        for _ in 0..dice.below(4) {
            mutate::tree(dice, &mut tree, &self.examples, &self.grammar.names);
        }
        tree
    }

    /// One as it was meant.
    pub fn plain(&self, dice: &mut Dice) -> Tree {
        if dice.one_in(2) { dice.pick(&self.examples).clone() } else { Tree::of(&self.grammar.any(dice)) }
    }

    fn batch(&self, first: Tree, dice: &mut Dice) -> Tree {
        let frame = json!({"__meta__": {"intent": "execute", "namespace": "system.Batch", "schema": "controller"}});
        let Tree::Object(mut members) = Tree::of(&frame) else { unreachable!() };
        let more = (0..dice.below(3)).map(|_| self.plain(dice));
        let requests = std::iter::once(first).chain(more).collect();
        members.push((quoted("requests"), Tree::List(requests)));
        members.push((quoted("atomic"), Tree::Raw(dice.one_in(2).to_string())));
        Tree::Object(members)
    }

    /// The bytes of a hostile request. One that would change the server's own models or keys is only tried: the test
    /// goes on with them.
    pub fn hostile(&self, dice: &mut Dice) -> Vec<u8> {
        let mut tree = self.tree(dice);
        let is_of_system = tree.text().contains("system.");
        if is_of_system {
            only_tried(&mut tree);
        }
        let mut bytes = tree.text().into_bytes();
        if !is_of_system && dice.one_in(4) {
            for _ in 0..dice.between(1, 3) {
                mutate::bytes(dice, &mut bytes);
            }
        }
        bytes
    }
}

/// Makes a dry run of a request, unless it only reads.
pub fn only_tried(request: &mut Tree) {
    let Some(Tree::Object(meta)) = request.member("__meta__") else { return };
    let reads = ["retrieve", "read", "retrieveOne", "count", "aggregate", "diff"].map(quoted);
    let intent = meta.iter().find(|(name, _)| *name == quoted("intent"));
    if let Some((_, Tree::Raw(intent))) = intent
        && reads.contains(intent)
    {
        return;
    }
    meta.retain(|(name, _)| *name != quoted("dryRun"));
    meta.push((quoted("dryRun"), Tree::Raw("true".to_owned())));
}
