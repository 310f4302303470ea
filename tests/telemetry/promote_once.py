"""Run in a process of its own, because OpenTelemetry starts once per process: promotes a version up to its approval.

Its argument is the app's folder; the settings of telemetry come from the environment. Prints the promotion's id.
"""

import logging
import os
import sys
import time
from pathlib import Path

from tests.telemetry.conftest import started

logging.basicConfig(level=logging.INFO, stream=sys.stderr)
TELEMETRY = ("APPLICATIONINSIGHTS_CONNECTION_STRING", "MLPROMOTE_TRACES")
running = started(Path(sys.argv[1]), **{name: os.environ[name] for name in TELEMETRY if name in os.environ})
begun = time.perf_counter()
running.app.telemetry  # noqa: B018  # made here, to see how long that takes
logging.info("telemetry started in %.0f ms", (time.perf_counter() - begun) * 1000)
running.register()
running.run()
sys.stdout.write(running.promotion["id"])
