"""A real Ray cluster of several nodes: the rows of one machine, also when a node dies."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kit.needs import needs
from kit.outcome import Outcome
from kit.pictures import encoded
from kit.ray_cluster import Cluster, cluster, environment
from PIL import Image

if os.name != "posix":
    pytest.skip("batch works in processes that need POSIX", allow_module_level=True)

CLI = Callable[..., Outcome]
PICTURES = 3000
BROKEN = 1000


@pytest.fixture(scope="module")
def nodes(own_home: dict[str, str]) -> Iterator[Cluster]:
    needs("ray", "ray")
    with cluster(own_home) as found:
        yield found


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    red, green, blue = (encoded(Image.new("RGB", (8, 8), c)) for c in ("red", "green", "blue"))
    for number in range(PICTURES):
        (folder / f"{number:04}.png").write_bytes((red, green, blue)[number % 3])
    (folder / f"{BROKEN:04}.png").write_bytes(b"no picture")
    return folder


def words_for(photos: Path, colours: Path) -> list[str]:
    labels = colours.parent / "colours.txt"
    model = ["--model", str(colours), "--labels", str(labels)]
    return ["batch", str(photos), *model, "--no-timings"]


def test_the_class_in_a_pipeline_of_ones_own(
    nodes: Cluster, photos: Path, colours: Path, tmp_path: Path, own_home: dict[str, str]
) -> None:
    program = """
import sys, ray
from wasmlrun.ray import Classify

address, photos, model, labels, to = sys.argv[1:]
ray.init(address=address, log_to_driver=False, logging_level="ERROR")
names = [f"{photos}/{number:04}.png" for number in range(40)]
ray.data.read_binary_files(names, include_paths=True).map_batches(
    Classify,
    fn_constructor_kwargs={"model": model, "labels": labels, "timings": False},
    compute=ray.data.ActorPoolStrategy(size=1),
    num_cpus=1,
    batch_size=16,
    batch_format="pyarrow",
).write_parquet(to)
"""
    to = tmp_path / "rows"
    labels = colours.parent / "colours.txt"
    words = [nodes.address, *map(str, (photos, colours, labels, to))]
    subprocess.run(
        [sys.executable, "-c", program, *words],
        env=environment() | own_home,
        timeout=300,
        check=True,
    )
    import pyarrow.parquet as pq

    table = pq.read_table(to).sort_by("path")
    paths = [str(photos / f"{number:04}.png") for number in range(40)]
    assert table.column("path").to_pylist() == paths
    wanted = [("red", "green", "blue")[number % 3] for number in range(40)]
    assert table.column("label").to_pylist() == wanted
    assert table.column_names == ["path", "label", "score", "index", "row"]


def test_a_node_that_dies_costs_no_row(
    nodes: Cluster,
    photos: Path,
    colours: Path,
    tmp_path: Path,
    run_cli: CLI,
    own_home: dict[str, str],
) -> None:
    """The first rows are made on this machine, the rest on the cluster: nobody sees it."""
    words = words_for(photos, colours)
    whole = run_cli([*words, "-o", tmp_path / "whole.jsonl"])
    assert whole.code == 3
    result = tmp_path / "rows.jsonl"
    assert run_cli([*words, "-o", result, "--max-errors", "0"]).code == 3
    journal = tmp_path / "rows.jsonl.parts" / "rows.jsonl"
    begun = journal.stat().st_size
    command = [sys.executable, "-m", "wasmlrun", *words, "-o", str(result), "--resume"]
    with subprocess.Popen(
        [*command, "--engine", "ray", "--address", nodes.address],
        env=environment() | own_home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        end = time.monotonic() + 300
        while process.poll() is None and journal.stat().st_size == begun:
            assert time.monotonic() < end, "no row came"
            time.sleep(0.05)
        assert process.poll() is None, process.communicate()[1]
        nodes.kill(0)
        said = process.communicate(timeout=300)
    assert process.returncode == 3, said[1]
    assert said[0] == ""
    assert f"going on after {BROKEN + 1:,} pictures" in said[1]
    assert result.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_where_there_is_no_cluster(run_cli: CLI, photos: Path, tmp_path: Path) -> None:
    needs("ray", "ray")
    words = ["batch", photos, "-o", tmp_path / "rows.jsonl", "--engine", "ray"]
    done = run_cli(words, env={**environment(), "RAY_ADDRESS": "127.0.0.1:1"})
    assert done.code == 74
    assert done.stderr.startswith("error: there is no Ray cluster at 127.0.0.1:1: ")
    assert "hint: start one with `ray start --head`" in done.stderr
    assert not list(tmp_path.iterdir())
