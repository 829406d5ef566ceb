//! The documents are held to the code: every rule of the specification names tests that exist, every operator has all its places.

use std::collections::BTreeSet;
use std::path::Path;

use lockstep_engine::Op;
use lockstep_tests::node::root;

/// Names of all functions in Rust and Solidity sources of the project.
fn functions() -> BTreeSet<String> {
    fn walk(dir: &Path, out: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                // forge's cache, not a module of that name.
                let built = name == "cache" && !dir.ends_with("src");
                if !built && !["target", "node_modules", "out", ".git"].contains(&name.as_str()) {
                    walk(&path, out);
                }
            } else if name.ends_with(".rs") || name.ends_with(".sol") {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                for keyword in ["fn ", "function "] {
                    for part in text.split(keyword).skip(1) {
                        let name: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                        out.insert(name);
                    }
                }
            }
        }
    }
    let mut out = BTreeSet::new();
    walk(&root(), &mut out);
    out
}

fn spec() -> String {
    std::fs::read_to_string(root().join("docs/spec.md")).unwrap()
}

#[test]
fn every_rule_of_the_specification_names_tests_that_exist() {
    let (spec, functions) = (spec(), functions());
    let mut rules = BTreeSet::new();
    let mut bad = Vec::new();
    for chunk in spec.split("**`[").skip(1) {
        let Some((rule, rest)) = chunk.split_once("]`**") else { continue };
        // The header's example of a rule.
        if rest.starts_with(')') {
            continue;
        }
        if !rules.insert(rule) {
            bad.push(format!("{rule}: two rules have this name"));
        }
        let Some((_, held)) = rest.split_once("*Held by*") else {
            bad.push(format!("{rule}: names no test"));
            continue;
        };
        let line = held.split("\n\n").next().unwrap_or_default();
        let names: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
        if names.is_empty() {
            bad.push(format!("{rule}: names no test"));
        }
        for n in names {
            if !functions.contains(n) {
                bad.push(format!("{rule}: the test {n} does not exist"));
            }
        }
    }
    let rules = rules.len();
    assert!(rules > 40, "only {rules} rules were found: the parser or the specification broke");
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn operators_have_all_their_places() {
    let spec = spec();
    let mut generator = String::new();
    for e in std::fs::read_dir(root().join("engine/tests/support")).unwrap().flatten() {
        generator.push_str(&std::fs::read_to_string(e.path()).unwrap());
    }
    let table = std::fs::read_to_string(root().join("engine/src/ops/mod.rs")).unwrap();
    let mut importer = String::new();
    let mut dirs = vec![root().join("importer/src")];
    while let Some(dir) = dirs.pop() {
        for e in std::fs::read_dir(dir).unwrap().flatten() {
            if e.path().is_dir() {
                dirs.push(e.path());
            } else {
                importer.push_str(&std::fs::read_to_string(e.path()).unwrap());
            }
        }
    }
    for (code, name) in Op::TABLE {
        assert!(spec.contains(&format!("| {code} | {name}")), "spec.md section 3 has no row '| {code} | {name}'");
        // `    6 MatMul(contraction::MatMul),` gives module and type.
        let line = table.lines().find(|l| l.trim_start().starts_with(&format!("{code} {name}("))).unwrap();
        let path = line.split_once('(').unwrap().1.trim_end_matches("),");
        let (module, ty) = path.split_once("::").unwrap();
        assert!(
            root().join(format!("engine/src/ops/{module}.rs")).exists()
                || root().join(format!("engine/src/ops/{module}")).exists()
        );
        assert!(generator.contains(path) || *name == "TreeEnsemble", "the random graphs never make a {name}");
        assert!(importer.contains(ty), "no lowering makes a {name} ({ty})");
    }
}

/// The gas table of the specification is the code's.
#[test]
fn the_gas_table_is_the_codes() {
    let spec = spec();
    let s = &lockstep_precompile::gas::SCHEDULES[0];
    let items = [
        ("`base`", s.base),
        ("`perWord`", s.per_word),
        ("`registry`", s.registry),
        ("`perNodeShape`", s.per_node_shape),
        ("`perGraphByte`", s.per_graph_byte),
        ("`perOutputWord`", s.per_output_word),
    ];
    for (name, value) in items {
        assert!(spec.contains(&format!("| {name} | {value} |")), "the table has no '| {name} | {value} |'");
    }
    for (unit, price) in lockstep_engine::cost::Unit::ALL.iter().zip(s.milligas) {
        let row = format!("| {} | {price} |", unit.name());
        assert!(spec.contains(&row), "the table has no '{row}'");
    }
}
