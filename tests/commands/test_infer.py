"""`wasmlrun infer` from the command line to the file that it writes."""

from __future__ import annotations

import io
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kit import packages
from kit.models_by_hand import write_colours
from kit.needs import needs
from kit.onnx_by_hand import twice_onnx
from PIL import Image

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples" / "infer"
DOG = ROOT / "samples" / "dog.jpg"


@pytest.fixture
def twice(tmp_path: Path) -> Path:
    """Two inputs, two outputs: their sum, and the first."""
    path = tmp_path / "twice.onnx"
    path.write_bytes(twice_onnx())
    np.save(tmp_path / "a.npy", np.array([1, 2, 3, 4], np.int32))
    np.save(tmp_path / "b.npy", np.array([10, 20, 30, 40], np.int32))
    return path


def test_every_input_goes_in_and_every_output_comes_out(
    twice: Path, run_cli: Any, tmp_path: Path
) -> None:
    args = ["infer", tmp_path / "a.npy", "--model", twice, "--input", f"b={tmp_path / 'b.npy'}"]
    done = run_cli([*args, "-o", tmp_path / "out.npz"])
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout == "sum\t[4]\tint32\t11 to 44\nsame\t[4]\tint32\t1 to 4\n"
    archive = np.load(tmp_path / "out.npz")
    assert archive["sum"].tolist() == [11, 22, 33, 44]
    assert archive["same"].tolist() == [1, 2, 3, 4]
    (found,) = map(json.loads, run_cli([*args, "--json"]).stdout.splitlines())
    assert found["schema"] == 1
    assert (found["kind"], found["worker"], found["model"]) == ("tensor", "infer", str(twice))
    assert found["outputs"][0]["max"] == 44
    assert {"model", "run", "inference", "total"} <= found["timings_ms"].keys()


def test_inputs_may_be_constants(twice: Path, invoke: Any, tmp_path: Path) -> None:
    args = ["infer", tmp_path / "a.npy", "--model", twice, "--set", "constants.b=100"]
    assert invoke(*args).stdout.startswith("sum\t[4]\tint32\t101 to 104\n")


def test_the_file_may_go_to_stdout(twice: Path, run_cli: Any, tmp_path: Path) -> None:
    import subprocess

    args = ["infer", tmp_path / "a.npy", "--model", twice, "--set", "constants.b=1"]
    args += ["--as", "embed", "-o", "-"]
    done = subprocess.run(
        [sys.executable, "-m", "wasmlrun", *map(str, args)], capture_output=True, check=True
    )
    assert np.load(io.BytesIO(done.stdout)).tolist() == [2, 3, 4, 5]
    assert done.stderr == b""


def test_a_classifier_needs_no_more_than_its_manifest(invoke: Any) -> None:
    done = invoke("infer", DOG, "--model", "mobilenet-cifar10")
    assert done.stdout.startswith("dog\t0.")
    assert len(done.stdout.splitlines()) == 5


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["{a}"], 2, "no model is named"),
        (["{a}", "--model", "{twice}"], 3, "the model's input b is given by nothing"),
        (["{a}", "--model", "{twice}", "--input", "c={a}"], 3, "--input c: the model has no such"),
        (["{a}", "--model", "{twice}", "--input", "c"], 2, "not of the form NAME=FILE"),
        (["{a}", "--model", "{twice}", "--set", "constants.c=1"], 3, "constants.c: the model has"),
        (["{a}", "--model", "{twice}", "--as", "boxes"], 3, "infer.output.kind is 'boxes'"),
        (["{a}", "--model", "{twice}", "--set", "x"], 2, "not of the form KEY=VALUE"),
        (["nothing.npy", "--model", "{twice}"], 3, "input nothing.npy does not exist"),
        (["{a}", "--model", "{twice}", "-o", "no/such/x.npy"], 2, "the folder no/such does not"),
        (["{a}", "--model", "{twice}", "-o", "."], 2, "-o .: is a folder"),
    ],
)
def test_what_is_wrong_is_said(
    args: list[str], code: int, said: str, twice: Path, invoke: Any, tmp_path: Path
) -> None:
    names = {"a": str(tmp_path / "a.npy"), "twice": str(twice)}
    done = invoke("infer", *(arg.format(**names) for arg in args))
    assert done.code == code
    assert said in done.stderr
    assert done.stdout == ""


