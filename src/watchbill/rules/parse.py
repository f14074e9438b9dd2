"""Rule texts to compiled rules, and complaints with file, line and what to do; one bad rule never stops the others."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from watchbill.rules.correlation import Correlation, correlation_of
from watchbill.rules.documents import Document, DocumentError, read_documents
from watchbill.rules.settings import (
    CONDITION_BRACKETS_MAX,
    CONDITION_CHARACTERS_MAX,
    CORRELATION_LEVELS_MAX,
    FILTERS_MAX,
    RULE_STEPS,
    RULES_MAX,
)
from watchbill.rules.taxonomy import OF_LOOKS, PRODUCT, SERVICES
from watchbill.rules.terms import Or, QuietEngine, RuleFault, Term, fields_of, term_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watchbill.rules.folder import RuleText

ERROR, WARNING = "error", "warning"
LEVELS: Final = ("informational", "low", "medium", "high", "critical")
MODES: Final = ("shadow", "act", "off")
_PLACES: Final = {  # pySigma's error -> where in the document it is about
    "SigmaLogsourceError": ("logsource",), "SigmaConditionError": ("detection", "condition"),
    "SigmaDetectionError": ("detection",), "SigmaLevelError": ("level",), "SigmaStatusError": ("status",),
    "SigmaIdentifierError": ("id",), "SigmaTitleError": ("title",), "SigmaDateError": ("date",),
    "SigmaModifiedError": ("modified",), "SigmaNameError": ("name",), "SigmaTypeError": ("detection",),
    "SigmaModifierError": ("detection",), "SigmaRegularExpressionError": ("detection",), "SigmaValueError": ("detection",),
    "SigmaTimespanError": ("correlation", "timespan"), "SigmaCorrelationTypeError": ("correlation", "type"),
    "SigmaCorrelationConditionError": ("correlation", "condition"), "SigmaCorrelationRuleError": ("correlation",),
    "SigmaRuleNotFoundError": ("correlation", "rules"), "SigmaFilterError": ("filter",),
    "SigmaFilterConditionError": ("filter", "condition"), "SigmaFilterRuleReferenceError": ("filter", "rules"),
    "SigmaTagsError": ("tags",), "SigmaRelatedError": ("related",), "SigmaAuthorError": ("author",),
}  # fmt: skip


@dataclass(frozen=True)
class Complaint:
    """What is wrong in a rule file, at which line, and what to do; a warning does not keep the rule from its work."""

    file: str
    line: int
    severity: str
    what: str
    todo: str

    def __str__(self) -> str:
        """As compilers write it."""
        return f"{self.file}:{self.line}: {self.severity}: {self.what}. {self.todo}"


@dataclass(frozen=True)
class Rule:
    """One rule: what it compares, or (`correlation`) what it makes of other rules' hits.

    Attributes:
        key: its id, else its name, else its place. mode, step, suppress_ms: its `watchbill:` attributes, as they are
            written. output: it reports by itself (a rule that a correlation reads does not, unless that generates).
    """

    key: str
    title: str
    level: str
    service: str | None
    file: str
    line: int
    term: Term | None = None
    correlation: Correlation | None = None
    name: str = ""
    mode: str = "shadow"
    step: str = "none"
    suppress_ms: int = 0
    output: bool = True
    fields: frozenset[str] = frozenset()


@dataclass
class Parsed:
    """Rules in order (a correlation behind what it reads), and what is wrong."""

    rules: list[Rule] = field(default_factory=list)
    complaints: list[Complaint] = field(default_factory=list)
    files: int = 0
    others: int = 0

    @property
    def errors(self) -> int:
        """Complaints that cost a rule."""
        return sum(complaint.severity == ERROR for complaint in self.complaints)


@dataclass
class _Read:
    """A document that pySigma has read."""

    document: Document
    file: str
    sigma: Any

    def complaint(self, severity: str, what: str, todo: str, *path: str | int) -> Complaint:
        return Complaint(self.file, self.document.line_of(*path), severity, what, todo)

    def at_field(self, written: str) -> int:
        """The line on which a detection first names a field."""
        for path, line in self.document.lines.items():
            if path[0] == "detection" and str(path[-1]).split("|")[0] == written:
                return line
        return self.document.line_of("detection")


def parse_rules(texts: Iterable[RuleText]) -> Parsed:
    """Compile rule texts. Nothing in them can raise: what is wrong becomes a complaint."""
    logging.getLogger("sigma").setLevel(logging.ERROR)
    out = Parsed()
    read: list[_Read] = []
    for text in texts:
        out.files += 1
        read += _read_file(text, out)
    _finish(read, out)
    out.complaints.sort(key=lambda one: (one.file, one.line, one.what))
    return out


def _read_file(text: RuleText, out: Parsed) -> list[_Read]:
    if text.text is None:
        out.complaints.append(Complaint(text.path, 1, ERROR, text.fault, "Correct the file, or take it out"))
        return []
    try:
        documents = read_documents(text.text)
    except DocumentError as error:
        out.complaints.append(Complaint(text.path, error.line, ERROR, error.what, error.todo))
        return []
    found = [_read_document(document, text.path, out) for document in documents]
    return [one for one in found if one is not None]


def _read_document(document: Document, file: str, out: Parsed) -> _Read | None:
    data = document.data
    shell = _Read(document, file, None)
    if not isinstance(data, dict) or not {"detection", "correlation", "filter"} & set(data):
        out.complaints.append(
            shell.complaint(ERROR, "this is no rule", "A rule has `detection`, `correlation` or `filter`")
        )
        return None
    before = _before(shell)
    if before is not None:
        out.complaints.append(before)
        return None
    source = data.get("logsource")
    if isinstance(source, dict) and source.get("product") != PRODUCT:
        out.others += 1
        todo = f"Write `product: {PRODUCT}` to have it in force"
        out.complaints.append(
            shell.complaint(WARNING, "the rule is for another product and is left out", todo, "logsource")
        )
        return None
    shell.sigma, errors = _sigma(data)
    out.complaints += [_of_error(shell, error) for error in errors]
    return None if errors or shell.sigma is None else shell


def _before(shell: _Read) -> Complaint | None:
    """What must not reach pySigma: conditions that its parser would take minutes for, and old ways to share text."""
    data = shell.document.data
    if "action" in data:
        return shell.complaint(ERROR, "`action` documents are not supported", "Write each rule out in full", "action")
    for part in ("detection", "filter", "correlation"):
        section = data.get(part)
        if part in data and not isinstance(section, dict):
            return shell.complaint(ERROR, f"`{part}` is no mapping", "See docs/rules.md", part)
        given = section.get("condition") if isinstance(section, dict) else None
        for one in given if isinstance(given, list) else [given]:
            if isinstance(one, str) and (
                len(one) > CONDITION_CHARACTERS_MAX or _brackets(one) > CONDITION_BRACKETS_MAX
            ):
                what = f"the condition has over {CONDITION_CHARACTERS_MAX} characters or {CONDITION_BRACKETS_MAX} levels of brackets"
                return shell.complaint(ERROR, what, "Split the rule", part, "condition")
    return None


def _brackets(condition: str) -> int:
    depth = deepest = nots = 0
    for word in condition.replace("(", " ( ").replace(")", " ) ").split():
        depth += (word == "(") - (word == ")")
        nots = nots + 1 if word == "not" else 0  # a chain of them costs the parser the same
        deepest = max(deepest, depth, nots)
    return deepest


def _sigma(data: dict[str, Any]) -> tuple[Any, list[Exception]]:
    """(pySigma's object, its errors)."""
    from sigma.collection import SigmaCollection
    from sigma.policy import SigmaPolicy

    policy = SigmaPolicy(regex_engine=QuietEngine())  # type: ignore[arg-type]  # an engine by shape
    try:
        found = SigmaCollection.from_dicts(
            [data], collect_errors=True, collect_filters=True, resolve_references=False, policy=policy
        )
    except Exception as error:  # noqa: BLE001  # it raises whatever Python raises on input that it does not expect
        return None, [error]
    everything = [*found.rules, *found.filters]
    return (everything[0] if everything else None), list(found.errors)


def _of_error(read: _Read, error: Exception) -> Complaint:
    name = type(error).__name__
    path = _PLACES.get(name, ())
    what = (
        str(error).split(" in /")[0].rstrip(".") if name.startswith("Sigma") else f"cannot be read as a rule ({name})"
    )
    return read.complaint(ERROR, what, "See docs/rules.md and the Sigma specification", *path)


def _finish(read: list[_Read], out: Parsed) -> None:
    """Filters, references, terms."""
    from sigma.collection import SigmaCollection
    from sigma.filters import SigmaFilter

    kept = _unique(read, out)
    filters = [one for one in kept if isinstance(one.sigma, SigmaFilter)]
    rules = [one for one in kept if not isinstance(one.sigma, SigmaFilter)]
    for one in filters[FILTERS_MAX:]:
        out.complaints.append(one.complaint(ERROR, f"more than {FILTERS_MAX} filters", "Put several into one"))
    for one in filters[:FILTERS_MAX]:
        for rule in rules:
            try:
                if hasattr(rule.sigma, "detection"):
                    rule.sigma = one.sigma.apply_on_rule(rule.sigma)
            except Exception as error:  # noqa: BLE001  # as in _sigma
                out.complaints.append(_of_error(one, error))
                break
    try:
        everything = SigmaCollection([one.sigma for one in rules], resolve_references=False)
    except Exception as error:  # noqa: BLE001  # as in _sigma
        out.complaints.append(Complaint("", 1, ERROR, f"the rules cannot be put together: {error}", "See the others"))
        return
    resolved: list[_Read] = []
    for one in rules:
        try:
            if hasattr(one.sigma, "resolve_rule_references"):
                one.sigma.resolve_rule_references(everything)
        except Exception as error:  # noqa: BLE001  # as in _sigma
            out.complaints.append(_of_error(one, error))
        else:
            resolved.append(one)
    _compile(resolved, out)


def _unique(read: list[_Read], out: Parsed) -> list[_Read]:
    seen: dict[str, _Read] = {}
    kept: list[_Read] = []
    for one in read:
        keys = [str(key) for key in (one.sigma.id, one.sigma.name) if key]
        double = next((key for key in keys if key in seen), None)
        if double is not None:
            first = seen[double]
            what = f"the same id or name stands in {first.file}:{first.document.line}"
            out.complaints.append(one.complaint(ERROR, what, "Give it its own", "id"))
        elif len(kept) >= RULES_MAX:
            out.complaints.append(one.complaint(ERROR, f"more than {RULES_MAX} rules", "Give a smaller folder"))
        else:
            seen.update(dict.fromkeys(keys, one))
            kept.append(one)
    return kept


def _compile(read: list[_Read], out: Parsed) -> None:
    """Plain rules first, then correlations, each behind those it reads."""
    numbers: dict[int, int] = {}
    waiting = [one for one in read if hasattr(one.sigma, "timespan")]
    for one in read:
        if not hasattr(one.sigma, "timespan"):
            _take(one, out, numbers)
    for _ in range(CORRELATION_LEVELS_MAX):
        ready = [one for one in waiting if all(id(ref.rule) in numbers for ref in one.sigma.referenced_rules)]
        if not ready:
            break
        for one in ready:
            _take(one, out, numbers)
        done = {id(one) for one in ready}
        waiting = [one for one in waiting if id(one) not in done]
    for one in waiting:
        todo = f"Correct the rules that it names; a correlation cannot read itself, nor stand over {CORRELATION_LEVELS_MAX} others"
        out.complaints.append(one.complaint(ERROR, "reads a rule that is not in force", todo, "correlation", "rules"))


def _take(one: _Read, out: Parsed, numbers: dict[int, int]) -> None:
    try:
        rule = _rule(one, out, numbers)
    except RuleFault as fault:
        line = one.at_field(fault.field) if fault.field else one.document.line_of("detection")
        what = f"`{fault.field}` {fault.what}" if fault.field else fault.what
        if hasattr(one.sigma, "timespan"):
            line = one.document.line_of("correlation")
        out.complaints.append(Complaint(one.file, line, ERROR, what, fault.todo))
    except RecursionError:
        out.complaints.append(one.complaint(ERROR, "the rule nests too deep", "Flatten it", "detection"))
    except Exception as error:  # noqa: BLE001  # as in _sigma: conditions are parsed only now
        out.complaints.append(_of_error(one, error))
    else:
        numbers[id(one.sigma)] = len(out.rules)
        out.rules.append(rule)


def _rule(one: _Read, out: Parsed, numbers: dict[int, int]) -> Rule:
    sigma = one.sigma
    key = str(sigma.id or sigma.name or f"{one.file}:{one.document.line}")
    mode, step, suppress_ms = _attributes(one)
    level = sigma.level.name.lower() if sigma.level is not None else "medium"
    common: dict[str, Any] = {
        "key": key, "title": str(sigma.title), "level": level, "file": one.file, "line": one.document.line,
        "name": str(sigma.name or ""), "mode": mode, "step": step, "suppress_ms": suppress_ms, "output": bool(sigma._output),  # noqa: SLF001
    }  # fmt: skip
    if hasattr(sigma, "timespan"):
        correlation = correlation_of(sigma, numbers)
        return Rule(**common, service=None, correlation=correlation, fields=correlation.fields)
    service = sigma.logsource.service
    if service is not None and service not in SERVICES:
        raise RuleFault(
            f"there is no service {service!r} of {PRODUCT}", f"Use one of {', '.join(SERVICES)}, or leave it out"
        )
    terms = [term_of(condition.parsed) for condition in sigma.detection.parsed_condition]
    term = terms[0] if len(terms) == 1 else Or(tuple(terms))
    fields = frozenset(fields_of(term))
    for name in sorted(fields & set(OF_LOOKS)):
        if service in {"auth", "scan", "ticket"}:
            out.complaints.append(
                Complaint(
                    one.file, one.at_field(name), WARNING, f"`{name}` is known of looks only", "Use a look's service"
                )
            )
    return Rule(**common, service=service, term=term, fields=fields)


def _attributes(one: _Read) -> tuple[str, str, int]:
    """(mode, step, suppress in ms) of the `watchbill:` mapping.

    Raises:
        RuleFault: a name or a value is wrong.
    """
    given = one.document.data.get("watchbill", {})
    if not isinstance(given, dict) or set(given) - {"mode", "step", "suppress_minutes"}:
        raise RuleFault("`watchbill:` holds mode, step and suppress_minutes", "Remove what else stands there")
    mode, step, minutes = given.get("mode", "shadow"), given.get("step", "none"), given.get("suppress_minutes", 0)
    mode = "off" if mode is False else mode  # YAML reads a bare off as false
    if mode not in MODES:
        raise RuleFault("the mode is unknown", f"Use one of {', '.join(MODES)}")
    if step not in RULE_STEPS:
        raise RuleFault("the step is unknown, or more than a rule may ask for", f"Use one of {', '.join(RULE_STEPS)}")
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 <= minutes <= 60 * 24 * 31:
        raise RuleFault("suppress_minutes is no number from 0 to 44640", "Give minutes")
    return str(mode), str(step), int(minutes * 60_000)
