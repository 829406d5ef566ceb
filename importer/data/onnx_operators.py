"""Writes onnx_operators.txt: every operator that ONNX defines, with the operator sets that (re)define it.

    pip install onnx==1.23.2 && python importer/data/onnx_operators.py
"""

from collections import defaultdict
from pathlib import Path

import onnx

versions = defaultdict(list)
deprecated = {}
for schema in onnx.defs.get_all_schemas_with_history():
    key = (schema.domain or "ai.onnx", schema.name)
    versions[key].append(schema.since_version)
    if schema.since_version == max(versions[key]):
        deprecated[key] = schema.deprecated

lines = [f"# onnx {onnx.__version__}: domain, operator, operator sets, 'deprecated' where the newest says so"]
for (domain, name), sets in sorted(versions.items()):
    line = f"{domain} {name} {','.join(map(str, sorted(sets)))}"
    lines.append(line + (" deprecated" if deprecated[domain, name] else ""))
Path(__file__).with_name("onnx_operators.txt").write_text("\n".join(lines) + "\n")
