"""A local cloud that runs the app, for the tests that need the real host."""

import sys
from pathlib import Path
from typing import Any

from localcloud.up import Description
from shared.core.queues import all_queues
from tests.app_settings import app_settings
from tests.signing_in import SIGN_IN

REPOSITORY = Path(__file__).parents[2]
PEOPLE: dict[str, dict[str, list[str]]] = {
    "alice": {"roles": ["Promotion.Operator", "Promotion.Approver"]},
    "bob": {"roles": ["Promotion.Approver"]},
    "dora": {},
}


def describe(**settings: str) -> Description:
    """The environments of the example, whose app has these settings too."""
    names = ("dev", "test", "prod")
    known = app_settings(names) | {
        "MLPROMOTE_CONFIGURATION": "examples/digits/promotion.yml",
        "MLPROMOTE_STORE": "{data}/promotions.sqlite",
        **SIGN_IN,
    }
    content: dict[str, Any] = {
        "registry": "contoso-ml",
        "environments": {
            name: {
                "subscription": f"s-{name}",
                "resource_group": f"rg-{name}",
                "workspace": f"ws-{name}",
                "reads_quota": True,
            }
            for name in names
        },
        "people": PEOPLE,
        "queues": all_queues(names),
        "app": {"folder": str(REPOSITORY), "settings": known | settings},
        "azureml": {"python": sys.executable},  # no job or deployment runs here
    }
    return Description.model_validate(content)
