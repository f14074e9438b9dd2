"""The laws of this house as ordinary tests: a failure names the file, the line and what to do instead.

Each law is a function from one module (or all of them) to a list of complaints. The last test feeds each law a small
offender, so that no law can fall silent.
"""

from __future__ import annotations

import ast
import math
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src" / "watchbill"

FUNCTION_LINES_MAX = 70
FUNCTION_LINES_P95 = 35
FILE_LINES_MAX = 500
NESTING_MAX = 4

PLUGINS = {  # plug-in room -> its files that plug-ins may share; every other file stands alone
    "sources": {"base"},
    "detectors": {"base", "kernels", "habit_kernels", "share_kernels"},
    "responses": {"base", "budget", "policy", "masks", "asks", "presence", "offline", "sending", "setkeys", "streams"},
    "reports": {"base"},
    "lab/attacks": {"base"},
}
CLOCK_ROOMS = {"runners", "web", "cli"}  # they stamp arrival and make tokens; all others are handed the time
LAB_MAY_USE = {"core", "records", "context", "lab"}  # simulator and attacks know the contract, never the detectors

RANDOM_ALLOWED: dict[str, str] = {  # file -> why it may draw what cannot be replayed
    "ledger/keys.py": "a signing key or a nonce key that could be replayed would be no secret",
}
UNTESTED: dict[str, str] = {  # file -> why it has no test file of its own
    "core/errors.py": "a tree of names; each is tested where it is raised",
    "context/traces.py": "constants; the tests of the join read them",
    "records/schema.py": "constants; the batch and validation tests read them",
}
TESTED_AS_ONE: dict[str, str] = {  # folder -> the one test file of all its parts
    "casedb/migrations": "tests/casedb/test_migrate.py",  # run in order, as a whole
    "casedb/migrations/versions": "tests/casedb/test_migrate.py",
    "lab/simulator": "tests/lab/test_simulator.py",  # a part of a world has no truth of its own to hold it to
}

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One source file: `path` is relative to src/watchbill, as `detectors/canary.py`."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def room(self) -> str:
        return PurePosixPath(self.path).parts[0].removesuffix(".py")

    @property
    def name(self) -> str:
        dotted = "watchbill." + self.path.removesuffix(".py").replace("/", ".")
        return dotted.removesuffix(".__init__")

    def at(self, node: ast.AST | int, complaint: str) -> str:
        line = node if isinstance(node, int) else getattr(node, "lineno", 1)
        return f"src/watchbill/{self.path}:{line}: {complaint}"

    def functions(self) -> Iterator[Function]:
        return (node for node in ast.walk(self.tree) if isinstance(node, FUNCTIONS))

    def imports(self) -> Iterator[tuple[ast.AST, str]]:
        """Every import of our own modules, also inside functions: (node, dotted name with the imported name last)."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)


def modules() -> list[Module]:
    paths = sorted(SRC.rglob("*.py"))
    return [Module(path.relative_to(SRC).as_posix(), path.read_text(encoding="utf-8")) for path in paths]


def rooms() -> list[str]:
    """Rooms in import order, from ARCHITECTURE.md's table (`| room/ | ...`)."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `?(\w+)(?:/|\.py)`? \|", text, re.MULTILINE)


def room_of(dotted: str) -> str:
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 else ""


# --- where things may stand -------------------------------------------------------------------------------------------


def law_rooms_import_upwards(module: Module) -> list[str]:
    order = rooms()
    if module.path == "__init__.py":
        return []
    if module.room not in order:
        return [module.at(1, f"room '{module.room}' is not in ARCHITECTURE.md's table; add its row, in import order")]
    return [
        module.at(node, f"{module.room} imports {target}, a room below it; move what is shared up, or pass it in")
        for node, dotted in module.imports()
        if dotted.startswith("watchbill.") and (target := room_of(dotted)) in order
        if order.index(target) > order.index(module.room)
    ]


