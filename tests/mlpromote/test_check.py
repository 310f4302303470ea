"""`mlpromote check`: everything that can be known without the cloud, all at once, each with its place."""

import json
import os
from pathlib import Path

import pytest

from mlpromote.checking import loaders
from mlpromote.exit_codes import ExitCode
from shared.config import load, named_files
from tests.config.right import RIGHT, SETTINGS, changed
from tests.mlpromote.checked_folder import DEPLOYMENT, JOB, NAMED, SCRIPT
from tests.mlpromote.conftest import Check, CommandLine

REPOSITORY = Path(__file__).parents[2]
EVALUATED = changed(
    (
        "        smoke:",
        "        evaluate: {job: jobs/evaluate.yml, gates: [{metric: auc, at_least: 1}]}\n        smoke:",
    )
)


def test_right_files_have_no_fault_and_show_their_routes(check: Check) -> None:
    ended = check({})
    assert (ended.code, ended.output) == (0, "churn: churn-*: dev → test → prod\nno faults\n")


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("promotion.yml", "registry: [", "promotion.yml:2:1: invalid YAML"),
        ("promotion.yml", changed(("from: dev", "from: lab")), "promotion.yml:8:5: routes.churn.from: unknown"),
        ("promotion.yml", changed(("max_latency", "max_latancy")), "promotion.yml:18:46: routes.churn.stages[0].smoke"),
        ("promotion.yml", changed(('endpoint: "{model}"\n', "x: 1\n")), "promotion.yml:19:9: routes.churn.stages[1]"),
        (NAMED, None, "promotion.yml:15:9: deployments/churn.yml does not exist [file]"),
        (NAMED, "a: [", f"{NAMED}:1:5: is not YAML"),
        (NAMED, DEPLOYMENT.replace("_count: 1", "_count: two"), f"{NAMED}:9:1: instance_count: must be a whole number"),
        (NAMED, f"{DEPLOYMENT}instance_cont: 2\n", f"{NAMED}:10:1: instance_cont: is no key that Azure ML knows here"),
        (NAMED, DEPLOYMENT.replace("../scoring", "../nowhere"), f"{NAMED}:3:3: ../nowhere does not exist [file]"),
        (NAMED, DEPLOYMENT.replace("score.py", "scor.py"), f"{NAMED}:4:3: ../scoring/scor.py does not exist [file]"),
        (NAMED, DEPLOYMENT.replace("conda.yml", "cond.yml"), f"{NAMED}:7:3: ../environment/cond.yml does not exist"),
        ("scoring/score.py", "def init(:\n", "scoring/score.py:1:10: does not compile: "),
        ("scoring/other.py", "x = \n", "scoring/other.py:1:5: does not compile: invalid syntax"),
        ("scoring/score.py", "def init(): ...\n", "scoring/score.py:1:1: has no function run"),
        ("environment/conda.yml", "name: x\n", "environment/conda.yml:1:1: has no list of dependencies [conda]"),
        (
            "environment/conda.yml",
            "dependencies:\n  - numpy=2.1\n  - pip:\n    - a==1\n    - b[c]=2\n",
            "environment/conda.yml:5:7: b[c]=2: pip pins a version with two equals signs, ==2 [conda]",
        ),
        ("environment/conda.yml", "dependencies:\n  - a\n  - 3.11\n", "environment/conda.yml:3:5: must be a package"),
        ("smoke/churn.jsonl", '{"request": 1}\n\nx\n', "smoke/churn.jsonl:3:1: is not JSON"),
        ("smoke/churn.jsonl", None, "promotion.yml:18:17: smoke/churn.jsonl does not exist [file]"),
        ("jobs/train.yml", JOB.replace("command:", "comand:"), "jobs/train.yml:2:1: comand: is no key"),
    ],
)  # fmt: skip
def test_each_fault_has_its_file_line_and_column(file: str, content: str | None, said: str, check: Check) -> None:
    ended = check({file: content})
    assert ended.code == ExitCode.REFUSED
    assert any(line.startswith(said) or said in line for line in ended.output.splitlines()), ended.output


def test_all_faults_are_reported_at_once_whatever_they_are(check: Check) -> None:
    wrong = {
        "promotion.yml": changed(("contoso-ml", "7"), ("from: dev", "from: lab")),
        NAMED: DEPLOYMENT.replace("_count: 1", "_count: two"),
        "scoring/score.py": "def run(:\n",
        "smoke/churn.jsonl": "x\ny\n",
    }
    ended = check(wrong)
    assert ended.output.splitlines()[-1] == "6 faults"


