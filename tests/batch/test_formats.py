"""Tables and archives as sources, CSV and Parquet as results; archives that mean harm."""

from __future__ import annotations

import csv
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.needs import needs
from kit.outcome import Outcome
from kit.pictures import encoded
from PIL import Image

from wasmlrun.batch import stream
from wasmlrun.batch.sources import archived
from wasmlrun.figures.rows import Row, read_rows
from wasmlrun.support.errors import BadFile

CLI = Callable[..., Outcome]
RED = encoded(Image.new("RGB", (8, 8), "red"))
BLUE = encoded(Image.new("RGB", (8, 8), "blue"))

if os.name != "posix":
    pytest.skip("batch works in processes that need POSIX", allow_module_level=True)


@pytest.fixture
def batch(run_cli: CLI, colours: Path, tmp_path: Path) -> CLI:
    def run(*words: str | Path, **how: Any) -> Outcome:
        labels = colours.parent / "colours.txt"
        model = ["--model", colours, "--labels", labels, "--jobs", "1"]
        return run_cli(["batch", *words, *model], cwd=tmp_path, **how)

    return run


def write_tar(path: Path, members: dict[str, bytes], mode: str = "w") -> None:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def outcome(row: Row) -> tuple[str, str]:
    return row.image, row.error or row.guesses[0].label


def test_every_source_and_every_form_of_result(batch: CLI, tmp_path: Path) -> None:
    needs("pyarrow", "pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "red.png").write_bytes(RED)
    (tmp_path / "t.csv").write_text("id,path\n1,red.png\n2,none.png\n")
    write_tar(tmp_path / "s-00.tar", {"a/x.png": RED, "a/x.cls": b"3", "y.png": BLUE})
    write_tar(tmp_path / "s-01.tar", {"z.png": BLUE})
    write_tar(tmp_path / "c.tgz", {"w.png": BLUE}, "w:gz")
    pictures = [{"bytes": BLUE, "path": "b.png"}, {"bytes": None, "path": "red.png"}, None]
    pq.write_table(pa.table({"image": pictures}), tmp_path / "p.parquet")
    sources = ["t.csv", "s-{00..01}.tar", "c.tgz", "p.parquet"]
    found = []
    for form in ("jsonl", "csv", "parquet"):
        done = batch(*sources, "-o", f"rows.{form}")
        assert done.code == 3, done.stderr
        rows = list(read_rows(tmp_path / f"rows.{form}"))
        assert all((row.milliseconds is None) == (row.error is not None) for row in rows)
        found.append([row._replace(milliseconds=None) for row in rows])
    assert found[0] == found[1] == found[2]
    # what figures need not know is there too
    with (tmp_path / "rows.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    records = pq.read_table(tmp_path / "rows.parquet").to_pylist()
    objects = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    for line, record, whole in zip(lines, records, objects, strict=True):
        hint = whole.get("error", {}).get("hint")
        assert line["source"] == record["source"] == whole["source"]
        assert line["error_hint"] == (hint or "")
        assert (record["error"] or {}).get("hint") == hint
    assert list(map(outcome, found[0])) == [
        ("red.png", "red"),
        ("none.png", "bad-image"),
        ("s-00.tar#a/x.png", "red"),
        ("s-00.tar#y.png", "blue"),
        ("s-01.tar#z.png", "blue"),
        ("c.tgz#w.png", "blue"),
        ("p.parquet#1", "blue"),
        ("red.png", "red"),
        ("p.parquet#3", "bad-image"),
    ]


def test_an_archive_is_gone_on_with(batch: CLI, tmp_path: Path) -> None:
    write_tar(tmp_path / "s.tar", {"0.png": b"-", "1.png": b"-", "2.png": RED, "3.png": BLUE})
    assert batch("s.tar", "-o", "rows.csv", "--max-errors", "1").code == 3
    done = batch("s.tar", "-o", "rows.csv", "--resume")
    assert "going on after 2 pictures" in done.stderr
    rows = list(map(outcome, read_rows(tmp_path / "rows.csv")))
    assert rows[1:] == [
        ("s.tar#1.png", "bad-image"),
        ("s.tar#2.png", "red"),
        ("s.tar#3.png", "blue"),
    ]


def test_members_that_are_no_files_or_too_large_are_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archived, "MAX_MEMBER_BYTES", 1000)
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind, size in (
            ("link.png", tarfile.SYMTYPE, 0),
            ("hard.png", tarfile.LNKTYPE, 0),
            ("device.png", tarfile.CHRTYPE, 0),
            ("../../up.png", tarfile.REGTYPE, len(RED)),
            ("large.png", tarfile.REGTYPE, 1001),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.size, member.linkname = kind, size, "/etc/passwd"
            archive.addfile(member, io.BytesIO(RED if size == len(RED) else bytes(size)))
    items = list(archived.pictures(path, "s.tar"))
    faults = [item.fault.message if item.fault else "" for item in items]
    assert ["no regular file" in fault for fault in faults] == [True, True, True, False, False]
    assert "has 1001 bytes, more than the 1000" in faults[4]
    # a name leads nowhere: it is the name of a row
    assert (items[3].name, items[3].data) == ("s.tar#../../up.png", RED)


def test_a_header_that_would_fill_the_memory_ends_the_reading(tmp_path: Path) -> None:
    member = tarfile.TarInfo("x")
    member.type, member.size = tarfile.XHDTYPE, 1 << 32
    path = tmp_path / "s.tar"
    path.write_bytes(member.tobuf() + bytes(10240))
    with pytest.raises(BadFile, match="damaged or none: headers of more than 65536 bytes"):
        list(archived.pictures(path, "s.tar"))


@pytest.mark.parametrize("name", ["s.tar", "s.tgz", "s.csv", "s.parquet"])
def test_what_is_damaged_is_an_error_and_no_bug(batch: CLI, tmp_path: Path, name: str) -> None:
    if name.endswith("parquet"):
        needs("pyarrow", "pyarrow")
    (tmp_path / name).write_bytes(b"PAR1 no such thing" * 50)
    done = batch(name, "-o", "rows.jsonl")
    assert done.code == 3
    assert "Traceback" not in done.stderr
    assert f"{name} " in done.stderr


def test_shards_are_written_as_webdataset_writes_them() -> None:
    found = stream.expanded(["a-{008..010}.tar", "b.tar"])
    assert found == ["a-008.tar", "a-009.tar", "a-010.tar", "b.tar"]


def test_rows_are_json_whatever_a_file_is_called(batch: CLI, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / os.fsdecode(b"\xff\n\x1b.png")).write_bytes(RED)
    (folder / 'ä,".png').write_bytes(RED)
    for form in ("jsonl", "csv"):
        assert batch("in", "-o", f"rows.{form}").code == 0
    rows = [row.image for row in read_rows(tmp_path / "rows.csv")]
    assert rows == ['in/ä,".png', "in/\\xff\n\x1b.png"]
    lines = (tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["image"] for line in lines] == rows
