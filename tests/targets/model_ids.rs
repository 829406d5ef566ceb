//! Imports the committed models on this processor and compares their modelIds with the pinned ones.
//!
//! `model_ids PINNED FOLDER`: PINNED has a line `name id` for each FOLDER/name/model.onnx.

use std::path::Path;
use std::process::ExitCode;

use lockstep_importer::{ImportOptions, import};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [pinned, folder] = arguments.as_slice() else {
        eprintln!("usage: model_ids PINNED FOLDER");
        return ExitCode::from(2);
    };
    match compare(Path::new(pinned), Path::new(folder)) {
        Ok(models) => {
            println!("{models} models import to the pinned modelIds");
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("model_ids: {e}");
            ExitCode::FAILURE
        }
    }
}

fn compare(pinned: &Path, folder: &Path) -> Result<usize, String> {
    let read = |path: &Path| std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()));
    let lines = String::from_utf8(read(pinned)?).map_err(|e| e.to_string())?;
    let mut models = 0;
    for line in lines.lines() {
        let (name, want) = line.split_once(' ').ok_or_else(|| format!("a line without an id: {line}"))?;
        let beside = folder.join(name);
        let source = read(&beside.join("model.onnx"))?;
        let external = |path: &str| std::fs::read(beside.join(path));
        let options = ImportOptions { external: Some(&external), ..ImportOptions::default() };
        let imported = import(&source, &options).map_err(|e| format!("{name}: {e}"))?;
        let got: String = imported.model.id().iter().map(|b| format!("{b:02x}")).collect();
        if got != want {
            return Err(format!("{name} is {got} on this processor, {want} is pinned"));
        }
        models += 1;
    }
    if models == 0 {
        return Err(format!("{} names no model", pinned.display()));
    }
    Ok(models)
}
