"""A timestamp authority for tests: `openssl ts` behind a loopback HTTP server."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

CONFIG = """
[req]
distinguished_name = dn
[dn]
[ca]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[leaf]
extendedKeyUsage = critical, timeStamping
keyUsage = critical, digitalSignature
[tsa]
default_tsa = one
[one]
serial = {folder}/serial
signer_cert = {folder}/leaf.pem
{certs}signer_key = {folder}/leaf.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
crypto_device = builtin
ess_cert_id_alg = sha256
"""


def openssl(*words: str | Path) -> bytes:
    return subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=60).stdout


def make_authority(folder: Path, *, loose: bool = False) -> Path:
    """Keys and certificates of an authority; its root certificate. `loose`: its tokens hold certificates out of DER's order."""
    certs = f"certs = {folder}/root.pem\n" if loose else ""
    (folder / "conf").write_text(CONFIG.format(folder=folder, certs=certs))
    (folder / "serial").write_text("01\n")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", folder / "conf")
    openssl("req", "-x509", *curve, "-days", "3650", "-subj", "/CN=Root", "-extensions", "ca", "-keyout",
            folder / "root.key", "-out", folder / "root.pem")  # fmt: skip
    openssl("req", "-new", *curve, "-subj", "/CN=Stamps", "-keyout", folder / "leaf.key", "-out", folder / "leaf.csr")
    openssl("x509", "-req", "-in", folder / "leaf.csr", "-CA", folder / "root.pem", "-CAkey", folder / "root.key",
            "-CAcreateserial", "-days", "3650", "-extfile", folder / "conf", "-extensions", "leaf", "-out",
            folder / "leaf.pem")  # fmt: skip
    return folder / "root.pem"


@contextmanager
def serving(folder: Path, spoil: str = "") -> Iterator[str]:
    """Serve the authority; its URL. `spoil`: "status", "large", "nonsense" or "other" answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"]))
            (folder / "asked").write_bytes(asked)
            if spoil == "other":
                (folder / "data").write_bytes(b"something else")
                openssl("ts", "-query", "-data", folder / "data", "-sha256", "-cert", "-out", folder / "asked")
            openssl(
                "ts", "-reply", "-config", folder / "conf", "-queryfile", folder / "asked", "-out", folder / "reply"
            )
            body = {"large": b"\0" * (1 << 20), "nonsense": b"\x30\x03\x02\x01\x02"}.get(spoil)
            self.send_response(500 if spoil == "status" else 200)
            self.end_headers()
            self.wfile.write(body or (folder / "reply").read_bytes())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/tsa"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
