"""The environments' names are read while functions are indexed, so what that imports counts."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.config import ConfigurationFaults, document, environment_names
from shared.config.indexing import names_in_usual_form
from tests.config.right import RIGHT, changed

REPOSITORY = Path(__file__).parents[2]

LOADED = """
import json, pathlib, sys
import shared.config
names = shared.config.environment_names(pathlib.Path(sys.argv[1]))
print(json.dumps([names, sorted(sys.modules)]))
"""


def loaded(text: str, folder: Path) -> tuple[list[str], list[str]]:
    """The names that a fresh process reads, and those of the modules it then has that cost time."""
    (folder / "promotion.yml").write_text(text, encoding="utf-8")
    command = [sys.executable, "-c", LOADED, str(folder / "promotion.yml")]
    answer = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    names, modules = json.loads(answer.stdout)
    return names, [module for module in modules if module in ("yaml", "pydantic", "azure", "asyncio")]


def test_the_names_are_read_without_pyyaml_pydantic_or_an_sdk(tmp_path: Path) -> None:
    assert loaded(RIGHT, tmp_path) == (["dev", "test", "prod"], [])


def test_in_an_unusual_form_they_are_read_with_pyyaml_and_still_without_pydantic(tmp_path: Path) -> None:
    in_braces = "registry: contoso-ml\nenvironments: {dev: {}, 'test': {}}\n"
    assert loaded(in_braces, tmp_path) == (["dev", "test"], ["yaml"])


@pytest.mark.parametrize("example", ["examples/digits", "examples/two-regions", "tests/e2e/tiny"])
def test_the_examples_are_in_the_usual_form(example: str) -> None:
    text = (REPOSITORY / example / "promotion.yml").read_text(encoding="utf-8")
    assert names_in_usual_form(text) == list(document.read(REPOSITORY / example / "promotion.yml")[0]["environments"])


@pytest.mark.parametrize(
    "text",
    [
        'registry: "a\nenvironments:\n  dev:\nb": c\n',
        'environments:\n  dev:\n    workspace: "a\n  test: b"\n',
        'environments:\n  dev: {a: b" , c: "d}\n  test: x" , e: "f}\n',
        "environments:\n dev:\n  workspace: a\n",
        "environments:\n  dev:\n  <<: {test: }\n",
        "environments:\n  dev:\nenvironments:\n  test:\n",
        'environments:\n  dev:\n"environ\\x6dents":\n  test:\n',
        "environments:\n  dev:\n  # a\u2028  test:\n",
        "environments:\n  dev:\n  dev:#  test: {workspace: a}\n",
    ],
)
def test_what_only_looks_like_the_usual_form_is_left_to_pyyaml(text: str) -> None:
    assert names_in_usual_form(text) is None


# Whatever a line may contain, much of it misleading for a reader of lines, and the signs that open and close.
LINES = (
    "environments:", "environments: {}", " environments:", "  environments:", "? environments", "dev:", "  dev:",
    " dev:", "  test: {workspace: a}", '  prod: {workspace: "${W}", identity: b}', "    workspace: a",
    '    identity: "b"', "", "      more: c", "registry: a", 'registry: "a', 'b"', "registry: 'a", "b'", "registry: |",
    "registry: >-", "routes:", "  - a", "- a", "  on:", "  dev: &a {workspace: b}", "  <<: *a",
    "<<: {environments: {other: }}", "  a", "\ta", "\t", "# environments:", "  # dev:", "registry: a # b",
    "registry: {a: b,", "c: d}", "registry: [a,", "b]", "---", "...", "&a environments:", "!!str environments:",
    '"environ\\x6dents": {other: }', "# a\u2028environments:", "  a b: c", '  dev: {a: b" , c: "d}',
    '  test: x" , e: "f}', "  dev: a: b", "  dev: $a{b}", "  dev: a#b", "  Dev:", "  dev-:",
)  # fmt: skip
SIGNS = [*"{}[]\"':,#&*!|>-?%@`\\ \t\n\x85\u2028\ufeff$a0", "\n ", "\n  ", ": ", " #", '": ', "environments"]


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Lines of a valid configuration with others among them, and some signs changed."""
    lines = RIGHT.split("\n")[: draw(st.sampled_from((0, 2, 4, 5, 7, 99)))]
    for line in draw(st.lists(st.sampled_from(LINES), max_size=6)):
        lines.insert(draw(st.integers(0, len(lines))), line)
    text = "\n".join(lines)
    for sign in draw(st.lists(st.sampled_from(SIGNS), max_size=3)):
        begin = draw(st.integers(0, len(text)))
        text = text[:begin] + sign + text[begin + draw(st.integers(0, 2)) :]
    return text


@settings(max_examples=1000, deadline=None)
@given(documents())
def test_read_line_by_line_the_names_are_those_that_pyyaml_reads(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "promotion.yml"
    path.write_text(text, encoding="utf-8", newline="")
    names = names_in_usual_form(path.read_text(encoding="utf-8"))
    if names is not None:
        try:
            content, _ = document.read(path)
        except ConfigurationFaults:
            return  # not YAML, which is reported when the file is read
        assert names == list(content["environments"])


@pytest.fixture
def names(tmp_path: Path) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        (tmp_path / "promotion.yml").write_text(text, encoding="utf-8")
        return environment_names(tmp_path / "promotion.yml")

    return names


def test_faults_elsewhere_do_not_hide_the_names(names: Callable[[str], list[str]]) -> None:
    assert names(changed(("registry: contoso-ml", "regstry: 7"), ("0.82", "high"))) == ["dev", "test", "prod"]


@pytest.mark.parametrize(
    "text", ["", "a: b", "environments:", "environments: {}", "environments: [dev]", "- environments"]
)
def test_a_file_without_environments_is_refused(text: str, names: Callable[[str], list[str]]) -> None:
    with pytest.raises(ConfigurationFaults, match="environments: must be a mapping of names to environments"):
        names(text)


def test_every_name_that_cannot_be_a_queue_is_reported(names: Callable[[str], list[str]]) -> None:
    with pytest.raises(ConfigurationFaults) as refused:
        names(changed(("dev: {", "Dev: {"), ("prod: {", "prod_1: {")))
    assert [fault.place for fault in refused.value.faults] == ["environments.Dev", "environments.prod_1"]


def test_a_file_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationFaults, match="cannot be read"):
        environment_names(tmp_path / "promotion.yml")
