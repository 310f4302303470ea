"""Any file is either a configuration or has faults in words; nothing else is ever raised."""

import copy
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.config import ConfigurationFaults, load
from tests.config.right import RIGHT, SETTINGS

CONTENT = yaml.safe_load(RIGHT)

#: Keys and values that mean something to the configuration, in the wrong places.
WORDS = st.sampled_from([
    "dev", "test", "prod", "churn-*", "{model}", "pass", "500ms", "${DEV}", "${NONE}", "name", "environment", "from",
    "models", "after", "validate", "routes", "environments", "timeouts", "registry", "", "[", "*",
])  # fmt: skip
SCALARS = st.one_of(WORDS, st.none(), st.booleans(), st.integers(), st.floats(), st.dates(), st.text(max_size=5))
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.integers(), inner, max_size=3)
)

JARGON = ("Input should", "Value error", "validation error", "pydantic", "str type", "dict", "tuple")


def places(content: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [above] * bool(above) + [place for key, value in inner for place in places(value, (*above, key))]


@given(changes=st.lists(st.tuples(st.sampled_from(places(CONTENT)), VALUES), min_size=1, max_size=3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_file_with_anything_anywhere_loads_or_has_faults_in_words(
    changes: list[tuple[tuple[Any, ...], Any]], tmp_path: Path
) -> None:
    content = copy.deepcopy(CONTENT)
    for (*above, last), value in changes:
        part = content
        with suppress(KeyError, IndexError, TypeError):  # an earlier change took the place away
            for key in above:
                part = part[key]
            part[last] = value
    path = tmp_path / "promotion.yml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8", errors="replace")
    try:
        load(path, SETTINGS)
    except ConfigurationFaults as refusal:
        sentences = [fault.sentence for fault in refusal.faults]
        assert sentences
        assert [sentence for sentence in sentences if any(word in sentence for word in JARGON)] == []


def test_the_right_configuration_is_right(tmp_path: Path) -> None:
    (tmp_path / "promotion.yml").write_text(yaml.safe_dump(CONTENT), encoding="utf-8")
    load(tmp_path / "promotion.yml", SETTINGS)


@given(text=st.text("{}[]:,-*&!?|>'\"%@` \n#ab1", max_size=30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_text_at_all_has_faults(text: str, tmp_path: Path) -> None:
    (tmp_path / "promotion.yml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationFaults):
        load(tmp_path / "promotion.yml", SETTINGS)
