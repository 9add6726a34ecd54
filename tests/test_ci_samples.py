"""`samples/ci`: the files are what the services take, and their commands do what they say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from kit.needs import needs

ROOT = Path(__file__).parents[1]
CI = ROOT / "samples" / "ci"
SCHEMAS = {"github.yml": "vendor.github-workflows", "gitlab.yml": "vendor.gitlab-ci"}


def misfits(schema: str, *paths: Path) -> set[str]:
    """The files that are not as a copy of the service's schema says; nothing is fetched."""
    needs("check_jsonschema", "check-jsonschema")
    words = ["check_jsonschema", "--builtin-schema", schema, "--output-format", "json"]
    done = subprocess.run(
        [sys.executable, "-m", *words, *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    found = json.loads(done.stdout)
    assert found["parse_errors"] == []
    return {error["filename"] for error in found["errors"]}


def test_every_file_has_its_schema() -> None:
    assert {path.name for path in CI.glob("*.yml")} == set(SCHEMAS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_file_is_what_its_service_takes(name: str, tmp_path: Path) -> None:
    wrong = tmp_path / name
    text = (CI / name).read_text(encoding="utf-8")
    wrong.write_text(text.replace("timeout", "timeuot"), encoding="utf-8")
    # a mistake would be found
    assert misfits(SCHEMAS[name], CI / name, wrong) == {str(wrong)}


def loaded(name: str) -> Any:
    needs("ruamel.yaml", "check-jsonschema")
    from ruamel.yaml import YAML

    return YAML(typ="safe").load(CI / name)


def commands(name: str) -> tuple[dict[str, str], list[str]]:
    """The variables of a file and, in their order, the commands that are wasmlrun's."""
    if name == "github.yml":
        found = loaded(name)
        steps = [step.get("run", "") for step in found["jobs"]["accuracy"]["steps"]]
        return found["env"], [step for step in steps if step.startswith("wasmlrun ")]
    job = loaded(name)["model"]
    return job["variables"], [*job["script"], *job["after_script"]]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """The samples, a folder a class, as the files say that pictures lie."""
    for path in (ROOT / "samples").glob("*.jpg"):
        folder = tmp_path / "pictures" / path.stem
        folder.mkdir(parents=True)
        shutil.copy(path, folder)
    return tmp_path / "pictures"


@pytest.mark.skipif(os.name != "posix", reason="batch works in processes that need POSIX")
@pytest.mark.parametrize("name", SCHEMAS)
def test_the_commands_tell_a_good_model_from_a_bad_one(
    name: str, tmp_path: Path, pictures: Path, own_home: dict[str, str]
) -> None:
    variables, (classify, report) = commands(name)
    program = tmp_path / "bin" / "wasmlrun"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m wasmlrun "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    environ = {**os.environ, **own_home, **variables, "PATH": path, "PYTHONPATH": str(ROOT)}

    def run(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-e", "-c", command],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    good = run(classify)
    assert good.returncode == 0, good.stderr
    assert "top-1\t100.00%" in good.stdout
    assert run(report).returncode == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg") >= 5
    cases = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert (cases.get("tests"), cases.get("failures")) == ("6", "0")
    # another class's pictures: a model that got worse
    (pictures / "dog").rename(pictures / "was-dog")
    (pictures / "cat").rename(pictures / "dog")
    (pictures / "was-dog").rename(pictures / "cat")
    (tmp_path / "result.jsonl").unlink()
    bad = run(classify)
    assert bad.returncode == 1, bad.stderr
    assert "expected an accuracy of at least 0.88, got 0.6000" in bad.stderr
    assert len((tmp_path / "result.jsonl").read_text(encoding="utf-8").splitlines()) == 5
    cases = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert cases.get("failures") == "3"
    assert json.loads((tmp_path / "result.jsonl").read_text(encoding="utf-8").splitlines()[0])