def test_a_file_that_was_there_stays_when_it_goes_wrong(
    twice: Path, run_cli: Any, tmp_path: Path
) -> None:
    out = tmp_path / "out.npy"
    out.write_bytes(b"before")
    assert run_cli(["infer", tmp_path / "a.npy", "--model", twice, "-o", out]).code == 3
    assert out.read_bytes() == b"before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npy", "b.npy", "out.npy", "twice.onnx"]


def test_an_answer_that_is_no_file(run_cli: Any, tmp_path: Path) -> None:
    args = ["infer", DOG, "--model", "mobilenet-cifar10", "-o", tmp_path / "x.png"]
    done = run_cli(args)
    assert done.code == 2
    assert "this kind of answer is no file" in done.stderr
    assert not (tmp_path / "x.png").exists()


def test_limits_hold(twice: Path, run_cli: Any, tmp_path: Path) -> None:
    args = ["infer", tmp_path / "a.npy", "--model", twice, "--set", "constants.b=1"]
    for flags, limit in (
        (["--max-tensor-bytes", "16"], "tensor_bytes"),
        (["--timeout", "0.001"], "timeout"),
        (["--max-memory", "64K"], "memory"),
    ):
        done = run_cli([*args, *flags])
        assert done.code == 5, done.stderr
        assert limit in done.stderr


def test_a_worker_of_ones_own_answers_with_what_it_fetches(
    twice: Path, invoke: Any, tmp_path: Path, wat: Any
) -> None:
    # it loads the model and fetches the second output alone
    worker = tmp_path / "second.wasm"
    worker.write_bytes(wat(SECOND))
    args = ["infer", tmp_path / "a.npy", "--model", f"m={twice}", "--set", "constants.b=1"]
    done = invoke(*args, "--worker", worker)
    assert (done.code, done.stdout) == (0, "same\t[4]\tint32\t7 to 7\n")
    worker.write_bytes(wat('(module (memory (export "memory") 1) (func (export "_start")))'))
    done = invoke(*args, "--worker", worker)
    assert done.code == 4
    assert "fetched no output of the model" in done.stderr


SECOND = """(module
  (import "wasi_ephemeral_nn" "load_by_name" (func $load (param i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_nn" "init_execution_context" (func $open (param i32 i32) (result i32)))
  (import "wasi_ephemeral_nn" "set_input" (func $set (param i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_nn" "compute" (func $compute (param i32) (result i32)))
  (import "wasi_ephemeral_nn" "get_output"
    (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "m")
  (data (i32.const 64) "\\04\\00\\00\\00")
  (data (i32.const 128) "\\40\\00\\00\\00\\01\\00\\00\\00\\04\\00\\00\\00")
  (data (i32.const 140) "\\00\\10\\00\\00\\10\\00\\00\\00")
  (data (i32.const 4096) "\\07\\00\\00\\00\\07\\00\\00\\00\\07\\00\\00\\00\\07\\00\\00\\00")
  (func $must (param i32) (if (local.get 0) (then unreachable)))
  (func (export "_start")
    (call $must (call $load (i32.const 16) (i32.const 1) (i32.const 32)))
    (call $must (call $open (i32.load (i32.const 32)) (i32.const 36)))
    (call $must (call $set (i32.load (i32.const 36)) (i32.const 0) (i32.const 128)))
    (call $must (call $set (i32.load (i32.const 36)) (i32.const 1) (i32.const 128)))
    (call $must (call $compute (i32.load (i32.const 36))))
    (call $must (call $get (i32.load (i32.const 36)) (i32.const 1) (i32.const 1024)
      (i32.const 64) (i32.const 40)))))
"""


