"""Blocks that the node builds from random transactions, executed again by EELS, Ethereum's specification in Python.

usage: eels.py [--blocks N] [--seed S]

The chain is plain (no config.lockstep), at Osaka. Each block is built through the Engine API and must pass EELS's
state_transition, which checks every root, the gas, the base fee and the requests.
"""
import argparse
import dataclasses
import faulthandler
import json
import os
import random as randomness
import sys
import tempfile
import time

import transactions
from ethereum.crypto.hash import keccak256
from ethereum.forks.osaka import state as S
from ethereum.forks.osaka.blocks import Block
from ethereum.forks.osaka.fork import BlockChain, state_transition
from ethereum.forks.osaka.fork_types import Account, Address
from ethereum.forks.osaka.trie import copy_trie
from ethereum_rlp import rlp
from ethereum_types.bytes import Bytes, Bytes32
from ethereum_types.numeric import U64, U256, Uint
from node import Consensus, Node, RpcError, genesis


def number(value):
    return int(value, 16) if isinstance(value, str) and value.startswith("0x") else int(value or 0)


def data(text):
    return bytes.fromhex((text or "0x").removeprefix("0x"))


def start(genesis, block):
    """EELS's chain with the state of the genesis file."""
    state = S.State()
    for address, account in genesis["alloc"].items():
        address = Address(data(address))
        S.set_account(state, address, Account(Uint(number(account.get("nonce"))), U256(number(account["balance"])), Bytes(data(account.get("code")))))
        for key, value in (account.get("storage") or {}).items():
            S.set_storage(state, address, Bytes32(data(key)), U256(number(value)))
    assert S.state_root(state) == block.header.state_root, "the genesis state"
    return BlockChain(blocks=[block], state=state, chain_id=U64(genesis["config"]["chainId"]))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--blocks", type=int, default=40)
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    options = arguments.parse_args()
    sys.setrecursionlimit(20_000)
    faulthandler.register(__import__('signal').SIGUSR1)
    random = randomness.Random(options.seed)
    print(f"eels: seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        run(options, random, folder)


def run(options, random, folder):
    path, secret_file = f"{folder}/genesis.json", f"{folder}/jwt.hex"
    genesis(path, "--plain")
    secret = random.randbytes(32)
    with open(secret_file, "w") as f:
        f.write(secret.hex())
    node = Node("--genesis", path, "--authrpc-port", "0", "--jwt-secret", secret_file, log=f"{folder}/node.log")
    try:
        cl = Consensus(node, secret)
        raw = lambda block: rlp.decode_to(Block, data(node.call("debug_getRawBlock", block)))
        chain = start(json.load(open(path)), raw("0x0"))
        head, clock, contracts, counts = node.call("eth_getBlockByNumber", "0x0", False)["hash"], 1, [], [0, 0, 0]
        began = time.time()
        for block in range(1, options.blocks + 1):
            base_fee = number(node.call("eth_getBlockByNumber", "latest", False)["baseFeePerGas"])
            nonces = [number(node.call("eth_getTransactionCount", a.address, "latest")) for a in transactions.ACCOUNTS]
            for _ in range(random.randrange(0, 25)):
                sender = random.randrange(len(nonces))
                nonce = nonces[sender]
                nonces[sender] += 1
                try:
                    node.call("eth_sendRawTransaction", transactions.transaction(random, sender, nonce, base_fee, contracts, nonces))
                except RpcError as error:
                    counts[1] += 1
                    print(f"eels: refused: {error}"[:200], file=sys.stderr) if os.environ.get("VERBOSE") else None
            clock += random.randrange(1, 30)
            withdrawals = [
                {"index": hex(1000 * block + k), "validatorIndex": hex(k), "address": "0x" + random.randbytes(20).hex(), "amount": hex(random.getrandbits(40))}
                for k in range(random.choice([0, 0, 1, 3]))
            ]
            # A sibling first, now and then: both are valid, one stays.
            for last in [False, True] if random.random() < 0.25 else [True]:
                built = cl.build(head, clock, random, withdrawals=withdrawals)
                here = cl.add(built)
                decoded = raw("latest")
                assert "0x" + keccak256(rlp.encode(decoded.header)).hex() == here
                on = chain if last else copied(chain)
                # A wrong block must not pass, or the check checks nothing.
                if block == 1:
                    refuses_a_wrong_block(chain, decoded)
                try:
                    state_transition(on, decoded)
                except Exception:
                    print(f"eels: block {block} is refused; seed {options.seed}; the block:\n{node.call('debug_getRawBlock', 'latest')}")
                    raise
            head = here
            receipts = node.call("eth_getBlockReceipts", "latest")
            counts[0] += len(receipts)
            counts[2] += sum(receipt["status"] == "0x1" for receipt in receipts)
            created = [receipt["contractAddress"] for receipt in receipts if receipt.get("contractAddress") and receipt["status"] == "0x1"]
            contracts = (contracts + created)[-30:]
        if counts[0] < options.blocks or counts[2] in (0, counts[0]):
            raise SystemExit(f"eels: the transactions are too much alike: {counts}")
        print(f"eels: {options.blocks} blocks, {counts[0]} transactions ({counts[2]} succeeded, {counts[1]} refused by the pool), "
              f"{len(chain.state._main_trie._data)} accounts: EELS agrees, {time.time() - began:.0f} s")
    finally:
        node.kill()


def copied(chain):
    state = S.State(
        _main_trie=copy_trie(chain.state._main_trie),
        _storage_tries={address: copy_trie(trie) for address, trie in chain.state._storage_tries.items()},
    )
    return BlockChain(blocks=list(chain.blocks), state=state, chain_id=chain.chain_id)


def refuses_a_wrong_block(chain, block):
    again = copied(chain)
    wrong = dataclasses.replace(block, header=dataclasses.replace(block.header, gas_used=block.header.gas_used + Uint(1)))
    try:
        state_transition(again, wrong)
    except Exception:
        return
    raise SystemExit("eels: a wrong block passed")


main()
