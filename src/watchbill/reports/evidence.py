"""The evidence pack of a case: records with proofs, checkpoint, timestamps, exposure, decisions, settings in force, detector versions.

It verifies offline, with `ledger/verify_pack.py` alone and with other people's tools (docs/prove.md). It holds the looks of the
sessions that the case lists or cannot tell, not those of the owner's own work.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from watchbill import __version__
from watchbill.cases.acts import APPEAL, CASE, TELL, VERDICT
from watchbill.core.errors import LedgerError, LimitError
from watchbill.inquiry.caseexposure import CaseExposure, exposure, hash_of
from watchbill.inquiry.controls import DECISION, RELOAD, SETTINGS, SOURCE, control_rows
from watchbill.inquiry.exposed import conform, parcels_path
from watchbill.inquiry.exposure import exposure_of
from watchbill.inquiry.operators import case_lines
from watchbill.ledger import files
from watchbill.ledger import manifest as manifests
from watchbill.ledger.canonical import SEQ
from watchbill.ledger.prove import Proof, checkpoint_note, consistency, consistency_text, prove_all, rows_of_seqs
from watchbill.ledger.reader import Ledger, Span
from watchbill.notices.control import control_of
from watchbill.reports.base import ReportBase, json_part, lines_part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

RECORDS_MAX: Final = 100_000
TIMESTAMPS_MAX: Final = 20
RULES: Final = "wb.rules"
PRESENCE: Final = "wb.presence"
_DECIDED: Final = frozenset({VERDICT, CASE, TELL, APPEAL})
"""What people said of a case; notes among reviewers stay in the house."""
_ALWAYS: Final = (SETTINGS, SOURCE, RULES)
_KEPT: Final = ((SETTINGS, "settings"), (RULES, "rules"))


class Report(ReportBase):
    """Evidence that stands without us."""

    text_en = "records of a case with proofs, checkpoint, timestamps, exposure and decisions"
    text_zh = "案件证据包：记录、证明、检查点、时间戳、暴露清单与处置"

    def parts(self, home: Path, case: str, height: int) -> dict[str, bytes]:
        """As the base says."""
        answer = exposure(home, case, upto=height)
        row = next(row for row in case_lines(home) if row["id"] == case)
        controls = list(_controls(home, row, height))
        wanted = {*answer.listed, *answer.between, *(seq for seq, _, _ in controls)}
        if len(wanted) > RECORDS_MAX:
            raise LimitError(f"a pack of {len(wanted)} records", todo=f"At most {RECORDS_MAX}; pack a narrower case")
        proofs = list(prove_all(home, sorted(wanted), height))
        proofs += prove_all(home, _decisions(home, row, proofs, height), height)
        proofs.sort(key=lambda proof: proof.index)
        return {
            "README.txt": README.encode(),
            "log.key": (home / files.KEYS / "origin.pub").read_bytes(),
            "checkpoint": checkpoint_note(home, height)[1],
            "case.json": json_part(row),
            "exposure.json": json_part(_claims(home, answer, proofs, height)),
            "interventions.ndjson": lines_part(_interventions(home, row)),
            "verdicts.ndjson": lines_part(_verdicts(home, wanted)),
            "detectors.json": json_part(versions()),
            "control.json": json_part(control_of(home, height).to_json()),
            **_records(proofs),
            **_in_force(home, controls),
            **_timestamps(home, height),
            "parcels.ndjson": lines_part(_parcels(home, answer, proofs, controls)),
        }


def _records(proofs: Iterable[Proof]) -> dict[str, bytes]:
    parts: dict[str, bytes] = {}
    lines: list[bytes] = []
    for proof in proofs:
        if proof.record is not None:
            lines.append(proof.record + b"\n")
            parts[f"proofs/{proof.index}.tlog-proof"] = proof.text()
    return {**parts, "records.ndjson": b"".join(lines)}


def _claims(home: Path, answer: CaseExposure, proofs: Iterable[Proof], height: int) -> dict[str, Any]:
    """What the pack says was exposed: as `watchbill exposure`, counted over the records that can be shown."""
    withheld = {proof.index for proof in proofs if proof.record is None}
    listed = [seq for seq in answer.listed if seq not in withheld]
    claims = answer.to_json() | {"listed": listed, "between": answer.between, "withheld": sorted(withheld)}
    if len(listed) == len(answer.listed):
        return claims
    decisions = [proof.index for proof in proofs if proof.record is not None and b'"wb.decision"' in proof.record]
    rows = [conform(table) for _, table in rows_of_seqs(home, manifests.load(home), [*listed, *decisions])]
    nobody = conform(pa.table({SEQ: pa.array([], pa.int64())}))
    shown = exposure_of(home, pa.concat_tables([nobody, *rows]), height, answer.saw.account)
    text = "looks whose payload was erased: their proofs stand, whom they showed is not counted here"
    gap = {
        "kind": "payload_erased",
        "looks": len(answer.listed) - len(listed),
        "persons": None,
        "text": text,
        "accounts": [],
    }
    counted = shown.to_json() | {"complete": False, "upper": None, "gaps": [*claims["gaps"], gap]}
    return claims | counted | {"hash": hash_of(shown.subjects)}


def _decisions(home: Path, case: dict[str, Any], proofs: Iterable[Proof], height: int) -> list[int]:
    """Seqs of the decisions that say what the looks of the pack were shown."""
    named = {json.loads(proof.record).get("decision") for proof in proofs if proof.record is not None} - {None}
    if not named:
        return []
    accounts = tuple(sorted(case["accounts"]))
    found: list[int] = []
    for part in Ledger(home).records(["kind", "decision"], Span(accounts=accounts or None), height):
        mine = pc.and_(
            pc.equal(part.column("kind").cast(pa.string()), DECISION),
            pc.is_in(part.column("decision").cast(pa.string()), value_set=pa.array(sorted(named), pa.string())),
        )
        found += part.filter(mine).column(SEQ).to_pylist()
    return sorted(found)


def _controls(home: Path, case: dict[str, Any], height: int) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Control records that say how the case's looks are to be read, and what people decided about it."""
    latest: dict[str, tuple[int, str, dict[str, Any]]] = {}
    proven = {row["id"] for row in _interventions(home, case) if "proof" in row}
    for seq, kind, extra in control_rows(home, height):
        said = json.loads(extra or "{}")
        if (
            kind in _ALWAYS
            or (kind == RELOAD and said.get("table") == "parcels")
            or (kind in _DECIDED and _about(case, said))
            or (kind == PRESENCE and said.get("id") in proven)
        ):
            yield seq, kind, said
        elif kind == RELOAD:
            latest[str(said.get("table"))] = (seq, kind, said)
    yield from latest.values()


