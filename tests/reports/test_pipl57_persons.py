from __future__ import annotations

from reports.filled import Filled, text_of


def test_a_person_reads_of_himself_alone(filled: Filled) -> None:
    said = text_of(filled("pipl57_persons"))
    assert "phone number" in said
    assert "80" not in said, "how many others is not for a letter"
    assert "E1" not in said
    assert "O1" not in said


def test_what_to_do_and_whom_to_ask_are_needed(filled: Filled) -> None:
    assert filled("pipl57_persons", entered=False).missing == ["likely_harm", "person_measures"]
    assert "privacy@example.com" in text_of(filled("pipl57_persons"))
    assert filled("pipl57_persons").to == "The person concerned"
