"""Submits the training job to the dev workspace of the local cloud that `make up` keeps running."""

import sys

from examples.demo.data_scientist import DataScientist
from examples.demo.running_cloud import addresses_in, arguments

START = "Start one in another terminal: make up"


def main() -> None:
    """Submit it and say what happens next."""
    parser = arguments("examples.digits.submit", __doc__)
    parser.add_argument("--training-rows", type=int, default=800, metavar="N", help="40 to 1200 (default: %(default)s)")
    asked = parser.parse_args()
    job = DataScientist(addresses_in(asked.data, START)).submit(asked.training_rows)
    sys.stdout.write(
        f"Job {job} is running in dev. When it completes, the app registers its output as the next version of the\n"
        "model digits and promotes it. To follow it: .venv/bin/mlpromote list\n"
    )


if __name__ == "__main__":
    main()
