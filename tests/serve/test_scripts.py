"""Scripts of a site in each language: one store, their variables and folders, the network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from kit.outcome import OUTSIDE
from kit.served import Served

CI = bool(os.environ.get("CI"))
SCRIPTS = {
    "js/index.js": """
        addEventListener("fetch", (event) => {
          const count = Number(Cache.get("count") ?? 0) + 1;
          Cache.set("count", String(count));
          event.respondWith(new Response(`${GREETING} ${count} ${event.request.params.id}`));
        });""",
    "py/[id].py": """
import os
def worker(request):
    Cache.set("count", int(Cache.get("count") or 0) + 1)
    note = open("/notes/note").read()
    open("/notes/written", "w").write("by python")
    return Response(f"{os.environ['GREETING']} {Cache.get('count')} {request.params['id']} {note}")
""",
    "rb/[id].rb": """
def worker(request)
  Cache.set("count", Cache.get("count").to_i + 1)
  words = [ENV["GREETING"], Cache.get("count"), request.params["id"], File.read("/notes/note")]
  Response.new(words.join(" "))
end
""",
    "fetch/index.js": """
        export default { async fetch(request) {
          try {
            return new Response(await (await fetch(TARGET)).text());
          } catch (error) {
            return new Response(String(error), { status: 502 });
          }
        } };""",
}
TOML = """version = "1"
[vars]
GREETING = "hello"
[data.kv]
namespace = "counted"
"""
NOTES = '[[folders]]\nfrom = "../notes"\nto = "/notes"\n'


class Afar(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"from afar")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def afar() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Afar) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, afar: int) -> Path:
    folder = tmp_path_factory.mktemp("scripts")
    for name, text in SCRIPTS.items():
        path = folder / name
        path.parent.mkdir()
        path.write_text(text, encoding="utf-8")
        notes = NOTES if path.suffix in (".py", ".rb") else ""
        path.with_suffix(".toml").write_text(TOML + notes)
    (folder / "fetch" / "index.toml").write_text(
        f'version = "1"\n[vars]\nTARGET = "http://localhost:{afar}/"\n'
        '[features.http_requests]\nallowed_hosts = ["localhost"]\nallow_http = true\n'
    )
    (folder / "notes").mkdir()
    (folder / "notes" / "note").write_text("a note")
    return folder


def prepared() -> None:
    command = [sys.executable, "-m", "wasmlrun", "runtimes"]
    if CI:
        subprocess.run(
            [*command, "install", "javascript", "python", "ruby"], env=OUTSIDE, check=True
        )
    listed = subprocess.run(
        [*command, "list", "--json"], env=OUTSIDE, capture_output=True, check=True
    )
    if not all(json.loads(line)["ready"] for line in listed.stdout.splitlines()):
        pytest.skip("the interpreters are not prepared (in CI they are installed)")


def test_three_languages_share_a_store(site: Path) -> None:
    prepared()
    with Served(site, "--processes", "2", env=OUTSIDE, cwd=site) as server:
        assert server.get("/js").body == b"hello 1 undefined"
        assert server.get("/py/7").body == b"hello 2 7 a note"
        assert server.get("/rb/8").body == b"hello 3 8 a note"
        assert server.get("/js").body == b"hello 4 undefined"
        assert (site / "notes" / "written").read_text() == "by python"
        refused = server.get("/fetch")
        assert refused.status == 502
        assert b"which is no address of the public network" in refused.body
    with Served(site, "--allow-private", "localhost", env=OUTSIDE, cwd=site) as server:
        assert server.get("/fetch").body == b"from afar"