def law_plugins_stand_alone(module: Module) -> list[str]:
    folder, _, file = module.path.rpartition("/")
    stem = file.removesuffix(".py")
    if folder not in PLUGINS:
        return []
    shared, prefix = PLUGINS[folder], f"watchbill.{folder.replace('/', '.')}"
    inside = [(node, dotted.removeprefix(prefix + ".").split(".")[0])
              for node, dotted in module.imports() if dotted.startswith(prefix + ".")]  # fmt: skip
    complaints = [
        module.at(node, f"imports its sibling {folder}/{name}.py; put what both need into {folder}/base.py")
        for node, name in inside
        if name not in shared
    ]
    if stem != "__init__" and stem not in shared and "base" not in {name for _, name in inside}:
        complaints.append(module.at(1, f"a file in {folder}/ is a plug-in and builds on {folder}/base.py; import it"))
    return complaints


def law_lab_knows_only_the_contract(module: Module) -> list[str]:
    if not module.path.startswith(("lab/simulator", "lab/attacks")):
        return []
    return [
        module.at(node, f"the simulated world imports {room_of(dotted)}; it may know core, records and context only")
        for node, dotted in module.imports()
        if dotted.startswith("watchbill.") and room_of(dotted) in set(rooms()) - LAB_MAY_USE
    ]


def law_no_import_cycles(everything: list[Module]) -> list[str]:
    known = {module.name: module for module in everything}
    edges = {name: {target for _, dotted in module.imports() if (target := longest_known(dotted, known))} - {name}
             for name, module in known.items()}  # fmt: skip
    complaints = []
    for name, first in edges.items():
        seen, todo = set(), list(first)
        while todo:
            if (target := todo.pop()) not in seen:
                seen.add(target)
                todo += edges[target]
        if name in seen:
            complaints.append(known[name].at(1, "imports itself through others; move what is shared to a file above"))
    return complaints


def longest_known(dotted: str, known: dict[str, Module]) -> str | None:
    while dotted and dotted not in known:
        dotted = dotted.rpartition(".")[0]
    return dotted or None


# --- what may not be called -------------------------------------------------------------------------------------------

WALL_CLOCKS = ("time.time", "time.time_ns", "time.localtime", "time.gmtime", "datetime.now", "datetime.utcnow",
               "datetime.today", "date.today")  # fmt: skip
UNSEEDED = ("os.urandom", "uuid.uuid1", "uuid.uuid4", "uuid4", "urandom", "SystemRandom")
SEEDED = {"random.Random", "np.random.default_rng", "numpy.random.default_rng", "default_rng", "np.random.Generator",
          "np.random.PCG64", "np.random.SeedSequence", "np.random.Philox"}  # fmt: skip


def law_time_is_passed_in(module: Module) -> list[str]:
    if module.room in CLOCK_ROOMS:
        return []
    return [
        module.at(node, f"{called}() reads the wall clock; take the record's time or a clock argument instead")
        for node, called in calls(module.tree)
        if any(called == clock or called.endswith("." + clock) for clock in WALL_CLOCKS)
    ]


def law_randomness_is_seeded(module: Module) -> list[str]:
    if module.room in CLOCK_ROOMS or module.path in RANDOM_ALLOWED:
        return []
    hashers = {id(inner) for node in module.functions() if node.name == "__hash__" for inner in ast.walk(node)}
    complaints = []
    for node, called in calls(module.tree):
        if called in SEEDED:
            if not node.args and not node.keywords:
                complaints.append(module.at(node, f"{called}() has no seed; pass the generator or its seed in"))
        elif called.startswith(("random.", "secrets.", "np.random.", "numpy.random.")) or called in UNSEEDED:
            complaints.append(module.at(node, f"{called}() cannot be replayed; take a seeded generator as argument"))
        elif called == "hash" and id(node) not in hashers:
            complaints.append(module.at(node, "hash() is salted anew in each process; use watchbill.core.hashing"))
    return complaints


def law_only_the_command_line_prints(module: Module) -> list[str]:
    if module.room == "cli":
        return []
    return [
        module.at(node, "print() outside cli; return the value, raise an error, or use logging")
        for node, called in calls(module.tree)
        if called == "print"
    ]


def calls(tree: ast.Module) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (called := dotted_name(node.func)):
            yield node, called


def dotted_name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (head := dotted_name(node.value)):
        return f"{head}.{node.attr}"
    return ""


# --- how it reads -----------------------------------------------------------------------------------------------------


