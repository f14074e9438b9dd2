from __future__ import annotations

from pathlib import Path

from rules.samples import rule
from watchbill.rules.bundle import Bundle, RuleSource, parsed_of, ruleset_of
from watchbill.rules.settings import RuleSettings
from watchbill.rules.snooze import Snooze

TEXT = rule("a: {account: x}\ncondition: a", more="name: one\nwatchbill: {suppress_minutes: 5}")


def test_a_bundle_is_the_readable_files_the_settings_and_the_snoozes(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(TEXT)
    (tmp_path / "bad.yml").write_bytes(b"\xff")
    snooze = Snooze(rule="one", field="account", value="x", until=1)
    bundle = RuleSource(tmp_path, RuleSettings(act=("one",))).bundle((snooze,))
    assert [path for path, _ in bundle.texts] == ["a.yml"]
    again = Bundle.model_validate_json(bundle.model_dump_json())
    assert again == bundle
    assert ruleset_of(again).modes == ["act"]
    assert len(parsed_of(again).rules) == 1
    assert not ruleset_of(RuleSource().bundle()).active


def test_state_goes_on_where_the_rule_is_the_same() -> None:
    bundle = Bundle(texts=(("a.yml", TEXT),))
    before = ruleset_of(bundle)
    before._quiet[0, "x"] = 7
    assert ruleset_of(bundle, before)._quiet == {(0, "x"): 7}
    other = Bundle(texts=(("a.yml", TEXT.replace("account: x", "account: y")),))
    assert not ruleset_of(other, before)._quiet
