"""RFC 3161 timestamps over signed checkpoints: an authority says that the checkpoint was there at its time, by its own clock.

Any authority that speaks RFC 3161 over HTTP will do. The token is kept as it came, in home/timestamps/<20 digits of the size>.tsr;
`openssl ts -verify` checks it against the authority's root.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from cryptography.x509 import load_pem_x509_certificates
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from watchbill.core.errors import SourceError
from watchbill.ledger import files
from watchbill.ledger.prove import checkpoint_note
from watchbill.ledger.verify_pack import imprint_of

if TYPE_CHECKING:
    from pathlib import Path

    from rfc3161_client import TimeStampResponse

FOLDER: Final = "timestamps"
RESPONSE_BYTES_MAX: Final = 128 << 10
SECONDS_MAX: Final = 30.0


@dataclass(frozen=True, slots=True)
class Stamp:
    """A timestamp: over the checkpoint of `size` records; `time` as the authority says it (UTC, RFC 3339).

    `trusted`: its signature was checked against roots that were given. `fresh`: it was fetched now, not before.
    """

    size: int
    time: str
    trusted: bool
    fresh: bool
    file: str


def stamp(home: Path, url: str, roots: Path | None = None, *, seconds: float = SECONDS_MAX) -> Stamp:
    """Have the newest checkpoint stamped, unless it is already.

    Args:
        home: the home.
        url: the authority, http or https (the token is signed, so plain http is usual).
        roots: PEM file of certificates to check the token's signature against; None: it is kept unchecked.
        seconds: how long to wait for the authority.

    Raises:
        NotFoundError: there is no checkpoint. SourceError: the authority cannot be reached, refuses, or stamps something else.
    """
    size, note = checkpoint_note(home)
    path = home / FOLDER / f"{size:020d}.tsr"
    if fresh := not path.exists():
        request = TimestampRequestBuilder().data(note).hash_algorithm(HashAlgorithm.SHA256).build()
        raw, nonce = ask(url, request.as_bytes(), seconds), request.nonce
    else:
        raw, nonce = path.read_bytes(), None
    time = _time_of(raw, note, nonce)
    trusted = roots is not None and _trusted(raw, note, roots)
    if fresh:
        files.make_directory(path.parent)
        files.write_atomic(path, raw)
    return Stamp(size, time, trusted, fresh, f"{FOLDER}/{path.name}")


def ask(url: str, request: bytes, seconds: float) -> bytes:
    """Post a request to an authority; its answer, of limited size.

    Raises:
        SourceError: it cannot be reached, or answers with something else.
    """
    try:
        known = urlsplit(url).scheme in {"http", "https"}
    except ValueError:
        known = False
    if not known:
        raise SourceError("is no http or https address", where="--tsa", todo="Give the authority's URL")
    kind = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
    asked = urllib.request.Request(url, data=request, headers=kind, method="POST")  # noqa: S310 the scheme was looked at
    try:
        with urllib.request.urlopen(asked, timeout=seconds) as answer:  # noqa: S310 same
            raw: bytes = answer.read(RESPONSE_BYTES_MAX + 1)
    except (urllib.error.URLError, OSError, ValueError) as error:
        why = getattr(error, "reason", None) or type(error).__name__
        raise SourceError(
            f"the timestamp authority did not answer ({why})", where="--tsa", todo="Try again, or another authority"
        ) from error
    if len(raw) > RESPONSE_BYTES_MAX:
        raise SourceError("the timestamp authority's answer is too large", where="--tsa", todo="Try another authority")
    return raw


def _time_of(raw: bytes, note: bytes, nonce: int | None) -> str:
    """When the authority stamped this note, as an answer to the request with this nonce (None: whichever).

    Raises:
        SourceError: it gave no timestamp, or stamped something else.
    """
    try:
        _, imprint, told = imprint_of(raw)
        time = datetime.strptime(told.partition(".")[0].rstrip("Z"), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except (ValueError, IndexError) as error:
        raise SourceError(
            "the timestamp authority gave no timestamp", where="--tsa", todo="Try again, or another authority"
        ) from error
    response = _decoded(raw)
    same = nonce is None or response is None or response.tst_info.nonce == nonce
    if imprint != sha256(note).digest() or not same:
        raise SourceError(
            "the timestamp authority stamped something else", where="--tsa", todo="Do not use this authority"
        )
    return time.isoformat().replace("+00:00", "Z")


def _decoded(raw: bytes) -> TimeStampResponse | None:
    """A token in strict DER; None where an authority sends its certificates out of order, as some do."""
    try:
        return decode_timestamp_response(raw)
    except ValueError:
        return None


def _trusted(raw: bytes, note: bytes, roots: Path) -> bool:
    """Check the token's signature against roots.

    Raises:
        SourceError: it does not fit.
    """
    response, builder = _decoded(raw), VerifierBuilder()
    if response is None:
        raise SourceError(
            "the token is in a loose form that is not checked here", where="--roots",
            todo="Leave --roots out, and check the kept token with openssl ts -verify",
        )  # fmt: skip
    try:
        for certificate in load_pem_x509_certificates(roots.read_bytes()):
            builder = builder.add_root_certificate(certificate)
        builder.build().verify_message(response, note)
    except (VerificationError, ValueError, OSError) as error:
        raise SourceError(
            f"the timestamp's signature cannot be trusted ({type(error).__name__})", where="--roots",
            todo="Give the authority's own root certificates (PEM)",
        ) from error  # fmt: skip
    return True