def law_modules_say_what_they_are_for(module: Module) -> list[str]:
    text = ast.get_docstring(module.tree) or ""
    first = text.split("\n\n")[0]
    complaints = []
    if not re.search(r"[.:?]$", first.strip()) or len(first.split()) < 3:
        complaints.append(module.at(1, "begin the file with a docstring sentence that says what it is for"))
    folder, _, file = module.path.rpartition("/")
    if folder == "detectors" and file.removesuffix(".py") not in PLUGINS["detectors"] | {"__init__"}:
        complaints += [
            module.at(1, f"a detector's docstring says what it catches and what it misses; no '{word}' in it")
            for word in ("Catches", "Misses")
            if word not in text
        ]
    return complaints


def law_sizes(module: Module) -> list[str]:
    lines = len(module.text.splitlines())
    complaints = []
    if lines > FILE_LINES_MAX:
        complaints.append(module.at(1, f"{lines} lines; split by what belongs together at {FILE_LINES_MAX}"))
    for node in module.functions():
        if (length := function_lines(node)) > FUNCTION_LINES_MAX:
            complaints.append(module.at(node, f"{node.name} has {length} lines (max {FUNCTION_LINES_MAX}); "
                                              "keep the ifs, move the loops' bodies into pure helpers"))  # fmt: skip
        if (depth := nesting(node)) > NESTING_MAX:
            complaints.append(module.at(node, f"{node.name} nests {depth} deep (max {NESTING_MAX}); "
                                              "return early or name the inner block"))  # fmt: skip
    return complaints


def law_most_functions_are_short(everything: list[Module]) -> list[str]:
    lengths = sorted((function_lines(node), module.at(node, node.name)) for module in everything
                     for node in module.functions())  # fmt: skip
    if not lengths or lengths[math.ceil(0.95 * len(lengths)) - 1][0] <= FUNCTION_LINES_P95:
        return []
    long = [f"{where} has {length} lines" for length, where in lengths if length > FUNCTION_LINES_P95]
    return [f"more than 5 % of all functions are over {FUNCTION_LINES_P95} lines; shorten some of these:", *long[::-1]]


def law_functions_are_typed(module: Module) -> list[str]:
    complaints = []
    for node in module.functions():
        a = node.args
        named = [x for x in (*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg) if x]
        bare = [x.arg for x in named if x.annotation is None and x.arg not in {"self", "cls"}]
        if bare or node.returns is None:
            complaints.append(module.at(node, f"{node.name}: annotate {', '.join([*bare, 'the result'][:3])}"))
    return complaints


def function_lines(node: Function) -> int:
    """Lines from `def` to the end, less the docstring."""
    total = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node, clean=False) is not None:
        total -= (node.body[0].end_lineno or 0) - node.body[0].lineno + 1
    return total


def nesting(node: ast.AST) -> int:
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (*FUNCTIONS, ast.ClassDef, ast.Lambda)):
            continue
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and child in node.orelse
        deepest = max(deepest, nesting(child) + (isinstance(child, BLOCKS) and not is_elif))
    return deepest


# --- what belongs to a change -----------------------------------------------------------------------------------------


def law_modules_have_their_test_file(module: Module) -> list[str]:
    path = PurePosixPath(module.path)
    if path.name == "__init__.py" or module.path in UNTESTED:
        return []
    wanted = PurePosixPath("tests") / path.parent / f"test_{path.name}"
    if (ROOT / wanted).exists() or (ROOT / TESTED_AS_ONE.get(str(path.parent), str(wanted))).exists():
        return []
    return [module.at(1, f"has no {wanted}; write it, or name the reason in UNTESTED of tests/test_tidy.py")]


def law_settings_are_documented(module: Module) -> list[str]:
    file = PurePosixPath(module.path).name
    if file not in {"settings.py", "limits.py"} or module.room == "lab":  # a world's knobs are no product's
        return []
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").rglob("*.md")))
    return [
        module.at(field, f"setting `{field.target.id}` of {owner.name} is in no file of docs/; say there what it does")
        for owner in ast.walk(module.tree)
        if isinstance(owner, ast.ClassDef)
        for field in owner.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if not field.target.id.startswith(("_", "model_config")) and "ClassVar" not in ast.unparse(field.annotation)
        if f"`{field.target.id}`" not in text
    ]


