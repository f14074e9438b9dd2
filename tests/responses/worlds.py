"""The other side of each kind of action, over loopback: it speaks the real protocol and believes what it is told."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from standardwebhooks import Webhook

from watchbill.responses.caep import ACCOUNT_DISABLED, ACCOUNT_ENABLED, SESSION_REVOKED
from watchbill.responses.setkeys import SetKeys

SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="  # made up
SCRIPT = """
import json, os, pathlib, signal, sys
here = pathlib.Path(sys.argv[1])
told = sys.stdin.read()
with (here / "log").open("a") as log:
    log.write(json.dumps(json.loads(told)) + "\\n")
if (here / "kill").exists():
    (here / "kill").unlink()
    os.kill(os.getppid(), signal.SIGKILL)
sys.exit(1 if (here / "fail").exists() else 0)
"""


class Server:
    """An HTTP server on a free port of loopback; `answer(path, headers, body)` gives status, headers, body."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.status, self.headers, self.body = 200, dict[str, str](), b"{}"
        self.on_next: Callable[[], None] | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                outer.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                hook, outer.on_next = outer.on_next, None
                if hook is not None:
                    hook()
                try:
                    self.send_response(outer.status)
                    for name, value in outer.headers.items():
                        self.send_header(name, value)
                    self.send_header("content-length", str(len(outer.body)))
                    self.end_headers()
                    self.wfile.write(outer.body)
                except OSError:
                    self.close_connection = True  # the sender was killed

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class World:
    """One other side. `contained()`: whom it holds contained; `ids()`: each delivery's id, in order, repeats included."""

    kind = ""
    personal = True  # whether it can be told without the account

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder, self.home = folder, home
        folder.mkdir(parents=True, exist_ok=True)
        self.server = Server()

    def table(self) -> dict[str, Any]:
        raise NotImplementedError

    def fail(self, yes: bool) -> None:
        self.server.status = 503 if yes else 200

    def on_next(self, hook: Callable[[], None]) -> None:
        self.server.on_next = hook

    def raw(self) -> list[bytes]:
        return [body for _, _, body in self.server.requests]

    def ids(self) -> list[str]:
        raise NotImplementedError

    def contained(self) -> set[str]:
        raise NotImplementedError

    def close(self) -> None:
        self.server.close()


class WebhookWorld(World):
    kind = "webhook"

    def table(self) -> dict[str, Any]:
        return {"url": f"http://{self.server.host}/hook", "secret": SECRET}

    def ids(self) -> list[str]:
        return [headers["webhook-id"] for _, headers, _ in self.server.requests]

    def contained(self) -> set[str]:
        held: dict[str, str] = {}
        for _, headers, body in self.server.requests:
            event = Webhook(SECRET).verify(body, headers)  # the library of the standard, not ours
            assert event["id"] == headers["webhook-id"]
            if event["type"].endswith("undone"):
                held.pop(event["data"]["undoes"], None)
            else:
                held[event["id"]] = event["data"]["account"]
        return set(held.values())


class CommandWorld(World):
    kind = "command"

    def table(self) -> dict[str, Any]:
        script = self.folder / "act.py"
        script.write_text(SCRIPT)
        return {"argv": [sys.executable, str(script), str(self.folder)]}

    def fail(self, yes: bool) -> None:
        if yes:
            (self.folder / "fail").touch()
        else:
            (self.folder / "fail").unlink()

    def on_next(self, hook: Callable[[], None]) -> None:  # noqa: ARG002 - the program kills by itself
        (self.folder / "kill").touch()

    def raw(self) -> list[bytes]:
        log = self.folder / "log"
        return log.read_bytes().splitlines() if log.exists() else []

    def ids(self) -> list[str]:
        return [json.loads(line)["id"] for line in self.raw()]

    def contained(self) -> set[str]:
        held: dict[str, str] = {}
        for line in self.raw():
            event = json.loads(line)
            if event["type"].endswith("undone"):
                held.pop(event["data"]["undoes"], None)
            else:
                held[event["id"]] = event["data"]["account"]
        return set(held.values())


class NotifyWorld(World):
    kind = "notify"

    def table(self) -> dict[str, Any]:
        return {"urls": [f"json://{self.server.host}/"], "account": True}

    def messages(self) -> list[dict[str, str]]:
        return [json.loads(body) for body in self.raw()]

    def ids(self) -> list[str]:
        return [told["message"].rpartition("id: ")[2].strip() for told in self.messages()]

    def contained(self) -> set[str]:
        held: set[str] = set()
        for told in self.messages():
            who = next(line.partition(": ")[2] for line in told["message"].splitlines() if line.startswith("account"))
            if "Step ended" in told["title"]:
                held.discard(who)
            else:
                held.add(who)
        return held


class CaepWorld(World):
    kind = "caep"
    personal = False  # an identity provider has to know whose account it is

    def table(self) -> dict[str, Any]:
        return {
            "issuer": "https://watch.example.com", "audience": "idp", "stream": "given",
            "push_urls": [f"http://{self.server.host}/events"], "subject_format": "email", "subject": "{account}@example.com",
        }  # fmt: skip

    def fail(self, yes: bool) -> None:
        self.server.status = 503 if yes else 202

    def sets(self) -> list[dict[str, Any]]:
        out = []
        for _, headers, body in self.server.requests:
            keys = jwt.PyJWKSet.from_dict(SetKeys(self.home).jwks())
            assert headers["content-type"] == "application/secevent+jwt"
            header = jwt.get_unverified_header(body.decode())
            assert header["typ"] == "secevent+jwt"
            out.append(jwt.decode(body, keys[header["kid"]].key, algorithms=["RS256"], audience="idp"))
        return out

    def ids(self) -> list[str]:
        return [told["jti"] for told in self.sets()]

    def contained(self) -> set[str]:
        held: set[str] = set()
        for told in self.sets():
            assert "sub" not in told
            assert "exp" not in told
            (event,) = told["events"]
            who = told["sub_id"]["email"].partition("@")[0]
            if event == ACCOUNT_ENABLED:
                held.discard(who)
            else:
                assert event in (ACCOUNT_DISABLED, SESSION_REVOKED)
                held.add(who)
        return held


WORLDS: dict[str, type[World]] = {one.kind: one for one in (WebhookWorld, CommandWorld, NotifyWorld, CaepWorld)}


@contextmanager
def world_of(kind: str, folder: Path, home: Path) -> Iterator[World]:
    """The other side of a kind, closed at the end."""
    world = WORLDS[kind](folder, home)
    if kind == "caep":
        world.fail(yes=False)
    try:
        yield world
    finally:
        world.close()
