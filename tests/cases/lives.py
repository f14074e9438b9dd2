"""The life of cases as a state machine: evidence and people in any order, legal or not; what must hold after each of them."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cases.worked import a_book, act, appeal, note, tell, verdict
from watchbill.cases.acts import ACTS, Said
from watchbill.cases.book import CaseBook
from watchbill.cases.case import Signal, status_of
from watchbill.cases.desk import LEGAL, obey, refusal
from watchbill.cases.sheet import Sheets, gathered
from watchbill.cases.verdicts import Verdict

ACCOUNTS = ("a", "b", "c", "d")
PEOPLE = ("r1", "r2", "r3", "staff")
BY = st.sampled_from(PEOPLE)
WHAT = st.sampled_from(sorted(LEGAL))


class Life(RuleBasedStateMachine):
    """`log` is what a journal would hold: replayed, it gives the same book. `decided`: appeals seen decided, after any step."""

    decided = 0

    def __init__(self) -> None:
        super().__init__()
        self.book, self.log, self.seq = a_book(), list[Signal | Said](), 0
        self.seen: dict[str, list[dict[str, Any]]] = {}

    def next(self) -> int:
        self.seq += 10
        return self.seq

    @initialize(devices=st.lists(st.sampled_from("xy"), min_size=4, max_size=4))
    def begin(self, devices: list[str]) -> None:
        """A day that begins with cases: two of them may be a ring."""
        for account, device in zip(ACCOUNTS, devices, strict=True):
            self.evidence(account, (0, 3), 9.0, 9.0 if account in "ab" else 0.0, device)

    @rule(
        account=st.sampled_from(ACCOUNTS), steps=st.tuples(st.integers(0, 6), st.integers(0, 6)),
        nats=st.floats(0, 40), ring=st.sampled_from([0.0, 9.0]), device=st.sampled_from(["", "x", "y"]),
    )  # fmt: skip
    def evidence(self, account: str, steps: tuple[int, int], nats: float, ring: float, device: str) -> None:
        seq = self.next()
        signal = Signal(
            seq=seq, time=seq * 1_000, account=account, old=steps[0], new=steps[1], since=seq * 1_000 - 10, records=3,
            posterior=0.5, evidence={"unexplained": round(nats, 2), "rings": ring}, devices=(device,) if device else (),
        )  # fmt: skip
        self.log.append(signal)
        self.book.take(signal)

    def said(self, word: Said) -> None:
        """As the inbox and the engine do: what is refused is not journaled; and if it is (a replay), it changes nothing."""
        why = refusal(self.book, word)
        if why:
            before = frozen(self.book)
            if not isinstance(word, Verdict):
                assert obey(self.book, word, self.seq) is None
            assert frozen(self.book) == before
            return
        self.log.append(word)
        apply(self.book, word, self.seq)
        told = len(self.book.told)
        before = frozen(self.book)
        apply(self.book, word, self.seq)  # the same id again
        assert (frozen(self.book), len(self.book.told)) == (before, told)

    def a_case(self, number: int) -> str:
        ids = [*self.book.cases, "c999999"]
        return ids[number % len(ids)]

    @rule(what=WHAT, number=st.integers(0, 9), other=st.integers(0, 9), account=st.sampled_from(ACCOUNTS), by=BY)
    def work(self, what: str, number: int, other: int, account: str, by: str) -> None:
        seq = self.next()
        needed: dict[str, dict[str, Any]] = {
            "assign": {"to": "r2"}, "due": {"at": seq * 1_000 + other * 1_000}, "merge": {"other": self.a_case(other)},
            "split": {"account": account},
        }  # fmt: skip
        more = needed.get(what, {})
        self.said(act(self.a_case(number), what, seq, by=by, time=seq * 1_000, **more))

    @rule(
        number=st.integers(0, 9), by=BY, alone=st.booleans(), account=st.sampled_from(ACCOUNTS),
        word=st.sampled_from([("confirmed", "ring"), ("dismissed", "task"), ("lifted", "settled")]),
    )  # fmt: skip
    def judged(self, number: int, by: str, alone: bool, account: str, word: tuple[str, str]) -> None:
        seq = self.next()
        case, whose = ("", {"account": account}) if alone else (self.a_case(number), {})
        self.said(verdict(case, word[0], word[1], seq, by=by, time=seq * 1_000, **whose))

    @rule(
        number=st.integers(0, 9),
        account=st.sampled_from(["", *ACCOUNTS]),
        by=BY,
        to=st.sampled_from(["person", "boss"]),
    )
    def told(self, number: int, account: str, by: str, to: str) -> None:
        seq = self.next()
        self.said(tell(self.a_case(number), seq, account=account, by=by, to=to, time=seq * 1_000))

    @rule(
        number=st.integers(0, 9), account=st.sampled_from(["", *ACCOUNTS]), role=st.sampled_from(["legal_lead", "boss"])
    )
    def delayed(self, number: int, account: str, role: str) -> None:
        seq = self.next()
        more = {"act": "delayed", "role": role, "reason": "police", "until": seq * 1_000 + 5_000, "text_en": ""}
        self.said(tell(self.a_case(number), seq, account=account, by="r3", time=seq * 1_000, **more))

    @rule(
        number=st.integers(0, 9), account=st.sampled_from(["", *ACCOUNTS]), by=BY, to=st.sampled_from(["", "r1", "r2"])
    )
    def appealed(self, number: int, account: str, by: str, to: str) -> None:
        self.appeal(self.a_case(number), "open", account, by, to=to)

    @rule(
        number=st.integers(0, 9),
        by=BY,
        to=st.sampled_from(["", "r1", "r2"]),
        answer=st.sampled_from(["uphold", "reject", ""]),
        judge=BY,
    )
    def heard(self, number: int, by: str, to: str, answer: str, judge: str) -> None:
        """An appeal of somebody who has a case, and perhaps an answer to it."""
        file = list(self.book.cases.values())[number % len(self.book.cases)]
        self.appeal(file.id, "open", file.account, by, to=to)
        if answer:
            self.appeal(
                file.id, answer, file.account, judge, **({"reason": "wrong"} if answer == "uphold" else {"note": "no"})
            )

    def appeal(self, case: str, what: str, account: str, by: str, **more: str) -> None:
        seq = self.next()
        self.said(appeal(case, what, seq, account=account, by=by, time=seq * 1_000, **more))

    @rule(number=st.integers(0, 9))
    def noted(self, number: int) -> None:
        self.said(note(self.a_case(number), self.next()))

    @rule()
    def restarted(self) -> None:
        """A checkpoint, as JSON, and a new process."""
        again = a_book()
        again.restore(json.loads(json.dumps(self.book.snapshot())), list(self.book.told))
        assert frozen(again) == frozen(self.book)
        self.book = again

    @invariant()
    def histories_only_grow(self) -> None:
        for case in self.book.cases.values():
            before = self.seen.get(case.id, [])
            assert case.history[: len(before)] == before
            assert [one["n"] for one in case.history] == list(range(1, len(case.history) + 1))
            self.seen[case.id] = copy.deepcopy(case.history)
        assert set(self.seen) == set(self.book.cases)

    @invariant()
    def every_file_is_in_one_case(self) -> None:
        wholes = [self.book.whole(lead.id) for lead in self.book.leads()]
        assert sorted(case.id for files in wholes for case in files) == sorted(self.book.cases)
        assert [[case.id for case in files] for files in wholes] == [
            [case.id for case in files] for files in sorted(gathered(self.book.cases.values()), key=lambda f: list(self.book.cases).index(f[0].id))
        ]  # fmt: skip
        for files in wholes:
            assert not files[0].into
            assert status_of(files) in {
                "open",
                "in_review",
                "contained",
                "confirmed",
                "dismissed",
                "closed",
                "archived",
            }
            for case in files:
                assert not (case.reviewing and case is not files[0])
                assert sum(one["outcome"] == "open" for one in case.appeals) <= 1

    @invariant()
    def nobody_decides_his_own_appeal(self) -> None:
        for case in self.book.cases.values():
            for one in case.appeals:
                assert one["to"] != one["by"]
                if one["outcome"] in {"upheld", "rejected"}:
                    confirmed = {
                        v["by"] for v in case.verdicts
                        if v["verdict"] == "confirmed" and v["round"] == one["round"] and v["time"] < one["decided"]
                    }  # fmt: skip
                    assert one["decided_by"] not in confirmed | {one["by"]}
                    type(self).decided += 1

    def teardown(self) -> None:
        again = a_book()
        replay(again, self.log)
        assert frozen(again) == frozen(self.book)
        sheets = Sheets(gathered(again.cases.values()))
        assert json.dumps([sheets.of(again.whole(lead.id)) for lead in again.leads()])


def apply(book: CaseBook, word: Said, seq: int) -> None:
    """As `runners.judging` does with a word from the journal."""
    said = word if isinstance(word, Verdict) else obey(book, word, seq)
    if said is not None:
        book.judge(said, seq)


def replay(book: CaseBook, log: list[Signal | Said]) -> None:
    """What a journal holds, in order."""
    for one in log:
        if isinstance(one, Signal):
            book.take(one)
        else:
            apply(book, one, one.time // 1_000 if not isinstance(one, ACTS["wb.note"]) else int(one.id[1:]))


def frozen(book: CaseBook) -> str:
    """The whole state as text."""
    return json.dumps(book.snapshot(), sort_keys=True)