def test_each_fault_is_one_line_whatever_azure_mls_loaders_say(check: Check) -> None:
    before, _, _ = DEPLOYMENT.partition("environment:")
    ended = check({NAMED: f"{before}environment: {{x: 1}}\n"})
    lines = ended.output.splitlines()
    assert lines[-1] == f"{len(lines) - 1} faults"
    assert all(line.startswith(f"{NAMED}:") for line in lines[:-1])


def test_the_job_of_an_evaluation_must_have_the_inputs_that_the_app_binds(check: Check) -> None:
    assert check({"promotion.yml": EVALUATED, "jobs/evaluate.yml": JOB}).code == 0
    ended = check({"promotion.yml": EVALUATED, "jobs/evaluate.yml": JOB.replace("model: {", "modle: {")})
    assert "jobs/evaluate.yml:3:1: needs an input model for the model to evaluate [configuration]" in ended.output


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("compute: azureml:cpu", "no faults"),
        ("compute: local", "jobs/evaluate.yml:6:1: compute: local would run the job in the app"),
        ("code: https://contoso.test/src.git", "jobs/evaluate.yml:6:1: code: its content may change later"),
        ("jobs: {}", "jobs/evaluate.yml:6:1: jobs: is no key"),
    ],
)
def test_what_the_app_refuses_in_the_job_of_an_evaluation_is_a_fault(line: str, said: str, check: Check) -> None:
    ended = check({"promotion.yml": EVALUATED, "jobs/evaluate.yml": f"{JOB}{line}\n"})
    assert said in ended.output
    assert ended.code == (0 if said == "no faults" else ExitCode.REFUSED)


def test_a_pipeline_is_no_job_of_an_evaluation(check: Check) -> None:
    schema = "$schema: https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json"
    pipeline = f"{schema}\ntype: pipeline\ninputs: {{model: {{type: custom_model}}}}\njobs: {{}}\n"
    ended = check({"promotion.yml": EVALUATED, "jobs/evaluate.yml": pipeline})
    assert "jobs/evaluate.yml:1:1: does not describe a command job" in ended.output


def test_a_deployment_to_kubernetes_is_none_that_the_app_makes(check: Check) -> None:
    ended = check({NAMED: DEPLOYMENT.replace("instance_type: Standard_DS3_v2", "type: kubernetes")})
    assert f"{NAMED}:1:1: does not describe a managed online deployment" in ended.output


