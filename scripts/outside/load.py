"""Mixed load on one node: transfers, inferences, calls, subscriptions, blocks and reorganisations by the Engine API.

usage: load.py [--minutes M] [--seed S]

It holds when no request fails, every subscriber hears of every new head, memory stays flat, the log has no error, the
state read again from the disk has the head's root (each node and code hashed, the root from all leaves by alloy-trie),
and a second node that executes the canonical chain from genesis comes to the same head.
"""
import argparse
import asyncio
import json
import os
import random as randomness
import subprocess
import tempfile
import threading
import time

import transactions
import websockets
from eth_utils import keccak, to_checksum_address
from node import LOCKSTEP, Consensus, Node, RpcError, genesis

PRECOMPILE = to_checksum_address("0x" + f"{0xA11:040x}")
# What is asked: a forest (trees have no peer in candle) and a network that candle computes too.
MODELS = {"iris_forest": ("classify(bytes32,int256[])", 4), "volatility_mlp": ("infer(bytes32,int256[])", 8)}
# Caches so small that they are full in minutes: what grows then is a leak.
CACHES = ["--database-cache", str(32 << 20), "--memo-memory", str(16 << 20)]
# Growth of memory between the second and the last quarter that counts as flat.
SLACK = 1.2, 64 << 20


def words(*values):
    return b"".join((value % 2**256).to_bytes(32, "big") for value in values)


class Load:
    def __init__(self, node, cl, models):
        self.node, self.cl, self.models = node, cl, models
        self.stopping = threading.Event()
        self.failures, self.counts = [], dict.fromkeys(["blocks", "reorganisations", "transactions", "inferences", "calls", "heads", "refused"], 0)
        self.lock = threading.Lock()

    def count(self, what, by=1):
        with self.lock:
            self.counts[what] += by

    def infer(self, random):
        model, (function, features) = random.choice(self.models)
        row = [random.choice([0, 1, 5, random.randrange(80)]) * 10**17 for _ in range(features)]
        return keccak(function.encode())[:4] + bytes.fromhex(model[2:]) + words(64, len(row), *row)

    def forever(self, work, seed):
        random = randomness.Random(seed)
        try:
            while not self.stopping.is_set():
                work(random)
        except Exception as error:  # noqa: BLE001: whatever it is, the run has failed
            if not self.stopping.is_set():
                self.failures.append(f"{work.__name__}: {error!r}")
                self.stopping.set()

    def send(self, random):
        """Transfers and inferences of three accounts of this thread."""
        sender = random.randrange(10)
        base_fee = int(self.node.call("eth_getBlockByNumber", "latest", False)["baseFeePerGas"], 16)
        nonce = int(self.node.call("eth_getTransactionCount", transactions.ACCOUNTS[sender].address, "pending"), 16)
        body = {"nonce": nonce, "chainId": transactions.CHAIN, **transactions.fees(random, base_fee)}
        if random.random() < 0.5:
            body |= {"to": PRECOMPILE, "value": 0, "gas": 2_000_000, "data": self.infer(random)}
        else:
            body |= {"to": transactions.RECIPIENT, "value": 1, "gas": 21_000}
        try:
            self.node.call("eth_sendRawTransaction", transactions.sign(sender, body))
            self.count("transactions")
        except RpcError as error:
            # Two threads took one nonce, or a reorganisation took it back: what a wallet sees, too.
            if not any(known in str(error) for known in ("nonce", "underpriced", "known", "funds", "fee")):
                raise
            self.count("refused")
        time.sleep(0.01)

    def calls(self, random):
        self.node.call("eth_call", {"to": PRECOMPILE, "data": "0x" + self.infer(random).hex()}, "latest")
        self.node.call("eth_getBlockByNumber", "latest", True)
        self.node.call("eth_estimateGas", {"to": PRECOMPILE, "data": "0x" + self.infer(random).hex()})
        self.node.call("lockstep_inferences", "latest")
        self.node.call("eth_getLogs", {"fromBlock": "latest"})
        self.count("calls", 5)
        time.sleep(0.005)

    def drive(self, random):
        """One block, or a branch that replaces the last ones."""
        if not hasattr(self, "chain"):
            block = self.node.call("eth_getBlockByNumber", "latest", False)
            self.chain, self.final = [(block["hash"], int(block["timestamp"], 16))], block["hash"]
        depth = random.randrange(1, 6) if random.random() < 0.1 else 0
        depth = min(depth, len(self.chain) - 1)
        if depth:
            del self.chain[-depth:]
            self.count("reorganisations")
        for _ in range(depth + 1):
            parent, clock = self.chain[-1]
            built = self.cl.build(parent, clock + 1 + random.randrange(3), random, self.final)
            if len(self.chain) > 16:
                self.final = self.chain[1][0]
                del self.chain[0]
            block = self.cl.add(built, self.final)
            self.chain.append((block, int(built["executionPayload"]["timestamp"], 16)))
            self.count("blocks")
        time.sleep(random.choice([0, 0.05, 0.2]))

    def subscribe(self, _random):
        asyncio.run(self.hear())

    async def hear(self):
        async with websockets.connect(self.node.url.replace("http", "ws"), max_size=None) as socket:
            for number, topic in enumerate([["newHeads"], ["logs", {}], ["newPendingTransactions"]]):
                await socket.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": "eth_subscribe", "params": topic}))
            last = time.time()
            while not self.stopping.is_set():
                try:
                    message = json.loads(await asyncio.wait_for(socket.recv(), 1))
                except asyncio.TimeoutError:
                    if time.time() - last > 30:
                        raise RuntimeError("no head for 30 seconds") from None
                    continue
                if "parentHash" in str(message.get("params", {}).get("result", "")):
                    last = time.time()
                    self.count("heads")


