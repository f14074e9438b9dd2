from __future__ import annotations

from pathlib import Path

import pytest

from runners.judged import reference
from watchbill.core.settings import Settings, parse_settings
from watchbill.responses.asks import Ask
from watchbill.responses.masks import Level
from watchbill.runners.pipeline import Pipeline
from watchbill.runners.references import read_folder
from watchbill.runners.showing import levels_of, roles_of

MARCH, MAY = 1_740_800_000_000, 1_746_100_000_000
FIELDS = ("recipient.name", "recipient.phone", "sender.id_number")


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    folder = reference(tmp_path / "reference")
    (folder / "accounts.csv").write_text(
        "account,role,outlet,from,until\na1,courier,O1,,\na2,hub,O1,2025-01-01,2025-04-01\na3,claims,O1,,\n"
    )
    given: dict[str, object] = {
        "masks": {"unknown": {"name": "masked"}, "courier": {"phone": "masked"}, "claims": {"id_number": "plain"}}
    }
    made = Pipeline(parse_settings(given, "x"))
    for name, _, table in read_folder(folder, Settings()):
        made.apply(name, table)
    return made


@pytest.mark.parametrize(
    ("account", "device", "time", "wanted"),
    [
        ("a1", "", MARCH, ("plain", "masked", "hidden")),
        ("a2", "", MARCH, ("plain", "masked", "hidden")),
        ("a2", "", MAY, ("masked", "masked", "hidden")),  # the post is over: the stricter of both holds
        ("a3", "", MARCH, ("plain", "plain", "plain")),  # settings say so for claims, in so many words
        ("nobody", "", MARCH, ("masked", "plain", "hidden")),
        ("", "SCANNER-1", MARCH, ("plain", "masked", "hidden")),
        ("", "", MARCH, ("masked", "plain", "hidden")),
    ],
)
def test_levels_follow_the_role_at_that_time(
    pipeline: Pipeline, account: str, device: str, time: int, wanted: tuple[Level, ...]
) -> None:
    ask = Ask("r1", account=account, device=device, fields=FIELDS)
    assert tuple(levels_of(pipeline, ask, time).values()) == wanted


def test_a_decision_lifts_every_field_and_lowers_none(pipeline: Pipeline) -> None:
    ask = Ask("r1", account="a3", fields=FIELDS)
    assert set(levels_of(pipeline, ask, MARCH, at_least="masked").values()) == {"masked"}
    assert levels_of(pipeline, Ask("r1", account="a1", fields=FIELDS), MARCH, at_least="masked") == {
        "recipient.name": "masked", "recipient.phone": "masked", "sender.id_number": "hidden",
    }  # fmt: skip


def test_who_is_outside_a_post_has_its_role_and_unknown(pipeline: Pipeline) -> None:
    assert roles_of(pipeline, "a2", "", MAY) == ("hub", "unknown")
    assert roles_of(pipeline, "a2", "", MARCH) == ("hub",)