MODULE_LAWS: list[Callable[[Module], list[str]]] = [
    law_rooms_import_upwards,
    law_plugins_stand_alone,
    law_lab_knows_only_the_contract,
    law_time_is_passed_in,
    law_randomness_is_seeded,
    law_only_the_command_line_prints,
    law_modules_say_what_they_are_for,
    law_sizes,
    law_functions_are_typed,
    law_modules_have_their_test_file,
    law_settings_are_documented,
]
HOUSE_LAWS: list[Callable[[list[Module]], list[str]]] = [law_no_import_cycles, law_most_functions_are_short]


@pytest.mark.parametrize("law", MODULE_LAWS, ids=lambda law: law.__name__)
def test_module_law(law: Callable[[Module], list[str]]) -> None:
    complaints = [complaint for module in modules() for complaint in law(module)]
    assert not complaints, "\n" + "\n".join(complaints)


@pytest.mark.parametrize("law", HOUSE_LAWS, ids=lambda law: law.__name__)
def test_house_law(law: Callable[[list[Module]], list[str]]) -> None:
    complaints = law(modules())
    assert not complaints, "\n" + "\n".join(complaints)


# --- files other than source ------------------------------------------------------------------------------------------


def repository_files() -> list[Path]:
    """Files that are, or with the next commit could be, in the repository; all files where git is not at hand."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    names = listed.stdout.decode().split("\0") if listed.returncode == 0 else []
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def forbidden_text(text: str) -> list[str]:
    """What must not be published. Written in two halves, so that this file does not trip over itself."""
    hosts = "|".join(re.escape(a + b) for a, b in [("pypi", ".org"), ("pythonhosted", ".org"), ("npmjs", ".org"),
                                                   ("deb.debian", ".org"), ("crates", ".io")])  # fmt: skip
    homes = "|".join(a + b for a, b in [("/ro", "ot/"), ("/wo", "rk/"), ("/Us", "ers/"), ("/ho", "me/")])
    found = [f"a registry's host '{hit}'" for hit in re.findall(hosts, text)]
    found += [f"a path of one machine '{hit}'" for hit in re.findall(rf"(?<![\w.$}}~-])(?:{homes})\w+", text)]
    mails = re.findall(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}\b", text)
    reserved = re.compile(r"@(.+\.)?(example(\.(com|org|net))?|invalid|test|localhost)$")  # RFC 2606
    return found + [f"an e-mail address '{hit}'" for hit in mails if not reserved.search(hit)]


def test_nothing_of_this_machine_or_its_people_is_published() -> None:
    complaints = []
    for path in repository_files():
        data = path.read_bytes()
        if b"\0" in data[:8192]:
            continue
        complaints += [
            f"{path.relative_to(ROOT)}:{number}: {hit}; use a relative path, a setting, or the domain example.com"
            for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1)
            for hit in forbidden_text(line)
        ]
    assert not complaints, "\n" + "\n".join(complaints)


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = {re.split(r"[<>=\[;~! ]", line)[0]
              for line in (*project["project"]["dependencies"], *project["dependency-groups"]["dev"])}  # fmt: skip
    text = (ROOT / "docs" / "decisions" / "dependencies.md").read_text(encoding="utf-8")
    written = set(re.findall(r"^\| `([\w-]+)` \| \S", text, re.MULTILINE))
    assert not wanted - written, f"docs/decisions/dependencies.md: a row with the reason for {wanted - written}"
    assert not written - wanted, f"docs/decisions/dependencies.md: {written - wanted} is no dependency; drop the row"


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_locks_pin_every_dependency_and_name_no_address(lock: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lines = project["project"]["dependencies"] + project["build-system"]["requires"]
    lines += project["dependency-groups"]["dev"] if "dev" in lock else []
    text = (ROOT / lock).read_text(encoding="utf-8")
    pinned = set(re.findall(r"^([\w.-]+)==\S+ \\\n +--hash=sha256:", text, re.MULTILINE))
    missing = {re.split(r"[<>=\[;~! ]", line)[0] for line in lines} - pinned
    assert not missing, f"{lock}: {missing} is not pinned with hashes; run `make lock`"
    assert not re.search(r"https?:|file:|^--", text, re.MULTILINE), f"{lock} names an address; run `make lock`"


def test_links_between_documents_lead_somewhere() -> None:
    complaints = []
    for path in (path for path in repository_files() if path.suffix == ".md"):
        text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        complaints += [
            f"{path.relative_to(ROOT)}: link to {target} leads nowhere; correct it or write that file"
            for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text)
            if not (path.parent / target).exists()
        ]
    assert not complaints, "\n" + "\n".join(complaints)


def test_glossary_is_sorted_and_says_each_word_once() -> None:
    words = re.findall(r"^\*\*(.+?)\*\*", (ROOT / "GLOSSARY.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(words) > 20
    assert words == sorted(set(words), key=str.lower), "GLOSSARY.md: keep the words in order, each once"


# --- the laws themselves ----------------------------------------------------------------------------------------------

DOC = '"""Says what it is for."""\n'
OFFENDERS = [
    (law_rooms_import_upwards, "core/x.py", "from watchbill.records.batch import Batch"),
    (law_rooms_import_upwards, "core/x.py", "def f() -> None:\n    import watchbill.web.http"),
    (law_rooms_import_upwards, "attic/x.py", ""),
    (law_plugins_stand_alone, "detectors/x.py", "from watchbill.core.errors import LimitError"),
    (law_plugins_stand_alone, "detectors/x.py", "from watchbill.detectors import base, canary"),
    (law_lab_knows_only_the_contract, "lab/attacks/x.py", "from watchbill.detectors.base import Detector"),
    (law_time_is_passed_in, "scoring/x.py", "import time\nNOW = time.time()"),
    (law_time_is_passed_in, "scoring/x.py", "import datetime\nNOW = datetime.datetime.now()"),
    (law_randomness_is_seeded, "lab/x.py", "import numpy as np\nR = np.random.default_rng()"),
    (law_randomness_is_seeded, "lab/x.py", "import random\nR = random.random()"),
    (law_randomness_is_seeded, "context/x.py", "BUCKET = hash('a') % 64"),
    (law_only_the_command_line_prints, "web/x.py", "print('hello')"),
    (law_modules_say_what_they_are_for, "core/x.py", ""),
    (law_modules_say_what_they_are_for, "detectors/x.py", DOC),
    (law_sizes, "core/x.py", "X = 1\n" * (FILE_LINES_MAX + 1)),
    (law_sizes, "core/x.py", "def f() -> None:\n" + "    g()\n" * FUNCTION_LINES_MAX),
    (law_sizes, "core/x.py", "def f() -> None:\n" + "".join("    " * (i + 1) + "if a:\n" for i in range(5)) + " " * 24 + "g()"),
    (law_functions_are_typed, "core/x.py", "def f(a): return a"),
    (law_modules_have_their_test_file, "core/no_such_module.py", DOC),
    (law_settings_are_documented, "core/settings.py", "class S:\n    a_field_that_no_document_names: int"),
]  # fmt: skip


@pytest.mark.parametrize(("law", "path", "text"), OFFENDERS)
def test_each_law_catches_its_offender(law: Callable[[Module], list[str]], path: str, text: str) -> None:
    complaints = law(Module(path, text))
    assert complaints
    assert all(re.match(rf"src/watchbill/{path}:\d+: .{{20,}}", complaint) for complaint in complaints)


def test_every_law_has_an_offender() -> None:
    assert {law for law, _, _ in OFFENDERS} == set(MODULE_LAWS)


def test_house_laws_catch_their_offenders() -> None:
    there, back = Module("core/a.py", "import watchbill.core.b"), Module("core/b.py", "from watchbill.core import a")
    assert len(law_no_import_cycles([there, back])) == 2
    long = "def f() -> None:\n" + "    g()\n" * FUNCTION_LINES_P95
    assert law_most_functions_are_short([Module("core/a.py", long)])
    assert not law_most_functions_are_short([Module("core/a.py", long + "def h() -> None: ...\n" * 20)])


def test_published_text_is_searched() -> None:
    for bad in ("see /ro" + "ot/x", "cd '/wo" + "rk/main'", "pypi" + ".org", "jane" + "@corp.cn"):
        assert forbidden_text(bad), bad
    for good in ("@kernel", "a@example.com", "src/work/x", "$HOME/x", "f@{x}"):
        assert not forbidden_text(good), good
