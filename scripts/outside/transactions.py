"""Random transactions of the accounts of the public test mnemonic."""
from eth_account import Account
from eth_utils import to_checksum_address

Account.enable_unaudited_hdwallet_features()
MNEMONIC = "test test test test test test test test test test test junk"
ACCOUNTS = [Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{n}") for n in range(10)]
CHAIN = 1212
RECIPIENT = to_checksum_address("0x" + "dd" * 20)

# Opcodes with what they take and give; those of calls and memory get small operands first.
PURE = [(0x01, 2), (0x02, 2), (0x03, 2), (0x04, 2), (0x05, 2), (0x06, 2), (0x07, 2), (0x08, 3), (0x09, 3), (0x0A, 2), (0x0B, 2),
        (0x10, 2), (0x11, 2), (0x12, 2), (0x13, 2), (0x14, 2), (0x15, 1), (0x16, 2), (0x17, 2), (0x18, 2), (0x19, 1), (0x1A, 2),
        (0x1B, 2), (0x1C, 2), (0x1D, 2), (0x1E, 1), (0x30, 0), (0x31, 1), (0x32, 0), (0x33, 0), (0x34, 0), (0x35, 1), (0x36, 0),
        (0x38, 0), (0x3A, 0), (0x3B, 1), (0x3D, 0), (0x3F, 1), (0x40, 1), (0x41, 0), (0x42, 0), (0x43, 0), (0x44, 0), (0x45, 0),
        (0x46, 0), (0x47, 0), (0x48, 0), (0x49, 1), (0x4A, 0), (0x54, 1), (0x5C, 1), (0x58, 0), (0x59, 0), (0x5A, 0), (0x5F, 0)]
MEMORY = [(0x20, 2, 1), (0x37, 3, 0), (0x39, 3, 0), (0x51, 1, 1), (0x52, 2, 0), (0x53, 2, 0), (0x5E, 3, 0), (0xA0, 2, 0), (0xA1, 3, 0),
          (0xA2, 4, 0)]
PRECOMPILES = [*range(1, 0x12), 0x100]
SYSTEM = ["00000961Ef480Eb55e80D19ad83579A64c007002", "0000BBdDc7CE488642fb579F8B00f3a590007251",
          "0000F90827F1C53a10cb7A02335B175320002935", "000F3df6D732807Ef1319fB7B8bB8522d0Beac02"]


def push(random, value=None):
    if value is None:
        value = random.choice([0, 1, 2, 31, 32, 2**255, 2**256 - 1, random.getrandbits(random.choice([8, 64, 160, 256]))])
    if value == 0:
        return b"\x5f"
    data = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return bytes([0x5F + len(data)]) + data


def code(random, targets):
    """Code that mostly does not fail at once: arithmetic, memory, storage, calls, creations, logs."""
    out, depth = b"", 0
    for _ in range(random.randrange(5, 60)):
        kind = random.random()
        if kind < 0.55:
            opcode, takes = random.choice(PURE)
            while depth < takes:
                out, depth = out + push(random), depth + 1
            out, depth = out + bytes([opcode]), depth - takes + 1
        elif kind < 0.7:
            opcode, takes, gives = random.choice(MEMORY)
            out += b"".join(push(random, random.randrange(0, 200)) for _ in range(takes)) + bytes([opcode])
            depth += gives
        elif kind < 0.85:
            # Few slots, so that values are overwritten, cleared and read again.
            opcode = random.choice([0x55, 0x55, 0x5D])
            out += push(random, random.choice([0, 1, random.getrandbits(64)])) + push(random, random.randrange(0, 4)) + bytes([opcode])
        elif kind < 0.97:
            opcode = random.choice([0xF1, 0xF2, 0xF4, 0xFA])
            target = int(random.choice(targets), 16) if targets and random.random() < 0.7 else random.choice(PRECOMPILES)
            sizes = b"".join(push(random, random.randrange(0, 100)) for _ in range(4))
            value = push(random, random.choice([0, 0, 1])) if opcode in (0xF1, 0xF2) else b""
            out += sizes + value + push(random, target) + push(random, random.randrange(0, 60_000)) + bytes([opcode])
            depth += 1
        else:
            opcode = random.choice([0xF0, 0xF5])
            salt = push(random) if opcode == 0xF5 else b""
            out += salt + push(random, random.randrange(0, 40)) + push(random, 0) + push(random, 0) + bytes([opcode])
            depth += 1
        if depth > 900:
            break
    end = random.choice([b"\x00", b"\x00", push(random, 32) + b"\x5f\xf3", push(random, 4) + b"\x5f\xfd", push(random) + b"\xff", b"\xfe", b""])
    return out + end


def deployment(runtime):
    """Init code that returns this code; where it is long, its length takes two bytes."""
    return bytes([0x61]) + len(runtime).to_bytes(2, "big") + bytes.fromhex("80600a5f395ff3") + runtime


def sign(sender, transaction):
    return "0x" + ACCOUNTS[sender].sign_transaction(transaction).raw_transaction.hex().removeprefix("0x")


def fees(random, base_fee):
    tip = random.randrange(0, 3 * 10**9)
    return {"maxPriorityFeePerGas": tip, "maxFeePerGas": 4 * base_fee + tip}


def transaction(random, sender, nonce, base_fee, contracts, nonces):
    """A signed transaction of a random kind. A delegation may take the next nonce of its authority in `nonces`."""
    common = {"nonce": nonce, "chainId": CHAIN, "gas": random.choice([30_000, 100_000, 400_000])}
    kind = random.random()
    if kind < 0.25:
        body = {"to": "0x" + random.randbytes(20).hex(), "value": random.choice([0, 1, random.getrandbits(60)]), "data": b""}
    elif kind < 0.5:
        runtime = code(random, contracts)
        init = deployment(runtime) if random.random() < 0.8 else code(random, contracts)
        body = {"value": random.choice([0, 0, 5]), "data": init}
        common["gas"] = random.choice([200_000, 1_000_000, 3_000_000])
    elif kind < 0.9 and contracts:
        body = {"to": random.choice(contracts), "value": random.choice([0, 0, 1, 100]), "data": random.randbytes(random.randrange(0, 200))}
    else:
        target = random.choice(SYSTEM + [f"{n:040x}" for n in PRECOMPILES])
        size = random.choice([0, 32, 56, 96, 128, 160, 192, 213])
        body = {"to": "0x" + target, "value": random.choice([0, 1, 10**9]), "data": random.randbytes(size)}
    body["to"] = body.get("to", b"")
    if body["to"]:
        body["to"] = to_checksum_address(body["to"])
    form = random.random()
    if form < 0.2:
        return sign(sender, {**common, **body, "gasPrice": 2 * base_fee + random.randrange(10**9)})
    access = [{"address": body["to"] or "0x" + "11" * 20, "storageKeys": ["0x" + f"{random.randrange(4):064x}"]}]
    if form < 0.35:
        return sign(sender, {**common, **body, "gasPrice": 2 * base_fee, "accessList": access, "type": 1})
    if form < 0.5 and body["to"] and contracts:
        authority = random.randrange(len(ACCOUNTS))
        authorised = nonce + 1 if authority == sender else nonces[authority]
        if authority != sender:
            nonces[authority] = authorised + 1
        else:
            nonces[sender] += 1
        delegate = to_checksum_address(random.choice([*contracts, "0x" + "00" * 20]))
        grant = ACCOUNTS[authority].sign_authorization({"chainId": random.choice([0, CHAIN]), "address": delegate, "nonce": authorised})
        common["gas"] += 60_000
        return sign(sender, {**common, **body, **fees(random, base_fee), "authorizationList": [grant]})
    return sign(sender, {**common, **body, **fees(random, base_fee), "accessList": random.choice([[], access])})
