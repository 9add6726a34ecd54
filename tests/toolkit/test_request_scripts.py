"""Scripts that answer requests, as Wasm Workers Server's kits have them, in each language."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from kit.outcome import OUTSIDE

CI = bool(os.environ.get("CI"))
LANGUAGES = {"javascript": ".js", "python": ".py", "ruby": ".rb"}
REQUEST = {
    "url": "http://localhost:8080/a/b?x=1",
    "method": "POST",
    "headers": {"host": "localhost:8080", "accept": "text/plain"},
    "body": "ä body",
    "kv": {"counter": "3"},
    "params": {"id": "7"},
}

Done = subprocess.CompletedProcess[bytes]


def command(*words: str | Path, stdin: bytes = b"") -> Done:
    return subprocess.run(
        [sys.executable, "-m", "wasmlrun", *map(str, words)],
        env=OUTSIDE,
        input=stdin,
        capture_output=True,
        timeout=600,
        check=False,
    )


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    prepare(name)
    return name


def prepare(name: str) -> None:
    if CI:
        assert command("runtimes", "install", name).returncode == 0
    rows = map(json.loads, command("runtimes", "list", "--json").stdout.splitlines())
    if not any(row["name"] == name and row["ready"] for row in rows):
        pytest.skip(f"the interpreter of {name} is not prepared (in CI it is installed)")


def answered(
    folder: Path, language: str, text: str, request: Mapping[str, Any] = REQUEST, toml: str = ""
) -> dict[str, Any]:
    done = ran(folder, language, text, json.dumps(request).encode(), toml)
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def ran(folder: Path, language: str, text: str, stdin: bytes, toml: str = "") -> Done:
    script = folder / f"worker{LANGUAGES[language]}"
    script.write_text(text, encoding="utf-8")
    if toml:
        script.with_suffix(".toml").write_text(f'version = "1"\n{toml}')
    return command("run", script, stdin=stdin)


ECHO = {
    "javascript": """
        addEventListener("fetch", (event) => {
          const { request } = event;
          console.log("to stderr");
          const response = new Response([request.method, request.url, request.body,
            request.headers.get("Accept"), request.params.id].join("|"), { status: 201 });
          response.headers.set("x-made-by", "js");
          Cache.set("counter", String(Number(Cache.get("counter")) + 1));
          event.respondWith(response);
        });""",
    "python": """
def worker(request):
    print("to stderr")
    response = Response("|".join([request.method, request.url, request.body,
                                  request.headers["accept"], request.params["id"]]))
    response.status_code = 201
    response.headers["x-made-by"] = "py"
    Cache.set("counter", int(Cache.get("counter")) + 1)
    return response
""",
    "ruby": """
def worker(request)
  puts "to stderr"
  response = Response.new([request.method, request.url, request.body,
                           request.headers["accept"], request.params["id"]].join("|"), 201)
  response.headers["x-made-by"] = "rb"
  Cache.set("counter", Cache.get("counter").to_i + 1)
  response
