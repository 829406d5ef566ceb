"""A node of the command line, and the consensus side of its Engine API. Standard library only."""
import base64
import hashlib
import hmac
import json
import os
import signal
import subprocess
import threading
import time
import urllib.request

LOCKSTEP = os.environ.get("LOCKSTEP", "target/release/lockstep")


class RpcError(Exception):
    """An error that the node answered."""


def call(url, method, *params, token=None, timeout=60):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    if token:
        request.add_header("authorization", "Bearer " + token)
    answer = json.loads(urllib.request.urlopen(request, timeout=timeout).read())
    if "error" in answer:
        raise RpcError(f"{method}: {answer['error']}")
    return answer["result"]


def token(secret):
    part = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=")
    signed = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps({"iat": int(time.time())}).encode())
    return (signed + b"." + part(hmac.new(secret, signed, hashlib.sha256).digest())).decode()


class Node:
    """`lockstep node`, driven by this process; its log goes to a file."""

    def __init__(self, *arguments, log):
        self.log = log
        environment = dict(os.environ, RUST_LOG=os.environ.get("RUST_LOG", "info"), NO_COLOR="1")
        self.process = subprocess.Popen(
            [LOCKSTEP, "node", "--http-port", "0", *arguments],
            stdout=subprocess.PIPE, stderr=open(log, "a"), text=True, env=environment)
        self.url = self.engine = None
        for line in self.process.stdout:
            if "JSON-RPC at " in line:
                self.url = line.split("JSON-RPC at ")[1].split(",")[0].strip()
            if line.startswith("Engine API at "):
                self.engine = line.split("at ")[1].strip()
            if "none yet" in line or "cast call" in line:
                break
        if self.url is None:
            raise SystemExit(f"the node did not start: see {log}")
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def call(self, method, *params):
        return call(self.url, method, *params)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        if self.process.wait(timeout=60) != 0:
            raise SystemExit(f"the node ended with {self.process.returncode}: see {self.log}")

    def resident(self):
        """Bytes of memory."""
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


class Consensus:
    """Decides about the blocks of a node."""

    def __init__(self, node, secret):
        self.node, self.secret = node, secret

    def call(self, method, *params):
        return call(self.node.engine, method, *params, token=token(self.secret))

    def choose(self, head, finalised=None, attributes=None):
        zero = "0x" + "00" * 32
        final = finalised or zero
        state = {"headBlockHash": head, "safeBlockHash": final, "finalizedBlockHash": final}
        answer = self.call("engine_forkchoiceUpdatedV3", state, attributes)
        if answer["payloadStatus"]["status"] != "VALID":
            raise RpcError(f"head {head}: {answer}")
        return answer["payloadId"]

    def build(self, parent, timestamp, random, finalised=None, withdrawals=()):
        """A block on `parent`, which becomes the head."""
        attributes = {
            "timestamp": hex(timestamp),
            "prevRandao": "0x" + random.randbytes(32).hex(),
            "suggestedFeeRecipient": "0x" + random.randbytes(20).hex(),
            "withdrawals": list(withdrawals),
            "parentBeaconBlockRoot": "0x" + random.randbytes(32).hex(),
        }
        identity = self.choose(parent, finalised, attributes)
        built = self.call("engine_getPayloadV5", identity)
        built["root"] = attributes["parentBeaconBlockRoot"]
        return built

    def tell(self, built):
        """The status of a block."""
        payload, requests = built["executionPayload"], built["executionRequests"]
        return self.call("engine_newPayloadV4", payload, [], built["root"], requests)["status"]

    def add(self, built, finalised=None):
        """Tells a block, which must be valid, and makes it the head."""
        status = self.tell(built)
        if status != "VALID":
            raise RpcError(f"a block that the node built is {status}: {built['executionPayload']['blockHash']}")
        self.choose(built["executionPayload"]["blockHash"], finalised)
        return built["executionPayload"]["blockHash"]


def genesis(path, *arguments):
    """Writes the printed genesis."""
    subprocess.run([LOCKSTEP, "genesis", *arguments, "-o", path], check=True, stdout=subprocess.DEVNULL)
