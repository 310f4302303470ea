"""A configuration file that cannot be read is reported with its name."""

from pathlib import Path

import pytest

from localcloud.configuration_file import ConfigurationError, Section, read_configuration


@pytest.mark.parametrize(
    "content",
    [b"a: [", b"a: 2026-13-01", b"a: \xff", b"[" * 5000],
    ids=["no YAML", "an impossible date", "no text", "nested too deeply"],
)
def test_a_file_that_is_neither_yaml_nor_json_is_reported_with_its_name(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "localcloud.yml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"localcloud.yml: is neither YAML nor JSON"):
        read_configuration(file, Section)
