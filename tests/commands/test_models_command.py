"""`wasmlrun models` as a command: answers, exit codes, processes that collide or are killed."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kit import stand_ins
from kit.http_server import Act, FileServer, closed_port, serving
from kit.models_by_hand import colours_ir

from wasmlrun.models.catalogue import catalogue
from wasmlrun.support import bundled

SMALL = "mobilenet-v1-0.25"
SMALL_FILE = "mobilenet_v1_0.25_128_quant.tflite"
CLI = [sys.executable, "-m", "wasmlrun"]
Run = Callable[..., Any]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data directory of this test."""
    folder = tmp_path / "data"
    monkeypatch.setenv("WASMLRUN_DATA_DIR", str(folder))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stand-ins for the catalogue's files, and a catalogue of them."""
    folder = tmp_path_factory.mktemp("stand-ins")
    stand_ins.write(folder)
    return folder


@pytest.fixture
def originals(made: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The files of the catalogue, which is theirs for the time of a test."""
    catalogue.cache_clear()
    stand_ins.use(made, monkeypatch)
    yield made / "files"
    catalogue.cache_clear()


@pytest.fixture
def server(originals: Path) -> Iterator[FileServer]:
    """A mirror of the files over loopback HTTP."""
    with serving({p.name: p.read_bytes() for p in originals.iterdir()}) as found:
        yield found


@pytest.fixture
def process(run_cli: Run, data: Path) -> Run:
    """The command in a process of its own: it forks, which a process with an engine must not."""

    def run(*args: str | Path) -> Any:
        return run_cli(args, env={"WASMLRUN_DATA_DIR": str(data), "NO_PROXY": "127.0.0.1"})

    return run


def lines(text: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in text.splitlines()]
    assert all(entry["schema"] == 1 for entry in found)
    return found


def start(data: Path, *args: str, **how: Any) -> subprocess.Popen[str]:
    environ = {**os.environ, "WASMLRUN_DATA_DIR": str(data), "NO_PROXY": "127.0.0.1"}
    return subprocess.Popen(
        [*CLI, "models", *args], env=environ, text=True, stderr=subprocess.PIPE, **how
    )


# ------------------------------------------------------------------------------- together


def test_a_pulled_model_classifies_by_its_name(
    data: Path, invoke: Run, process: Run, shared_data: Path
) -> None:
    cat = shared_data / "images" / "cat_720p.jpg"
    files = {path.name: path.read_bytes() for path in (shared_data / "models").iterdir()}
    with serving(files) as server:
        done = invoke("models", "pull", "mobilenet-v2", "--mirror", server.url)
    assert done.code == 0, done.stderr
    assert done.stdout == f"mobilenet-v2\tpulled\t{data}/models/mobilenet-v2\n"
    assert "fetching mobilenet_v2_1.0_224_quant.tflite, 3.6 MB" in done.stderr
    done = process("classify", cat, "--model", "mobilenet-v2")
    assert done.code == 0, done.stderr
    label, score, index = done.stdout.splitlines()[0].split("\t")[1:]
    assert (label, index) == ("Egyptian cat", "286")
    # in exact 8-bit arithmetic 0.9414; in f32, where the processor has none, 0.9375
    assert float(score) == pytest.approx(0.94, abs=0.005)
    model = data / "models" / "mobilenet-v2" / "mobilenet_v2_1.0_224_quant.tflite"
    good = model.read_bytes()
    model.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    done = process("classify", cat, "--model", "mobilenet-v2")
    assert (done.code, done.stdout) == (3, "")
    assert hashlib.sha256(good).hexdigest() in done.stderr
    assert hashlib.sha256(model.read_bytes()).hexdigest() in done.stderr
    assert "hint: fetch it again: wasmlrun models pull mobilenet-v2" in done.stderr


def test_names_that_are_not_here(process: Run, red_image: Path) -> None:
    done = process("classify", red_image, "--model", "mobilenet-v2")
    assert done.code == 3
    assert "hint: wasmlrun models pull mobilenet-v2" in done.stderr
    done = process("classify", red_image, "--model", "insect")
    assert done.code == 3
    assert "did you mean insects (wasmlrun models pull insects)?" in done.stderr


# ----------------------------------------------------------------------------------- list


def test_list(data: Path, invoke: Run, originals: Path) -> None:
    done = invoke("models", "list")
    assert (done.code, done.stderr) == (0, "")
    states = {line.split("\t")[0]: line.split("\t")[1] for line in done.stdout.splitlines()}
    assert states.pop("mobilenet-cifar10", "bundled") == "bundled"
    assert states == dict.fromkeys(catalogue(), "available")
    tasks = [line.split("\t")[3] for line in done.stdout.splitlines()]
    first = tasks.count("image-classification")
    assert tasks[:first] == ["image-classification"] * first
    assert tasks[first:] == sorted(tasks[first:]), "classifiers, then by task"
    assert not data.exists(), "looking makes nothing"
    invoke("models", "pull", SMALL, "--mirror", originals.as_uri())
    found = {entry["name"]: entry for entry in lines(invoke("models", "list", "--json").stdout)}
    assert found[SMALL] == {
        "schema": 1,
        "name": SMALL,
        "state": "pulled",
        "size": 525598 + 21686,
        "task": "image-classification",
        "licence": "Apache-2.0",
        "description": found[SMALL]["description"],
        "own": False,
        "default": True,
    }
    (data / "models" / SMALL / "imagenet_labels.txt").unlink()
    assert f"{SMALL}\tincomplete\t" in invoke("models", "list").stdout


def test_search(data: Path, invoke: Run) -> None:
    done = invoke("models", "search", "FACE", "detection")
    assert (done.code, done.stderr) == (0, "")
    names = [line.split("\t")[0] for line in done.stdout.splitlines()]
    assert names == ["face-detection", "face-detection-full-range"]
    done = invoke("models", "search", "no", "such", "thing")
    assert (done.code, done.stdout) == (0, "")
    assert done.stderr == "no model has no and such and thing; wasmlrun models list shows all\n"


def test_list_needs_no_engine(data: Path) -> None:
    program = (
        "import sys\n"
        "from wasmlrun.cli import invoke\n"
        "assert invoke(['models', 'list']) == 0\n"
        "heavy = {'numpy', 'openvino', 'wasmtime', 'urllib3', 'truststore', 'PIL', 'rich', 'ssl'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr == "[]\n"


def test_a_damaged_entry_does_not_hide_the_others(data: Path, invoke: Run) -> None:
    folder = data / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "entry.toml").write_text("schema = 7")
    done = invoke("models", "list")
    assert done.code == 3
    assert "mobilenet-v2\tavailable" in done.stdout
    assert "is damaged" in done.stderr
    assert "wasmlrun models remove mine" in done.stderr


# ----------------------------------------------------------------------------------- pull


def test_pull_says_what_it_did(data: Path, invoke: Run, originals: Path) -> None:
    mirror = originals.as_uri()
    done = invoke("models", "pull", SMALL, SMALL, "nope", "--json", "--mirror", mirror)
    assert done.code == 3
    pulled, failed = lines(done.stdout)
    assert (pulled["name"], pulled["state"]) == (SMALL, "pulled")
    assert pulled["path"] == str(data / "models" / SMALL)
    assert failed["name"] == "nope"
    assert failed["error"]["code"] == "shelf"
    again = lines(invoke("models", "pull", SMALL, "--json", "--mirror", mirror).stdout)
    assert again[0]["state"] == "present"
    assert invoke("models", "pull", SMALL, "-q", "--mirror", mirror).stderr == ""


def test_one_that_fails_does_not_stop_the_rest(data: Path, invoke: Run, server: FileServer) -> None:
    server.always["mobilenet_v2_1.0_224_quant.tflite"] = Act(status=404)
    done = invoke("models", "pull", "mobilenet-v2", SMALL, "--mirror", server.url)
    assert done.code == 3
    assert "the server answers 404 Not Found" in done.stderr
    assert done.stdout.startswith(f"{SMALL}\tpulled\t")


def test_the_flag_beats_the_variable(
    data: Path, invoke: Run, originals: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WASMLRUN_MIRROR", "file:///no/such/folder")
    done = invoke("models", "pull", SMALL)
    assert done.code == 3
    assert f"cannot read file:///no/such/folder/{SMALL_FILE}" in done.stderr
    assert invoke("models", "pull", SMALL, "--mirror", originals.as_uri()).code == 0
    monkeypatch.setenv("WASMLRUN_MIRROR", originals.as_uri())
    assert invoke("models", "pull", "insects").code == 0


def test_no_network(data: Path, invoke: Run) -> None:
    mirror = f"http://127.0.0.1:{closed_port()}"
    done = invoke("models", "pull", SMALL, "--mirror", mirror, "--retries", "0", "--json")
    assert done.code == 3
    (failed,) = lines(done.stdout)
    assert failed["error"]["code"] == "download-failed"
    assert f"cannot download {mirror}/{SMALL_FILE}: no connection" in failed["error"]["message"]
    assert "WASMLRUN_MIRROR" in failed["error"]["hint"]
    assert "Traceback" not in done.stderr
    assert "Traceback" in invoke("models", "pull", SMALL, "--mirror", "nowhere", "-v").stderr


def test_wrong_bytes(data: Path, invoke: Run, server: FileServer) -> None:
    size = len(server.files[SMALL_FILE])
    server.always[SMALL_FILE] = Act(body=bytes(size))
    done = invoke("models", "pull", SMALL, "--mirror", server.url)
    assert done.code == 3
    assert hashlib.sha256(bytes(size)).hexdigest() in done.stderr
    assert not (data / "models" / SMALL).exists()


def test_a_terminal_sees_a_bar(data: Path, originals: Path) -> None:
    ours, theirs = pty.openpty()
    child = start(data, "pull", SMALL, "--mirror", originals.as_uri(), stdout=subprocess.DEVNULL)
    child.wait(30)
    assert child.stderr is not None
    assert "\x1b" not in child.stderr.read(), "no terminal, no animation"
    shutil.rmtree(data)
    environ = {**os.environ, "WASMLRUN_DATA_DIR": str(data), "TERM": "xterm", "COLUMNS": "100"}
    command = [*CLI, "models", "pull", SMALL, "--mirror", originals.as_uri()]
    shower = subprocess.Popen(command, env=environ, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:  # Linux tells the end of a terminal this way
        pass
    assert shower.wait(30) == 0
    assert "━".encode() in shown
    assert SMALL_FILE.encode() in shown
    os.close(ours)


def test_two_processes_at_once(data: Path, server: FileServer) -> None:
    server.acts[SMALL_FILE] = [Act(hold=1000)]
    first = start(data, "pull", SMALL, "--mirror", server.url, stdout=subprocess.PIPE)
    assert server.held.wait(20)
    second = start(data, "pull", SMALL, "--mirror", server.url, stdout=subprocess.PIPE)
    assert second.stderr is not None
    assert "waiting for another process" in second.stderr.readline()
    server.release.set()
    assert "\tpulled\t" in first.communicate(timeout=120)[0]
    assert "\tpresent\t" in second.communicate(timeout=120)[0]
    assert (first.returncode, second.returncode) == (0, 0)
    assert [name for name, _ in server.log] == [SMALL_FILE, "imagenet_labels.txt"]


def test_killed_in_the_middle(data: Path, invoke: Run, server: FileServer) -> None:
    server.acts[SMALL_FILE] = [Act(hold=262_144)]
    child = start(data, "pull", SMALL, "--mirror", server.url)
    part = data / "models" / ".partial" / SMALL / f"{SMALL_FILE}.part"
    assert server.held.wait(20)
    deadline = time.monotonic() + 10
    while not (part.exists() and part.stat().st_size > 100_000) and time.monotonic() < deadline:
        time.sleep(0.01)
    child.kill()
    child.wait()
    assert f"{SMALL}\tavailable\t" in invoke("models", "list").stdout
    assert invoke("models", "path", SMALL).code == 3
    assert SMALL not in invoke("models", "verify").stdout
    done = invoke("models", "pull", SMALL, "--mirror", server.url)
    assert done.code == 0, "the dead process holds no lock"
    resumed = server.ranges(SMALL_FILE)[-1]
    assert resumed is not None
    assert int(resumed.removeprefix("bytes=").rstrip("-")) > 100_000
    assert invoke("models", "verify", SMALL).code == 0


# -------------------------------------------------------------- verify, path, remove, info


def test_verify_path_and_remove(data: Path, invoke: Run, originals: Path) -> None:
    assert {line.split("\t")[0] for line in invoke("models", "verify").stdout.splitlines()} == {
        bundled.DEFAULT_MODEL
    }
    invoke("models", "pull", SMALL, "--mirror", originals.as_uri())
    folder = data / "models" / SMALL
    assert invoke("models", "path", SMALL).stdout == f"{folder}\n"
    assert lines(invoke("models", "path", SMALL, "--json").stdout) == [
        {"schema": 1, "name": SMALL, "path": str(folder)}
    ]
    done = invoke("models", "verify")
    assert done.code == 0
    assert done.stdout.endswith(f"{SMALL}\t{SMALL_FILE}\tok\n{SMALL}\timagenet_labels.txt\tok\n")
    (folder / SMALL_FILE).write_bytes(b"")
    done = invoke("models", "verify", SMALL, "--json")
    assert done.code == 3
    damaged, fine, failure = lines(done.stdout)
    assert (damaged["state"], fine["state"]) == ("damaged", "ok")
    assert damaged["found"] == hashlib.sha256(b"").hexdigest()
    assert failure["error"]["code"] == "bad-model"
    assert f"model {SMALL}: {SMALL_FILE} is damaged" in done.stderr
    assert invoke("models", "verify", "insects").code == 3
    done = invoke("models", "remove", SMALL, "insects")
    assert done.code == 3
    assert done.stdout == f"{SMALL}\tremoved\t{folder}\n"
    assert "insects is not on this machine" in done.stderr
    assert not folder.exists()


def test_info_of_a_file(process: Run, colours: Path) -> None:
    (found,) = lines(process("models", "info", colours, "--json").stdout)
    weights = colours.with_suffix(".bin").read_bytes()
    digests = [hashlib.sha256(part).hexdigest() for part in (colours.read_bytes(), weights)]
    assert found == {
        "schema": 1,
        "path": str(colours),
        "format": "openvino",
        "inputs": [{"name": "picture", "shape": [1, 4, 4, 3], "dtype": "f32", "layout": "NHWC"}],
        "outputs": [{"name": "scores", "shape": [1, 5], "dtype": "f32"}],
        "parameters": 15,
        "size": len(colours.read_bytes()) + len(weights),
        "sha256": hashlib.sha256("".join(digests).encode()).hexdigest(),
    }
    text = process("models", "info", colours).stdout
    assert "input\tpicture [1, 4, 4, 3] f32, NHWC\n" in text
    assert "parameters\t15\n" in text


def test_info_of_free_sizes(process: Run, tmp_path: Path) -> None:
    xml, weights = colours_ir(side="-1", layout="NCHW")
    path = tmp_path / "free.xml"
    path.write_bytes(xml)
    path.with_suffix(".bin").write_bytes(weights)
    (found,) = lines(process("models", "info", path, "--json").stdout)
    assert found["inputs"][0]["shape"] == [1, 3, None, None]
    assert found["inputs"][0]["layout"] == "NCHW"


def test_info_of_a_name_that_is_not_pulled(process: Run, data: Path) -> None:
    (found,) = lines(process("models", "info", SMALL, "--json").stdout)
    assert (found["name"], found["state"], found["licence"]) == (SMALL, "available", "Apache-2.0")
    assert "inputs" not in found, "nothing is fetched only to look at it"
    assert [file["name"] for file in found["files"]] == [SMALL_FILE, "imagenet_labels.txt"]


def test_info_of_a_name(invoke: Run, process: Run, data: Path, shared_data: Path) -> None:
    invoke("models", "pull", SMALL, "--mirror", (shared_data / "models").as_uri())
    (found,) = lines(process("models", "info", SMALL, "--json").stdout)
    assert found["state"] == "pulled"
    assert found["inputs"] == [
        {"name": "input", "shape": [1, 128, 128, 3], "dtype": "u8", "layout": "NHWC"}
    ]
    assert found["outputs"][0]["shape"] == [1, 1001]
    assert (found["format"], found["size"]) == ("tensorflowlite", 525598)
    assert found["parameters"] == 467_593
    assert found["sha256"] == found["files"][0]["sha256"]


def test_info_of_what_is_no_model(process: Run, tmp_path: Path) -> None:
    path = tmp_path / "broken.xml"
    path.write_text("<net")
    path.with_suffix(".bin").write_bytes(b"")
    done = process("models", "info", path)
    assert done.code == 3
    assert f"model {path} cannot be read as openvino" in done.stderr
    assert process("models", "info", tmp_path / "none.onnx").code == 3
    done = process("models", "info", "nothing", "--json")
    assert lines(done.stdout)[0]["error"]["code"] == "shelf"


def test_the_bundled_model(data: Path, invoke: Run) -> None:
    folder = bundled.model(bundled.DEFAULT_MODEL)
    if folder is None:
        pytest.skip("the bundled model is not made yet")
    assert invoke("models", "path", "mobilenet-cifar10").stdout == f"{folder}\n"
    assert invoke("models", "pull", "mobilenet-cifar10").code == 0
    done = invoke("models", "verify", "mobilenet-cifar10")
    assert done.code == 0
    assert "mobilenet-cifar10\tmobilenet-cifar10.bin\tok\n" in done.stdout


# ------------------------------------------------------------------------------------ add


def test_add_and_use(data: Path, invoke: Run, process: Run, colours: Path, red_image: Path) -> None:
    labels = colours.with_suffix(".txt")
    done = invoke("models", "add", "my-colours", "--from", colours, "--labels", labels)
    assert done.code == 0, done.stderr
    assert done.stdout == f"my-colours\tadded\t{data}/models/my-colours\n"
    assert "my-colours\tadded\t" in invoke("models", "list").stdout
    done = process("classify", red_image, "--model", "my-colours")
    assert done.code == 0, done.stderr
    assert done.stdout.splitlines()[0].split("\t")[1] == "red"
    assert invoke("models", "remove", "my-colours").code == 0


def test_add_from_an_address_with_a_digest(data: Path, invoke: Run, server: FileServer) -> None:
    origin = f"{server.url}/{SMALL_FILE}"
    wrong = invoke("models", "add", "a", "--from", origin, "--sha256", "0" * 64)
    assert wrong.code == 3
    digest = hashlib.sha256(server.files[SMALL_FILE]).hexdigest()
    (found,) = lines(
        invoke("models", "add", "a", "--from", origin, "--sha256", digest, "--json").stdout
    )
    assert (found["name"], found["state"]) == ("a", "added")
    assert invoke("models", "verify", "a").code == 0


@pytest.mark.parametrize(
    "args",
    [
        ["pull"],
        ["remove"],
        ["add", "x"],
        ["add", "Not A Name", "--from", "x"],
        ["add", "mobilenet-v2", "--from", "x"],
        ["add", "x", "--from", "ftp://x/y"],
        ["add", "x", "--from", "y", "--sha256", "12"],
        ["pull", SMALL, "--mirror", "nowhere"],
        ["pull", SMALL, "--retries", "-1"],
        ["remove", "../x"],
        ["nonsense"],
        [],
    ],
)
def test_bad_command_lines(data: Path, invoke: Run, args: list[str]) -> None:
    done = invoke("models", *args)
    assert done.code == 2
    assert done.stdout == ""
    assert not (data / "models" / "x").exists()
