"""Mutations of bytes and text; the same random source gives the same mutations."""

from __future__ import annotations

import re
from random import Random

_EDGES: tuple[int, ...] = (
    *(0, 1, 2, 3, 4, 7, 8, 15, 16, 127, 128, 255, 256, 32767, 32768, 65535, 65536),
    *(0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1),
)
_WORDS: tuple[str, ...] = (
    *("-1", "0", "1", "-2147483648", "4294967295", "9223372036854775807", "18446744073709551616"),
    *("1e308", "nan", "", "?", "-", "1..4", "%s%n", "../../../etc/passwd", "\u0000", "é" * 9),
)


def edge(random: Random) -> int:
    """A number at which things tend to go wrong, or one near it."""
    return max(0, random.choice(_EDGES) + random.choice((0, 0, 0, -1, 1)))


def mutated(data: bytes, random: Random, at_most: int = 8) -> bytes:
    """The bytes with one to `at_most` mutations, mostly few."""
    out = bytearray(data)
    for _ in range(_few(random, at_most)):
        if not out:
            break
        _mutate(out, random)
    return bytes(out)


def _few(random: Random, at_most: int) -> int:
    return min(random.choice((1, 1, 2, 4, 8)), at_most)


def _mutate(out: bytearray, random: Random) -> None:
    at = place(out, random)
    kind = random.random()
    if kind < 0.2:
        out[at] ^= 1 << random.randrange(8)
    elif kind < 0.4:
        out[at] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
    elif kind < 0.65:
        size = random.choice((1, 2, 4, 4, 8))
        at -= at % size if random.random() < 0.8 else 0
        number = edge(random) & ((1 << 8 * size) - 1)
        out[at : at + size] = number.to_bytes(size, random.choice(("little", "little", "big")))
    elif kind < 0.75:
        size = random.choice((1, 2, 4, 4, 8))
        at -= at % size
        near = int.from_bytes(out[at : at + size], "little") + random.randint(-16, 16)
        out[at : at + size] = (near & ((1 << 8 * size) - 1)).to_bytes(size, "little")
    elif kind < 0.81:
        del out[at : at + random.choice((1, 4, 16, random.randint(1, 256)))]
    elif kind < 0.88:
        out[at:at] = random.randbytes(random.choice((1, 4, random.randint(1, 64))))
    elif kind < 0.93:
        span = out[at : at + random.choice((4, 8, random.randint(1, 256)))]
        other = place(out, random)
        out[other : other + len(span)] = span
    elif kind < 0.96:
        span = out[at : at + random.randint(1, 128)]
        out[at:at] = span * random.choice((1, 2, 50))
    else:
        del out[at:]


def place(data: bytes | bytearray, random: Random) -> int:
    """Where to mutate: mostly in structure, which unlike weights has many zeros or is text."""
    at = 0
    for _ in range(8):
        at = random.randrange(len(data))
        around = data[max(0, at - 8) : at + 8]
        if around.count(0) >= 5 or sum(32 <= b < 127 for b in around) >= 12:
            break
    return at


def mutated_text(text: str, random: Random, at_most: int = 4) -> str:
    """Text with numbers, quoted values and lines replaced, dropped, doubled or swapped."""
    for _ in range(_few(random, at_most)):
        kind = random.random()
        if kind < 0.35:
            text = _replace(r"-?\d+", text, random, None)
        elif kind < 0.6:
            values = re.findall(r'"[^"\n]*"', text)
            other = random.choice(values) if values else '""'
            new = other if random.random() < 0.7 else f'"{random.choice(_WORDS)}"'
            text = _replace(r'"[^"\n]*"', text, random, new)
        elif kind < 0.9:
            text = _lines(text, random)
        elif text:
            at = random.randrange(len(text))
            text = text[:at] + chr(random.randrange(1, 0xD7FF)) + text[at + 1 :]
    return text


def _replace(pattern: str, text: str, random: Random, new: str | None) -> str:
    """One match replaced; without `new` by a number near it or an odd one."""
    found = list(re.finditer(pattern, text))
    if not found:
        return text
    one = random.choice(found)
    return (
        text[: one.start()] + (_number(one[0], random) if new is None else new) + text[one.end() :]
    )


def _number(old: str, random: Random) -> str:
    kind = random.random()
    if kind < 0.4:
        return str(int(old[:18]) + random.randint(-3, 3)) if old.strip("-") else "0"
    return str(edge(random) * random.choice((1, 1, -1))) if kind < 0.8 else random.choice(_WORDS)


def _lines(text: str, random: Random) -> str:
    lines = text.split("\n")
    at, other = random.randrange(len(lines)), random.randrange(len(lines))
    kind = random.random()
    if kind < 0.3:
        del lines[at]
    elif kind < 0.5:
        lines.insert(other, lines[at])
    elif kind < 0.7:
        lines[at], lines[other] = lines[other], lines[at]
    elif kind < 0.8:
        lines[at:at] = [lines[other]] * random.choice((2, 100))
    elif kind < 0.9:
        lines[at] = lines[at][: random.randint(0, len(lines[at]))]
    else:
        lines[at] = lines[at] * random.choice((2, 20))
    return "\n".join(lines)
