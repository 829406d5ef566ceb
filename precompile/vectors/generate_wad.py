#!/usr/bin/env python3
"""Writes wad.json beside this file: conversions between int256 with 18 decimals and element types.

An oracle of its own, in exact rational arithmetic (fractions.Fraction); it shares no code with src/wad.rs.
Lists are parallel, so that Solidity reads them with vm.parseJson*Array. Numbers are 32-byte two's complement words.
A refused conversion has f32 bits 0xffffffff, or `ok` false.
"""

import json
import pathlib
import random
from fractions import Fraction

WAD = 10**18
REFUSED = 0xFFFFFFFF
LEAST, GREATEST = -(2**255), 2**255 - 1


def round_half_even(x: Fraction) -> int:
    return round(x)  # Python rounds a Fraction half to even, exactly.


def f32_value(bits: int) -> Fraction | None:
    """The value of these bits; None for NaN and infinity."""
    sign = -1 if bits >> 31 else 1
    field, fraction = bits >> 23 & 0xFF, bits & 0x7FFFFF
    if field == 0xFF:
        return None
    if field == 0:
        return sign * Fraction(fraction, 2**149)
    return sign * Fraction(fraction | 0x800000) * Fraction(2) ** (field - 150)


def to_f32(v: int) -> int:
    """Bits of v / 10^18 rounded once."""
    if v == 0:
        return 0
    x = Fraction(abs(v), WAD)
    exponent = -149
    while x / Fraction(2) ** exponent >= 2**24:
        exponent += 1
    n = round_half_even(x / Fraction(2) ** exponent)
    if n == 2**24:
        n, exponent = 2**23, exponent + 1
    if exponent + 23 > 127:
        return REFUSED
    bits = n if n < 2**23 else (exponent + 150 << 23) | (n & 0x7FFFFF)
    return bits | (1 << 31 if v < 0 else 0)


def from_f32(bits: int) -> int | None:
    x = f32_value(bits)
    return None if x is None else round_half_even(x * WAD)


def word(v: int) -> str:
    return "0x" + (v % 2**256).to_bytes(32, "big").hex()


def ties(rng: random.Random) -> list[int]:
    """Integers exactly between two floats, and their neighbours."""
    found = []
    while len(found) < 60:
        # (2m + 1) * 2^e * 10^18 is an integer for e >= -18.
        v = (2 * rng.randrange(2**23, 2**24) + 1) * WAD
        e = rng.randrange(-18, 160)
        v = v << e if e >= 0 else v >> -e
        if v < GREATEST // 2:
            found += [v - 1, v, v + 1]
    return found


def main() -> None:
    rng = random.Random(20260401)
    values = [0, 1, 2, 3, WAD - 1, WAD, WAD + 1, 10**17, WAD // 3, GREATEST, GREATEST - 1, 2**127, 2**128 - 1, 2**128, 2**128 + 1]
    top = 2**128 * WAD  # The first value that is infinite without rounding.
    half = (2**24 - 1) * 2**104 * WAD + 2**103 * WAD  # A tie between the greatest float and infinity.
    values += [half - 1, half, half + 1, top - 1, top, (2**24 - 1) * 2**104 * WAD]
    values += ties(rng)
    values += [rng.getrandbits(rng.randrange(1, 256)) for _ in range(300)]
    values += [-v for v in values] + [LEAST, LEAST + 1]

    bits = [0, 1, 2, 0x7FFFFF, 0x800000, 0x3F800000, 0x3F800001, 0x3DCCCCCD, 0x7F7FFFFF, 0x7F800000, 0x7FC00000]
    bits += [to_f32(v) for v in (1, 2, 5 * 10**17)]
    # x * 10^18 is a half at odd multiples of 2^-19 only.
    bits += [to_f32((2 * k + 1) * WAD >> 19) for k in (0, 1, 2, 3, 1000, 4_000_000)]
    bits += [rng.getrandbits(31) for _ in range(300)]
    bits += [rng.randrange(60, 90) << 23 | rng.getrandbits(23) for _ in range(200)]
    bits += [b | 1 << 31 for b in bits]

    ranges = {"u8": (0, 255), "i8": (-128, 127), "i32": (-(2**31), 2**31 - 1), "i64": (-(2**63), 2**63 - 1), "bool": (0, 1)}
    codes = {"u8": 2, "i8": 3, "i32": 6, "i64": 7, "bool": 9}
    integers = []
    for name, (low, high) in ranges.items():
        for n in sorted({low - 1, low, -1, 0, 1, 2, high, high + 1}):
            for v in (n * WAD, n * WAD + 1, n * WAD - 1):
                ok = v % WAD == 0 and low <= v // WAD <= high
                integers.append((codes[name], v, ok, v // WAD if ok else 0))
        integers += [(codes[name], v, False, 0) for v in (LEAST, GREATEST, 2**127, -(2**127) - 1)]

    results = [from_f32(b) for b in bits]
    data = {
        "toF32": {"value": [word(v) for v in values], "bits": [to_f32(v) for v in values]},
        "fromF32": {"bits": bits, "ok": [r is not None for r in results], "value": [word(r or 0) for r in results]},
        "toInteger": {
            "dtype": [i[0] for i in integers],
            "value": [word(i[1]) for i in integers],
            "ok": [i[2] for i in integers],
            "result": [word(i[3]) for i in integers],
        },
    }
    path = pathlib.Path(__file__).with_name("wad.json")
    path.write_text(json.dumps(data, separators=(",", ":")).replace("],", "],\n").replace("{", "{\n") + "\n")


if __name__ == "__main__":
    main()
