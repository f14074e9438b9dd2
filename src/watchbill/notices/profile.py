"""What a report must contain: fields with the article that asks for each and where each comes from; filled, and what lacks.

A draft can be made any time. A final one exists only where nothing is missing and a person signs it off (`final.py`).
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from watchbill.core.errors import NotFoundError, SettingsError
from watchbill.notices.clocks import GDPR_HOURS, HOUR_MS
from watchbill.notices.facts import FIRM
from watchbill.notices.says import FACTS
from watchbill.notices.wording import Block, Lang, clean, moment, named, word

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from watchbill.notices.facts import Facts

EVERY: Final = "all"
"""In place of a report's id: an entry that holds for all reports of the case."""
VALUE_MAX: Final = 8_000
Source = Literal["ledger", "settings", "person"]
_DIGEST: Final = re.compile("[0-9a-f]{64}")
_PHONE_OR_ID: Final = re.compile(r"(?<!\d)(?:1[3-9]\d{9}|\d{17}[\dXx])(?!\d)")


@dataclass(frozen=True)
class Field:
    """One thing that a report must (or may) contain.

    Attributes:
        id: as `watchbill report set` names it. article, article_zh: what asks for it. zh, en: its heading. source: where from.
        of: name of the fact (says.FACTS), or of the setting in `[firm]`. choices: what a person may say, () anything.
        needed: always; never (optional); late (only past 72 hours). stages: of a staged report in which it stands, () all. contact: it may hold a phone number.
        digest: it is a SHA-256 in hex.
    """

    id: str
    article: str
    article_zh: str
    en: str
    zh: str
    source: Source = "person"
    of: str = ""
    choices: tuple[str, ...] = ()
    needed: Literal["always", "never", "late"] = "always"
    stages: tuple[str, ...] = ()
    contact: bool = False
    digest: bool = False

    def heading(self, lang: Lang) -> str:
        """Its heading in a language."""
        return self.zh if lang == "zh" else self.en

    def basis(self, lang: Lang) -> str:
        """What asks for it, in a language."""
        return self.article_zh if lang == "zh" else self.article


@dataclass(frozen=True)
class Profile:
    """One kind of report.

    Attributes:
        zh, en: its title. to: setting of `[firm]` that names the addressee, or a word. intro_zh, intro_en: the opening.
        stages: of a staged report, in order; each but the first needs the one before to be final. about: a case or the firm.
    """

    id: str
    zh: str
    en: str
    to: str
    intro_zh: str
    intro_en: str
    fields: tuple[Field, ...]
    stages: tuple[str, ...] = ()
    about: Literal["case", "firm"] = "case"

    def stage_of(self, stage: str) -> str:
        """The stage meant: the first where none is named.

        Raises:
            NotFoundError: there is no such stage.
        """
        chosen = stage or (self.stages[0] if self.stages else "")
        if chosen and chosen not in self.stages:
            todo = f"One of {', '.join(self.stages)}" if self.stages else "It has no stages"
            raise NotFoundError("there is no such stage", where=self.id, todo=todo)
        return chosen

    def at(self, stage: str) -> list[Field]:
        """The fields of a stage."""
        return [one for one in self.fields if not one.stages or stage in one.stages]


@dataclass(frozen=True)
class Section:
    """A filled field: `blocks` are empty where it is missing (or optional and not given). `source`: ledger, settings, person, mixed."""

    id: str
    heading: str
    article: str
    source: str
    blocks: tuple[Block, ...]
    missing: bool


def about_of(section: Section, lang: Lang) -> str:
    """The small line under a heading: what asks for it, and where it comes from."""
    said = [word(lang, "about", basis=word(lang, "basis"), article=section.article)] if section.article else []
    said += [word(lang, f"source_{section.source}")] if section.source else []
    return word(lang, "about_and").join(said)


