"""What the operator says about rules in general, and what no folder of rules may make grow without a bound."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from watchbill.core.settings import Section

RuleStep = Literal["none", "ask_reason", "step_up", "throttle", "end_session"]
RULE_STEPS: Final[tuple[str, ...]] = ("none", "ask_reason", "step_up", "throttle", "end_session")
"""Steps that a rule may ask for, gentlest first. It carries no e-value, so nobody is suspended on its word."""


class RuleSettings(Section):
    """Settings of `[rules]` beside the folder; part of what a `wb.rules` record puts in force."""

    step_max: RuleStep = "ask_reason"
    act: tuple[str, ...] = ()
    shadow: tuple[str, ...] = ()
    off: tuple[str, ...] = ()
    late_minutes: float = Field(default=10.0, ge=0, le=24 * 60)
    findings_an_hour_max: int = Field(default=1_000, ge=1, le=1_000_000)
    window_keys_max: int = Field(default=100_000, ge=1, le=10_000_000)
    window_hits_max: int = Field(default=2_000, ge=2, le=100_000)
    window_values_max: int = Field(default=2_000_000, ge=1_000, le=1_000_000_000)
    batch_rows_min: int = Field(default=1_000, ge=1, le=1_000_000)


FILES_MAX: Final = 20_000
"""Rule files in a folder."""
FILE_BYTES_MAX: Final = 256 * 1024
"""Bytes of one rule file."""
FOLDER_BYTES_MAX: Final = 64 * 1024 * 1024
"""Bytes of all rule files together."""
RULES_MAX: Final = 20_000
"""Rules in force."""
NESTING_MAX: Final = 24
"""Levels of mappings and lists in a rule file."""
NODES_MAX: Final = 20_000
"""Keys and values of one rule file."""
CONDITION_CHARACTERS_MAX: Final = 2_000
"""Characters of a condition."""
CONDITION_BRACKETS_MAX: Final = 12
"""Levels of brackets in a condition: its parser's work grows steeply with them."""
FILTERS_MAX: Final = 500
"""Filters: each is tried on each rule."""
CORRELATION_LEVELS_MAX: Final = 8
"""Correlations that read correlations, on top of each other."""
TERMS_MAX: Final = 5_000
"""Comparisons that one rule unfolds to."""
TERM_NESTING_MAX: Final = 60
"""Levels of and, or, not that one rule unfolds to."""
REGEX_CHARACTERS_MAX: Final = 1_000
"""Characters of a regular expression."""
WINDOW_DAYS_MAX: Final = 400
"""Days that a correlation may span."""
