"""Downloads: mirrors in turn, SHA-256 checked, cached. A local server plays the mirrors."""

from __future__ import annotations

import gzip
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lenet_export.errors import UserError
from lenet_train import data
from lenet_train.datasets import published
from lenet_train.datasets.idx_files import FILES


class Mirrors:
    """Folders of files behind one address; ``asked`` records what was asked for."""

    def __init__(self):
        self.files, self.asked = {}, []
        mirrors = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                mirrors.asked.append(self.path)
                content = mirrors.files.get(self.path)
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def publish(self, folder, files):
        for name, content in files.items():
            self.files[f"/{folder}/{name}.gz"] = content


@pytest.fixture
def mirrors():
    result = Mirrors()
    yield result
    result.server.shutdown()
    result.server.server_close()


@pytest.fixture
def packed(idx_folder):
    return {name: gzip.compress((idx_folder / name).read_bytes(), mtime=0) for name in FILES}


@pytest.fixture(autouse=True)
def source(mirrors, packed, monkeypatch, tmp_path):
    """``fashion-mnist`` is published by the mirrors ``first`` and ``second``."""
    monkeypatch.delenv("LENET_DATA", raising=False)
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "cache" / name)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in packed.items()}
    addresses = (f"{mirrors.address}/first/", f"{mirrors.address}/second/")
    monkeypatch.setitem(published.SOURCES, "fashion-mnist", published.Source(addresses, hashes, {}))


def test_files_are_fetched_once_and_then_taken_from_the_cache(mirrors, packed, capsys):
    mirrors.publish("first", packed)
    first = data.load("fashion-mnist")
    assert mirrors.asked == [f"/first/{name}.gz" for name in FILES]
    mirrors.asked.clear()
    assert data.load("fashion-mnist").sha256 == first.sha256
    assert mirrors.asked == []
    assert capsys.readouterr() == ("", "")


def test_the_next_mirror_is_asked_when_one_lacks_a_file_or_gives_a_wrong_one(mirrors, packed):
    mirrors.publish("second", packed)
    lacking, wrong, *rest = packed
    mirrors.publish("first", {name: packed[name] for name in rest} | {wrong: b"something else"})
    assert len(data.load("fashion-mnist").training.labels) == 102
    assert f"/second/{lacking}.gz" in mirrors.asked
    assert f"/second/{wrong}.gz" in mirrors.asked


def test_a_damaged_file_in_the_cache_is_fetched_again(mirrors, packed, tmp_path):
    mirrors.publish("first", packed)
    data.load("fashion-mnist")
    name = next(iter(packed))
    cached = tmp_path / "cache" / "lenet-export" / "fashion-mnist" / f"{name}.gz"
    cached.write_bytes(b"damaged")
    data.load("fashion-mnist")
    assert cached.read_bytes() == packed[name]


def test_what_each_mirror_failed_of_is_told_with_the_remedy(mirrors, packed, tmp_path):
    name = next(iter(packed))
    mirrors.publish("first", {name: b"something else"})
    with pytest.raises(UserError) as caught:
        data.load("fashion-mnist")
    assert caught.value.where == f"{name}.gz"
    assert "/first/ (wrong SHA-256)" in caught.value.what
    assert "/second/ (HTTPError)" in caught.value.what
    assert "LENET_DATA" in caught.value.remedy
    assert not list((tmp_path / "cache").rglob("*ubyte*"))


def test_without_network_the_failure_is_told(monkeypatch):
    hashes = published.SOURCES["fashion-mnist"].packed
    nowhere = published.Source(("http://127.0.0.1:9/",), hashes, {})
    monkeypatch.setitem(published.SOURCES, "fashion-mnist", nowhere)
    with pytest.raises(UserError, match="ConnectionError"):
        data.load("fashion-mnist")


def test_going_past_lenet_data_is_said(mirrors, packed, monkeypatch, tmp_path, capsys):
    mirrors.publish("first", packed)
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("LENET_DATA", str(tmp_path / "other"))
    data.load("fashion-mnist")
    assert "has no fashion-mnist" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_each_published_data_set_has_two_mirrors_and_four_hashes(name, monkeypatch):
    monkeypatch.undo()
    source = published.SOURCES[name]
    assert len(source.mirrors) >= 2
    assert set(source.packed) == set(FILES)
    assert all(len(sha256) == 64 for sha256 in source.packed.values())
