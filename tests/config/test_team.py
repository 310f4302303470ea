"""What a bundle may hold, and what the platform's file keeps for itself."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from shared.config import ConfigurationFaults
from shared.config.platform import Platform, is_platform, load_platform, merged, source_of
from shared.config.team import TeamRoute, conflicts, load_team
from shared.config.written import SettingText
from tests.config.right import RIGHT, SETTINGS
from tests.config.teams import CHURN, GROUP, PLATFORM, edited, in_folder

DIGEST = "d" * 64
#: Object id of a group that no policy names.
OTHERS = GROUP.replace("a", "b")


def platform_of(text: str = PLATFORM) -> Platform:
    return load_platform(SettingText("MLPROMOTE_PLATFORM", text), SETTINGS)


def load(
    folder: Path, files: Mapping[str, bytes], platform: Platform | None = None, source: str = "churn-team"
) -> dict[str, TeamRoute]:
    return load_team(in_folder(folder / source, files), platform or platform_of(), source, DIGEST)


def faults_of(folder: Path, files: Mapping[str, bytes], text: str = PLATFORM, source: str = "churn-team") -> list[str]:
    with pytest.raises(ConfigurationFaults) as refused:
        load(folder, files, platform_of(text), source)
    return [str(fault) for fault in refused.value.faults]


def platform_faults(text: str) -> list[str]:
    with pytest.raises(ConfigurationFaults) as refused:
        platform_of(text)
    return [str(fault) for fault in refused.value.faults]


class TestThePlatform:
    def test_it_is_told_apart_by_its_sources(self) -> None:
        assert is_platform(SettingText("A", PLATFORM))
        assert not is_platform(SettingText("A", RIGHT))

    def test_it_keeps_policies_and_says_who_publishes(self) -> None:
        platform = platform_of()
        assert platform.environments["prod"].policy.instance_types == ("Standard_DS3_v2",)
        assert platform.sources["churn-team"].roles == {"Promotion.Publisher"}
        credit = platform.sources["credit-team"]
        assert set(credit.roles) == {"Credit.Publisher"}
        assert set(credit.groups) == {GROUP}

    def test_routes_do_not_belong_into_it(self) -> None:
        assert platform_faults(PLATFORM + "routes: {}\n") == [
            "routes: routes belong into the bundles of the sources; to keep them in this file, remove `sources`"
        ]

    def test_all_its_faults_are_said_at_once(self) -> None:
        wrong = PLATFORM.replace('"${TEST}"', '"${MISSING}"').replace("[dev, test, prod]", "[dev, prd]")
        assert platform_faults(wrong) == [
            "environments.test.workspace: the setting MISSING is missing; add it to the app's settings",
            "sources.churn-team.environments[1]: unknown environment 'prd'; did you mean prod?",
        ]

    @pytest.mark.parametrize(
        ("pattern", "may"),
        [
            ("churn", True),
            ("churn-eu", True),
            ("churn-*", True),
            ("churn*", True),
            ("chur*", False),
            ("*", False),
            ("credit", False),
            ("c?urn", False),
        ],
    )
    def test_a_source_names_its_own_models_only(self, pattern: str, may: bool) -> None:
        assert platform_of().sources["churn-team"].may_name(pattern) is may


class TestABundle:
    def test_its_routes_are_named_after_the_source_and_know_the_bundle(self, tmp_path: Path) -> None:
        routes = load(tmp_path, CHURN)
        assert list(routes) == ["churn-team/scores"]
        assert (routes["churn-team/scores"].name, routes["churn-team/scores"].bundle) == ("churn-team/scores", DIGEST)
        configuration = merged(platform_of(), routes.values())
        assert list(configuration.routes_for(configuration.environments["dev"].workspace.id, "churn-eu")) == [
            *routes.values()
        ]
        assert (source_of("churn-team/scores"), source_of("scores")) == ("churn-team", "")

    def test_it_cannot_change_what_is_the_platforms(self, tmp_path: Path) -> None:
        softer = "environments: {prod: {policy: {approvals: 0}}}\nregistry: mine\nsources: {}\n"
        files = {**CHURN, "promotion.yml": softer.encode() + CHURN["promotion.yml"]}
        says = "belongs to the app's platform.yml, which a bundle cannot change; remove it"
        assert faults_of(tmp_path, files) == [f"{key}: {says}" for key in ("environments", "registry", "sources")]

    def test_it_cannot_read_the_apps_settings(self, tmp_path: Path) -> None:
        files = edited(("promotion.yml", '"{model}-test"', '"${AzureWebJobsStorage}"'))
        assert faults_of(tmp_path, files) == [
            "routes.scores.stages[0].endpoint: a bundle has no settings of the app; write the value itself"
        ]

    def test_all_faults_are_said_at_once(self, tmp_path: Path) -> None:
        files = edited(
            ("promotion.yml", "environment: test", "environment: tset"), ("promotion.yml", "from: dev", "frm: dev")
        )
        found = faults_of(tmp_path, files)
        assert "routes.scores.stages[0].environment: unknown environment 'tset'; did you mean test?" in found
        assert any(fault.startswith("routes.scores.frm:") for fault in found)

    def test_the_files_that_it_names_are_read(self, tmp_path: Path) -> None:
        files = {name: content for name, content in CHURN.items() if name != "scoring/score.py"}
        files["scoring/other.py"] = b"x = 1\n"
        assert faults_of(tmp_path, files) == [
            "routes.scores.stages[0].deployment: deployments/churn.yml: there is no ../scoring/score.py, "
            "which it names as scoring_script"
        ]

    def test_models_of_others_are_refused(self, tmp_path: Path) -> None:
        files = edited(("promotion.yml", '["churn-*"]', '["credit", "churn-eu"]'))
        assert faults_of(tmp_path, files) == [
            "routes.scores.models[0]: churn-team may not promote 'credit'; its models are churn*"
        ]

    def test_environments_of_others_are_refused(self, tmp_path: Path) -> None:
        text = PLATFORM.replace("[dev, test, prod]", "[dev, prod]")
        assert faults_of(tmp_path, CHURN, text) == [
            "routes.scores.stages[0].environment: churn-team may not use test; known: dev, prod"
        ]

    @pytest.mark.parametrize(
        ("approval", "says"),
        [
            ("roles: [Promotion.Reader]", "roles[0]: Promotion.Reader may not approve in prod, whose policy names"),
            (f"groups: [{OTHERS}]", f"groups[0]: {OTHERS} may not approve in prod, whose policy names {GROUP}"),
        ],
    )
    def test_it_cannot_choose_approvers_whom_the_policy_does_not_name(
        self, tmp_path: Path, approval: str, says: str
    ) -> None:
        """Otherwise those who publish could approve it."""
        asked = f"environment: prod\n        approval: {{{approval}}}\n"
        files = edited(("promotion.yml", "environment: test\n", asked))
        text = PLATFORM.replace("approvals: 1", f"approvals: {{min: 1, groups: [{GROUP}]}}")
        assert any(says in fault for fault in faults_of(tmp_path, files, text))
        named = edited(("promotion.yml", "environment: test\n", asked.replace(OTHERS, GROUP).replace("Read", "Approv")))
        assert load(tmp_path / "right", named, platform_of(text))

    def test_data_leaves_an_environment_only_if_its_policy_says_so(self, tmp_path: Path) -> None:
        files = edited(("promotion.yml", "    stages:\n", "    share_data: [rows]\n    stages:\n"))
        assert faults_of(tmp_path, files) == [
            "routes.scores.share_data[0]: rows may not leave dev: the policy of dev does not list it in `share_data`"
        ]
        allowed = platform_of(PLATFORM.replace('"${DEV}"', '"${DEV}", policy: {share_data: [rows]}'))
        assert load(tmp_path / "allowed", files, allowed)

    def test_aliases_that_would_make_billions_of_values_are_refused(self, tmp_path: Path) -> None:
        laughs = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
        laughs += [f"a{n}: &a{n} [{', '.join(10 * [f'*a{n - 1}'])}]" for n in range(1, 10)]
        files = {**CHURN, "promotion.yml": CHURN["promotion.yml"] + "\n".join(laughs).encode()}
        assert faults_of(tmp_path, files) == ["(top): has more than 50000 values, once its aliases are followed"]

    @pytest.mark.parametrize(
        ("name", "old", "new"),
        [
            ("promotion.yml", "deployments/churn.yml", "../deployments/churn.yml"),
            ("deployments/churn.yml", "../scoring", "../../.."),
            ("deployments/churn.yml", "../scoring", "/proc/self"),
            ("deployments/churn.yml", "../environment/conda.yml", "../../other team/conda.yml"),
            ("deployments/churn.yml", "../scoring", "file:/etc"),
        ],
    )
    def test_a_path_that_leads_out_of_the_folder_is_refused(
        self, tmp_path: Path, name: str, old: str, new: str
    ) -> None:
        found = faults_of(tmp_path, edited((name, old, new)))
        assert any(fault.startswith(f"{name}: names ") and "outside of the folder" in fault for fault in found)

    def test_the_routes_of_a_container_are_no_paths(self, tmp_path: Path) -> None:
        served = "inference_config: {liveness_route: {path: /live, port: 8080}}\n"
        files = {**CHURN, "deployments/churn.yml": CHURN["deployments/churn.yml"] + served.encode()}
        assert load(tmp_path, files)


class TestTwoTeams:
    def of_credit(self, folder: Path, models: str, endpoint: str) -> list[str]:
        """What is wrong with credit-team's route beside churn-team's."""
        platform = platform_of()
        churn = load(folder, CHURN)
        changes = (("promotion.yml", '["churn-*"]', models), ("promotion.yml", '"{model}-test"', endpoint))
        credit = load(folder, edited(*changes), platform, "credit-team")
        return [str(fault) for fault in conflicts(credit.values(), churn.values(), platform)]

    def test_different_models_and_endpoints_do_not_meet(self, tmp_path: Path) -> None:
        assert self.of_credit(tmp_path, '["credit"]', '"{model}-test"') == []

    def test_the_second_to_promote_the_same_models_is_told_of_the_first(self, tmp_path: Path) -> None:
        assert self.of_credit(tmp_path, '["credit", "c*-eu"]', '"x-{model}"') == [
            "routes.scores.models[1]: models of dev named churn-* are promoted by churn-team/scores already"
        ]

    @pytest.mark.parametrize(
        ("models", "endpoint"),
        [
            ('["credit"]', "CHURN-eu-Test"),
            ('["credit"]', "churn-eu-test"),
            ('["credit", "CHURN-eu-test"]', '"{model}"'),
            ('["c?urn2", "chur[mn]-*"]', '"{model}-test"'),
            ('["EU"]', '"churn-{model}-test"'),
        ],
    )
    def test_an_endpoint_is_the_same_however_it_is_spelled(self, tmp_path: Path, models: str, endpoint: str) -> None:
        says = self.of_credit(tmp_path, models, endpoint)
        assert any("stages[0].endpoint" in fault and "may be the same endpoint as" in fault for fault in says), says

    def test_the_second_to_use_an_endpoint_is_told_of_the_first(self, tmp_path: Path) -> None:
        assert self.of_credit(tmp_path, '["credit"]', "churn-eu-test") == [
            "routes.scores.stages[0].endpoint: 'churn-eu-test' may be the same endpoint as '{model}-test' of "
            "churn-team/scores in test"
        ]
