"""Rule files as data with line numbers: YAML by events, so that nothing in a file can nest, multiply or run.

Anchors and aliases, tags other than YAML's own scalars, deep nesting and huge files are refused. A key given twice, which
YAML takes silently, is refused too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from watchbill.rules.settings import FILE_BYTES_MAX, NESTING_MAX, NODES_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator

Path = tuple[str | int, ...]


class DocumentError(Exception):
    """A file that is no YAML of ours: `line` (from 1), `what`, `todo`."""

    def __init__(self, line: int, what: str, todo: str) -> None:
        super().__init__(what)
        self.line, self.what, self.todo = line, what, todo


@dataclass
class Document:
    """One YAML document: `data`, and the line (from 1) of every key and list item by its path."""

    data: Any
    line: int
    lines: dict[Path, int] = field(default_factory=dict)

    def line_of(self, *path: str | int) -> int:
        """The line of a path, or of its nearest parent."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path[:-1]
        return self.line


@dataclass
class _Open:
    """A mapping or list that is being read."""

    value: Any
    path: Path
    key: str | None = None


def read_documents(text: str) -> list[Document]:
    """All documents of one file.

    Raises:
        DocumentError: it is not YAML, or over a limit.
    """
    import yaml

    if len(text) > FILE_BYTES_MAX or len(text.encode("utf-8", "replace")) > FILE_BYTES_MAX:
        raise DocumentError(1, f"the file is larger than {FILE_BYTES_MAX // 1024} KiB", "Split it")
    out: list[Document] = []
    try:
        out.extend(_build(events) for events in _documents(text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise DocumentError(mark.line + 1 if mark else 1, f"not YAML: {error.problem}", "Correct the YAML") from error
    except yaml.YAMLError as error:
        raise DocumentError(1, "not YAML: a character that it does not allow", "Save the file as UTF-8 text") from error
    return [document for document in out if document.data is not None]


def _documents(text: str) -> Iterator[list[Any]]:
    """Events of each document, with the limits kept while they are read: libyaml itself is quadratic in nesting."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    depth = 0
    events: list[Any] = []
    for nodes, event in enumerate(cast("Iterator[Any]", yaml.parse(text, Loader=loader))):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise DocumentError(line, "anchors and aliases are not allowed in rules", "Write the value out")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > NESTING_MAX:
            raise DocumentError(line, f"nested deeper than {NESTING_MAX} levels", "Flatten it")
        if nodes > NODES_MAX:
            raise DocumentError(line, f"more than {NODES_MAX} values", "Split the file")
        if isinstance(event, yaml.DocumentStartEvent):
            events = []
        elif isinstance(event, yaml.DocumentEndEvent):
            yield events
        else:
            events.append(event)


def _build(events: list[Any]) -> Document:
    import yaml

    document = Document(None, events[0].start_mark.line + 1 if events else 1)
    stack: list[_Open] = []
    for event in events:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.CollectionEndEvent):
            stack.pop()
            continue
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event, line)
        elif isinstance(event, yaml.CollectionStartEvent):
            if event.tag not in {None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}:
                raise DocumentError(line, "a YAML tag that rules do not use", "Remove the tag")
            value = {} if isinstance(event, yaml.MappingStartEvent) else []
        else:
            continue  # stream start and end
        path = _place(stack, document, value, line)
        if isinstance(event, yaml.CollectionStartEvent):
            stack.append(_Open(value, path))
    return document


def _place(stack: list[_Open], document: Document, value: Any, line: int) -> Path:
    """Put a value where it belongs; its path."""
    if not stack:
        document.data, document.line = value, line
        return ()
    top = stack[-1]
    if isinstance(top.value, list):
        path: Path = (*top.path, len(top.value))
        document.lines[path] = line
        top.value.append(value)
        return path
    if top.key is None:
        if isinstance(value, dict | list):
            raise DocumentError(line, "a key is a list or a mapping", "Use plain text as key")
        top.key = str(value)
        path = (*top.path, top.key)
        if top.key in top.value:
            raise DocumentError(
                line, "the same key stands twice in one mapping", "Merge the two: only one of them would count"
            )
        document.lines[path] = line
        return path
    path = (*top.path, top.key)
    top.value[top.key] = value
    top.key = None
    return path


@cache
def _resolver() -> Any:
    import yaml

    return yaml.SafeLoader("")


def _scalar(event: Any, line: int) -> Any:
    """The plain value of a scalar by YAML's own rules."""
    import yaml

    resolver = _resolver()
    tag = event.tag or resolver.resolve(yaml.ScalarNode, event.value, event.implicit)
    if tag == "tag:yaml.org,2002:str":
        return event.value
    node = yaml.ScalarNode(tag, event.value, event.start_mark, event.end_mark, style=event.style)
    construct = yaml.SafeLoader.yaml_constructors.get(tag)
    if construct is None or not tag.startswith("tag:yaml.org,2002:"):
        raise DocumentError(line, "a YAML tag that rules do not use", "Remove the tag")
    try:
        return construct(resolver, node)
    except (ValueError, yaml.YAMLError, OverflowError) as error:
        raise DocumentError(line, "a value that is not what it looks like", "Put it in quotes") from error
