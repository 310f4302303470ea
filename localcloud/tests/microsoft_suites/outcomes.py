"""How the tests ended, by module, and why those that failed had to."""

import json
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

#: Why a test cannot pass here: a part of its name or of the words of its failure, and the reason.
KNOWN: tuple[tuple[str, str], ...] = (
    (r"No such file or directory: \S*test_configs", "its YAML is not in the folder of --configs"),
    (r"Invalid code path", "the SDK looks for *.blob.core.windows.net, whatever the cloud"),
    (r"Microsoft\.Resources/deployments", "needs Azure Resource Manager's template deployments"),
    (r"azure-mgmt-resource|[Ss]ingularity|virtual cluster", "needs Singularity's virtual clusters"),
    (
        r"Jobs of type (?!Command|Pipeline)",
        "needs a kind of job that does not run here: AutoML, sweep, Spark or import",
    ),
    (r"/batchEndpoints|/featureStores|/connections", "needs a service that the local cloud has not"),
    (r"AzureML-[\w.-]+ in |environments/AzureML-", "reads a curated environment of Microsoft's own registry"),
    (r"PUT is not supported at \S+/datastores/", "makes a datastore of another storage account"),
    (r"onlineEndpoints/\S+/token", "needs tokens of Entra ID for scoring"),
    (r"test_online_deployment.*ResourceNotReady", "its model needs packages that are not in the compute's environment"),
    (r"only commands and pipelines run here", "has a step of another kind, see docs/parts.md"),
    (r"test_pipeline_job_download", "wants artifacts of the pipeline itself, of which there are none here"),
    (r"non_existent_compute", "every name is taken for a compute that is there, see docs/parts.md"),
    (r"startswith of str object", "wants the address of Azure's own studio"),
    (r"test_dsl_pipeline_component_cache_in_resolver", "counts what a cache of the SDK's tests before it has saved"),
    (r"test_registered_component_is_control", "an output is marked early_available by a rule that no recording tells"),
    (r"test_component_create_get_list_from_registry", "wants code for a component that was made without any"),
    (r"test_registry_environment_create_conda_and_get", "wants the registry's name in small letters in ids"),
    (r"mir_test_model", "uploads a version of a model once more, which it cannot with the random paths of a live run"),
    (r"parallel_job_with_input_bindings", "its YAML must be of the same release as the test"),
    (
        r"sdk-test was not found|testFeed was not found|asset with ID: azureml://registries/sdk-test",
        "reads an asset that Microsoft keeps in a registry of its own",
    ),
)


class Outcome(NamedTuple):
    test: str
    outcome: str
    words: str

    @property
    def module(self) -> str:
        return self.test.split("/")[1]

    @property
    def reason(self) -> str | None:
        """None where it should have passed."""
        told = f"{self.test} {self.words}"
        return next((reason for pattern, reason in KNOWN if re.search(pattern, told)), None)


def report(file: Path) -> int:
    """Prints a line for each module and one for each test that failed; 1 when one of them has no known reason."""
    found: dict[str, Outcome] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        one = Outcome(**json.loads(line))
        if one.test not in found or one.outcome == "failed":  # a failed teardown counts
            found[one.test] = one
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in found.values():
        counts[one.module][_kind(one)] += 1
    _say(f"{'':16}passed  failed  cannot pass here  skipped")
    for module, count in counts.items():
        _say(f"{module:16}{count['passed']:6}{count['failed']:8}{count['known']:18}{count['skipped']:9}")
    failed = [one for one in found.values() if one.outcome == "failed"]
    for one in failed:
        _say(
            f"{one.test.partition('e2etests/')[2]}: {one.reason or 'UNEXPLAINED: ' + ' '.join(one.words.split())[:300]}"
        )
    passed = sum(count["passed"] for count in counts.values())
    unexplained = sum(count["failed"] for count in counts.values())
    _say(f"{passed} passed, {len(failed)} failed, {len(failed) - unexplained} of them for a known reason")
    return 1 if unexplained else 0


def _kind(one: Outcome) -> str:
    return "known" if one.outcome == "failed" and one.reason else one.outcome


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
