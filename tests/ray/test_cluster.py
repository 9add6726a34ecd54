"""A real Ray cluster of several nodes: the same rows as on one machine, also when a node dies."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.needs import needs
from kit.pictures import encoded
from PIL import Image

from wasmlrun.api.settings import checked
from wasmlrun.batch import run, stream
from wasmlrun.batch.crew import Crew
from wasmlrun.support.errors import BadModel

if os.name != "posix":
    pytest.skip("batch works in processes that need POSIX", allow_module_level=True)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without processors and two nodes with one each."""
    needs("ray", "ray")
    import ray
    from ray.cluster_utils import Cluster

    # a machine that is busy takes its time
    for name in ("RAY_raylet_start_wait_time_s", "RAY_gcs_server_request_timeout_seconds"):
        os.environ[name] = "240"
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [found.add_node(num_cpus=1) for _ in range(2)]
    found.wait_for_nodes()
    ray.init(address=found.address, log_to_driver=False)
    yield found, nodes
    ray.shutdown()
    found.shutdown()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(600):
        colour = ((255, 0, 0), (0, 255, 0), (0, 0, 255))[number % 3]
        (folder / f"{number:03}.png").write_bytes(encoded(Image.new("RGB", (8, 8), colour)))
    (folder / "300.png").write_bytes(b"no picture")
    return folder


@pytest.fixture
def settings(colours: Path) -> dict[str, Any]:
    nothing = dict.fromkeys(
        ("worker", "manifest", "expect", "min_score", "input_layout", "max_pixels", "backend")
    )
    plain = {"allow_outside": False, "strict_device": False, "require_isolation": False}
    return checked(
        **nothing,
        **plain,
        model=str(colours),
        labels=str(colours.parent / "colours.txt"),
        limits=None,
        top=3,
        dirs=(),
        writable=(),
        arguments=(),
        device=None,
        precision="f32",
        cache=True,
        isolation="process",
        parallel=1,
        calls_per_process=None,
    )


def test_a_node_that_dies_costs_no_row(
    cluster: Any, photos: Path, settings: dict[str, Any]
) -> None:
    from wasmlrun.ray import engine

    crew = Crew(settings, 1, timings=False)
    try:
        identity = crew.identity()
        here = list(run.classified(stream.pictures([str(photos)]), crew, 1))
    finally:
        crew.close()
    found, nodes = cluster
    items = stream.pictures([str(photos)])
    rows = engine.classified(items, settings, identity, timings=False)
    there = [next(rows)]  # the actors are at work
    killer = threading.Thread(target=lambda: found.remove_node(nodes[0], allow_graceful=False))
    killer.start()
    there += rows
    killer.join()
    assert there == here
    assert "error" in there[300]


def test_another_model_under_the_same_name_is_refused(
    cluster: Any, photos: Path, settings: dict[str, Any]
) -> None:
    from wasmlrun.ray import Classify

    with pytest.raises(BadModel, match="another worker or model: model_sha256 differ"):
        Classify(settings=settings, identity={**identity_of(settings), "model_sha256": "0"})


def identity_of(settings: dict[str, Any]) -> dict[str, str | None]:
    crew = Crew(settings, 1)
    try:
        return crew.identity()
    finally:
        crew.close()


def test_the_class_in_a_pipeline_of_ones_own(
    cluster: Any, photos: Path, colours: Path, tmp_path: Path
) -> None:
    import pyarrow.parquet as pq
    import ray

    from wasmlrun.ray import Classify

    options = {"model": str(colours), "labels": str(colours.parent / "colours.txt")}
    names = [str(photos / f"{number}.png") for number in range(100, 140)]
    data = ray.data.read_binary_files(names, include_paths=True).map_batches(
        Classify,
        fn_constructor_kwargs=options,
        compute=ray.data.ActorPoolStrategy(size=1),
        num_cpus=1,
        batch_size=16,
        batch_format="pyarrow",
    )
    data.write_parquet(str(tmp_path / "rows"))
    table = pq.read_table(tmp_path / "rows").sort_by("path")
    assert table.column("path").to_pylist() == names
    wanted = [("red", "green", "blue")[number % 3] for number in range(100, 140)]
    assert table.column("label").to_pylist() == wanted
    assert "bytes" not in table.column_names


def test_an_option_that_there_is_not() -> None:
    from wasmlrun.ray import Classify

    with pytest.raises(TypeError, match="no option mdel"):
        Classify(mdel="x")
