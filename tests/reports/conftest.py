from __future__ import annotations

import pytest

from notices.incident import CASE, facts, fill_all, incident
from reports.filled import Filled
from watchbill.notices.facts import FIRM, Facts
from watchbill.notices.profile import Document, fill
from watchbill.notices.wording import Lang
from watchbill.reports.base import profiles


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, bool], Facts]:
    """(about, entered) -> facts."""
    bare, whole = (incident(tmp_path_factory.mktemp(name)) for name in ("bare", "whole"))
    for one in profiles().values():
        fill_all(whole, one, 1_000)
    homes = {False: bare, True: whole}
    return {
        (about, entered): facts(home, case)
        for entered, home in homes.items()
        for about, case in (("case", CASE), ("firm", FIRM))
    }


@pytest.fixture(scope="session")
def filled(known: dict[tuple[str, bool], Facts]) -> Filled:
    def made(name: str, lang: Lang = "en", *, entered: bool = True, stage: str = "") -> Document:
        one = profiles()[name]
        return fill(one, known[one.about, entered], lang, stage, now=2_000)

    return made
