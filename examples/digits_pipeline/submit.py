"""Makes the example's data and submits its pipeline to a local cloud whose app uses this folder's promotion.yml."""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from examples.demo.addresses import addresses_of
from examples.demo.data_scientist import DataScientist

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
COMPUTE = REPOSITORY / ".venv-compute" / "bin" / "python"


def main() -> int:
    """Submit it and say what happens next. Return 1 if no local cloud is running."""
    parser = argparse.ArgumentParser(prog="python -m examples.digits_pipeline.submit", description=__doc__)
    parser.add_argument(
        "--data",
        type=Path,
        default=REPOSITORY / ".local",
        metavar="DIR",
        help="the local cloud's folder (default: .local)",
    )
    parser.add_argument("--split", choices=["random", "last"], default="random", help="which images to test with")
    asked = parser.parse_args()
    try:
        addresses = addresses_of(json.loads((asked.data / "addresses.json").read_text()))
    except FileNotFoundError:
        sys.stderr.write(
            f"No local cloud is running in {asked.data}. Set MLPROMOTE_CONFIGURATION in localcloud.yml to\n"
            "examples/digits_pipeline/promotion.yml, and start one in another terminal: make up\n"
        )
        return 1
    dev, prod = (DataScientist(addresses, environment) for environment in ("dev", "prod"))
    with TemporaryDirectory() as folder:
        subprocess.run([COMPUTE, HERE / "data" / "make_data.py", folder], check=True)
        for scientist, name in ((dev, "sample"), (prod, "production"), (prod, "holdout")):
            scientist.create_data(f"digits-{name}", Path(folder) / name)
    job = dev.submit_pipeline(asked.split)
    sys.stdout.write(
        f"Pipeline job {job} is running in dev. When it has completed, the app promotes it and waits for your\n"
        "approval. To follow the promotion: .venv/bin/mlpromote list\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
