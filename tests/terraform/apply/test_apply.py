"""What happens to a whole environment: it is created, changed and destroyed.

Each test of a class continues where the one before it has ended.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.terraform.apply.cloud import Cloud
from tests.terraform.apply.eks import RELEASE
from tests.terraform.apply.working_copy import WorkingCopy

pytestmark = pytest.mark.timeout(900)  # An apply takes minutes on a busy machine.

DEV, STAGING = "111111111111", "222222222222"

SIMULATED: dict[str, Any] = {
    # moto lacks parts of Cognito, and the tags of budgets.
    "cognito": None,
    "external_issuer": {
        "issuer": "https://id.example/",
        "audience": ["game-api"],
        "jwks_url": "https://id.example/keys",
    },
    "monthly_budget_usd": None,
}
"""The settings of every environment in a simulated AWS."""

IRELAND = {"region": "eu-west-1", "zones": ["eu-west-1a", "eu-west-1b", "eu-west-1c"]}
"""The settings for another region."""

CREATED = 100
"""An environment has at least this many resources."""

NODE_GROUP = "aws_eks_node_group.this"
CLUSTER = "aws_eks_cluster.this"
DATABASE = "aws_docdb_cluster.this"
ADDONS = (
    'aws_eks_addon.before_nodes["eks-pod-identity-agent"]',
    'aws_eks_addon.before_nodes["kube-proxy"]',
    'aws_eks_addon.before_nodes["vpc-cni"]',
    'aws_eks_addon.this["coredns"]',
    'aws_eks_addon.this["eks-node-monitoring-agent"]',
    'aws_eks_addon.this["metrics-server"]',
)
REPLACED = "create, delete"
OTHER_ENVIRONMENT = "This account has the environment dev in eu-central-1, but the variables are"


@pytest.fixture(scope="class")
def cloud() -> Iterator[Cloud]:
    with Cloud(DEV) as cloud:
        yield cloud


@pytest.fixture(scope="class")
def environment(tmp_path_factory: pytest.TempPathFactory, cloud: Cloud) -> WorkingCopy:
    """The base of dev, with the previous Kubernetes version, protected. It is not applied yet."""
    copy = WorkingCopy(tmp_path_factory.mktemp("dev"), cloud, ".", "dev.tfvars")
    copy.set(**SIMULATED, kubernetes_version="1.35", protected=True, db_final_snapshot=True)
    return copy


class TestLife:
    """The life of an environment."""

    @pytest.mark.quick
    def test_everything_is_created(self, environment: WorkingCopy) -> None:
        result = environment.apply()
        assert result.returncode == 0, result.stderr
        created = re.findall(r"Resources: (\d+) added, 0 changed, 0 destroyed", result.stdout)
        assert created and int(created[0]) >= CREATED, result.stdout
        assert len(environment.addresses()) == int(created[0])

    @pytest.mark.quick
    def test_a_second_plan_is_empty(self, environment: WorkingCopy) -> None:
        plan = environment.plan()
        assert (plan.failed, plan.changes) == (False, {}), (plan.output, plan.attributes)

    @pytest.mark.quick
    def test_an_upgrade_of_kubernetes_takes_the_nodes_and_add_ons_along(
        self, environment: WorkingCopy, cloud: Cloud
    ) -> None:
        plan = environment.plan(kubernetes_version="1.36")
        updated = {CLUSTER, NODE_GROUP, *ADDONS}
        assert plan.changes == {
            **dict.fromkeys(updated, "update"),
            "terraform_data.addon_versions": REPLACED,
        }, plan.output
        assert {"version", "release_version"} <= plan.attributes[NODE_GROUP]
        environment.set(kubernetes_version="1.36")
        result = environment.apply()
        assert result.returncode == 0, result.stderr
        (cluster,) = cloud.eks.clusters.values()
        (nodes,) = cluster.node_groups.values()
        assert cluster.values["version"] == nodes["version"] == "1.36"
        assert nodes["releaseVersion"] == f"1.36.0-{RELEASE}"
        assert {a["addonVersion"] for a in cluster.addons.values()} == {"v1.36.0-eksbuild.1"}
        assert environment.plan().changes == {}

    @pytest.mark.quick
    def test_a_protected_environment_is_not_destroyed(
        self, environment: WorkingCopy, cloud: Cloud
    ) -> None:
        before = environment.addresses()
        result = environment.destroy()
        assert result.returncode != 0
        assert "Instance cannot be destroyed" in result.stderr
        assert "terraform_data.protection[0]" in result.stderr
        assert environment.addresses() == before
        assert len(cloud.client("docdb").describe_db_instances()["DBInstances"]) == 1

    def test_after_an_upgrade_by_aws_the_next_apply_says_so_and_changes_nothing(
        self, environment: WorkingCopy, cloud: Cloud
    ) -> None:
        (cluster,) = cloud.eks.clusters.values()
        cluster.values["version"] = "1.37"
        result = environment.apply()
        assert "Unsupported Kubernetes minor version update from 1.37 to 1.36" in result.stderr
        cluster.values["version"] = "1.36"

    def test_a_new_instance_type_rolls_the_nodes(self, environment: WorkingCopy) -> None:
        plan = environment.plan(node_instance_type="m7i.large")
        template = "aws_launch_template.nodes"
        assert plan.changes == {template: "update", NODE_GROUP: "update"}, plan.output
        assert plan.attributes[template] == {"instance_type", "latest_version"}
        environment.set(node_instance_type="m7i.large")
        result = environment.apply()
        assert result.returncode == 0, result.stderr
        assert environment.plan().changes == {}

    def test_a_new_release_of_the_nodes_rolls_them(self, environment: WorkingCopy) -> None:
        plan = environment.plan(node_release_version="1.36.1-20261201")
        assert plan.changes == {NODE_GROUP: "update"}
        assert plan.attributes[NODE_GROUP] == {"release_version"}

    def test_the_autoscaler_may_change_the_number_of_nodes(
        self, environment: WorkingCopy, cloud: Cloud
    ) -> None:
        (cluster,) = cloud.eks.clusters.values()
        (nodes,) = cluster.node_groups.values()
        nodes["scalingConfig"]["desiredSize"] = 5
        assert environment.plan().changes == {}

    def test_what_replaces_the_node_group_creates_the_new_one_first(
        self, environment: WorkingCopy
    ) -> None:
        eks = environment.root / "eks.tf"
        text = eks.read_text()
        eks.write_text(text.replace("AL2023_x86_64_STANDARD", "BOTTLEROCKET_x86_64"))
        plan = environment.plan()
        eks.write_text(text)
        assert plan.changes == {NODE_GROUP: REPLACED}

    def test_the_database_changes_its_size_at_once(
        self, environment: WorkingCopy, cloud: Cloud
    ) -> None:
        plan = environment.plan(db_instance_class="db.r6g.large", db_instance_count=2)
        assert plan.changes == {
            "aws_docdb_cluster_instance.this[0]": "update",
            "aws_docdb_cluster_instance.this[1]": "create",
            # Only instances of the classes db.t have CPU credits.
            'aws_cloudwatch_metric_alarm.this["database-credits"]': "delete",
        }, plan.output
        environment.set(db_instance_class="db.r6g.large", db_instance_count=2)
        result = environment.apply()
        assert result.returncode == 0, result.stderr
        instances = cloud.client("docdb").describe_db_instances()["DBInstances"]
        assert [i["DBInstanceClass"] for i in instances] == ["db.r6g.large"] * 2
        assert environment.plan().changes == {}

    def test_the_engine_is_upgraded_in_place_with_a_new_parameter_group(
        self, environment: WorkingCopy, cloud: Cloud
    ) -> None:
        group = "aws_docdb_cluster_parameter_group.this"
        old = environment.values(group)["name"]
        plan = environment.plan(db_engine_version="8.0.0")
        assert plan.changes == {DATABASE: "update", group: REPLACED}, plan.output
        environment.set(db_engine_version="8.0.0")
        result = environment.apply()
        assert result.returncode == 0, result.stderr
        (database,) = cloud.client("docdb").describe_db_clusters()["DBClusters"]
        assert database["EngineVersion"] == "8.0.0"
        new = environment.values(group)["name"]
        assert database["DBClusterParameterGroup"] == new != old
        assert environment.plan().changes == {}

    def test_the_variables_of_another_region_are_refused(self, environment: WorkingCopy) -> None:
        before = environment.addresses()
        plan = environment.plan(**IRELAND)
        assert plan.failed and OTHER_ENVIRONMENT in plan.output
        result = environment.apply(**IRELAND)
        assert result.returncode != 0 and OTHER_ENVIRONMENT in result.stderr
        assert environment.addresses() == before
        assert environment.plan().changes == {}

    def test_the_variables_of_another_environment_are_refused(
        self, environment: WorkingCopy
    ) -> None:
        plan = environment.plan(environment="staging")
        assert plan.failed and OTHER_ENVIRONMENT in plan.output

    def test_the_variables_of_another_account_are_refused(self, environment: WorkingCopy) -> None:
        plan = environment.plan(account_id=STAGING)
        assert plan.failed and "AWS account ID not allowed: 111111111111" in plan.output

    @pytest.mark.parametrize(
        "settings",
        [
            {"environment": "staging"},
            IRELAND,
        ],
        ids=["environment", "region"],
    )
    def test_a_second_one_in_the_same_account_is_refused_before_anything_is_created(
        self,
        tmp_path: Path,
        cloud: Cloud,
        settings: dict[str, Any],
    ) -> None:
        second = WorkingCopy(tmp_path, cloud, ".", "dev.tfvars")
        second.set(**SIMULATED, **settings)
        result = second.apply()
        assert result.returncode != 0
        assert OTHER_ENVIRONMENT in result.stderr
        assert second.addresses() == []

    def test_protection_ends_only_by_a_step_of_its_own(self, environment: WorkingCopy) -> None:
        plan = environment.plan(protected=False)
        assert plan.failed and "Instance cannot be destroyed" in plan.output
        removed = environment.run("state", "rm", "terraform_data.protection[0]")
        assert removed.returncode == 0, removed.stderr
        environment.set(protected=False)
        result = environment.apply()
        assert result.returncode == 0, result.stderr

    def test_destroying_with_the_variables_of_another_region_destroys_nothing(
        self, environment: WorkingCopy
    ) -> None:
        before = environment.addresses()
        result = environment.destroy(**IRELAND)
        assert result.returncode != 0 and OTHER_ENVIRONMENT in result.stderr
        assert environment.addresses() == before

    def test_destroying_leaves_a_snapshot_and_nothing_else(
        self, environment: WorkingCopy, cloud: Cloud
    ) -> None:
        name = environment.values(DATABASE)["final_snapshot_identifier"]
        result = environment.destroy()
        assert result.returncode == 0, result.stderr
        assert environment.addresses() == []
        assert cloud.eks.clusters == {}
        snapshots = cloud.client("docdb").describe_db_cluster_snapshots()["DBClusterSnapshots"]
        assert name in {snapshot["DBClusterSnapshotIdentifier"] for snapshot in snapshots}
        assert re.fullmatch(r"game-session-db-final-\d{14}", name)
        assert cloud.client("ec2").describe_vpcs(Filters=[PROJECT])["Vpcs"] == []


PROJECT = {"Name": "tag:Project", "Values": ["game-session"]}


class TestSecondEnvironment:
    """A second environment, in an account of its own."""

    @pytest.fixture(scope="class")
    @classmethod
    def cloud(cls) -> Iterator[Cloud]:
        with Cloud(STAGING) as cloud:
            yield cloud

    @pytest.fixture(scope="class")
    @classmethod
    def environment(cls, tmp_path_factory: pytest.TempPathFactory, cloud: Cloud) -> WorkingCopy:
        copy = WorkingCopy(tmp_path_factory.mktemp("staging"), cloud, ".", "staging.tfvars")
        copy.set(**SIMULATED)
        return copy

    def test_the_variables_of_dev_create_nothing(self, environment: WorkingCopy) -> None:
        result = environment.apply(account_id=DEV)
        assert "AWS account ID not allowed: 222222222222" in result.stderr
        assert environment.addresses() == []

    def test_it_is_created(self, environment: WorkingCopy) -> None:
        result = environment.apply()
        assert result.returncode == 0, result.stderr
        assert environment.plan().changes == {}
        assert "aws_iam_openid_connect_provider.github[0]" in environment.addresses()


class TestRegistry:
    """The registry, in the account of dev."""

    ROLE = "aws_iam_role.release"

    @pytest.fixture(scope="class")
    @classmethod
    def registry(cls, tmp_path_factory: pytest.TempPathFactory, cloud: Cloud) -> WorkingCopy:
        folder = tmp_path_factory.mktemp("registry")
        return WorkingCopy(folder, cloud, "registry", "registry.tfvars")

    def subject(self, registry: WorkingCopy) -> str:
        found: list[str] = re.findall(
            r'"token.actions.githubusercontent.com:sub":"([^"]+)"',
            registry.values(self.ROLE)["assume_role_policy"],
        )
        assert len(found) == 1
        return found[0]

    def test_it_is_created(self, registry: WorkingCopy) -> None:
        result = registry.apply()
        assert result.returncode == 0, result.stderr
        assert registry.plan().changes == {}
        subject = "repo:game-studio@1234567/game-api@890123456:environment:release"
        assert self.subject(registry) == subject

    def test_the_earlier_form_of_the_subject_changes_only_the_roles(
        self, registry: WorkingCopy
    ) -> None:
        plan = registry.plan(github_repository="game-studio/game-api")
        assert plan.changes == {self.ROLE: "update", "aws_iam_role.promote": "update"}
        assert plan.attributes[self.ROLE] == {"assume_role_policy"}
        registry.set(github_repository="game-studio/game-api")
        assert registry.apply().returncode == 0
        assert self.subject(registry) == "repo:game-studio/game-api:environment:release"

    def test_a_new_reader_changes_only_the_policy(self, registry: WorkingCopy) -> None:
        plan = registry.plan(reader_account_ids=[STAGING])
        assert plan.changes == {"aws_ecr_repository_policy.this[0]": "update"}

    def test_the_variables_of_another_region_are_refused(self, registry: WorkingCopy) -> None:
        plan = registry.plan(region="eu-west-1")
        assert plan.failed and "A registry cannot move" in plan.output

    def test_it_is_never_destroyed(self, registry: WorkingCopy) -> None:
        before = registry.addresses()
        for settings in ({}, {"region": "eu-west-1"}):
            result = registry.destroy(**settings)
            assert result.returncode != 0 and "Instance cannot be destroyed" in result.stderr
            assert registry.addresses() == before
