"""Rows of a result: every format gives the same ones, and what is no row is told with its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kit.needs import needs
from kit.results import answered, failed, write_rows

from wasmlrun.figures.rows import MAX_LINE, Guess, Row, read_rows
from wasmlrun.support.errors import BadFile, UsageFault

ROWS = (answered("a.jpg", ("cat", 0.75), ("dog", 0.25)), failed("b.jpg", "bad-image", "no image"))
READ = [
    Row("a.jpg", (Guess(0, "cat", 0.75), Guess(1, "dog", 0.25)), "net", "mobilenet", 10.0),
    Row("b.jpg", error="bad-image", message="no image"),
]


def test_json_lines(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "r.jsonl", *ROWS)
    path.write_text("\n" + path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert list(read_rows(path)) == READ


CSV = """\
image,source,worker,model,label_1,score_1,index_1,label_2,score_2,index_2,total_ms,error_code,error_message
a.jpg,x,mobilenet,net,cat,0.75,0,dog,0.25,1,10.0,,
b.jpg,x,,,,,,,,,,bad-image,no image
"""


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(CSV, encoding="utf-8")
    assert list(read_rows(path)) == READ
    # a worker may know no numbers, and rows may have no times
    path.write_text("image,label_1,score_1,index_1\na.jpg,cat,0.5,\nb.jpg,,,\n")
    assert list(read_rows(path)) == [Row("a.jpg", (Guess(None, "cat", 0.5),)), Row("b.jpg")]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("image,label_1,score_1,index_1\na.jpg,cat,much,0\n", "a prediction's score is no number"),
        ("image,label_1,score_1,index_1\na.jpg,cat,nan,0\n", "a prediction's score is no number"),
        ("image,label_1,score_1,index_1\na.jpg,cat,0.5,x\n", "a prediction's "),
        ("name,label\na.jpg,cat\n", "it is no object with an image"),
    ],
)
def test_a_line_of_csv_that_is_no_row_is_told(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "r.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadFile) as told:
        list(read_rows(path))
    assert told.value.message.startswith(f"result {path}, row 2: {what}")


def test_parquet(tmp_path: Path) -> None:
    needs("pyarrow", "pyarrow")
    import pyarrow as pa
    from pyarrow import parquet

    path = tmp_path / "r"  # its bytes say what it is
    rows = [
        {**row, "timings_ms": list(row["timings_ms"].items()) if "timings_ms" in row else None}
        for row in ROWS
    ]
    parquet.write_table(pa.Table.from_pylist(rows, schema=_schema()), path)
    assert list(read_rows(path)) == READ


def _schema() -> object:
    import pyarrow as pa

    guess = pa.struct([("index", pa.int64()), ("label", pa.string()), ("score", pa.float64())])
    error = pa.struct([("code", pa.string()), ("message", pa.string()), ("hint", pa.string())])
    return pa.schema(
        [
            ("image", pa.string()),
            ("worker", pa.string()),
            ("model", pa.string()),
            ("predictions", pa.list_(guess)),
            ("timings_ms", pa.map_(pa.string(), pa.float64())),
            ("error", error),
        ]
    )


def test_a_damaged_parquet_file_is_told(tmp_path: Path) -> None:
    needs("pyarrow", "pyarrow")
    path = tmp_path / "r.parquet"
    path.write_bytes(b"PAR1" + b"x" * 50 + b"PAR1")
    with pytest.raises(BadFile, match=r"^result .*r\.parquet cannot be read: "):
        list(read_rows(path))


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("{", "it is no JSON, and was not written to its end"),
        ("{\n", "it is no JSON"),
        ("[" * 100_000 + "\n", "it is no JSON"),
        ("[]\n", "it is no object with an image"),
        ('{"name": "x"}\n', "it is no object with an image"),
        ('{"image": 3}\n', "its image is no name"),
        ('{"image": "x"}\n', "it has neither predictions nor an error"),
        ('{"image": "x", "error": "bad"}\n', "its error has no code"),
        ('{"image": "x", "predictions": [3]}\n', "a prediction has no label"),
        ('{"image": "x", "predictions": [{"label": "a"}]}\n', "a prediction's score is no number"),
        (
            '{"image": "x", "predictions": [{"label": "a", "score": NaN}]}\n',
            "a prediction's score is no number",
        ),
        (
            '{"image": "x", "predictions": [{"label": "a", "score": 1, "index": "0"}]}\n',
            "a prediction's index is no whole number",
        ),
        ('"' + "x" * MAX_LINE + '"\n', f"it has more than {MAX_LINE} bytes"),
    ],
    ids=lambda text: text[:24],
)
def test_what_is_no_row_is_told_with_its_place(tmp_path: Path, line: str, what: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps(ROWS[0]) + "\n" + line, encoding="utf-8")
    with pytest.raises(BadFile) as told:
        list(read_rows(path))
    assert told.value.message == f"result {path}, row 2: {what}"
    assert told.value.hint == (
        "a result is what wasmlrun batch, or wasmlrun classify --json, wrote"
    )


def test_a_missing_result_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="cannot be read: No such file or directory"):
        list(read_rows(tmp_path / "none.jsonl"))


def test_parquet_without_its_library_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "r.parquet"
    path.write_bytes(b"PAR1")
    monkeypatch.setattr("wasmlrun.figures.rows.find_spec", lambda _: None)
    with pytest.raises(UsageFault) as told:
        list(read_rows(path))
    assert told.value.message == f"result {path} is Parquet, which needs pyarrow"
    assert told.value.hint == "pip install 'wasmlrun[batch]'"