def signature_of(document: Document, zone: str) -> list[str]:
    """The lines at the end: places to sign in a draft, who signed off and when in a final one."""
    lang = document.lang
    if document.signed is None:
        return [word(lang, name) for name in ("sign_here", "seal_here", "date_here")]
    by, time = document.signed
    rows = (("signed", by), ("signed_at", f"{moment(int(time), zone)} ({zone})"))
    return [
        *(word(lang, "sign_line", name=word(lang, name), value=value) for name, value in rows),
        word(lang, "seal_here"),
    ]


@dataclass(frozen=True)
class Document:
    """A filled report in one language, ready to be set in type; everything in it is text.

    `number` names the content: case, report, and the first 12 digits of the SHA-256 of everything else.
    """

    profile: str
    case: str
    stage: str
    lang: Lang
    title: str
    to: str
    sender: str
    intro: str
    head: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    signed: tuple[str, str] | None = None
    as_of: int = 0
    number: str = field(default="", compare=False)

    @property
    def missing(self) -> list[str]:
        """Ids of fields that lack."""
        return [one.id for one in self.sections if one.missing]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; blocks are {text} or {head, rows}."""
        return asdict(self) | {
            "sections": [
                asdict(one) | {"blocks": [block._asdict() for block in one.blocks]} for one in self.sections
            ],
            "final": self.signed is not None,
        }  # fmt: skip


def fill(profile: Profile, facts: Facts, lang: Lang, stage: str = "", now: int | None = None) -> Document:
    """A report filled from facts, settings and what people entered; pure.

    Args:
        now: epoch ms, for what is asked of late reports alone; None: the time of the newest fact.

    Raises:
        NotFoundError: the report has no such stage, or is not about this.
    """
    if (profile.about == "firm") != (facts.id == FIRM):
        todo = f"Say {FIRM} for the firm's documents, a case's id for all others"
        raise NotFoundError("this report is not about that", where=profile.id, todo=todo)
    stage = profile.stage_of(stage)
    sections = [*_stage_before(profile, facts, lang, stage)]
    if not _to(profile, facts, lang):
        sections.append(Section("addressee", word(lang, "to"), "", "", (), missing=True))
    sections += [_section(profile, one, facts, lang, now) for one in profile.at(stage)]
    kept = tuple(one for one in sections if one.blocks or one.missing)
    made = Document(
        profile.id, facts.id, stage, lang, profile.zh if lang == "zh" else profile.en, _to(profile, facts, lang),
        _firm(facts, "name", lang), profile.intro_zh if lang == "zh" else profile.intro_en, _head(facts, lang, stage), kept,
        as_of=facts.as_of,
    )  # fmt: skip
    return numbered(made)


def numbered(document: Document) -> Document:
    """The document with its number."""
    said = json.dumps(document.to_json() | {"number": ""}, ensure_ascii=False, sort_keys=True)
    number = f"{clean(document.case)}-{document.profile}-{hashlib.sha256(said.encode()).hexdigest()[:12]}"
    return replace(document, number=number)


def _to(profile: Profile, facts: Facts, lang: Lang) -> str:
    if profile.to.startswith("to_"):
        return word(lang, profile.to)
    return _firm(facts, profile.to, lang)


def _firm(facts: Facts, name: str, lang: Lang) -> str:
    """A setting of the firm, in English where there is one."""
    said = facts.firm.model_dump()
    return clean((said.get(f"{name}_en") if lang == "en" else "") or said[name])


def _head(facts: Facts, lang: Lang, stage: str) -> tuple[tuple[str, str], ...]:
    out = [] if facts.id == FIRM else [(word(lang, "case"), clean(facts.id))]
    if stage:
        out.append((word(lang, "stage"), word(lang, f"stage.{stage}")))
    out += [
        (word(lang, "as_of"), f"{moment(facts.as_of, facts.zone)} ({facts.zone})"),
        (word(lang, "height"), f"{facts.height:,}"),
    ]
    if facts.checkpoint is not None:
        out.append((word(lang, "checkpoint"), f"{facts.checkpoint[1]} ({facts.checkpoint[0]:,})"))
    if facts.record:
        out.append((word(lang, "record"), facts.record[-1]["hash"]))
    return tuple(out)


def _stage_before(profile: Profile, facts: Facts, lang: Lang, stage: str) -> Iterable[Section]:
    """What lacks where an earlier stage was never signed off."""
    at = profile.stages.index(stage) if stage else 0
    if at == 0:
        return
    before = profile.stages[at - 1]
    done = any(
        row["kind"] == "final" and (row["profile"], row["stage"]) == (profile.id, before) for row in facts.record
    )
    if not done:
        yield Section(f"stage_{before}", word(lang, f"stage.{before}"), "", "", (), missing=True)


def _section(profile: Profile, one: Field, facts: Facts, lang: Lang, now: int | None) -> Section:
    said = _entered(profile.id, one, facts, lang)
    found: list[Block] = []
    if one.source == "ledger":
        found = FACTS[one.of](facts, lang)
    elif one.source == "settings" and (text := _firm(facts, one.of, lang)):
        found = [Block(text)]
    source: str
    if said is None:
        source = one.source if found else ""
    elif not found:
        found, source = [Block(said)], "person"
    else:
        found, source = [*found, Block(word(lang, "added", text=said))], "mixed"
    needed = one.needed == "always" or (one.needed == "late" and is_late(facts, now))
    return Section(one.id, one.heading(lang), one.basis(lang), source, tuple(found), needed and not found)


def is_late(facts: Facts, now: int | None) -> bool:
    """Whether 72 hours have passed since the firm knew, by the first grading."""
    known = [row["aware"] for row in facts.record if row["kind"] == "grade"]
    return bool(known) and (facts.as_of if now is None else now) > min(known) + GDPR_HOURS * HOUR_MS


def _entered(profile: str, one: Field, facts: Facts, lang: Lang) -> str | None:
    """What a person said of a field last: in this language, or in none; for this report, or for all."""
    rows = [
        row for row in facts.record
        if row["kind"] == "set" and row["field"] == one.id and row["profile"] in (profile, EVERY)
        and row.get("lang", "") in ("", lang)
    ]  # fmt: skip
    if not rows or not rows[-1]["value"].strip():
        return None
    value = rows[-1]["value"]
    return named(lang, "choice", value) if one.choices else clean(value)


def check_entry(profiles: Iterable[Profile], name: str, value: str) -> None:
    """Refuse what no field takes.

    Args:
        profiles: those that the entry is for.

    Raises:
        NotFoundError: none of them has the field. SettingsError: the value is too long, none of the choices, or looks like a
            phone or identity number where none belongs (the value is not repeated).
    """
    profiles = list(profiles)
    fields = [one for profile in profiles for one in profile.fields if one.id == name]
    if not fields:
        known = sorted({one.id for profile in profiles for one in profile.fields})
        raise NotFoundError("no such field", where="report set", todo=f"One of {', '.join(known)}")
    if len(value) > VALUE_MAX:
        raise SettingsError(f"longer than {VALUE_MAX} characters", where=f"report set {name}", todo="Say it shorter")
    for one in fields:
        if one.choices and value and value not in one.choices:
            raise SettingsError(
                "is none of the choices", where=f"report set {name}", todo=f"One of {', '.join(one.choices)}"
            )
        if one.digest and value and not _DIGEST.fullmatch(value):
            raise SettingsError(
                "is no SHA-256", where=f"report set {name}", todo="64 hexadecimal digits, as the command printed them"
            )
    if not any(one.contact or one.digest for one in fields) and _PHONE_OR_ID.search(value):
        todo = "Reports hold no customer's data; refer to the case, or to the evidence pack"
        raise SettingsError("holds what looks like a phone or identity number", where=f"report set {name}", todo=todo)


def describe(profile: Profile, stage: str = "") -> list[Mapping[str, Any]]:
    """The fields of a report, as `watchbill report list --json` prints them."""
    return [
        {"id": one.id, "article": one.article, "article_zh": one.article_zh, "zh": one.zh, "en": one.en, "source": one.source,
         "of": one.of, "choices": list(one.choices), "needed": one.needed, "stages": list(one.stages)}
        for one in (profile.at(profile.stage_of(stage)) if stage else profile.fields)
    ]  # fmt: skip
