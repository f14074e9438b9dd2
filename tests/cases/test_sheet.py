from __future__ import annotations

from cases.worked import HOUR, UP, a_book, act, appeal, note, rise, say, tell, verdict
from watchbill.cases.sheet import Sheets, Standing, gathered, kind_of_files, row_overdue, row_untold


def test_the_sheet_of_a_case_of_two() -> None:
    book = a_book()
    rise(book, "a", 10)
    rise(book, "b", 20)
    say(book, act("c10", "merge", other="c20"))
    say(book, act("c10", "assign", 2, to="r2"))
    say(book, tell("c10", 3, account="b"))
    say(
        book,
        tell("c10", 4, account="a", act="delayed", role="legal_lead", reason="police", until=9_000_000, text_en=""),
    )
    (files,) = gathered(book.cases.values())
    said = Sheets([files], lambda account: Standing("mask" if account == "a" else "none", 7)).of(files)
    assert {name: said[name] for name in ("assigned", "due", "first_look_ms", "merged", "related")} == {
        "assigned": "r2", "due": 10_000 + 24 * HOUR, "first_look_ms": None, "merged": ["c20"], "related": [],
    }  # fmt: skip
    one, two = said["people"]
    assert (one["account"], one["step"], one["until"], one["told"], one["delayed"]["until"]) == (
        "a",
        "mask",
        7,
        False,
        9_000_000,
    )
    assert (two["account"], two["told"], two["delayed"], two["reasons"]) == ("b", True, None, ["unexplained"])
    assert kind_of_files(files) == "ring"
    say(book, verdict("c10", "confirmed", "leased"))
    assert kind_of_files(files) == "leased"


def test_what_is_overdue_and_who_is_untold_by_the_rows() -> None:
    book = a_book()
    rise(book, "a", 10)

    def row() -> dict[str, object]:
        (files,) = gathered(book.cases.values())
        return Sheets([files]).of(files)

    due = 10_000 + 24 * HOUR
    assert (row_overdue(row(), due), row_overdue(row(), due + 1)) == ([], ["first look"])
    assert row_untold(row(), 0) == ["a"]
    say(book, note("c10"))
    assert row_overdue(row(), due + 1) == []
    say(book, act("c10", "due", at=2_000_000))
    assert row_overdue(row(), 2_000_001) == ["due"]
    say(book, appeal("c10", time=1_000_000))
    assert row_overdue(row(), 1_000_001 + 24 * HOUR) == ["due", "appeal"]
    say(book, tell("c10", 5, act="delayed", role="legal_lead", reason="x", until=3_000_000, text_en=""))
    assert (row_untold(row(), 2_999_999), row_untold(row(), 3_000_000)) == ([], ["a"])
    say(book, tell("c10", 6))
    assert row_untold(row(), 9_000_000) == []
    assert (row_overdue({}, 5), row_untold({}, 5)) == ([], [])  # a row of an older release


def test_a_device_s_case_has_no_people() -> None:
    from watchbill.context.lone import DEVICE_MARK

    book = a_book()
    case = rise(book, f"{DEVICE_MARK}S1", 10, new=UP)
    assert Sheets([[case]]).of([case])["people"] == []
