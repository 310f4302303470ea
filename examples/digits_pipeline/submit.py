"""Makes the example's data and submits its pipeline to a local cloud whose app uses this folder's promotion.yml."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from examples.demo.data_scientist import DataScientist
from examples.demo.running_cloud import addresses_in, arguments

HERE = Path(__file__).resolve().parent
COMPUTE = HERE.parents[1] / ".venv-compute" / "bin" / "python"
START = (
    "Set MLPROMOTE_CONFIGURATION in localcloud.yml to\n"
    "examples/digits_pipeline/promotion.yml, and start one in another terminal: make up"
)


def main() -> None:
    """Submit it and say what happens next."""
    parser = arguments("examples.digits_pipeline.submit", __doc__)
    parser.add_argument("--split", choices=["random", "last"], default="random", help="which images to test with")
    asked = parser.parse_args()
    addresses = addresses_in(asked.data, START)
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


if __name__ == "__main__":
    main()