end
""",
}


def test_the_whole_request_arrives_and_the_whole_response_leaves(
    language: str, tmp_path: Path
) -> None:
    assert answered(tmp_path, language, ECHO[language]) == {
        "data": "POST|http://localhost:8080/a/b?x=1|ä body|text/plain|7",
        "headers": {"x-made-by": LANGUAGES[language][1:]},
        "status": 201,
        "kv": {"counter": "4"},
        "base64": False,
    }


BINARY = {
    "javascript": "addEventListener('fetch', e => e.respondWith("
    "new Response(new Uint8Array([0, 255, 1, 254, 2]))));",
    "python": "def worker(request):\n    return Response(bytes([0, 255, 1, 254, 2]))\n",
    "ruby": "def worker(request)\n  Response.new([0, 255, 1, 254, 2].pack('C*'))\nend\n",
}


def test_bytes_are_an_answer_too(language: str, tmp_path: Path) -> None:
    found = answered(tmp_path, language, BINARY[language])
    assert found["base64"] is True
    assert base64.b64decode(found["data"]) == bytes([0, 255, 1, 254, 2])


VARIABLE = {
    "javascript": "addEventListener('fetch', e => e.respondWith(new Response(MESSAGE)));",
    "python": "import os\ndef worker(request):\n    return Response(os.environ['MESSAGE'])\n",
    "ruby": "def worker(request)\n  Response.new(ENV.fetch('MESSAGE'))\nend\n",
}


def test_variables_of_the_manifest(language: str, tmp_path: Path) -> None:
    toml = '[vars]\nMESSAGE = "Hello 👋"\n'
    assert answered(tmp_path, language, VARIABLE[language], toml=toml)["data"] == "Hello 👋"


FAULTY = {
    "javascript": "addEventListener('fetch', e => e.respondWith(nowhere()));",
    "python": "def worker(request):\n    return nowhere()\n",
    "ruby": "def worker(request)\n  nowhere()\nend\n",
}


def test_an_error_is_told_on_stderr_with_its_place(language: str, tmp_path: Path) -> None:
    done = ran(tmp_path, language, FAULTY[language], json.dumps(REQUEST).encode())
    assert done.returncode != 0
    assert done.stdout == b""
    told = done.stderr.decode()
    assert "nowhere" in told
    assert f"worker{LANGUAGES[language]}" in told


@pytest.mark.parametrize("stdin", [b"", b"no request", b'{"url": 1}'])
def test_without_a_request_there_is_a_sentence(language: str, tmp_path: Path, stdin: bytes) -> None:
    done = ran(tmp_path, language, ECHO[language], stdin)
    assert done.returncode != 0
    assert b"this script answers requests" in done.stderr


WITH_NN = {
    "javascript": "import { Graph } from 'wasi_nn'; export default { fetch() {"
    " Graph.loadByName('x'); } };",
    "python": "import wasi_nn\ndef worker(request):\n    wasi_nn.Graph.load_by_name('x')\n",
    "ruby": "def worker(request)\n  WasiNN::Graph.load_by_name('x')\nend\n",
}


def test_wasi_nn_that_is_not_granted_is_refused_when_it_is_called(
    language: str, tmp_path: Path
) -> None:
    stdin, toml = json.dumps(REQUEST).encode(), "[vars]\n"
    done = ran(tmp_path, language, WITH_NN[language], stdin, toml)
    assert done.returncode == 3
    assert b"uses WASI-NN" in done.stderr
    assert ran(tmp_path, language, ECHO[language], stdin, toml).returncode == 0


def javascript(folder: Path, body: str) -> Any:
    """The value of an expression that may be waited for."""
    prepare("javascript")
    text = f"export default {{ async fetch(request) {{ return Response.json({body}); }} }};"
    return json.loads(answered(folder, "javascript", text)["data"])


def test_a_modules_default_export_answers(tmp_path: Path) -> None:
    prepare("javascript")
    for text in (
        "export default { async fetch(request) { return new Response(request.method); } };",
        "export default (request) => new Response(request.method);",
        "const app = { fetch: (r) => new Response(r.method) }; export { app as default };",
    ):
        assert answered(tmp_path, "javascript", text)["data"] == "POST"


def test_a_script_that_is_no_module_may_be_sloppy(tmp_path: Path) -> None:
    prepare("javascript")
    text = (
        "undeclared = 5; addEventListener('fetch', e => e.respondWith(new Response(undeclared)));"
    )
    assert answered(tmp_path, "javascript", text)["data"] == "5"


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (
            "new URL('../c?q=ü#h', 'HTTP://Example.com:80/a/b/d').href",
            "http://example.com/a/c?q=%C3%BC#h",
        ),
        ("new URL('https://u:p@h:8443/?a=1&a=2').searchParams.getAll('a')", ["1", "2"]),
        ("URL.canParse('no address')", False),
        ("new URL('http://[::1]:8080/x').host", "[::1]:8080"),
        (
            "(() => { const u = new URL('http://h/'); u.searchParams.set('k', 'a b&c'); return u.href; })()",  # noqa: E501
            "http://h/?k=a+b%26c",
        ),
        ("new URLSearchParams({ a: '1 2', b: 'ä' }).toString()", "a=1+2&b=%C3%A4"),
        ("new URLSearchParams('?a=1%202&b=+&c').get('b')", " "),
        ("[...new Headers({ 'X-A': '1', 'x-a': '2' })]", [["x-a", "1, 2"]]),
        ("new Headers([['A', '1']]).get('missing')", None),
        ("new TextDecoder().decode(new TextEncoder().encode('ä👋'))", "ä👋"),
        ("btoa('\\x00ÿa')", "AP9h"),
        ("atob('AP9h').charCodeAt(1)", 255),
        ("await new Response('{\"a\": [1]}').json()", {"a": [1]}),
        ("[...new Uint8Array(await new Response('ab').arrayBuffer())]", [97, 98]),
        ("await request.text()", "ä body"),
        ("Response.redirect('https://e.org', 301).headers.get('location')", "https://e.org"),
        ("new Response('', { status: 204 }).ok", True),
    ],
)
def test_what_the_fetch_api_names(tmp_path: Path, expression: str, value: object) -> None:
    assert javascript(tmp_path, expression) == value


def test_several_cookies_stay_several(tmp_path: Path) -> None:
    prepare("javascript")
    text = """export default () => {
      const response = new Response("");
      response.headers.append("Set-Cookie", "a=1");
      response.headers.append("Set-Cookie", "b=2");
      return response;
    };"""
    assert answered(tmp_path, "javascript", text)["headers"] == {"Set-Cookie": ["a=1", "b=2"]}


def test_a_promise_that_nothing_settles_is_told(tmp_path: Path) -> None:
    prepare("javascript")
    done = ran(
        tmp_path,
        "javascript",
        "export default () => new Promise(() => {});",
        json.dumps(REQUEST).encode(),
    )
    assert done.returncode == 1
    assert b"waits for a promise that nothing will settle" in done.stderr


def test_python_imports_from_folders_that_are_mounted(tmp_path: Path) -> None:
    prepare("python")
    (tmp_path / "_libs").mkdir()
    (tmp_path / "_libs" / "mine.py").write_text("import html\nNAME = html.escape('<b>')\n")
    toml = '[vars]\nPYTHONPATH = "/libs"\n[[folders]]\nfrom = "_libs"\nto = "/libs"\n'
    text = "import mine\ndef worker(request):\n    return Response(mine.NAME)\n"
    assert answered(tmp_path, "python", text, toml=toml)["data"] == "&lt;b&gt;"


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (
            'JSON.parse(%q({"a": [1, -2.5e3, true, null, "x\\\\n\\\\u00e4\\\\ud83d\\\\ude00"]}))',
            {"a": [1, -2500.0, True, None, "x\nä😀"]},
        ),
        ('JSON.parse(\'{"a": {"b": []}}\', symbolize_names: true)[:a][:b]', []),
        (
            "{ a: 1, 'b' => [nil, 1.5, %q(say \"hi\"\\n)] }",
            {"a": 1, "b": [None, 1.5, 'say "hi"\\n']},
        ),
        ("Base64.decode64(Base64.strict_encode64('abc'))", "abc"),
        (
            "begin; JSON.parse('[1, 2'); rescue JSON::ParserError => e; e.message; end",
            "unexpected text at byte 5",
        ),
        (
            "begin; JSON.parse('[' * 1000); rescue JSON::ParserError => e; e.message; end",
            "nesting of 101 is too deep",
        ),
        (
            "begin; require 'socket'; rescue LoadError => e; e.message; end",
            "cannot load such file -- socket",
        ),
        ("File.read('/d/x') + IO.read('/d/x', mode: 'rb')", "xx"),
    ],
)
def test_what_ruby_has(tmp_path: Path, expression: str, value: object) -> None:
    prepare("ruby")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x").write_text("x")
    toml = '[[folders]]\nfrom = "d"\nto = "/d"\n'
    text = f"require 'json'\ndef worker(req)\n  Response.new(({expression}).to_json)\nend\n"
    assert json.loads(answered(tmp_path, "ruby", text, toml=toml)["data"]) == value