def test_settings_that_are_not_known_here_are_a_note_that_says_how_to_give_them(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DEV")
    monkeypatch.delenv("PROD")
    ended = check({})
    assert ended.code == 0
    assert "promotion.yml:3:9: note: not set here: DEV, PROD." in ended.output
    assert "--settings" in ended.output
    (check.folder / ".env").write_text(f"DEV={SETTINGS['DEV']}\nexport PROD='nonsense'\n", encoding="utf-8")
    ended = check({}, "--settings", ".env")
    assert ended.code == 1
    assert "promotion.yml:5:10: environments.prod.workspace: must be a workspace's ARM id" in ended.output


def test_settings_may_come_from_the_file_of_the_functions_tools(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name)
    (check.folder / "local.settings.json").write_text(json.dumps({"Values": SETTINGS}), encoding="utf-8")
    ended = check({}, "--settings", "local.settings.json")
    assert (ended.code, "note" in ended.output) == (0, False)


def test_a_teams_configuration_has_routes_only_and_no_settings(check: Check) -> None:
    routes = RIGHT[RIGHT.index("routes:") :]
    assert check({"promotion.yml": routes}).code == 0
    ended = check({"promotion.yml": routes.replace("endpoint: ", 'endpoint: "${X}"  #', 1)})
    assert "a team's configuration has no settings of the app; write the value itself" in ended.output


@pytest.mark.parametrize(("key", "other"), [("registry", "environments"), ("environments", "registry")])
def test_a_file_with_half_of_what_is_the_platforms_says_both_ways_out(key: str, other: str, check: Check) -> None:
    half = [line for line in RIGHT[: RIGHT.index("routes:")].splitlines() if line.startswith((key, "  "))]
    kept = half if key == "environments" else half[:1]
    ended = check({"promotion.yml": "\n".join([*kept, RIGHT[RIGHT.index("routes:") :]])})
    assert f"{other}: is missing; or, if you publish this file to an app of another team, remove {key}" in ended.output


def test_what_publish_would_refuse_is_a_fault_of_a_teams_folder(check: Check) -> None:
    routes = RIGHT[RIGHT.index("routes:") :]
    (check.folder / "scoring").mkdir()
    (check.folder / "scoring" / "passwords").symlink_to("/etc/passwd")
    ended = check({"promotion.yml": routes, "scoring/.env": "KEY=1", "scoring/SCORE.py": SCRIPT})
    says = [line.partition(" cannot be published: ") for line in ended.output.splitlines()]
    assert [(place, what.partition(" ")[0]) for place, found, what in says if found] == [
        ("scoring/.env:1:1:", "looks"),
        ("scoring/passwords:1:1:", "is"),
        ("scoring/score.py:1:1:", "differs"),
    ]
    assert ended.code == ExitCode.REFUSED


def test_a_key_in_the_code_of_a_teams_folder_is_a_fault_at_its_line(check: Check) -> None:
    key = "Ab3+/x" * 7 + "A="
    script = f'{SCRIPT}\nBUS = "Endpoint=sb://x/;SharedAccessKeyName=y;SharedAccessKey={key}"\n'
    ended = check({"promotion.yml": RIGHT[RIGHT.index("routes:") :], "scoring/score.py": script})
    assert "scoring/score.py:6:1: cannot be published: has what looks like a SharedAccessKey in line 6" in ended.output
    assert key not in ended.output
    assert ended.code == ExitCode.REFUSED


def test_a_pipe_in_the_place_of_a_file_is_a_fault_and_not_read(check: Check) -> None:
    for name in (NAMED, "scoring/pipe.py"):
        (check.folder / name).parent.mkdir(exist_ok=True)
        os.mkfifo(check.folder / name)
    ended = check({NAMED: None})
    assert f"promotion.yml:15:9: {NAMED} is not an ordinary file [file]" in ended.output


def test_the_platforms_file_is_checked_as_well(check: Check) -> None:
    platform = RIGHT[: RIGHT.index("routes:")] + "sources:\n  churn-team: {environments: [tset]}\n"
    ended = check({"promotion.yml": RIGHT[RIGHT.index("routes:") :], "platform.yml": platform})
    assert ended.output.splitlines()[0].startswith("platform.yml:7:31: sources.churn-team.environments[0]: unknown")


def test_a_bug_of_the_check_is_no_fault_of_the_files(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaders, "findings", lambda *_: 1 / 0)
    ended = check({}, "--json")
    assert (ended.code, ended.output) == (ExitCode.INTERNAL, "")
    assert json.loads(ended.errors)["exitCode"] == ExitCode.INTERNAL


def test_where_there_is_nothing_to_check_it_is_said_how_to_begin(mlpromote: CommandLine) -> None:
    ended = mlpromote("check")
    assert (ended.code, ended.output) == (ExitCode.USAGE, "")
    assert "There is no promotion.yml here. Name its folder, or make one with `mlpromote init NAME`." in ended.errors


@pytest.mark.parametrize("example", ["digits", "digits_pipeline", "two-regions"])
def test_the_examples_pass(example: str, mlpromote: CommandLine) -> None:
    ended = mlpromote("check", str(REPOSITORY / "examples" / example))
    assert ended.code == 0, ended.output


ENDPOINT = """\
$schema: https://azuremlschemas.azureedge.net/latest/managedOnlineEndpoint.schema.json
auth_mode: aad_token
public_network_access: disabled
tags: {team: churn}
"""
ON_ENDPOINT = changed(
    ('endpoint: "{model}-test"\n', 'endpoint: "{model}-test"\n        endpoint_file: endpoints/churn.yml\n')
)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (ENDPOINT, "no faults"),
        (f"{ENDPOINT}auth_mod: key\n", "endpoints/churn.yml:5:1: auth_mod: is no key that Azure ML knows here"),
        (ENDPOINT.replace("aad_token", "none"), "endpoints/churn.yml:2:1: auth_mode: "),
        (ENDPOINT.replace("{team: churn}", "[churn]"), "endpoints/churn.yml:4:1: tags: "),
        (f"{ENDPOINT}traffic: {{blue: 100}}\n", "endpoints/churn.yml:5:1: traffic: "),
        (f"{ENDPOINT}mirror_traffic: {{blue: 10}}\n", "endpoints/churn.yml:5:1: mirror_traffic: "),
        ("compute: azureml:aks\n", "endpoints/churn.yml:1:1: does not describe a managed online endpoint"),
        (None, "promotion.yml:15:9: endpoints/churn.yml does not exist [file]"),
    ],
)
def test_the_file_of_an_endpoint_is_checked_with_azure_mls_own_loader(
    content: str | None, said: str, check: Check
) -> None:
    ended = check({"promotion.yml": ON_ENDPOINT, "endpoints/churn.yml": content})
    assert said in ended.output
    assert ended.code == (0 if said == "no faults" else ExitCode.REFUSED)