def _about(case: dict[str, Any], said: dict[str, Any]) -> bool:
    """Whether a word is about a case: about one of its files, one of its accounts, or it stands among its verdicts."""
    files = {case["id"], *case.get("merged", ())}
    known = {one["id"] for one in case.get("verdicts", ())}
    named = said.get("case") in files or said.get("other") in files
    return named or said.get("account") in case["accounts"] or said.get("id") in known


def _in_force(home: Path, controls: Iterable[tuple[int, str, dict[str, Any]]]) -> dict[str, bytes]:
    """The kept texts of settings and rules that the control records name.

    Raises:
        LedgerError: one is missing.
    """
    parts: dict[str, bytes] = {}
    for _, kind, said in controls:
        for wanted, folder in _KEPT:
            if kind == wanted and said.get("digest"):
                path = home / folder / f"{said['digest']}.json"
                if not path.is_file():
                    raise LedgerError(f"the kept {folder} of a record are missing", where=path.name)
                parts[f"{folder}/{path.name}"] = path.read_bytes()
    return parts


def _timestamps(home: Path, height: int) -> dict[str, bytes]:
    """The newest timestamps over checkpoints up to this height, each with its checkpoint and how ours continues it."""
    parts: dict[str, bytes] = {}
    note = checkpoint_note(home, height)[1]
    stamped = sorted(path for path in (home / "timestamps").glob("*.tsr") if path.stem.isdigit())
    for path in [path for path in stamped if int(path.stem) <= height][-TIMESTAMPS_MAX:]:
        size = int(path.stem)
        stem = f"timestamps/{size}"
        parts[f"{stem}.tsr"] = path.read_bytes()
        parts[f"{stem}.checkpoint"] = checkpoint_note(home, size)[1]
        parts[f"{stem}.consistency"] = consistency_text(size, consistency(home, size, height), note)
    return parts


