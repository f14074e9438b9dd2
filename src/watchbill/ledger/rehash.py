"""Hash the records of sealed segments again, from the bytes alone: the half of `verify` that takes time, in processes of its own.

Stands alone as `verify` does. Run as a program (`python rehash.py`) it reads one piece a line from standard input and answers
each with a line of JSON and the hashes; so it needs no package, and a core of its own hashes each piece.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from array import array
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from hashlib import blake2b, sha256
from pathlib import Path
from threading import local
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_EPOCH: Final = date(1970, 1, 1).toordinal()
_DAY_MS: Final = 86_400_000
_ROWS: Final = 16_384
_TILE: Final = 256
LEVELS: Final = 8
_GONE: Final = struct.Struct("<8sQQ")
_NONCES: Final = struct.Struct("<8sQ")
_ACCOUNTED: Final = ("wb.erase", "wb.retain")
_SPECIAL: Final = bytes(range(0x20)) + b'"\\'
_MUST_ESCAPE: Final = '[\\x00-\\x1f"\\\\]'


class Bad(Exception):
    """Something does not fit, from this seq on."""

    def __init__(self, seq: int, reason: str) -> None:
        super().__init__(reason)
        self.seq = seq
        self.reason = reason


def above(row: bytes) -> bytes:
    """The level above a row of an even number of hashes."""
    pairs = pa.Array.from_buffers(pa.binary(64), len(row) // 64, [None, pa.py_buffer(row)]).cast(pa.binary())
    nodes = pc.binary_join_element_wise(b"\x01", pairs, b"").to_pylist()
    return b"".join([sha256(node).digest() for node in nodes])


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a segment that one process reads: seqs first to last; `digests`: compare those of the files too."""

    home: Path
    segment: dict[str, Any]
    first: int
    last: int
    digests: bool


@dataclass(frozen=True, slots=True)
class Read:
    """What a piece came to: hashes up to the first whole tile, roots of whole tiles, hashes behind; and what was wrong."""

    part: Part
    head: bytes
    row: bytes
    tail: bytes
    fault: tuple[int, str] | None
    gone: int
    told: int