MONITOR = """\
$schema: https://azuremlschemas.azureedge.net/latest/monitorSchedule.schema.json
name: "{model}-drift"
trigger: {type: recurrence, frequency: day, interval: 1, schedule: {hours: 3, minutes: 15}}
create_monitor:
  compute: {instance_type: standard_e4s_v3, runtime_version: "3.4"}
  monitoring_target: {ml_task: classification}
"""
_LINE = "        deployment: deployments/churn.yml\n"
MONITORED = changed((_LINE, f"{_LINE}        monitor: monitors/churn.yml\n"))
TWICE = MONITORED.replace(
    '        endpoint: "{model}"\n', '        endpoint: "{model}"\n        monitor: monitors/churn.yml\n'
)


@pytest.mark.parametrize(
    ("configuration", "content", "said"),
    [
        (MONITORED, MONITOR, "no faults"),
        (TWICE, MONITOR, "no faults"),
        (MONITORED, None, "promotion.yml:16:9: monitors/churn.yml does not exist [file]"),
        (
            MONITORED,
            MONITOR.replace("{model}-", ""),
            "monitors/churn.yml:2:1: several models of this route would share the monitor 'drift': add {model} to its "
            "name [configuration]",
        ),
        (MONITORED, MONITOR.replace("name:", "nome:"), "monitors/churn.yml:2:1: nome: is no key that Azure ML knows"),
        (MONITORED, MONITOR.replace("frequency: day", "frequency: era"), "monitors/churn.yml:3:1: "),
        (
            TWICE.replace("${PROD}", "${TEST}").replace('"{model}-test"', '"x-{model}"'),
            MONITOR,
            "promotion.yml:22:9: monitors/churn.yml names the monitor '{model}-drift', which may be that of "
            "routes.churn.stages[0].monitor in the same workspace",
        ),
    ],
)
def test_the_file_of_a_monitor_is_checked_and_each_model_and_stage_must_have_one_of_its_own(
    configuration: str, content: str | None, said: str, check: Check
) -> None:
    ended = check({"promotion.yml": configuration, "monitors/churn.yml": content})
    assert said in ended.output
    assert ended.code == (0 if said == "no faults" else ExitCode.REFUSED)


def test_the_job_of_an_analysis_is_checked_as_that_of_an_evaluation(check: Check) -> None:
    job = "{job: jobs/compare.yml, inputs: {answers: '{endpoint}-{champion}-response@latest'}, gates: [{metric: d, at_most: 0}]}"  # noqa: E501
    analysed = changed(
        ("        smoke:", f"        rollout: {{watch: 1h, keep: 1h, analysis: [{job}]}}\n        smoke:")
    )
    right = JOB.replace("inputs:\n", "inputs:\n  answers: {type: uri_folder}\n")
    assert "no faults" in check({"promotion.yml": analysed, "jobs/compare.yml": right}).output
    ended = check({"promotion.yml": analysed, "jobs/compare.yml": JOB})
    assert "jobs/compare.yml:3:1: has no input answers, but the stage gives data to it" in ended.output
    (check.folder / "jobs/compare.yml").unlink()
    assert "jobs/compare.yml does not exist [file]" in check({"promotion.yml": analysed}).output


def test_every_file_that_the_app_reads_is_checked(check: Check) -> None:
    """What `named_files.named` lists and the check does not read would be found in the middle of a promotion."""
    asks = (
        "        endpoint_file: x/endpoint.yml\n        monitor: x/monitor.yml\n"
        "        evaluate: {job: x/evaluate.yml, gates: [{metric: auc, at_least: 1}]}\n"
        "        rollout: {watch: 1h, keep: 1h, analysis: [{job: x/compare.yml, gates: [{metric: d, at_most: 0}]}]}\n"
    )
    text = changed(("        smoke:", f"{asks}        smoke:"))
    output = check({"promotion.yml": text, NAMED: None, "smoke/churn.jsonl": None}).output
    loaded = load(check.folder / "promotion.yml", SETTINGS)
    assert len(named := named_files.named(loaded)) == 6
    assert [file for file in named if f"{file} does not exist" not in output] == []
