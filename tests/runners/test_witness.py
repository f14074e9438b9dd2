"""Each checkpoint goes once to each destination, in order; what fails comes again; a witness file that was cut is noticed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from inquiry.test_caseexposure import home_of
from watchbill.core.errors import LedgerError, SettingsError, SourceError
from watchbill.ledger.prove import checkpoint_note, checkpoint_sizes
from watchbill.ledger.sealing import seal
from watchbill.ledger.witnessed import check_against, notes_in
from watchbill.runners.witness import Witnessing, WitnessSettings, publish


@contextmanager
def taking(codes: list[int], got: list[bytes]) -> Iterator[str]:
    """An address that answers with these codes, then 204, and keeps what it took."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            code = codes.pop(0) if codes else 204
            if code < 300:
                got.append(body)
            self.send_response(code)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/log"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    place: Path = home_of(tmp_path / "home")
    for upto in (50, 100):
        seal(place, upto=upto, final=True)
    return place


def test_every_checkpoint_goes_to_the_file_once(home: Path, tmp_path: Path) -> None:
    file, sizes = tmp_path / "witness.txt", checkpoint_sizes(home)
    assert publish(home, file=file).file == sizes
    assert publish(home, file=file).file == []
    seal(home, final=True)
    newest = checkpoint_sizes(home)
    assert publish(home, file=file).file == [size for size in newest if size not in sizes]
    assert notes_in(file.read_bytes()) == [checkpoint_note(home, size)[1] for size in newest]
    assert check_against(home, file.read_bytes()).ok


def test_a_witness_file_that_was_cut_is_noticed(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "witness.txt"
    publish(home, file=file)
    seal(home, final=True)
    file.write_bytes(b"")
    with pytest.raises(LedgerError):
        publish(home, file=file)


def test_an_address_gets_each_once_and_failures_again(home: Path) -> None:
    got: list[bytes] = []
    sizes = checkpoint_sizes(home)
    with taking([204, 500], got) as url:
        with pytest.raises(SourceError):
            publish(home, url=url)
        assert publish(home, url=url).url == sizes[1:]
        assert publish(home, url=url).url == []
    assert got == [checkpoint_note(home, size)[1] for size in sizes]


@pytest.mark.parametrize("url", ["http://example.com/", "ftp://x", "nonsense", "http://[::1"])
def test_only_https_or_loopback(home: Path, url: str) -> None:
    with pytest.raises(SettingsError):
        publish(home, url=url)
    with pytest.raises(SettingsError):
        publish(home)


def test_beside_a_running_engine_everything_goes_out_and_failures_are_said_once(home: Path, tmp_path: Path) -> None:
    said: list[str] = []
    got: list[bytes] = []
    with taking([500, 500], got) as url:
        settings = WitnessSettings(file=str(tmp_path / "w.txt"), url=url, every_seconds=1)
        witness = Witnessing(home, settings, said.append)
        witness.once()
        witness.once()
        assert len(said) == 1
        assert not got
        witness.start()
        seal(home, final=True)
        witness.finish()
    sizes = checkpoint_sizes(home)
    assert got == [checkpoint_note(home, size)[1] for size in sizes]
    assert notes_in((tmp_path / "w.txt").read_bytes()) == got
    idle = Witnessing(home, WitnessSettings(), said.append)
    idle.start()
    idle.finish()
    assert len(said) == 1
