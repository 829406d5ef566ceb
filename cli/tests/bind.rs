//! The generated Solidity: formatted as forge fmt does, and accepted by the compiler.

mod common;

use std::path::Path;
use std::process::Command;

use common::onnx::{self, port};
use common::{MODELS, import, lockstep, root, text};

/// forge, where `npm ci` has installed it.
fn forge() -> Option<Command> {
    let path = root().join("node_modules/.bin/forge");
    path.exists().then(|| {
        let mut c = Command::new(path);
        c.env("NO_COLOR", "1");
        c
    })
}

fn bind_all(folder: &Path) {
    for name in MODELS {
        let (model, report) = import(name, folder);
        let library: String = name.split('_').map(|w| format!("{}{}", w[..1].to_uppercase(), &w[1..])).collect();
        let file = folder.join("src").join(format!("{library}.sol"));
        let bound = lockstep(["bind", &text(&model), "-o", &text(&file), "--json"]).json();
        assert_eq!(bound["library"], library.as_str());
        let source = std::fs::read_to_string(&file).unwrap();
        assert!(source.contains(report["modelId"].as_str().unwrap()), "{source}");
        assert_eq!(bound["example"], true, "{name}: {source}");
        let fixture = std::fs::read_to_string(bound["fixture"].as_str().unwrap()).unwrap();
        assert!(fixture.contains(report["modelId"].as_str().unwrap()), "{name}");
        assert!(fixture.len() > std::fs::read(&model).unwrap().len(), "{name}: the model is not all there");
    }
}

#[test]
fn bindings_of_all_models_are_formatted_and_compile() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("src")).unwrap();
    bind_all(dir.path());
    // Models that take tensors, rows in a fixed number, and rows too long for a struct.
    let others = [
        (
            "Tensors",
            onnx::model("MatMul", &["a", "b"], &[port("a", &[2, 3]), port("b", &[3, 4])], &port("y", &[2, 4]), &[]),
        ),
        ("Fixed", onnx::model("Softmax", &["a"], &[port("a", &[4, 3])], &port("y", &[4, 3]), &[])),
        ("Long", onnx::model("Relu", &["a"], &[port("a", &[0, 3, 16, 16])], &port("y", &[0, 3, 16, 16]), &[])),
    ];
    for (name, bytes) in others {
        let (source, model) = (dir.path().join("m.onnx"), text(dir.path().join("m.lsm")));
        std::fs::write(&source, bytes).unwrap();
        let run = lockstep(["import", &text(&source), "-o", &model]);
        assert_eq!(run.status, 0, "{name}: {run:?}");
        let run = lockstep(["bind", &model, "-o", &text(dir.path().join(format!("src/{name}.sol")))]);
        assert_eq!(run.status, 0, "{name}: {run:?}");
    }
    let Some(mut fmt) = forge() else {
        eprintln!("forge is not installed (npm ci): formatting and compilation were not checked");
        return;
    };
    let root = root();
    let config = format!(
        "[profile.default]\nsrc = \"src\"\nlibs = []\nsolc = \"{}\"\nevm_version = \"osaka\"\nauto_detect_remappings = false\n\
         remappings = [\"lockstep/={}/\"]\nallow_paths = [\"{}\"]\n[fmt]\nline_length = 120\nwrap_comments = false\n",
        text(root.join("scripts/solc")),
        text(root.join("contracts/src")),
        text(root.join("contracts/src")),
    );
    std::fs::write(dir.path().join("foundry.toml"), config).unwrap();
    let checked = fmt.args(["fmt", "--check"]).current_dir(dir.path()).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    // A caller per library, so that every function is compiled and not only parsed.
    let user = "// SPDX-License-Identifier: MIT\npragma solidity ^0.8.24;\n\
        import {BreastCancerLogreg} from \"./BreastCancerLogreg.sol\";\nimport {DiabetesGbr} from \"./DiabetesGbr.sol\";\n\
        import {WineMixed} from \"./WineMixed.sol\";\nimport {VolatilityMlp} from \"./VolatilityMlp.sol\";\n\
        import {DigitsCnn} from \"./DigitsCnn.sol\";\nimport {Tensors as T} from \"./Tensors.sol\";\nimport {Fixed as F} from \"./Fixed.sol\";\n\
        contract User {\n\
        function a() external view returns (uint256 c, int256 s) { (c, s) = BreastCancerLogreg.classify(BreastCancerLogreg.example()); }\n\
        function b() external view returns (int256) { return DiabetesGbr.infer(DiabetesGbr.example()) - DiabetesGbr.EXAMPLE_ANSWER; }\n\
        function c() external view returns (bool ok) { (uint256 k,) = WineMixed.classify(WineMixed.example()); ok = k == WineMixed.EXAMPLE_CLASS && k != WineMixed.CLASS_BAROLO; }\n\
        function d(VolatilityMlp.Features[] memory x) external view returns (int256[] memory) { return VolatilityMlp.infer(x); }\n\
        function e() external view returns (int256[] memory) { return DigitsCnn.infer(DigitsCnn.row(DigitsCnn.example()).length == 64 ? DigitsCnn.example() : DigitsCnn.example()); }\n\
        function f(T2[] memory t, int256[] memory x) external view { T.run(t); F.classify(x); }\n\
        }\n\
        import {Tensor as T2} from \"lockstep/IInference.sol\";\n";
    std::fs::write(dir.path().join("src/User.sol"), user).unwrap();
    let built = forge().unwrap().args(["build", "--no-cache"]).current_dir(dir.path()).output().unwrap();
    let printed = format!("{}{}", String::from_utf8_lossy(&built.stdout), String::from_utf8_lossy(&built.stderr));
    assert!(built.status.success(), "{printed}");
}