def read_part(part: Part) -> Read:
    """Hash the records of a piece again and compare them with their leaves."""
    pa.set_memory_pool(pa.system_memory_pool())
    first, count = part.first, part.last + 1 - part.first
    with (part.home / "tree" / "leaves").open("rb") as leaves:
        leaves.seek(32 * first)
        kept = leaves.read(32 * count)
    fault, hashes, gone, told = None, kept, 0, 0
    try:
        lost = _lost(part)
        table, told = _records(part, lost)
        gone = len(lost)
        hashes = _joined(part, lost, kept, _hashes(part, table))
        _compare(part, hashes, kept)
        if part.digests:
            _digests(part.home, part.segment)
    except Bad as bad:
        fault = (bad.seq, bad.reason)
    except (pa.ArrowException, OSError, ValueError, KeyError, struct.error) as error:
        fault = (first, f"a segment cannot be read ({type(error).__name__})")
    begin = min(-(-first // _TILE) * _TILE - first, count)
    end = max((first + count) // _TILE * _TILE - first, begin)
    row = hashes[32 * begin : 32 * end]
    for _ in range(LEVELS):
        row = above(row)
    return Read(part, hashes[: 32 * begin], row, hashes[32 * end :], fault, gone, told)


def _stem(home: Path, segment: dict[str, Any]) -> str:
    day = date.fromordinal(_EPOCH + segment["day"]).isoformat()
    return str(home / "segments" / day / f"{segment['first']:020d}-{segment['last']:020d}")


def _digests(home: Path, segment: dict[str, Any]) -> None:
    """Compare the digests of the segment's files, indexes included."""
    for ending, known in segment["digests"].items():
        path = Path(f"{_stem(home, segment)}.{ending}")
        if not path.exists() or blake2b(path.read_bytes(), digest_size=16).hexdigest() != known:
            raise Bad(segment["first"], f"{path.name} was changed")


def _lost(part: Part) -> set[int]:
    """Seqs of the piece whose payload is gone: a row is left, which no longer makes its leaf."""
    if "gone" not in part.segment["digests"]:
        return set()
    raw = Path(f"{_stem(part.home, part.segment)}.gone").read_bytes()
    magic, dropped, redacted = _GONE.unpack_from(raw)
    seqs = array("Q", raw[_GONE.size :])
    if magic != b"WBGN\x01\0\0\0" or len(seqs) != dropped + redacted:
        raise Bad(part.segment["first"], "the list of erased records was changed")
    return {seq for seq in seqs if part.first <= seq <= part.last}


def _joined(part: Part, lost: set[int], kept: bytes, found: list[bytes]) -> bytes:
    """All leaf hashes of the piece: as found, and of what is gone as kept."""
    if lost:
        rest = iter(found)
        whole = range(part.first, part.last + 1)
        found = [kept[32 * at : 32 * at + 32] if seq in lost else next(rest) for at, seq in enumerate(whole)]
    return b"".join(found)


def _compare(part: Part, hashes: bytes, kept: bytes) -> None:
    """Name the first record whose hash is not its leaf."""
    if hashes != kept:
        at = next((i for i in range(0, len(hashes), 32) if hashes[i : i + 32] != kept[i : i + 32]), len(hashes))
        raise Bad(part.first + at // 32, "a record and its leaf differ")


def _records(part: Part, lost: set[int]) -> tuple[pa.Table, int]:
    """(the records that can be hashed, in order of seq; payloads that control records account for)."""
    with pq.ParquetFile(f"{_stem(part.home, part.segment)}.parquet") as file:
        groups = range(file.num_row_groups)
        table = pa.concat_tables([_rows(part, file.read_row_group(group, use_threads=False)) for group in groups])
    table = table.take(pc.sort_indices(table.column("seq")))
    found = pa.concat_arrays([pa.array([], pa.int64()), *table.column("seq").chunks])
    due = pa.array(range(part.first, part.last + 1), pa.int64())
    if not found.equals(due):
        short = zip(found.to_pylist(), due.to_pylist(), strict=False)
        at = next((want for have, want in short if have != want), part.first + len(found))
        raise Bad(at, "a segment holds other seqs than its name says")
    told = _accounted(table)
    if lost:
        table = table.filter(pc.invert(pc.is_in(found, value_set=pa.array(list(lost), pa.int64()))))
    return table, told


def _rows(part: Part, table: pa.Table) -> pa.Table:
    """The rows of a row group that belong to the piece."""
    if not table.num_rows:
        return table
    seqs, segment = table.column("seq"), part.segment
    limits, arrivals = pc.min_max(seqs).as_py(), pc.min_max(table.column("arrival")).as_py()
    if limits["min"] < segment["first"] or limits["max"] > segment["last"]:
        raise Bad(segment["first"], "a segment holds other seqs than its name says")
    if any(arrival // _DAY_MS != segment["day"] for arrival in arrivals.values()):
        raise Bad(segment["first"], "a segment holds records of another day")
    if part.first <= limits["min"] <= limits["max"] <= part.last:
        return table
    return table.filter(pc.and_(pc.greater_equal(seqs, part.first), pc.less_equal(seqs, part.last)))


def _hashes(part: Part, table: pa.Table) -> list[bytes]:
    """Leaf hashes of records, by their nonces."""
    nonces, have = _nonces(part)
    rows = pc.subtract(table.column("seq"), part.first)
    if have is not None:
        missing = [row for row in rows.to_pylist() if not have[row]]
        if missing:
            raise Bad(part.first + missing[0], "the nonce of a record is missing")
    kept = pa.Array.from_buffers(pa.binary(16), len(nonces) // 16, [None, pa.py_buffer(nonces)])
    out: list[bytes] = []
    for batch in table.to_batches(max_chunksize=_ROWS):
        nonce = kept.take(rows.slice(len(out), batch.num_rows).combine_chunks()).cast(pa.binary())
        text = pc.binary_replace_slice(canonical(batch), 0, 1, b"{")
        whole = pc.binary_join_element_wise(b"\x00", nonce, text, b"}", b"")
        out += [sha256(one).digest() for one in whole.to_pylist()]
    return out


def _accounted(table: pa.Table) -> int:
    """How many payloads the control records of a piece say that they took away."""
    if "extra" not in table.column_names:
        return 0
    kinds = table.column("kind").cast(pa.string())
    found = table.column("extra").filter(pc.is_in(kinds, value_set=pa.array(_ACCOUNTED))).to_pylist()
    return sum(int(json.loads(text or "{}").get("records", 0)) for text in found)


def _nonces(part: Part) -> tuple[bytes, bytearray | None]:
    """(nonces of the records of the piece, end to end; which of them are known, None: all): from the day's key and those kept."""
    first, count = part.first, part.last + 1 - part.first
    days = part.home / "keys" / "days"
    day = date.fromordinal(_EPOCH + part.segment["day"]).isoformat()
    stream, have = bytes(16 * count), None
    if (days / f"{day}.key").exists():
        key = (days / f"{day}.key").read_bytes()
        stream = Cipher(algorithms.AES(key), modes.CTR(first.to_bytes(16, "big"))).encryptor().update(stream)
    else:
        have = bytearray(count)
    if not (days / f"{day}.nonces").exists():
        return stream, have
    raw, out = (days / f"{day}.nonces").read_bytes(), bytearray(stream)
    magic, runs = _NONCES.unpack_from(raw)
    at = _NONCES.size + 16 * runs
    for begin, length in struct.iter_unpack("<QQ", raw[_NONCES.size : at]):
        low, high = max(begin, first), min(begin + length, first + count)
        if low < high:
            out[16 * (low - first) : 16 * (high - first)] = raw[at + 16 * (low - begin) : at + 16 * (high - begin)]
            if have is not None:
                have[low - first : high - first] = b"\x01" * (high - low)
        at += 16 * length
    if magic != b"WBNN\x01\0\0\0" or at != len(raw):
        raise Bad(first, "the kept nonces of a day were changed")
    return bytes(out), have


def canonical(batch: pa.RecordBatch) -> pa.Array:
    """The inside of each row's canonical form (RFC 8785) as binary, with a comma before each key."""
    pieces: list[Any] = []
    between = ""  # text that stands in every row before the next value: one piece, however many keys
    for name in sorted(batch.schema.names, key=lambda name: name.encode("utf-16-be")):
        column, key = batch.column(name), f",{json.dumps(name)}:"
        if column.null_count == len(column):
            continue
        before, text, after = _text(column)
        if column.null_count:
            optional = pc.fill_null(pc.binary_join_element_wise(key + before, text, after, ""), "")
            pieces += [between, optional]
            between = ""
        else:
            pieces += [between + key + before, text]
            between = after
    return pc.binary_join_element_wise(*pieces, between, "").cast(pa.binary())


def _text(column: pa.Array) -> tuple[str, pa.Array, str]:
    """Each value as JSON text, with what stands before and behind all of them; null stays null."""
    kind = column.type
    if pa.types.is_string(kind):
        return '"', _escaped(column), '"'
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return "", column.cast(pa.string()), ""
    if kind.value_type == pa.string():
        quoted = pc.binary_join_element_wise('"', _escaped(column.flatten()), '"', "")
        lengths = pc.fill_null(pc.list_value_length(column), 0)
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths).cast(pa.int32())])
        inner = pc.binary_join(pa.ListArray.from_arrays(offsets, pc.fill_null(quoted, "null")), ",")
        return "[", pc.if_else(column.is_valid(), inner, pa.scalar(None, pa.string())), "]"
    return "", pa.array([None if value is None else _json(value) for value in column.to_pylist()], pa.string()), ""


def _any_special(column: pa.Array) -> bool:
    """Whether any byte of the whole column may need an escape: one pass over its bytes costs a tenth of a match for each text."""
    _, offsets, data = column.buffers()
    if data is None or not len(column):
        return False
    begin, end = (struct.unpack_from("<i", offsets, 4 * (column.offset + at))[0] for at in (0, len(column)))
    body = memoryview(data)[begin:end].tobytes()
    return len(body.translate(None, _SPECIAL)) != len(body)


def _escaped(column: pa.Array) -> pa.Array:
    """Texts as they stand between the quotes of a JSON string."""
    if not _any_special(column):
        return column
    special = pc.fill_null(pc.match_substring_regex(column, _MUST_ESCAPE), False)
    if not special.true_count:
        return column
    escaped = [json.dumps(text, ensure_ascii=False)[1:-1] for text in column.filter(special).to_pylist()]
    return pc.replace_with_mask(column, special, pa.array(escaped, pa.string()))


def _json(value: object) -> str:
    """A nested value, absent members left out."""

    def present(item: object) -> object:
        if isinstance(item, dict):
            return {key: present(inner) for key, inner in item.items() if inner is not None}
        return [present(inner) for inner in item] if isinstance(item, list) else item

    return json.dumps(present(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


class _Child:
    """One process that hashes pieces."""

    def __init__(self) -> None:
        command = [sys.executable, str(Path(__file__).resolve())]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 this file

    def read(self, part: Part) -> Read:
        """Have a piece hashed."""
        source, sink = self.process.stdout, self.process.stdin
        if source is None or sink is None:
            raise RuntimeError("a child without pipes")
        sink.write(json.dumps({**asdict(part), "home": str(part.home)}).encode() + b"\n")
        sink.flush()
        told = json.loads(source.readline())
        head, row, tail = (source.read(size) for size in told["sizes"])
        return Read(part, head, row, tail, told["fault"], told["gone"], told["told"])

    def close(self) -> None:
        """End it."""
        self.process.communicate()


def read_parts(parts: Iterable[Part], processes: int) -> Iterator[Read]:
    """Hash pieces in so many processes; the answers come in the order of the pieces."""
    mine, children = local(), list[_Child]()

    def read(part: Part) -> Read:
        if not hasattr(mine, "child"):
            mine.child = _Child()
            children.append(mine.child)
        answer: Read = mine.child.read(part)
        return answer

    try:
        with ThreadPoolExecutor(processes) as pool:
            yield from pool.map(read, parts)
    finally:
        for child in children:
            child.close()


def serve(source: Iterable[bytes], sink: IO[bytes]) -> None:
    """Answer pieces until the input ends."""
    for line in source:
        told = json.loads(line)
        read = read_part(Part(**{**told, "home": Path(told["home"])}))
        bodies = (read.head, read.row, read.tail)
        head = {"sizes": [len(body) for body in bodies], "fault": read.fault, "gone": read.gone, "told": read.told}
        sink.write(json.dumps(head).encode() + b"\n" + b"".join(bodies))
        sink.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
