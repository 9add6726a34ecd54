"""Twenty thousand pictures, one in a hundred broken, of twenty kinds: is each answered or named?

python benchmarks/damaged.py [-n 20000] [--pixels 64]

Makes the pictures itself, runs `wasmlrun batch` over them and looks at all processes of it forty
times: resident memory, descriptors, threads. Then each good picture must have the answer that the
same bytes have alone, and each broken one an error that names it. Exit 1 if one has not. Linux.
"""

import argparse
import io
import json
import os
import platform
import random
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image

DISTINCT = 50
LOOKS = 40


def encoded(form: str, seed: int, pixels: int) -> bytes:
    """A picture of its own: a few coloured squares."""
    chance = random.Random(seed)
    small = Image.frombytes("RGB", (4, 4), chance.randbytes(48))
    out = io.BytesIO()
    small.resize((pixels, pixels)).save(out, form)
    return out.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    """A part of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, *parts: bytes, colours: int = 2) -> bytes:
    """A PNG with this header and these parts."""
    header = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(parts) + chunk(b"IEND", b"")


def broken(pixels: int) -> dict[str, tuple[str, bytes | Callable[[Path], object]]]:
    """Each kind: how its name ends, and what is in it or makes it."""
    jpeg, gif, webp, bmp, tiff = (
        encoded(form, 1, pixels) for form in ("JPEG", "GIF", "WEBP", "BMP", "TIFF")
    )
    whole_png = encoded("PNG", 1, pixels)
    noise = random.Random(0).randbytes(2000)
    at = whole_png.index(b"IDAT")
    return {
        "empty": (".jpg", b""),
        "one byte": (".png", b"\x89"),
        "noise": (".jpg", noise),
        "a JPEG that ends in its header": (".jpg", jpeg[:100]),
        "a JPEG without its tables": (".jpg", jpeg[:2] + jpeg[jpeg.index(b"\xff\xc0") :]),
        "a PNG that ends early": (".png", whole_png[: at + 40]),
        "a PNG whose pixels are noise": (".png", whole_png[: at + 4] + noise),
        "a PNG without pixels": (".png", png(pixels, pixels)),
        "a PNG of no width": (".png", png(0, pixels)),
        "a PNG of 10^18 pixels": (
            ".png",
            png(1 << 30, 1 << 30, chunk(b"IDAT", zlib.compress(b""))),
        ),
        "a PNG of 400 megapixels": (
            ".png",
            png(20000, 20000, chunk(b"IDAT", zlib.compress(bytes(1 << 20)))),
        ),
        "a GIF that ends early": (".gif", gif[: len(gif) // 2]),
        "a WebP that ends early": (".webp", webp[: len(webp) // 2]),
        "a BMP of absurd size": (".bmp", bmp[:18] + b"\xff\xff\xff\x7f" * 2 + bmp[26:]),
        "a TIFF whose directory is not there": (".tif", tiff[:4] + b"\xf0\xff\xff\x7f" + tiff[8:]),
        "a page of HTML": (".jpg", b"<!DOCTYPE html><title>404</title><p>not found"),
        "PostScript": (".jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"),
        "a ZIP archive": (".png", b"PK\x03\x04" + noise),
        "a link to nothing": (".jpg", lambda path: path.symlink_to("missing")),
        "a pipe": (".jpg", lambda path: os.mkfifo(path)),
    }


def make(folder: Path, count: int, pixels: int) -> tuple[dict[str, int], dict[str, str]]:
    """The pictures; what of `DISTINCT` each good one shows, and the kind of each broken one."""
    pictures = [
        (form.lower(), encoded(form, seed, pixels))
        for seed in range(DISTINCT)
        for form in (("JPEG", "PNG", "WEBP", "BMP")[seed % 4],)
    ]
    kinds = list(broken(pixels).items())
    good: dict[str, int] = {}
    bad: dict[str, str] = {}
    for number in range(count):
        place = folder / f"{number // 1000:02}"
        place.mkdir(exist_ok=True)
        if number % 100 == 37:
            kind, (end, what) = kinds[number // 100 % len(kinds)]
            path = place / f"{number:05}{end}"
            if isinstance(what, bytes):
                path.write_bytes(what)
            else:
                what(path)
            bad[str(path)] = kind
        else:
            form, data = pictures[number % DISTINCT]
            path = place / f"{number:05}.{form}"
            path.write_bytes(data)
            good[str(path)] = number % DISTINCT
    return good, bad


def tree(process: int) -> list[int]:
    """A process and all that came of it."""
    found = [process]
    for number in found:
        for task in Path(f"/proc/{number}/task").glob("*/children"):
            found += map(int, task.read_text().split())
    return found


def held(process: int) -> dict[str, float]:
    """Resident megabytes, descriptors, threads and processes."""
    total: Counter[str] = Counter()
    for number in tree(process):
        try:
            status = Path(f"/proc/{number}/status").read_text()
            total["descriptors"] += len(os.listdir(f"/proc/{number}/fd"))
        except OSError:
            continue
        facts = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        total["megabytes"] += int(facts.get("VmRSS", "0 kB").split()[0]) // 1024
        total["threads"] += int(facts["Threads"])
        total["processes"] += 1
    return dict(total)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=20_000)
    parser.add_argument("--pixels", type=int, default=64)
    arguments = parser.parse_args()
    if sys.platform != "linux":
        sys.exit("error: what processes hold is read from /proc\nhint: use a container or WSL")
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory(prefix="wasmlrun-damaged-") as scratch:
        folder = Path(scratch, "pictures")
        folder.mkdir()
        good, bad = make(folder, arguments.n, arguments.pixels)
        rows = watched(folder, Path(scratch, "rows.jsonl"), arguments.n)
        sys.exit(0 if judged(rows, good, bad) else 1)


def watched(folder: Path, result: Path, count: int) -> list[dict[str, Any]]:
    """The batch's rows; what it held is printed meanwhile."""
    began = time.monotonic()
    command = [sys.executable, "-m", "wasmlrun", "batch", str(folder), "-o", str(result)]
    process = subprocess.Popen([*command, "--no-timings", "-q"], stderr=subprocess.DEVNULL)
    parts, seen, held_then = result.with_name(result.name + ".parts"), 0, []
    while process.poll() is None:
        time.sleep(0.2)
        done = -1
        with suppress(OSError):  # the folder is gone at the end
            done = sum(p.read_bytes().count(b"\n") for p in parts.rglob("rows*"))
        if done >= seen:
            seen = done + count // LOOKS
            held_then.append({"pictures": done, **held(process.pid)})
            print(json.dumps(held_then[-1]), flush=True)
    seconds = time.monotonic() - began
    print(f"exit code {process.returncode}, {seconds:.0f} s, {seconds / count * 1000:.1f} ms each")
    return [json.loads(line) for line in result.read_text().splitlines()]


