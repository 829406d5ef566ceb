"""Kills a node at random moments and looks whether everything that it acknowledged is still there.

usage: crash.py [--kills N] [--seed S]

A consensus side drives it through the Engine API: blocks, reorganisations, finality. What counts as acknowledged: VALID
for a block (it is known afterwards, with its state), VALID for a fork choice (it is the head afterwards, or the next one
that was being asked for is). After each kill the whole state of the head is read again, every node of it hashed. At the end a second node imports
the canonical chain and must have the same head.
"""
import argparse
import http.client
import random as randomness
import tempfile
import threading
import time

import transactions
from node import Consensus, Node, genesis


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--kills", type=int, default=200)
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    options = arguments.parse_args()
    random = randomness.Random(options.seed)
    print(f"crash: seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        run(options, random, folder)


class Known:
    """What the node acknowledged."""

    def __init__(self, first):
        self.head = self.asked = first  # the head, and the one asked for last
        self.final = self.asked_final = None
        self.blocks = {first: (0, 0, None)}  # hash: number, time, parent

    def ancestors(self, block):
        while block is not None:
            yield block
            block = self.blocks[block][2]


def work(node, cl, known, random):
    """Goes on until the node is gone."""
    while True:
        for _ in range(random.randrange(0, 3)):
            sender = random.randrange(10)
            count = int(node.call("eth_getTransactionCount", transactions.ACCOUNTS[sender].address, "pending"), 16)
            base_fee = int(node.call("eth_getBlockByNumber", "latest", False)["baseFeePerGas"], 16)
            body = {"to": transactions.RECIPIENT, "value": 1, "gas": 21_000, "nonce": count, "chainId": transactions.CHAIN}
            node.call("eth_sendRawTransaction", transactions.sign(sender, {**body, **transactions.fees(random, base_fee)}))
        # Mostly on the head; now and then on an older block that is not final yet.
        parent = known.head
        if random.random() < 0.2:
            reachable = []
            for block in known.ancestors(known.head):
                reachable.append(block)
                if block == known.final or len(reachable) > 8:
                    break
            parent = random.choice(reachable)
        number, clock, _ = known.blocks[parent]
        known.asked, known.asked_final = parent, known.final
        built = cl.build(parent, clock + random.randrange(1, 5), random)
        known.head = parent
        payload = built["executionPayload"]
        if cl.tell(built) != "VALID":
            raise SystemExit(f"crash: a block that the node built is not valid: {payload}")
        block = payload["blockHash"]
        known.blocks[block] = (number + 1, int(payload["timestamp"], 16), parent)
        final = known.final
        if random.random() < 0.1:
            final = list(known.ancestors(block))[min(number, 12)]
            if final is not None and known.final is not None and known.blocks[final][0] < known.blocks[known.final][0]:
                final = known.final
        known.asked, known.asked_final = block, final
        cl.choose(block, final)
        known.head, known.final = block, final


def check(node, cl, known):
    block = node.call("eth_getBlockByNumber", "latest", False)
    head = block["hash"]
    state = cl.call("lockstep_verifyState", head)
    if state["root"] != block["stateRoot"]:
        raise SystemExit(f"crash: the state of {head} is {state}")
    if head not in (known.head, known.asked):
        raise SystemExit(f"crash: the head is {head}, acknowledged was {known.head} (asked for: {known.asked})")
    known.head = head
    final = node.call("eth_getBlockByNumber", "finalized", False)
    final = final and final["hash"]
    if final not in (known.final, known.asked_final):
        raise SystemExit(f"crash: final is {final}, acknowledged was {known.final} (asked for: {known.asked_final})")
    known.final = final
    # The last blocks with their state and receipts, on whatever branch.
    for block in list(known.blocks)[-40:]:
        found = node.call("eth_getBlockByHash", block, True)
        if found is None or int(found["number"], 16) != known.blocks[block][0]:
            raise SystemExit(f"crash: the acknowledged block {block} is lost")
        node.call("eth_getBalance", transactions.RECIPIENT, {"blockHash": block})
        if len(node.call("eth_getBlockReceipts", block)) != len(found["transactions"]):
            raise SystemExit(f"crash: receipts of {block} are lost")


def run(options, random, folder):
    path, secret_file = f"{folder}/genesis.json", f"{folder}/jwt.hex"
    genesis(path)
    secret = random.randbytes(32)
    with open(secret_file, "w") as f:
        f.write(secret.hex())
    arguments = ["--genesis", path, "--datadir", f"{folder}/data", "--authrpc-port", "0", "--jwt-secret", secret_file]
    known, began = None, time.time()
    for kill in range(options.kills + 1):
        node = Node(*arguments, log=f"{folder}/node.log")
        if known is None:
            known = Known(node.call("eth_getBlockByNumber", "0x0", False)["hash"])
        cl = Consensus(node, secret)
        check(node, cl, known)
        if kill == options.kills:
            break
        timer = threading.Timer(random.uniform(0.05, 0.6), node.process.kill)
        timer.start()
        try:
            work(node, cl, known, random)
        except (OSError, ValueError, http.client.HTTPException):
            # The node is gone in the middle of a request.
            node.process.wait(timeout=30)
        finally:
            timer.cancel()
        if (kill + 1) % 50 == 0:
            print(f"crash: {kill + 1} kills, {len(known.blocks)} blocks, {time.time() - began:.0f} s", flush=True)
    # A node that has seen none of it executes the canonical chain from genesis.
    head = node.call("eth_getBlockByNumber", "latest", False)
    with open(f"{folder}/chain.rlp", "wb") as chain:
        for number in range(1, int(head["number"], 16) + 1):
            chain.write(bytes.fromhex(node.call("debug_getRawBlock", hex(number))[2:]))
    node.kill()
    other = Node("--genesis", path, "--import", f"{folder}/chain.rlp", log=f"{folder}/other.log")
    same = other.call("eth_getBlockByNumber", "latest", False)["hash"] == head["hash"]
    other.kill()
    errors = [line for line in open(f"{folder}/node.log") if "ERROR" in line or "panicked" in line]
    if not same or errors:
        raise SystemExit(f"crash: same head {same}; errors in the log: {errors[:5]}")
    final = known.blocks[known.final][0] if known.final else 0
    print(f"crash: {options.kills} kills, {len(known.blocks)} blocks acknowledged, head {int(head['number'], 16)}, final {final}: "
          f"nothing lost, {time.time() - began:.0f} s")


main()
