#!/usr/bin/env python3
"""Runs slither over contracts/src (without the test kit and the twin) and holds its findings to contracts/slither-answers.json.

    scripts/check_slither.py target/slither/bin/slither

Exits 1 at a finding without an answer, or an answer without a finding. Needs slither-analyzer (PyPI) and the compiler of package-lock.json.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "target" / "slither-project"
CONFIG = """[profile.default]
src = "contracts/src"
libs = []
solc = "scripts/solc"
evm_version = "osaka"
auto_detect_remappings = false
"""


def project():
    """Our own contracts alone: the rest of the project takes the compiler minutes."""
    sources = WORK / "contracts" / "src"
    shutil.rmtree(sources, ignore_errors=True)
    sources.mkdir(parents=True)
    for file in (ROOT / "contracts" / "src").glob("*.sol"):
        shutil.copy(file, sources)
    (WORK / "foundry.toml").write_text(CONFIG)
    for name in ("scripts", "node_modules"):
        link = WORK / name
        if not link.exists():
            link.symlink_to(ROOT / name)


def name(finding):
    """The detector and the item, as a name that survives moved lines."""
    element = finding["elements"][0]
    parts = [element["name"]]
    parent = element.get("type_specific_fields", {}).get("parent")
    while parent and parent["type"] in ("function", "contract"):
        parts.insert(0, parent["name"])
        parent = parent.get("type_specific_fields", {}).get("parent")
    return f"{finding['check']} {'.'.join(parts)}"


def main(slither):
    project()
    report = WORK / "report.json"
    report.unlink(missing_ok=True)
    environment = {**os.environ, "PATH": f"{ROOT}/node_modules/.bin:{os.environ['PATH']}"}
    command = [slither, ".", "--exclude-informational", "--exclude-optimization", "--json", str(report)]
    run = subprocess.run(command, cwd=WORK, env=environment, capture_output=True, text=True, check=False)
    if not report.exists():
        sys.exit(f"slither did not run:\n{run.stderr[-2000:]}")
    findings = json.loads(report.read_text())["results"].get("detectors", [])
    found = {name(f): f["description"] for f in findings}
    answers = json.loads((ROOT / "contracts" / "slither-answers.json").read_text())
    for key in sorted(found.keys() - answers.keys()):
        print(f"no answer to: {key}\n{found[key]}", file=sys.stderr)
    for key in sorted(answers.keys() - found.keys()):
        print(f"an answer to what slither does not find (any more): {key}", file=sys.stderr)
    if found.keys() != answers.keys():
        sys.exit(1)
    print(f"slither: {len(found)} findings, all answered in contracts/slither-answers.json")


main(str(pathlib.Path(sys.argv[1]).resolve()))
