"""The settings with which the app finds a local cloud, as in `localcloud.yml`, for any environments."""

from collections.abc import Iterable


def app_settings(environments: Iterable[str]) -> dict[str, str]:
    """By name, with the placeholders of `localcloud.yml`: Service Bus, Azure ML, and each environment's own two."""
    settings = {"ServiceBus": "{servicebus_connection}", "AZUREML_CLOUD": "{azureml_cloud}"}
    for name in environments:
        prefix = name.upper().replace("-", "_")
        settings |= {f"{prefix}_WORKSPACE": f"{{workspace_{name}}}", f"{prefix}_IDENTITY": f"{{identity_{name}}}"}
    return settings