def judged(rows: list[dict[str, Any]], good: dict[str, int], bad: dict[str, str]) -> bool:
    """Whether each has what it should have; says how many have not."""
    names = Counter(str(row["image"]) for row in rows)
    answers = {str(row["image"]): row.get("predictions") for row in rows}
    errors = {str(row["image"]): row["error"] for row in rows if "error" in row}
    firsts = {distinct: name for name, distinct in reversed(good.items())}
    command = [sys.executable, "-m", "wasmlrun", "classify", "--json", *firsts.values()]
    alone = subprocess.run(command, capture_output=True, check=True).stdout.splitlines()
    truth = {row["image"]: row["predictions"] for row in map(json.loads, alone)}
    unnamed = sum(name not in error["message"] for name, error in errors.items())
    counts = {
        "rows": len(rows),
        "good": len(good),
        "broken": len(bad),
        "good without an answer": sum(answers.get(name) is None for name in good),
        "good with another answer than alone": sum(
            answers.get(name) not in (None, truth[firsts[distinct]])
            for name, distinct in good.items()
        ),
        "broken without an error": sum(name not in errors for name in bad),
        "errors that do not name it": unnamed,
        "double": sum(number - 1 for number in names.values()),
        "unknown": len(set(names) - set(good) - set(bad)),
    }
    for name, kind in bad.items():
        if name not in errors:
            print(f"{kind}: {name} has no error")
    told = {kind: errors[name]["message"] for name, kind in bad.items() if name in errors}
    for kind, said in sorted(told.items()):
        print(f"{kind}: {said}")
    print(json.dumps(counts))
    return not any(list(counts.values())[3:])


if __name__ == "__main__":
    main()
