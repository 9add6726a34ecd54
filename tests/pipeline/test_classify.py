"""`wasmlrun classify` from end to end: real engine, real models, real photographs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.core_guests import EXIT_7, TRAP, printing
from kit.models_by_hand import COLOURS, write_colours
from kit.pictures import bomb, encoded, red_left
from PIL import Image

from wasmlrun.pipeline.expectation import matches
from wasmlrun.vision.formats import known

ROOT = Path(__file__).parents[2]
DOG = ROOT / "samples" / "dog.jpg"
WORKER = ROOT / "samples" / "mobilenet" / "mobilenet.wasm"
MODELS = (
    "mobilenet_v2_1.0_224_quant",
    "tf2_mobilenet_v2_1.0_224_ptq",
    "mobilenet_v1_0.25_128_quant",
)
CLI = Callable[..., Any]


def entries(outcome: Any) -> list[dict[str, Any]]:
    """The objects of --json, one for each line."""
    return [json.loads(line) for line in outcome.stdout.splitlines()]


def indices(entry: dict[str, Any]) -> list[int]:
    return [p["index"] for p in entry["predictions"]]


def snapshot(folder: Path) -> dict[str, object]:
    """Everything in a folder, to see that it stayed as it was."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_mtime_ns, path.lstat().st_size)
        for path in folder.rglob("*")
    }


# --- it is done when: real models ---------------------------------------------------------------


def test_an_error_is_told_while_a_model_is_still_being_read(run_cli: CLI, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"junk")
    outcome = run_cli(["classify", bad, "--model", "mobilenet-cifar10", "--no-cache"])
    assert outcome.code == 3
    assert outcome.stderr.startswith(f"error: image {bad} is not an image that can be read\nhint: ")


@pytest.mark.parametrize("model", MODELS)
def test_a_cat_is_a_cat_with_every_mobilenet_and_no_other_flag(
    run_cli: CLI, shared_data: Path, model: str
) -> None:
    outcome = run_cli(
        [
            "classify",
            shared_data / "images" / "cat_720p.jpg",
            "--model",
            shared_data / "models" / f"{model}.tflite",
            "--labels",
            shared_data / "models" / "imagenet_labels.txt",
            "--json",
        ]
    )
    assert (outcome.code, outcome.stderr) == (0, "")
    (entry,) = entries(outcome)
    labels = [p["label"] for p in entry["predictions"]]
    assert len(labels) == 5
    if "v2" in model:
        assert labels[0] == "Egyptian cat"
        assert entry["predictions"][0]["score"] >= 0.70
    else:  # the smallest of them hesitates between the cats
        assert {"Egyptian cat", "tiger cat"} == set(labels[:2])