def test_a_manifest_names_its_model(invoke: Any, tmp_path: Path) -> None:
    write_colours(tmp_path)
    path = tmp_path / "m.toml"
    text = 'version = "1"\n[infer]\nmodel = "{}"\n[infer.output]\nkind = "labels"\n'
    name = next(p.name for p in tmp_path.iterdir() if p.suffix == ".xml")
    path.write_text(text.format(name))
    done = invoke("infer", DOG, "--manifest", path)
    assert done.code == 0, done.stderr
    assert done.stdout.count("class ") == 5
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "m.toml").write_text(text.format(f"../{name}"))
    done = invoke("infer", DOG, "--manifest", inner / "m.toml")
    assert done.code == 3
    assert "infer.model leaves the manifest's folder" in done.stderr
    (inner / "m.toml").write_text(text.format("no-such"))
    done = invoke("infer", DOG, "--manifest", inner / "m.toml")
    assert "model no-such does not exist" in done.stderr


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Pulls a model of the catalogue for this test's commands."""
    packages.with_outside(monkeypatch)
    monkeypatch.setenv("WASMLRUN_DATA_DIR", str(tmp_path / "data"))
    return lambda name: packages.pulled(name, tmp_path / "data" / "models")


def test_a_face_is_found_and_drawn(shelf: Any, invoke: Any, tmp_path: Path) -> None:
    photo = packages.photograph()
    shelf("face-detection")
    out = tmp_path / "out.png"
    done = invoke(
        "infer", photo, "--manifest", SAMPLES / "faces" / "faces.toml", "--json", "-o", out
    )
    assert done.code == 0, done.stderr
    (face,) = json.loads(done.stdout)["found"]
    assert face["label"] == "face"
    assert face["score"] > 0.9
    # eyes, nose and mouth are where a person sees them, and within the frame
    left, top, right, bottom = face["box"]
    assert (140 < left < 200, 120 < top < 180, 330 < right < 390, 300 < bottom < 370) == (True,) * 4
    for x, y in face["points"][:4]:
        assert left < x < right
        assert top < y < bottom
    marked, before = Image.open(out).convert("RGB"), Image.open(photo).convert("RGB")
    assert marked.size == before.size
    assert marked.getpixel((round(right), 250)) != before.getpixel((round(right), 250))
    assert marked.getpixel((20, 20)) == before.getpixel((20, 20))


def test_a_person_is_found_and_a_drawing_has_none(shelf: Any, invoke: Any) -> None:
    photo = packages.photograph()
    shelf("person-detection")
    manifest = SAMPLES / "persons" / "persons.toml"
    done = invoke("infer", photo, "--manifest", manifest)
    (line,) = done.stdout.splitlines()
    assert line.startswith("person\t0.")
    assert invoke("infer", DOG, "--manifest", manifest).stdout == ""


def test_a_portrait_is_cut_out(shelf: Any, invoke: Any, tmp_path: Path) -> None:
    photo = packages.photograph()
    shelf("selfie-segmentation")
    out = tmp_path / "cut.png"
    manifest = SAMPLES / "portrait" / "portrait.toml"
    done = invoke("infer", photo, "--manifest", manifest, "--json", "-o", out)
    assert done.code == 0, done.stderr
    (found,) = json.loads(done.stdout)["segments"]
    assert found["label"] == "person"
    assert 0.5 < found["share"] < 0.65
    cut, whole = (np.asarray(Image.open(file)) for file in (out, photo))
    assert cut.shape == (*whole.shape[:2], 4)
    assert cut[240, 260].tolist() == [*whole[240, 260], 255]  # in the face
    assert cut[20, 20, 3] < 10
    # another engine sees the same
    needs("ai_edge_litert", "litert")
    words = ["infer", photo, "--manifest", manifest, "--json"]
    other = json.loads(invoke(*words, "--backend", "litert").stdout)["segments"]
    assert other[0]["share"] == pytest.approx(found["share"], abs=1e-3)