#[test]
fn fixtures_go_where_they_are_told_and_may_be_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let (model, _) = import("iris_forest", dir.path());
    let (risk, test) = (dir.path().join("Risk.sol"), dir.path().join("RiskOfTest.sol"));
    let bound = lockstep(["bind", &text(&model), "-o", &text(&risk), "--fixture", &text(&test), "--json"]).json();
    assert_eq!(bound["fixture"], text(&test));
    assert!(std::fs::read_to_string(&test).unwrap().contains("library RiskFixture {"));
    let bound = lockstep(["bind", &text(&model), "-o", &text(&risk), "--no-fixture", "--json"]).json();
    assert_eq!(bound["fixture"], serde_json::Value::Null);
    assert!(!dir.path().join("RiskFixture.sol").exists());
    assert_eq!(lockstep(["bind", &text(&model), "-o", &text(&risk), "--fixture", "x.txt"]).status, 2);
}

#[test]
fn the_committed_fixtures_are_what_bind_writes() {
    let dir = tempfile::tempdir().unwrap();
    let committed = root().join("contracts/test/models");
    for name in MODELS {
        let (model, _) = import(name, dir.path());
        let library: String = name.split('_').map(|w| format!("{}{}", w[..1].to_uppercase(), &w[1..])).collect();
        let file = dir.path().join(format!("{library}.sol"));
        assert_eq!(lockstep(["bind", &text(&model), "-o", &text(&file)]).status, 0);
        for file in [format!("{library}.sol"), format!("{library}Fixture.sol")] {
            let (now, then) =
                (std::fs::read(dir.path().join(&file)).unwrap(), std::fs::read(committed.join(&file)).unwrap());
            assert!(now == then, "{file} has changed: scripts/fixtures.sh writes it again");
        }
    }
}

#[test]
fn the_file_must_be_solidity() {
    let dir = tempfile::tempdir().unwrap();
    let (model, _) = import("iris_forest", dir.path());
    assert_eq!(lockstep(["bind", &text(&model), "-o", "Risk.txt"]).status, 2);
    assert_eq!(lockstep(["bind", &text(&model), "-o", &text(dir.path().join("Inference.sol"))]).status, 2);
    let odd = dir.path().join("my-risk 2.sol");
    assert_eq!(lockstep(["bind", &text(&model), "-o", &text(&odd)]).status, 0);
    assert!(std::fs::read_to_string(odd).unwrap().contains("library MyRisk2 {"));
}
