"""What the layout promises: who imports whom, what is declared, how long a module is, and that documents are whole."""

import ast
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SHIPPED = ("station", "firmware_sims")
MOST_LINES = 400
SKIPPED = {".git", ".venv", ".venv-train", "mutants", "__pycache__", "dist"}
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
# Put together here, so that this file itself is clean.
UNWANTED = re.compile(
    "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3 + r"\b", r"(?<![\w.])/wo" + r"rk/", "pyp" + "i\\.org", "pythonho" + "sted"))
)


def modules(*packages: str) -> Iterator[Path]:
    for package in packages:
        yield from sorted((ROOT / package).rglob("*.py"))


def documents() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@cache
def imported_by(path: Path) -> frozenset[str]:
    """Full dotted names; `from a import b` gives `a` and `a.b`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(requirements: list[str]) -> set[str]:
    return {normal(re.split(r"[\[<>=~! ]", requirement, maxsplit=1)[0]) for requirement in requirements}


def test_what_is_shipped_imports_no_tests_training_or_benchmarks():
    others = {"tests", "training", "benchmarks"}
    assert [dotted(path) for path in modules(*SHIPPED) if {name.partition(".")[0] for name in imported_by(path)} & others] == []


def test_only_one_place_asks_whether_the_gate_may_open():
    askers = {dotted(path) for path in modules("station") if "station.domain.gate.may_open" in imported_by(path)}
    assert askers == {"station.workflow.journey"}


def test_dependencies_are_exactly_what_is_imported():
    homes = importlib.metadata.packages_distributions()
    imported: set[str] = set()
    for path in modules(*SHIPPED):
        if dotted(path) != "firmware_sims.bake_beam":
            tops = {name.partition(".")[0] for name in imported_by(path)} - set(sys.stdlib_module_names) - set(SHIPPED)
            imported |= {normal(homes[top][0]) for top in tops}
    assert declared(PROJECT["project"]["dependencies"]) == imported


def test_the_lock_holds_every_dependency():
    locked = set(re.findall(r"^([a-z0-9.-]+)==", (ROOT / "requirements/dev.lock").read_text(encoding="utf-8"), re.MULTILINE))
    wanted = PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["dev"]
    assert declared(wanted) - {normal(name) for name in locked} == set()


def test_no_two_test_modules_share_a_name():
    names = [path.name for path in modules("tests") if path.name.startswith("test_")]
    assert sorted(set(names)) == sorted(names)


def test_modules_are_small():
    long = {dotted(path): count for path in modules(*SHIPPED) if (count := len(path.read_text(encoding="utf-8").splitlines())) > MOST_LINES}
    assert long == {}


def leads_nowhere(page: Path, target: str) -> bool:
    return "://" not in target and not target.startswith("#") and not (page.parent / target.partition("#")[0]).exists()


def test_every_link_in_the_documents_leads_somewhere():
    links = [(page, target) for page in documents() for target in LINK.findall(page.read_text(encoding="utf-8"))]
    assert [f"{page.relative_to(ROOT)}: {target}" for page, target in links if leads_nowhere(page, target)] == []


@pytest.mark.parametrize("folder", ["decisions", "reference", "explanation", "how-to", "tutorial"])
def test_the_index_names_every_document(folder: str):
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    assert [page.name for page in sorted((ROOT / "docs" / folder).glob("*.md")) if f"({folder}/{page.name})" not in index] == []


def test_decision_records_have_numbers_of_their_own():
    numbers = [page.name[:4] for page in (ROOT / "docs/decisions").glob("*.md")]
    assert sorted(set(numbers)) == sorted(numbers)


def test_nothing_is_left_unfinished_or_bound_to_one_machine():
    found = []
    for path in sorted(ROOT.rglob("*")):
        if SKIPPED & set(path.relative_to(ROOT).parts) or path.suffix not in {
            ".py",
            ".md",
            ".toml",
            ".js",
            ".ftl",
            ".html",
            ".css",
            ".lock",
            ".csv",
        }:
            continue
        found += [f"{path.relative_to(ROOT)}: {hit}" for hit in UNWANTED.findall(path.read_text(encoding="utf-8"))]
    assert found == []