@pytest.fixture(scope="module")
def converted(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One model in three formats."""
    import openvino as ov
    from kit.onnx_from_openvino import convert

    folder = tmp_path_factory.mktemp("converted")
    tflite = shared_data / "models" / "tf2_mobilenet_v2_1.0_224_ptq.tflite"
    model = ov.convert_model(tflite)
    ov.save_model(model, folder / "net.xml", compress_to_fp16=False)
    convert(model, folder / "net.onnx")
    shutil.copy(tflite, folder / "net.tflite")
    return folder


def test_one_model_as_tflite_onnx_and_ir_gives_the_same_top_5(
    run_cli: CLI, shared_data: Path, converted: Path
) -> None:
    cat = shared_data / "images" / "cat_720p.jpg"
    answers = {}
    for suffix in ("tflite", "xml", "onnx"):
        outcome = run_cli(["classify", cat, "--model", converted / f"net.{suffix}", "--json"])
        assert outcome.code == 0, outcome.stderr
        (entry,) = entries(outcome)
        answers[suffix] = entry["predictions"]
    assert answers["xml"] == answers["tflite"]
    # quantisation spelled out in ONNX rounds a little differently inside the network
    wanted = {p["index"]: p["score"] for p in answers["tflite"]}
    assert {p["index"]: pytest.approx(p["score"], abs=0.05) for p in answers["onnx"]} == wanted
    assert answers["onnx"][0]["index"] == answers["tflite"][0]["index"]


def test_one_classifier_as_tflite_onnx_and_ir_gives_one_answer(
    run_cli: CLI, colours: Path, tmp_path: Path
) -> None:
    from kit.needs import needs

    needs("onnx", "onnx")
    needs("ai_edge_litert", "ai-edge-litert")
    from kit.onnx_by_hand import colours_onnx
    from kit.tflite_colours import colours_tflite

    (tmp_path / "net.onnx").write_bytes(colours_onnx())
    (tmp_path / "net.tflite").write_bytes(colours_tflite())
    write_colours(tmp_path, "net")
    answers = {}
    for suffix in ("tflite", "xml", "onnx"):
        outcome = run_cli(["classify", DOG, "--model", tmp_path / f"net.{suffix}", "--json"])
        assert outcome.code == 0, outcome.stderr
        (entry,) = entries(outcome)
        answers[suffix] = entry["predictions"]
    first = answers.pop("xml")
    assert len(first) == 5
    for other in answers.values():
        assert [p["index"] for p in other] == [p["index"] for p in first]
        scores = [p["score"] for p in other]
        assert scores == pytest.approx([p["score"] for p in first], abs=1e-4)


def test_a_manifests_model_is_read_from_a_mounted_folder(
    run_cli: CLI, colours: Path, red_image: Path, tmp_path: Path
) -> None:
    shutil.copy(WORKER.with_suffix(".wasm"), tmp_path / "w.wasm")
    models = tmp_path / "models"
    models.mkdir()
    write_colours(models, "net", softmax=True)
    (models / "labels.txt").write_text("\n".join(COLOURS) + "\n")
    (tmp_path / "w.toml").write_text(
        'version = "1"\n[features.wasi_nn]\nallowed_backends = ["openvino"]\n'
        '[[folders]]\nfrom = "./models"\nto = "/models"\n'
        '[classify]\nmodel = "/models/net.xml"\nlabels = "./models/labels.txt"\n'
    )
    before = snapshot(tmp_path)
    outcome = run_cli(["classify", red_image, "--worker", tmp_path / "w.wasm", "--expect", "red"])
    assert outcome.code == 0, outcome.stderr
    assert outcome.stdout.split("\t")[1] == "red"
    assert snapshot(tmp_path) == before


def test_the_worker_with_its_manifest_reads_the_model_from_a_mounted_folder(
    run_cli: CLI, shared_data: Path, tmp_path: Path
) -> None:
    for suffix in ("wasm", "toml"):
        shutil.copy(WORKER.with_suffix(f".{suffix}"), tmp_path)
    models = tmp_path / "models"
    models.mkdir()
    for name in ("mobilenet_v2_1.0_224_quant.tflite", "imagenet_labels.txt"):
        shutil.copy(shared_data / "models" / name, models)
    before = snapshot(tmp_path)
    outcome = run_cli(
        [
            "classify",
            shared_data / "images" / "cat_720p.jpg",
            "--worker",
            tmp_path / "mobilenet.wasm",
            "--expect",
            "egyptian CAT",
            "--min-score",
            "0.7",
        ]
    )
    assert outcome.code == 0, outcome.stderr
    first = outcome.stdout.splitlines()[0].split("\t")
    assert first[1] == "Egyptian cat"
    assert float(first[2]) >= 0.70
    assert first[3] == "286"
    assert snapshot(tmp_path) == before


# --- with a model of 4 × 4 pixels ---------------------------------------------------------------


@pytest.fixture
def classify(run_cli: CLI, colours: Path) -> CLI:
    """`classify` with the small model and its labels, and further arguments."""

    def run(*args: str | Path, **how: Any) -> Any:
        fixed = ["--model", colours, "--labels", colours.with_suffix(".txt")]
        return run_cli(["classify", *args, *fixed], **how)

    return run


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with a picture of each colour."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("red", "green", "blue"):
        Image.new("RGB", (8, 8), {"green": (0, 255, 0)}.get(name, name)).save(
            folder / f"{name}.png"
        )
    return folder


def test_json_has_these_keys_and_no_others(classify: CLI, pictures: Path, colours: Path) -> None:
    outcome = classify(pictures / "red.png", "--json", "-k", "2")
    assert (outcome.code, outcome.stderr) == (0, "")
    (entry,) = entries(outcome)
    timings = entry.pop("timings_ms")
    assert set(timings) >= {"image", "model", "input", "worker", "run", "total"}
    assert all(isinstance(ms, float) and ms >= 0 for ms in timings.values())
    scores = [p.pop("score") for p in entry["predictions"]]
    assert entry == {
        "schema": 1,
        "image": str(pictures / "red.png"),
        "worker": "mobilenet",
        "model": str(colours),
        "predictions": [{"index": 0, "label": "red"}, {"index": 4, "label": "dark"}],
    }
    assert 1 > scores[0] > scores[1] > 0


def test_several_images_are_answered_in_their_order_as_tab_separated_lines(
    classify: CLI, pictures: Path
) -> None:
    names = [str(pictures / f"{name}.png") for name in ("green", "red", "blue", "green")]
    outcome = classify(*names, "-k", "1")
    assert outcome.code == 0
    rows = [line.split("\t") for line in outcome.stdout.splitlines()]
    assert [row[0] for row in rows] == names
    assert [row[1] for row in rows] == ["green", "red", "blue", "green"]
    assert [row[3] for row in rows] == ["1", "0", "2", "1"]
    assert all(0 < float(row[2]) < 1 for row in rows)


def test_an_image_that_fails_does_not_stop_the_rest(classify: CLI, pictures: Path) -> None:
    bad = pictures / "bad.png"
    bad.write_bytes(b"no picture")
    names = [pictures / "red.png", bad, pictures / "none.png", pictures / "blue.png"]
    outcome = classify(*names, "--json")
    assert outcome.code == 3
    first, second, third, fourth = entries(outcome)
    assert first["predictions"][0]["label"] == "red"
    assert fourth["predictions"][0]["label"] == "blue"
    assert second == {
        "schema": 1,
        "image": str(bad),
        "error": {
            "code": "bad-image",
            "message": f"image {bad} is not an image that can be read",
            "hint": known(),
        },
    }
    assert third["error"]["message"] == f"image {pictures / 'none.png'} does not exist"
    # a person is told the same
    assert f"error: {second['error']['message']}\nhint: " in outcome.stderr


def test_a_dash_is_a_picture_on_standard_input(classify: CLI, pictures: Path) -> None:
    outcome = classify("-", stdin=(pictures / "blue.png").read_bytes())
    assert outcome.code == 0
    assert outcome.stdout.startswith("-\tblue\t")


def test_without_labels_classes_are_numbered(run_cli: CLI, pictures: Path, colours: Path) -> None:
    outcome = run_cli(["classify", pictures / "green.png", "--model", colours, "-k", "1"])
    assert outcome.stdout.split("\t")[1] == "class 1"


@pytest.mark.parametrize("how", [{"dtype": "u8"}, {"layout": "NCHW"}, {"side": "-1"}])
def test_type_layout_and_size_are_read_from_the_model(
    run_cli: CLI, pictures: Path, tmp_path: Path, how: dict[str, str]
) -> None:
    model = write_colours(tmp_path / "other", **how)
    names = [pictures / f"{name}.png" for name in ("red", "green", "blue")]
    outcome = run_cli(["classify", *names, "--model", model, "--json"])
    assert (outcome.code, outcome.stderr) == (0, "")
    assert [indices(entry)[0] for entry in entries(outcome)] == [0, 1, 2]


# --- expectations -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["--expect", "red"], 0),
        (["--expect", "RED"], 0),
        (["--expect", "crimson, red ,scarlet"], 0),
        (["--expect", "red", "--min-score", "0.1"], 0),
        (["--min-score", "0.1"], 0),
        (["--expect", "blue"], 1),
        (["--expect", "re"], 1),
        (["--expect", "red", "--min-score", "0.99"], 1),
        (["--min-score", "0.99"], 1),
    ],
)
def test_an_expectation_decides_the_exit_code(
    classify: CLI, pictures: Path, args: list[str], code: int
) -> None:
    outcome = classify(pictures / "red.png", *args)
    assert outcome.code == code
    assert outcome.stdout.split("\t")[1] == "red"
    assert (outcome.stderr == "") == (code == 0)


def test_an_unmet_expectation_says_what_came_instead(classify: CLI, pictures: Path) -> None:
    red = pictures / "red.png"
    outcome = classify(red, "--expect", "dog", "--min-score", "0.5", "--json")
    assert outcome.code == 1
    (entry,) = entries(outcome)
    score = entry["predictions"][0]["score"]
    assert entry["expected"] == {"labels": "dog", "min_score": 0.5, "met": False}
    assert outcome.stderr == (
        f"{red}: expected 'dog' of at least 0.5, got 'red' with {score:.4f}\n"
    )


def test_a_failure_counts_more_than_an_unmet_expectation(classify: CLI, pictures: Path) -> None:
    for names in (["red.png", "none.png"], ["none.png", "red.png"]):
        outcome = classify(*(pictures / name for name in names), "--expect", "dog")
        assert outcome.code == 3


@pytest.mark.parametrize(
    ("label", "expected", "met"),
    [
        ("tench, Tinca tinca", "tinca TINCA", True),
        ("tench, Tinca tinca", "dog,tench", True),
        ("tench, Tinca tinca", "tench, Tinca tinca", True),
        ("Egyptian cat", "cat", False),
        ("cat", "", False),
        ("Straße", "STRASSE", True),
    ],
)
def test_a_label_matches_when_one_synonym_of_each_side_is_the_same(
    label: str, expected: str, met: bool
) -> None:
    assert matches(label, expected) is met


# --- pictures of every kind ---------------------------------------------------------------------


def kinds() -> dict[str, bytes]:
    """Pictures that are all red, each in its own way."""
    upright = Image.new("RGB", (8, 8), "red")
    palette = Image.new("P", (8, 8))
    palette.putpalette([255, 0, 0, 0, 255, 0])
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 255))
    frames = [upright, Image.new("RGB", (8, 8), "blue")]
    return {
        "upright.jpg": encoded(upright, "JPEG"),
        "palette.png": encoded(palette),
        "alpha.png": encoded(clear),
        "cmyk.jpg": encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"),
        "animation.gif": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "webp.webp": encoded(upright, "WEBP"),
        "bmp.bmp": encoded(upright, "BMP"),
    }


def grey_kinds() -> dict[str, bytes]:
    """Pictures that are all white, each in its own way."""
    deep = Image.new("I;16", (8, 8), 65535)
    return {
        "16-bit.png": encoded(deep),
        "grey.png": encoded(Image.new("L", (8, 8), 255)),
        "transparent.png": encoded(Image.new("RGBA", (8, 8), (255, 0, 0, 0))),
    }


def test_pictures_of_every_kind_are_understood(classify: CLI, tmp_path: Path) -> None:
    files = {**kinds(), **grey_kinds()}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    outcome = classify(*(tmp_path / name for name in files), "--json")
    assert (outcome.code, outcome.stderr) == (0, "")
    first = {Path(e["image"]).name: e["predictions"][0]["label"] for e in entries(outcome)}
    assert first == {**dict.fromkeys(kinds(), "red"), **dict.fromkeys(grey_kinds(), "bright")}


def test_exif_orientation_reaches_the_model(run_cli: CLI, tmp_path: Path) -> None:
    # a wide picture, red on the left: turned, the crop of a tall one is red on top
    model = write_colours(tmp_path, "half", side="4")
    for orientation in (1, 3):
        exif = Image.Exif()
        exif[0x0112] = orientation
        wide = red_left((64, 16)).crop((0, 0, 48, 16))  # two thirds are red
        wide.save(tmp_path / f"{orientation}.jpg", exif=exif)
    names = [tmp_path / "1.jpg", tmp_path / "3.jpg"]
    outcome = run_cli(["classify", *names, "--model", model, "--json"])
    assert outcome.code == 0
    straight, turned = entries(outcome)
    assert indices(straight) == indices(turned)


# --- bad input: exit code, message, untouched folder -------------------------------------------

NOT_ONE = "is not an image that can be read"
BAD_IMAGES: dict[str, tuple[bytes | None, str]] = {
    "empty.jpg": (b"", "is empty"),
    "text.jpg": (b"hello", NOT_ONE),
    "missing.jpg": (None, "does not exist"),
    "truncated.png": (encoded(red_left((64, 64)))[:120], "is damaged: "),
    "bomb.png": (
        bomb(20_000, 20_000),
        "has 20000 × 20000 pixels, more than the limit of 100 megapixels",
    ),
}


@pytest.mark.parametrize("name", [*BAD_IMAGES, "folder"])
def test_a_bad_image_is_exit_3_and_one_line_and_touches_nothing(
    classify: CLI, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "input"
    folder.mkdir()
    path = folder / name
    data, said = BAD_IMAGES.get(name, (None, "is a folder"))
    if name == "folder":
        path.mkdir()
    elif data is not None:
        path.write_bytes(data)
    before = snapshot(folder)
    outcome = classify(path, cwd=folder)
    assert outcome.code == 3
    assert outcome.stdout == ""
    first, *rest = outcome.stderr.splitlines()
    assert first.startswith(f"error: image {path} {said}")
    assert all(line.startswith("hint: ") for line in rest)
    assert len(rest) <= 1
    assert snapshot(folder) == before


def test_nothing_on_standard_input_is_exit_3(classify: CLI) -> None:
    outcome = classify("-")
    assert (outcome.code, outcome.stdout) == (3, "")
    assert outcome.stderr == (
        "error: standard input is empty\nhint: pipe an image in: wasmlrun classify - < photo.jpg\n"
    )


def test_a_damaged_model_is_exit_3(run_cli: CLI, pictures: Path, tmp_path: Path) -> None:
    model = tmp_path / "net.onnx"
    model.write_bytes(b"\x08\x08not really a model")
    before = snapshot(tmp_path)
    outcome = run_cli(["classify", pictures / "red.png", "--model", model])
    assert (outcome.code, outcome.stdout) == (3, "")
    said, hint = outcome.stderr.splitlines()[-2:]
    assert said.startswith(f"error: model {model} cannot be read as onnx: ")
    assert hint == "hint: check the file: is it complete, and of the format its name says?"
    assert "Traceback" not in outcome.stderr
    assert snapshot(tmp_path) == before


def test_an_engines_own_chatter_does_not_stand_before_the_error(
    run_cli: CLI, pictures: Path, tmp_path: Path
) -> None:
    model = tmp_path / "net.onnx"
    model.write_bytes(b"\x08\x08not really a model")
    outcome = run_cli(["classify", pictures / "red.png", "--model", model])
    assert outcome.stderr.startswith("error: ")


def test_labels_that_do_not_fit_the_model_name_both_counts(
    run_cli: CLI, pictures: Path, colours: Path, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("one\ntwo\n")
    outcome = run_cli(["classify", pictures / "red.png", "--model", colours, "--labels", labels])
    assert (outcome.code, outcome.stdout) == (3, "")
    assert outcome.stderr.startswith(
        "error: the model gives 5 scores and there are 2 labels\nhint: "
    )


# --- workers that fail --------------------------------------------------------------------------

TENSOR_MANIFEST = 'version = "1"\n[classify]\n'


@pytest.mark.parametrize(
    ("wat", "manifest", "message"),
    [
        (TRAP, TENSOR_MANIFEST, "worker worker.wasm trapped: wasm `unreachable`"),
        (EXIT_7, TENSOR_MANIFEST, "worker worker.wasm exited with code 7"),
        (printing("hello"), TENSOR_MANIFEST, "the worker gave no answer: it fetched no output"),
        (printing("hello"), 'version = "1"', "the worker's answer is not JSON: hello"),
        (
            printing('{"data": "no", "status": 500}'),
            'version = "1"',
            "the worker answered with status 500: no",
        ),
    ],
)
def test_a_worker_that_fails_is_exit_4(
    run_cli: CLI,
    make_worker: CLI,
    pictures: Path,
    colours: Path,
    tmp_path: Path,
    wat: str,
    manifest: str,
    message: str,
) -> None:
    model = [] if "[classify]" not in manifest else ["--model", colours]
    worker = make_worker(tmp_path / "worker", wat, manifest)
    outcome = run_cli(["classify", pictures / "red.png", "--worker", worker, "--json", *model])
    assert outcome.code == 4
    (entry,) = entries(outcome)
    assert entry["image"] == str(pictures / "red.png")
    assert entry["error"]["code"] == "worker-failed"
    assert entry["error"]["message"].startswith(message)
    assert f"error: {message}" in outcome.stderr


def test_a_wws_worker_gives_its_own_labels_and_scores(
    run_cli: CLI, make_worker: CLI, pictures: Path, tmp_path: Path
) -> None:
    body = json.dumps({"data": json.dumps({"data": [["dog", 3.5], ["cat", 12.25]]})})
    worker = make_worker(tmp_path / "worker", printing(body), 'version = "1"')
    outcome = run_cli(["classify", pictures / "red.png", "--worker", worker, "--json"])
    assert outcome.code == 0, outcome.stderr
    (entry,) = entries(outcome)
    assert entry["predictions"] == [
        {"index": None, "label": "cat", "score": 12.25},
        {"index": None, "label": "dog", "score": 3.5},
    ]


def test_a_guests_chatter_stays_off_stdout_and_is_hidden_by_quiet(
    run_cli: CLI, make_worker: CLI, pictures: Path, colours: Path, tmp_path: Path
) -> None:
    chatter = printing("chatter\n", descriptor=2)
    worker = make_worker(tmp_path / "worker", chatter, TENSOR_MANIFEST)
    command = ["classify", pictures / "red.png", "--worker", worker, "--model", colours]
    spoken, quiet = run_cli(command), run_cli([*command, "-q"])
    assert (spoken.code, spoken.stdout, quiet.stdout) == (4, "", "")
    assert "chatter\n" in spoken.stderr
    assert "chatter" not in quiet.stderr
    assert "error: the worker gave no answer" in quiet.stderr


def test_verbose_adds_the_traceback_and_what_is_only_for_serve(
    run_cli: CLI, make_worker: CLI, pictures: Path, colours: Path, tmp_path: Path
) -> None:
    worker = make_worker(tmp_path / "worker", TRAP, TENSOR_MANIFEST + "[data]\n")
    command = ["classify", pictures / "red.png", "--worker", worker, "--model", colours, "-v"]
    outcome = run_cli(command)
    assert outcome.code == 4
    assert "the manifest's [data] is only for serve and grants nothing here\n" in outcome.stderr
    assert "Traceback (most recent call last):\n" in outcome.stderr
    assert "error: worker worker.wasm trapped" in outcome.stderr