def test_a_photograph_becomes_a_painting(shelf: Any, run_cli: Any, tmp_path: Path) -> None:
    shelf("style-transfer")
    manifest = SAMPLES / "style-transfer" / "style.toml"
    out = tmp_path / "painted.png"
    args = ["infer", DOG, "--manifest", manifest, "-o", out]
    args += ["--set", "input.max_side=200"]
    env = {"WASMLRUN_DATA_DIR": os.environ["WASMLRUN_DATA_DIR"]}
    done = run_cli(args, env=env)
    assert (done.code, done.stdout) == (0, "200 × 200\tRGB\n"), done.stderr
    painted = Image.open(out)
    assert painted.size == (200, 200)
    photo = np.asarray(Image.open(DOG).convert("RGB").resize((200, 200)), float)
    style = np.asarray(painted, float)
    # another picture of the same scene: colours are not the photograph's, edges are
    assert np.abs(style - photo).mean() > 30
    assert np.corrcoef(style.mean(2).ravel(), photo.mean(2).ravel())[0, 1] > 0.4
    assert style.std() > 40
    assert not stat.S_IMODE(out.stat().st_mode) & stat.S_IXUSR
    # other styles, other pictures
    run_cli(
        [*args[:-1], "input.max_side=200", "--set", "constants.style_weights={ 3 = 1 }"], env=env
    )
    assert np.abs(np.asarray(Image.open(out), float) - style).mean() > 20


def test_what_a_file_is(shelf: Any, invoke: Any) -> None:
    shelf("magika")
    done = invoke("infer", ROOT / "README.md", "--model", "magika")
    assert done.stdout.startswith("markdown\t0.9"), done.stderr


def test_a_line_of_text_is_read(shelf: Any, invoke: Any, tmp_path: Path) -> None:
    from PIL import ImageDraw, ImageFont

    shelf("ocr-recognition")
    picture = Image.new("RGB", (520, 60), "white")
    font = ImageFont.load_default(40)
    ImageDraw.Draw(picture).text((10, 8), "Hello WebAssembly 2026", fill="black", font=font)
    picture.save(tmp_path / "line.png")
    out = tmp_path / "line.txt"
    done = invoke("infer", tmp_path / "line.png", "--model", "ocr-recognition", "-o", out)
    assert done.stdout.startswith("Hello WebAssembly 2026\t0.9"), done.stderr
    assert out.read_text() == "Hello WebAssembly 2026\n"


def test_lines_of_text_are_found_on_a_page(shelf: Any, invoke: Any, tmp_path: Path) -> None:
    from PIL import ImageDraw, ImageFont

    shelf("ocr-detection")
    picture = Image.new("RGB", (640, 480), "white")
    font, draw = ImageFont.load_default(40), ImageDraw.Draw(picture)
    for place, text in (((60, 80), "First line"), ((200, 300), "and a second")):
        draw.text(place, text, fill="black", font=font)
    picture.save(tmp_path / "page.png")
    done = invoke("infer", tmp_path / "page.png", "--model", "ocr-detection", "--json")
    boxes = sorted(one["box"] for one in json.loads(done.stdout)["found"])
    assert len(boxes) == 2
    assert boxes[0] == pytest.approx([60, 82, 215, 128], abs=15)
    assert boxes[1] == pytest.approx([200, 305, 445, 345], abs=15)


@pytest.mark.skipif(not os.environ.get("CI"), reason="84 MB are fetched where CI is set")
def test_texts_that_mean_alike_have_vectors_that_are_close(
    shelf: Any, invoke: Any, tmp_path: Path
) -> None:
    shelf("minilm")
    vectors = []
    for text in ("A man eats pasta.", "Somebody is having spaghetti.", "The car broke down."):
        (tmp_path / "t.txt").write_text(text)
        out = tmp_path / "v.npy"
        invoke("infer", tmp_path / "t.txt", "--model", "minilm", "-o", out)
        vectors.append(np.load(out))
    one, alike, other = vectors
    assert one.shape == (384,)
    assert one @ one == pytest.approx(1, abs=1e-4)
    assert one @ alike > 0.5 > 0.2 > one @ other
    # as the model's authors have it
    (tmp_path / "t.txt").write_text("This is an example sentence")
    done = invoke("infer", tmp_path / "t.txt", "--model", "minilm", "--json")
    assert json.loads(done.stdout)["vector"][:4] == pytest.approx(
        [0.0676568, 0.0634958, 0.0487131, 0.0793050], abs=1e-4
    )