def _interventions(home: Path, case: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What was done in the case and in those that became part of it."""
    files = {case["id"], *case.get("merged", ())}
    path = home / "interventions.ndjson"
    if path.exists():
        with path.open(encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                who, of = row.get("account"), row.get("case")
                # an account has one file, whichever case it was part of at the time
                if (of in files) if who is None else (of is not None and who in case["accounts"]):
                    yield row


def _verdicts(home: Path, seqs: set[int]) -> list[dict[str, Any]]:
    """What Watchbill said at each look of the pack."""
    parts = sorted(str(path) for path in (home / "parts").glob("verdicts-*.parquet"))
    if not parts:
        return []
    wanted = pc.field("seq").isin(pa.array(sorted(seqs), pa.int64()))
    rows: list[dict[str, Any]] = ds.dataset(parts).to_table(filter=wanted).sort_by("seq").to_pylist()
    return rows


def _parcels(
    home: Path, answer: CaseExposure, proofs: Iterable[Proof], controls: Iterable[tuple[int, str, dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Rows of the parcels tables by which looks that name nobody were resolved."""
    looks = [
        json.loads(proof.record) for proof in proofs if proof.record is not None and proof.index in set(answer.listed)
    ]
    bare = {
        look["waybill"] for look in looks if not look.get("subjects") and not look.get("shown") and "waybill" in look
    }
    digests = {
        str(said.get("digest")) for _, kind, said in controls if kind == RELOAD and said.get("table") == "parcels"
    }
    rows: list[dict[str, Any]] = []
    for digest in sorted(digests):
        path = parcels_path(home, digest)
        if bare and path.is_file():
            table = pq.read_table(path, columns=["waybill", "sender", "recipient", "from", "until"], partitioning=None)
            mask = pc.is_in(table.column("waybill"), value_set=pa.array(sorted(bare), pa.string()))
            rows += [{"digest": digest, **row} for row in table.filter(mask).to_pylist()]
    return rows


def versions() -> dict[str, Any]:
    """The release, and the SHA-256 of every file that detects, scores or decides in it."""
    sources: dict[str, str] = {}
    for room in ("detectors", "scoring", "responses", "context"):
        folder = Path(importlib.import_module(f"watchbill.{room}").__path__[0])
        for path in sorted([*folder.glob("*.py"), *folder.glob("*.json")]):
            sources[f"{room}/{path.name}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"release": __version__, "sources": sources}


README: Final = """证据包 / Evidence pack

怎样核验（离线即可）：
1. 从公司公布的渠道取得日志公钥，与 log.key 逐字比对。公钥不一致，则不可采信。
2. 安装 Python 3.11 以上和 cryptography，运行：python verify_pack.py 本文件.zip --key "公钥"
   （verify_pack.py 是单独一个文件，由 watchbill verify-pack --print-verifier 输出，也可从公开源码取得。）
3. 核验程序重新计算每条记录的哈希，沿证明走到签名的检查点，重新统计被暴露的人，核对每一部分的 SHA-256。
   任何一个字节被改动，核验都会失败，并指出是哪一部分。
4. 时间戳可用 OpenSSL 核验：
   openssl ts -verify -data timestamps/N.checkpoint -in timestamps/N.tsr -CAfile 时间戳机构根证书.pem
5. 每个 proofs/*.tlog-proof 均为 c2sp.org/tlog-proof@v1 格式，可用其他工具（如 Go 的 sumdb/tlog）独立核验。

证据包证明：这些记录当时已经写入日志，此后没有改动。它不证明坐在电脑前的是谁：
会话归谁操作是估计（见 exposure.json 的 gaps 和 case.json 的 reasons、for_person），由人判断。
本文件含有个人信息，只可交给有权办理此案的人。

How to verify (offline):
1. Get the log's public key from where the firm published it and compare it with log.key, letter by letter.
2. With Python 3.11 or newer and the package cryptography: python verify_pack.py THIS.zip --key "KEY"
   (verify_pack.py is one file: `watchbill verify-pack --print-verifier` prints it; it is in the public source too.)
3. It makes the hash of every record again, follows its proof to the signed checkpoint, counts the exposed persons again and
   compares the SHA-256 of every part. One changed byte makes it fail and name the part.
4. Timestamps, with OpenSSL:
   openssl ts -verify -data timestamps/N.checkpoint -in timestamps/N.tsr -CAfile root-of-the-authority.pem
5. Every proofs/*.tlog-proof is a c2sp.org/tlog-proof@v1, which other tools (Go's sumdb/tlog) check.

The pack proves that these records were logged then and not changed since. It does not prove who sat at the desk: whose
sessions they are is an estimate (gaps in exposure.json, reasons and for_person in case.json), for people to judge.
It holds personal data: for those alone who may work on this case.

What is in it: records.ndjson (canonical records), proofs/, checkpoint, log.key, timestamps/, exposure.json (listed: the seqs
that were counted), parcels.ndjson (rows that resolved looks naming nobody; their table's digest is in a logged record),
case.json, interventions.ndjson, verdicts.ndjson, settings/ and rules/ (in force, by the digest of a logged record),
detectors.json (release, SHA-256 of its files), control.json (hours enforcing, in shadow, blind; alerts unread; time to the
first look), MANIFEST (SHA-256 of every part, signed).
"""
