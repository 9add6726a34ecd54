"""From file names to routes, as Wasm Workers Server has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from wasmlrun.serve.assets import find_asset
from wasmlrun.serve.site_routes import Routes, find_routes, normalized_prefix

FILES = (
    "index.js", "about.py", "users/index.rb", "users/[id].js", "users/[id]/posts.wasm",
    "users/me.js", "docs/[...page].js", "[...all].js", "files/v[number].js", "_lib/index.js",
    "_draft.js", "public/index.js", "users/public/x.js", ".wws/x.js", "notes.txt",
    "docs/a/[...rest].js",
)  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def found(routes: Routes, path: str) -> tuple[str, dict[str, str]] | None:
    route = routes.find(path)
    return None if route is None else (route[0].path, dict(route[1]))


def test_hidden_names_hold_no_workers(site: Path) -> None:
    assert {route.path for route in find_routes(site).routes} == {
        "/", "/about", "/users", "/users/[id]", "/users/[id]/posts", "/users/me",
        "/docs/[...page]", "/docs/a/[...rest]", "/[...all]", "/files/v[number]",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "gone"),
    [
        ("about.py", {"/about"}),
        ("*.py", {"/about"}),
        ("**/*.wasm", {"/users/[id]/posts"}),
        ("users/**", {"/users", "/users/[id]", "/users/[id]/posts", "/users/me"}),
        ("users/*", {"/users", "/users/[id]", "/users/me"}),
        ("users/?e.js", {"/users/me"}),
        ("**/[id].js", {"/users/[id]"}),
        ("users", set()),
        ("(", set()),
        ("**", None),
    ],
)
def test_what_is_ignored_is_no_worker(site: Path, pattern: str, gone: set[str] | None) -> None:
    everything = {route.path for route in find_routes(site).routes}
    left = {route.path for route in find_routes(site, ignore=[pattern]).routes}
    assert everything - left == (everything if gone is None else gone)
    assert left == {route.path for route in find_routes(site, ignore=["nothing", pattern]).routes}


@pytest.mark.parametrize(
    ("path", "route", "parameters"),
    [
        ("/", "/", {}),
        ("/about", "/about", {}),
        ("/users", "/users", {}),
        ("/users/me", "/users/me", {}),
        ("/users/7", "/users/[id]", {"id": "7"}),
        ("/users/a%20b", "/users/[id]", {"id": "a b"}),
        ("/users/7/posts", "/users/[id]/posts", {"id": "7"}),
        ("/docs/x/y", "/docs/[...page]", {"page": "x/y"}),
        ("/docs/a/y", "/docs/a/[...rest]", {"rest": "y"}),
        ("/files/w12", "/[...all]", {"all": "files/w12"}),
        ("/other/thing", "/[...all]", {"all": "other/thing"}),
    ],
)
def test_static_before_dynamic_before_tail(
    site: Path, path: str, route: str, parameters: dict[str, str]
) -> None:
    assert found(find_routes(site), path) == (route, parameters)


def test_a_path_that_nobody_answers(tmp_path: Path) -> None:
    (tmp_path / "a.js").touch()
    assert found(find_routes(tmp_path), "/b") is None
    assert found(find_routes(tmp_path), "/a/b") is None


@pytest.mark.parametrize("prefix", ["app", "/app", "app/", "/app/", "\\app"])
def test_a_prefix_stands_before_every_route(site: Path, prefix: str) -> None:
    routes = find_routes(site, prefix)
    assert found(routes, "/app/users/7") == ("/app/users/[id]", {"id": "7"})
    assert found(routes, "/app") == ("/app", {})
    assert found(routes, "/users/7") is None
    assert normalized_prefix("") == normalized_prefix("/") == ""


@pytest.fixture
def public(tmp_path: Path) -> Path:
    folder = tmp_path / "public"
    (folder / "deep").mkdir(parents=True)
    for name in ("index.html", "deep/index.html", "a.css"):
        (folder / name).write_text(name)
    (tmp_path / "secret").write_text("no asset")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "loop").symlink_to("loop")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("/", "index.html"), ("/deep", "deep/index.html"), ("/deep/", "deep/index.html"),
        ("/a.css", "a.css"), ("//a.css", "a.css"), ("/../a.css", "a.css"),
        ("/deep/../a.css", None), ("/../secret", None), ("/link", None), ("/loop", None),
        ("/a\0.css", None), ("/..\\secret", None), ("/" + "x" * 5000, None), ("/none", None),
    ],
)  # fmt: skip
def test_assets_are_files_of_public_only(public: Path, path: str, file: str | None) -> None:
    wanted = public / "public" / file if file else None
    assert find_asset(public, path) == wanted
