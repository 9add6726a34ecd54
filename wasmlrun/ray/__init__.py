"""wasmlrun on a Ray cluster: a class for Ray Data's pipelines, and `batch --engine ray`.

    import ray
    from wasmlrun.ray import Classify

    pictures = ray.data.read_binary_files("photos", include_paths=True)
    pictures.map_batches(Classify, fn_constructor_kwargs={"model": "mobilenet-v2"},
                         compute=ray.data.ActorPoolStrategy(size=8), num_cpus=1,
                         batch_size=32, batch_format="pyarrow").write_parquet("rows")

docs/batch.md describes both. Ray itself is imported by whoever calls it.
"""

from __future__ import annotations

from wasmlrun.ray.classify import Classify

__all__ = ["Classify"]