def publish(folder):
    """A dev node's chain with the models on it, as a file of blocks; the models' ids with what is asked of them."""
    models = []
    for name, asked in MODELS.items():
        command = [LOCKSTEP, "import", f"tests/models/{name}/model.onnx", "-o", f"{folder}/models/{name}.lsm", "--json"]
        report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
        models.append((report["modelId"], asked))
    dev = Node("--dev", "--models", f"{folder}/models", log=f"{folder}/dev.log")
    if {model["modelId"] for model in dev.call("lockstep_models")} != {model for model, _ in models}:
        raise SystemExit("load: the dev node has other models")
    last = int(dev.call("eth_blockNumber"), 16)
    with open(f"{folder}/published.rlp", "wb") as chain:
        for number in range(1, last + 1):
            chain.write(bytes.fromhex(dev.call("debug_getRawBlock", hex(number))[2:]))
    dev.kill()
    return models


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--minutes", type=float, default=60)
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    options = arguments.parse_args()
    random = randomness.Random(options.seed)
    print(f"load: seed {options.seed}, {options.minutes} minutes", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        run(options, random, folder)


def run(options, random, folder):
    path, secret_file = f"{folder}/genesis.json", f"{folder}/jwt.hex"
    os.mkdir(f"{folder}/models")
    models = publish(folder)
    genesis(path)
    secret = random.randbytes(32)
    with open(secret_file, "w") as f:
        f.write(secret.hex())
    node = Node("--genesis", path, "--datadir", f"{folder}/data", "--import", f"{folder}/published.rlp", "--authrpc-port", "0",
                "--jwt-secret", secret_file, *CACHES, log=f"{folder}/node.log")
    load = Load(node, Consensus(node, secret), models)
    threads = [load.drive, load.send, load.send, load.calls, load.calls, load.subscribe, load.subscribe]
    threads = [threading.Thread(target=load.forever, args=(work, random.random()), daemon=True) for work in threads]
    for thread in threads:
        thread.start()
    end, samples = time.time() + 60 * options.minutes, []
    while time.time() < end and not load.stopping.is_set():
        samples.append(node.resident())
        if len(samples) % 60 == 0:
            print(f"load: {load.counts}, {samples[-1] >> 20} MiB", flush=True)
        load.stopping.wait(1)
    load.stopping.set()
    for thread in threads:
        thread.join(timeout=90)
    if load.failures or node.process.poll() is not None:
        os.system(f"tail -20 {folder}/node.log")
        raise SystemExit(f"load: {load.failures or 'the node died'}")
    finish(node, path, folder, load, samples)


def finish(node, path, folder, load, samples):
    head = node.call("eth_getBlockByNumber", "latest", False)
    memo, check = node.call("lockstep_memo"), node.call("lockstep_crossCheck")
    inferences = 0
    with open(f"{folder}/chain.rlp", "wb") as chain:
        for number in range(1, int(head["number"], 16) + 1):
            inferences += len(node.call("lockstep_inferences", hex(number)))
            chain.write(bytes.fromhex(node.call("debug_getRawBlock", hex(number))[2:]))
    load.counts["inferences"] = inferences
    state = load.cl.call("lockstep_verifyState", head["hash"])
    node.stop()
    other = Node("--genesis", path, "--import", f"{folder}/chain.rlp", log=f"{folder}/other.log")
    again = other.call("eth_getBlockByNumber", "latest", False)
    other.stop()
    wrong = []
    if state["root"] != head["stateRoot"] or not (state["accounts"] and state["slots"] and state["codes"]):
        wrong.append(f"the state read again is {state}, the head's root {head['stateRoot']}")
    if again["hash"] != head["hash"]:
        wrong.append(f"another node comes to {again['hash']}, not {head['hash']}")
    wrong += [line.strip() for line in open(f"{folder}/node.log") if "ERROR" in line or "panicked" in line][:5]
    quarter = len(samples) // 4
    second, last = (max(part, default=0) for part in (samples[quarter:2 * quarter], samples[-quarter:]))
    if quarter >= 15 and last > second * SLACK[0] + SLACK[1]:
        wrong.append(f"memory grew from {second >> 20} to {last >> 20} MiB")
    if min(load.counts[what] for what in ("blocks", "reorganisations", "transactions", "inferences", "calls", "heads")) == 0:
        wrong.append("a part of the load did nothing")
    print(f"load: {load.counts}; head {int(head['number'], 16)}; memory {second >> 20} then {last >> 20} MiB; state {state}; cross-check {check}; memo {memo}")
    if check["findings"] or not (check["checked"] and check["compared"]):
        wrong.append("the cross-check found something, or nothing to do")
    if wrong:
        raise SystemExit("load: " + "; ".join(wrong))
    print("load: state, memory and log are as they should be")


main()
