"""The configuration is read while functions are indexed, so what it imports counts."""

import json
import subprocess
import sys
from pathlib import Path

LOADED = """
import json, sys
import shared.config
print(json.dumps(sorted(sys.modules)))
"""


def test_importing_the_configuration_loads_no_sdk() -> None:
    root = Path(__file__).parents[2]
    answer = subprocess.run([sys.executable, "-c", LOADED], cwd=root, capture_output=True, text=True, check=True)
    modules = json.loads(answer.stdout)
    assert "shared.config" in modules
    heavy = ("azure", "jsonschema", "asyncio", "requests", "shared.config.schema")
    assert [name for name in modules if name.startswith(heavy)] == []
