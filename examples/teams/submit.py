"""Submits a job file to the dev workspace of a local cloud: `az` cannot sign in there."""

import sys
from pathlib import Path

from examples.demo.data_scientist import DataScientist
from examples.demo.running_cloud import addresses_in, arguments

START = "Start one in another terminal: make up CLOUD=examples/teams/localcloud.yml"


def main() -> None:
    """Submit it and print the job's name."""
    parser = arguments("examples.teams.submit", __doc__)
    parser.add_argument("job", type=Path, help="an Azure ML job file, such as ../churn/jobs/train.yml")
    asked = parser.parse_args()
    if not asked.job.is_file():
        parser.error(f"there is no file {asked.job}")
    job = DataScientist(addresses_in(asked.data, START)).submit_file(asked.job)
    sys.stdout.write(f"Job {job} is running in dev. To follow what becomes of it: .venv/bin/mlpromote list\n")


if __name__ == "__main__":
    main()
