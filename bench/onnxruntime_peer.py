"""onnxruntime behind standard input: a request a line, an answer a line, so that it is timed in turn with the others.

{"load": PATH, "threads": N, "quantise": bool, "inputs": {name: [type, shape, path of raw data]}}  -> {"key": k}
{"run": k, "times": n}                                                                              -> {"seconds": s}
"""

import json
import logging
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort

KINDS = {"f32": np.float32, "i64": np.int64}
sessions = []
logging.disable(logging.WARNING)  # advice of the quantiser, once for each model


def load(request):
    path = request["load"]
    if request.get("quantise"):
        from onnxruntime.quantization import QuantType, quantize_dynamic

        target = Path(tempfile.mkdtemp()) / "int8.onnx"
        quantize_dynamic(path, target, weight_type=QuantType.QInt8)
        path = str(target)
    options = ort.SessionOptions()
    options.intra_op_num_threads = request["threads"]
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Otherwise its threads wait in a loop while the next contender has its turn.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    read = lambda kind, shape, file: np.fromfile(file, KINDS[kind]).reshape(shape)
    sessions.append((session, {name: read(*spec) for name, spec in request["inputs"].items()}))
    return {"key": len(sessions) - 1}


def run(request):
    session, inputs = sessions[request["run"]]
    began = time.perf_counter()
    for _ in range(request["times"]):
        session.run(None, inputs)
    return {"seconds": time.perf_counter() - began}


for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = load(request) if "load" in request else run(request)
    except Exception as e:  # told to the benchmark, which names the case
        answer = {"error": str(e).splitlines()[0][:200]}
    print(json.dumps(answer), flush=True)
