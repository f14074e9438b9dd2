"""The client against a server over loopback: that decides, is slow, is down, sheds load, or answers nonsense."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import gzip
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from client.pdp import RECORDS_TOKEN, TOKEN, Pdp, allow, running, serving
from watchbill.client.http import BlockingClient, HttpClient
from watchbill.client.settings import client_settings
from watchbill.responses.asks import Ask, Decided, closed
from watchbill.responses.masks import PLAIN
from watchbill.web.authzen import Question, answer

FIELDS = ("recipient.phone",)


ROOT = Path(__file__).parents[2]


def certified(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, secret = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, secret


def ask(request: str = "r1", account: str = "YT001", kind: str = "view") -> Ask:
    return Ask(request, account, kind, waybill="W1", subjects=("c1",), fields=FIELDS)


@pytest.fixture
def pdp() -> Iterator[Pdp]:
    with running(Pdp()) as server:
        yield server


def client(url: str, **given: Any) -> BlockingClient:
    return BlockingClient(client_settings(**{"url": url, "token": TOKEN, "timeout_seconds": 10.0, **given}))


def once(url: str, *asks: Ask, **given: Any) -> list[Decided]:
    one = client(url, **given)
    try:
        return one.decide(asks or (ask(),))
    finally:
        one.close()


def early(response: Callable[[], Response], seconds: float = 0.0, times: int = 1 << 30) -> Callable[[Request], Any]:
    """Answer with this instead, after so long, so many times."""
    left = [times]

    async def before(_request: Request) -> Response | None:
        if left[0] <= 0:
            return None
        left[0] -= 1
        await asyncio.sleep(seconds)
        return response()

    return before


def test_one_question_and_many_get_their_decisions_in_order(pdp: Pdp) -> None:
    pdp.decide = lambda one: allow(one) if one.account == "YT001" else Decided("d2", "deny", step="suspend", until=9)
    (single,) = once(pdp.url)
    assert (single.id, single.reveals) == ("d-r1", True)
    found = once(pdp.url, *(ask(f"r{n}", f"YT{n % 2:03d}") for n in range(250)))
    assert [one.decision for one in found] == ["deny", "allow"] * 125
    assert (found[0].step, found[0].until) == ("suspend", 9)
    assert len(pdp.requests) == 4  # one, and 250 in three parts
    assert once(pdp.url, *[]) != []
    assert pdp.asked[0] == ask()


def test_in_an_event_loop_too_and_in_one_after_another(pdp: Pdp) -> None:
    one = HttpClient(client_settings(url=pdp.url, token=TOKEN))

    async def twice() -> list[bool]:
        found = await asyncio.gather(*(one.decide([ask(f"r{n}")]) for n in range(2)))
        await one.aclose()
        return [decided.reveals for (decided,) in found]

    assert asyncio.run(twice()) == [True, True]
    assert asyncio.run(twice()) == [True, True]


@pytest.mark.parametrize(
    ("status", "attempts"), [(500, 2), (503, 2), (429, 2), (400, 1), (401, 1), (403, 1), (413, 1), (302, 1), (204, 1)]
)
def test_other_answers_than_200_reveal_nothing_and_only_outages_are_tried_again(
    pdp: Pdp, status: int, attempts: int
) -> None:
    pdp.before = early(lambda: JSONResponse({"decision": True}, status) if status != 204 else Response(status_code=204))
    (decided,) = once(pdp.url)
    assert (decided.decision, decided.why, decided.reveals) == ("mask", "unavailable", False)
    assert pdp.requests == ["r1"] * attempts  # the same request id: one look


def test_a_second_attempt_may_bring_the_answer(pdp: Pdp) -> None:
    pdp.before = early(lambda: PlainTextResponse("", 503), times=1)
    assert once(pdp.url)[0].reveals
    assert pdp.requests == ["r1", "r1"]


def test_a_late_answer_reveals_nothing_and_the_deadline_is_total(pdp: Pdp) -> None:
    pdp.before = early(lambda: JSONResponse(answer(Question(ask()), allow(ask())), headers={"X-Request-ID": "r1"}), 4.0)
    began = time.monotonic()
    assert not once(pdp.url, timeout_seconds=0.3)[0].reveals
    assert time.monotonic() - began < 3.0


def test_an_answer_that_drips_does_not_hold_the_caller(pdp: Pdp) -> None:
    async def drip() -> Any:
        for letter in json.dumps(answer(Question(ask()), allow(ask()))):
            yield letter.encode()
            await asyncio.sleep(0.05)

    pdp.before = early(lambda: StreamingResponse(drip(), media_type="application/json", headers={"X-Request-ID": "r1"}))
    began = time.monotonic()
    assert not once(pdp.url, timeout_seconds=0.3)[0].reveals
    assert time.monotonic() - began < 3.0


GOOD = json.dumps(answer(Question(ask()), allow(ask())))


@pytest.mark.parametrize(
    ("text", "kind", "request_id"),
    [
        (GOOD, "application/json", "another"), (GOOD, "application/json", None), (GOOD, "text/html", "r1"),
        (GOOD[:-1], "application/json", "r1"), ("", "application/json", "r1"), ("[]", "application/json", "r1"),
        (GOOD.replace("true", '"true"'), "application/json", "r1"), (" " * (5 << 20), "application/json", "r1"),
    ],
    ids=["another's", "nobody's", "a page", "cut", "empty", "a list", "a text for a boolean", "endless"],
)  # fmt: skip
def test_an_answer_that_cannot_be_read_reveals_nothing_even_where_a_few_looks_may(
    pdp: Pdp, tmp_path: Path, text: str, kind: str, request_id: str | None
) -> None:
    headers = {"Content-Type": kind} | ({"X-Request-ID": request_id} if request_id else {})
    pdp.before = early(lambda: Response(text, headers=headers))
    (decided,) = once(
        pdp.url,
        on_failure={"view": "few"},
        spool_folder=str(tmp_path / "s"),
        records_token=RECORDS_TOKEN,
        timeout_seconds=5,
    )
    assert (decided.decision, decided.reveals) == ("mask", False)
    assert not (tmp_path / "s").exists()


def raw(*parts: bytes, wait: float = 0.0) -> Callable[[socket.socket], None]:
    """A server that reads a request and sends just these bytes."""

    def serve(door: socket.socket) -> None:
        with door:
            while True:
                try:
                    line, _ = door.accept()
                except OSError:
                    return
                with line, contextlib.suppress(OSError):
                    line.recv(65536)
                    for part in parts:
                        line.sendall(part)
                    time.sleep(wait)

    return serve


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Request-ID: r1\r\n"
BODY = GOOD.encode()
LENGTH = b"Content-Length: %d\r\n\r\n"


@pytest.mark.parametrize(
    ("parts", "reveals"),
    [
        ((HEAD + LENGTH % len(BODY) + BODY,), True),
        ((), False), ((b"\x00\xff" * 100,), False), ((HEAD,), False), ((HEAD + LENGTH % (len(BODY) + 9) + BODY,), False),
        ((HEAD + LENGTH % (len(BODY) - 9) + BODY,), False), ((HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + BODY,), False),
        ((HEAD + b"X: " + b"y" * 300_000 + b"\r\n" + LENGTH % len(BODY) + BODY,), False),
        ((HEAD + b"Content-Encoding: gzip\r\n" + LENGTH % len(gzip.compress(BODY)) + gzip.compress(BODY),), False),
        ((HEAD.replace(b"200 OK", b"100 Continue") + b"\r\n",), False), ((b"SSH-2.0-x\r\n",), False),
    ],
    ids=["right", "nothing", "noise", "half a head", "too short", "too long", "broken chunks", "a huge head", "compressed", "only 100", "another protocol"],
)  # fmt: skip
def test_what_a_broken_server_sends_reveals_nothing_and_is_waited_for_no_longer(
    parts: tuple[bytes, ...], reveals: bool
) -> None:
    door = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=raw(*parts), args=(door,), daemon=True)
    thread.start()
    began = time.monotonic()
    assert once(f"http://127.0.0.1:{door.getsockname()[1]}", timeout_seconds=2)[0].reveals == reveals
    assert time.monotonic() - began < 4
    door.shutdown(socket.SHUT_RDWR)
    door.close()
    thread.join(5)


def test_the_same_body_is_read_when_all_is_well(pdp: Pdp) -> None:
    pdp.before = early(
        lambda: Response(GOOD, headers={"Content-Type": "application/json; charset=utf-8", "X-Request-ID": "r1"})
    )
    assert once(pdp.url)[0].reveals


def test_after_failures_it_leaves_a_server_alone_and_comes_back(pdp: Pdp) -> None:
    now = [0.0]
    pdp.before = early(lambda: PlainTextResponse("", 500))
    settings = client_settings(
        url=pdp.url, token=TOKEN, failures_to_open=2, open_seconds=3, attempts_max=1, timeout_seconds=10
    )
    one = BlockingClient(settings, clock=lambda: now[0])
    for _ in range(6):
        assert not one.decide([ask()])[0].reveals
    assert len(pdp.requests) == 2
    pdp.before = None
    now[0] = 2.9
    assert not one.decide([ask()])[0].reveals
    now[0] = 3.0
    assert one.decide([ask()])[0].reveals
    assert one.decide([ask()])[0].reveals
    one.close()


def test_it_comes_back_when_it_was_told_to(pdp: Pdp) -> None:
    now = [0.0]
    pdp.before = early(lambda: PlainTextResponse("", 429, headers={"Retry-After": "30"}))
    one = BlockingClient(client_settings(url=pdp.url, token=TOKEN, timeout_seconds=10), clock=lambda: now[0])
    assert not one.decide([ask()])[0].reveals
    pdp.before = None
    now[0] = 29.9
    assert not one.decide([ask()])[0].reveals
    assert pdp.requests == ["r1"]
    now[0] = 30.0
    assert one.decide([ask()])[0].reveals
    one.close()


def test_questions_at_once_are_bounded_and_the_rest_is_turned_away_at_once(pdp: Pdp) -> None:
    inside, most = [0], [0]

    async def count(_request: Request) -> None:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        await asyncio.sleep(0.1)
        inside[0] -= 1

    pdp.before = count
    one = HttpClient(client_settings(url=pdp.url, token=TOKEN, in_flight_max=3, waiting_max=3, timeout_seconds=5))

    async def many() -> list[list[Decided]]:
        answers = await asyncio.gather(*(one.decide([ask(f"r{n}")]) for n in range(20)))
        await one.aclose()
        return answers

    found = [decided.reveals for (decided,) in asyncio.run(many())]
    assert most[0] == 3
    assert sum(found) == 6


@pytest.mark.parametrize(("mode", "decision"), [("masked", "mask"), ("deny", "deny")])
def test_a_server_that_is_down_gets_the_answer_that_is_set_for_each_kind(mode: str, decision: str) -> None:
    with serving(Pdp().app()) as port:
        pass
    found = once(
        f"http://127.0.0.1:{port}", ask(), ask("r2", kind="export"), on_failure={"view": mode, "export": "deny"}
    )
    assert [one.decision for one in found] == [decision, "deny"]
    assert not any(one.reveals for one in found)


def few(url: str, folder: Path, **given: Any) -> BlockingClient:
    return client(
        url, on_failure={"view": "few"}, few_looks=2, spool_folder=str(folder), records_token=RECORDS_TOKEN,
        deliver_seconds=0.05, **given,
    )  # fmt: skip


def test_a_few_looks_in_an_outage_are_spooled_and_delivered_when_it_is_over(pdp: Pdp, tmp_path: Path) -> None:
    pdp.records_status = 503
    pdp.before = early(lambda: PlainTextResponse("", 503))
    one = few(pdp.url, tmp_path / "spool", failures_to_open=1, attempts_max=1)
    found = [one.decide([ask(f"r{n}", account)])[0] for account in ("YT001", "YT002") for n in range(3)]
    assert [decided.reveals for decided in found] == [True, True, False] * 2
    assert found[0].levels == {"recipient.phone": PLAIN}
    assert not pdp.records
    pdp.records_status = 202
    end = time.monotonic() + 5
    while len(pdp.records) < 4 and time.monotonic() < end:
        time.sleep(0.01)
    one.close()
    assert [record["account"] for record in sorted(pdp.records, key=lambda row: row["account"])] == ["YT001"] * 2 + [
        "YT002"
    ] * 2
    assert {record["id"] for record in pdp.records} == {decided.id for decided in found if decided.reveals}


def test_what_an_earlier_process_left_is_delivered_by_the_next(pdp: Pdp, tmp_path: Path) -> None:
    pdp.records_status = 503
    pdp.before = early(lambda: PlainTextResponse("", 503))
    one = few(pdp.url, tmp_path / "spool")
    assert one.decide([ask()])[0].reveals
    one.close()
    pdp.records_status, pdp.before = 202, None
    two = few(pdp.url, tmp_path / "spool")
    assert two.decide([ask("r2")])[0].id == "d-r2"
    end = time.monotonic() + 5
    while not pdp.records and time.monotonic() < end:
        time.sleep(0.01)
    two.close()
    assert [record["waybill"] for record in pdp.records] == ["W1"]


@pytest.mark.parametrize("why", ["unavailable", "late"])
def test_an_answer_of_a_server_that_cannot_write_or_is_slow_counts_as_none(pdp: Pdp, tmp_path: Path, why: str) -> None:
    pdp.decide = lambda one: closed(one, "d1", why)
    one = few(pdp.url, tmp_path / "spool")
    assert one.decide([ask()])[0].reveals
    one.close()
    assert once(pdp.url, on_failure={"view": "deny"})[0].decision == "deny"


def test_an_account_under_a_step_gets_nothing_plain_in_an_outage(pdp: Pdp, tmp_path: Path) -> None:
    pdp.decide = lambda one: Decided("d1", "mask", step="mask") if one.account == "bad" else allow(one)
    one = few(pdp.url, tmp_path / "spool")
    assert [one.decide([ask("r", who)])[0].decision for who in ("bad", "good")] == ["mask", "allow"]
    pdp.before = early(lambda: PlainTextResponse("", 503))
    assert [one.decide([ask("r", who)])[0].reveals for who in ("bad", "good")] == [False, True]
    one.close()


def test_an_answer_that_says_nothing_does_not_clear_an_account(pdp: Pdp, tmp_path: Path) -> None:
    answers = [Decided("d1", "mask", step="mask"), closed(ask(), "d2", "unavailable"), closed(ask(), "d3", "late")]
    pdp.decide = lambda _: answers.pop(0)
    one = few(pdp.url, tmp_path / "spool")
    assert [one.decide([ask(f"r{n}")])[0].reveals for n in range(3)] == [False, False, False]
    one.close()


def test_it_works_on_after_a_fork(pdp: Pdp) -> None:
    text = (
        "import os, sys\nfrom client.pdp import TOKEN\nfrom watchbill.client.http import BlockingClient\n"
        "from watchbill.client.settings import client_settings\nfrom watchbill.responses.asks import Ask\n"
        "one = BlockingClient(client_settings(url=sys.argv[1], token=TOKEN, timeout_seconds=5))\n"
        "ask = Ask('r', 'a', waybill='W', fields=('recipient.phone',))\n"
        "assert one.decide([ask])[0].reveals\n"
        "child = os.fork()\n"
        "good = one.decide([ask])[0].reveals\n"
        "if child == 0:\n    os._exit(0 if good else 1)\n"
        "sys.exit(0 if good and os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 else 1)\n"
    )
    path = os.pathsep.join(str(ROOT / name) for name in ("src", "tests"))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", text, pdp.url],
        env={**os.environ, "PYTHONPATH": path},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0


def test_a_certificate_of_ones_own_is_trusted_and_no_other(tmp_path: Path) -> None:
    certificate, key = certified(tmp_path)
    pdp = Pdp()
    with serving(pdp.app(), ssl_certfile=str(certificate), ssl_keyfile=str(key)) as port:
        url = f"https://localhost:{port}"
        assert once(url, ca_file=str(certificate), timeout_seconds=5)[0].reveals
        assert not once(url, timeout_seconds=5)[0].reveals


def test_threads_share_one_client(pdp: Pdp) -> None:
    one = client(pdp.url, timeout_seconds=5)
    found: list[str] = []

    def run(number: int) -> None:
        found.extend(one.decide([ask(f"t{number}-{n}")])[0].id for n in range(5))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one.close()
    assert sorted(found) == sorted(f"d-t{number}-{n}" for number in range(8) for n in range(5))


def test_a_question_that_cannot_be_asked_is_masked_without_asking(pdp: Pdp) -> None:
    (decided,) = once(pdp.url, Ask("r1", "a", waybill="W"))
    assert (decided.decision, pdp.requests) == ("mask", [])
