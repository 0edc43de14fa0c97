"""The deliberate mistakes in the cluster's own components, in addition to those in `mistakes`."""

from tests.gitops import platform_rules as platform
from tests.gitops.mistakes import Mistake

AUTOSCALER = "clusters/applications/cluster-autoscaler.yaml"
CONTROLLER = "clusters/applications/aws-load-balancer-controller.yaml"
PROJECT = "clusters/projects/platform.yaml"

MISTAKES = (
    Mistake(
        platform.the_platform_project_allows_what_the_charts_create,
        PROJECT,
        "kind: RoleBinding",
        "kind: ConfigMap",
        "RoleBinding is not allowed",
    ),
    Mistake(
        platform.the_platform_project_allows_what_the_charts_create,
        PROJECT,
        "    - group: networking.k8s.io\n      kind: IngressClass\n",
        "    - group: networking.k8s.io\n      kind: IngressClass\n"
        '    - group: ""\n      kind: Node\n',
        "Node is not needed",
    ),
    Mistake(
        platform.the_platform_project_allows_what_the_charts_create,
        PROJECT,
        "    - https://kubernetes.github.io/autoscaler\n",
        '    - "*"\n',
        "the project allows the repositories",
    ),
    Mistake(
        platform.the_platform_project_allows_what_the_charts_create,
        PROJECT,
        "namespace: kube-system",
        'namespace: "*"',
        "the project allows the destinations",
    ),
    Mistake(
        platform.the_platform_project_allows_what_the_charts_create,
        CONTROLLER,
        "targetRevision: 3.5.0",
        "targetRevision: 3.*",
        "the kinds that version 3.* creates are not known",
    ),
    Mistake(
        platform.a_label_that_terraform_sets_selects_the_cluster,
        AUTOSCALER,
        "            cluster-autoscaler: enabled",
        "            aws-load-balancer-controller: enabled",
        "cluster-autoscaler: selects clusters with",
    ),
    Mistake(
        platform.a_label_that_terraform_sets_selects_the_cluster,
        "terraform/argocd/bootstrap.tf",
        "{ cluster-autoscaler = ",
        "{ autoscaler = ",
        "cluster-autoscaler: no variable of Terraform sets its label",
    ),
    Mistake(
        platform.components_run_with_the_role_of_their_service_account,
        AUTOSCALER,
        "name: cluster-autoscaler # gets",
        "name: autoscaler # gets",
        "no role of AWS is for the service account autoscaler",
    ),
    Mistake(
        platform.components_run_with_the_role_of_their_service_account,
        CONTROLLER,
        "            serviceAccount:\n",
        "            serviceAccount:\n              annotations:\n"
        "                eks.amazonaws.com/role-arn: arn:aws:iam::111111111111:role/controller\n",
        "aws-load-balancer-controller: the service account has annotations",
    ),
    Mistake(
        platform.components_run_with_the_role_of_their_service_account,
        AUTOSCALER,
        "clusterName: game-session-cluster",
        "clusterName: game-cluster",
        "cluster-autoscaler: works on the cluster game-cluster",
    ),
    Mistake(
        platform.components_run_with_the_role_of_their_service_account,
        AUTOSCALER,
        "'{{ .metadata.annotations.aws_region }}'",
        "us-east-1",
        "cluster-autoscaler: its region is not the fact aws_region",
    ),
    Mistake(
        platform.components_survive_the_loss_of_a_node,
        AUTOSCALER,
        "replicaCount: 2",
        "replicaCount: 1",
        "cluster-autoscaler: has 1 replicas",
    ),
    Mistake(
        platform.components_survive_the_loss_of_a_node,
        CONTROLLER,
        "maxUnavailable: 1",
        "minAvailable: 2",
        "aws-load-balancer-controller: the budget is",
    ),
    Mistake(
        platform.components_survive_the_loss_of_a_node,
        CONTROLLER,
        "              limits:\n                memory: 512Mi\n",
        "",
        "aws-load-balancer-controller: has no memory limit",
    ),
    Mistake(
        platform.components_survive_the_loss_of_a_node,
        AUTOSCALER,
        "drop: [ALL]",
        "drop: [NET_RAW]",
        "cluster-autoscaler: has the capabilities",
    ),
    Mistake(
        platform.the_autoscaler_fits_the_cluster,
        AUTOSCALER,
        "tag: v1.36.1",
        "tag: v1.35.0",
        "the autoscaler v1.35.0 is not for Kubernetes",
    ),
    Mistake(
        platform.the_autoscaler_fits_the_cluster,
        AUTOSCALER,
        "skip-nodes-with-local-storage: false",
        "skip-nodes-with-local-storage: true",
        "because of skip-nodes-with-local-storage",
    ),
    Mistake(
        platform.only_ingresses_need_the_load_balancer_controller,
        CONTROLLER,
        "enableServiceMutatorWebhook: false",
        "enableServiceMutatorWebhook: true",
        "the cluster refuses every new Service",
    ),
    Mistake(
        platform.only_ingresses_need_the_load_balancer_controller,
        CONTROLLER,
        "app.kubernetes.io/component: api",
        "app.kubernetes.io/name: game-api",
        "as for Job/game-api-create-indexes",
    ),
    Mistake(
        platform.only_ingresses_need_the_load_balancer_controller,
        CONTROLLER,
        "kind: ValidatingWebhookConfiguration",
        "kind: ValidatingWebhook",
        "every sync replaces the certificate in the ValidatingWebhookConfiguration",
    ),
    Mistake(
        platform.only_ingresses_need_the_load_balancer_controller,
        CONTROLLER,
        "          - RespectIgnoreDifferences=true\n",
        "",
        "every sync replaces the certificates",
    ),
)
