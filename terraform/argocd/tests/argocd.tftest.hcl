# The providers are mocked, so the tests need neither AWS nor a cluster.
# Run them with -var-file=../environments/<environment>.argocd.tfvars.

mock_provider "aws" {
  mock_data "aws_secretsmanager_secret_version" {
    defaults = { secret_string = "{\"sshPrivateKey\":\"mock-key\"}" }
  }
}

mock_provider "helm" {}

override_data {
  target = data.terraform_remote_state.base
  values = {
    outputs = {
      account_id  = "111111111111"
      environment = "dev"
      cluster = {
        name                       = "game-session-cluster"
        endpoint                   = "https://mock.eks.amazonaws.com"
        certificate_authority_data = "Y2E="
      }
      facts = {
        aws_region            = "eu-central-1"
        certificate_arn       = "arn:aws:acm:eu-central-1:111111111111:certificate/00000000"
        documentdb_host       = "game-session-db.cluster-mock.eu-central-1.docdb.amazonaws.com"
        documentdb_secret_arn = "arn:aws:secretsmanager:eu-central-1:111111111111:secret:rds!cluster-mock-AbCdEf"
        ecr_registry          = "111111111111.dkr.ecr.eu-central-1.amazonaws.com"
        hostname              = "api.game.example"
        jwks_cidr             = "0.0.0.0/0"
        jwks_url              = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_mock/.well-known/jwks.json"
        jwt_audience          = "mock-admin,mock-player,mock-server"
        jwt_issuer            = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_mock"
        jwt_roles_claim       = "scope"
        jwt_roles_prefix      = "game-api/"
        vpc_cidr              = "10.10.0.0/16"
        vpc_id                = "vpc-0123456789abcdef0"
        web_acl_arn           = "arn:aws:wafv2:eu-central-1:111111111111:regional/webacl/game-session/mock"
      }
    }
  }
}

run "argocd" {
  assert {
    condition     = helm_release.argocd.chart == "argo-cd" && can(regex("^[0-9]+\\.[0-9]+\\.[0-9]+$", helm_release.argocd.version))
    error_message = "the Argo CD chart must be pinned to an exact version"
  }

  assert {
    condition     = yamldecode(helm_release.argocd.values[0]).configs.rbac["policy.default"] == "role:readonly"
    error_message = "signed-in users must have read-only access by default"
  }

  assert {
    condition     = yamldecode(helm_release.argocd.values[0]).server.service.type == "ClusterIP"
    error_message = "Argo CD must not be reachable from outside the cluster"
  }

  assert {
    condition     = yamldecode(helm_release.argocd.values[0])["redis-ha"].enabled == var.highly_available
    error_message = "Redis must be highly available exactly when highly_available is true"
  }

  assert {
    condition = alltrue([
      for component in ["controller", "server", "repoServer", "applicationSet", "redis", "notifications"] :
      can(yamldecode(helm_release.argocd.values[0])[component].resources.requests.memory) &&
      can(yamldecode(helm_release.argocd.values[0])[component].resources.limits.memory)
    ])
    error_message = "every component must have requests, and a limit of its memory"
  }

  assert {
    condition = alltrue([
      for component in ["server", "repoServer", "applicationSet"] :
      yamldecode(helm_release.argocd.values[0])[component].pdb.enabled == var.highly_available
    ])
    error_message = "what has two replicas must have a disruption budget"
  }

  assert {
    condition = alltrue([
      for part in [
        yamldecode(helm_release.argocd.values[0])["redis-ha"].redis,
        yamldecode(helm_release.argocd.values[0])["redis-ha"].sentinel,
        yamldecode(helm_release.argocd.values[0])["redis-ha"].splitBrainDetection,
        yamldecode(helm_release.argocd.values[0])["redis-ha"].haproxy,
      ] : can(part.resources.requests.memory) && can(part.resources.limits.memory)
    ])
    error_message = "every container of a highly available Redis must have requests, and a limit of its memory"
  }

  assert {
    condition = alltrue([
      for part in [
        yamldecode(helm_release.argocd.values[0])["redis-ha"],
        yamldecode(helm_release.argocd.values[0])["redis-ha"].haproxy,
      ] : try(part.podDisruptionBudget.maxUnavailable, 0) == 1
    ])
    error_message = "a highly available Redis and its proxies must have a disruption budget"
  }

  assert {
    condition     = strcontains(yamldecode(helm_release.argocd.values[0])["redis-ha"].haproxy.extraConfig, "maxconn")
    error_message = "the number of connections must limit the memory of HAProxy"
  }

  assert {
    condition     = yamldecode(helm_release.argocd.values[0]).global.affinity.podAntiAffinity == (var.highly_available ? "hard" : "soft")
    error_message = "replicas must run on different nodes if Argo CD is highly available"
  }

  assert {
    condition = (
      yamldecode(helm_release.argocd.values[0]).global.networkPolicy.create &&
      yamldecode(helm_release.argocd.values[0]).global.networkPolicy.defaultDenyIngress
    )
    error_message = "network policies must protect Argo CD"
  }

  assert {
    condition = [
      for policy in yamldecode(helm_release.argocd.values[0]).extraObjects : policy.spec.podSelector.matchExpressions[0].values
    ] == [for pods in [["redis-ha", "redis-ha-haproxy"]] : pods if var.highly_available]
    error_message = "the pods of a highly available Redis must be reachable for Argo CD"
  }

  assert {
    condition     = [for m in yamldecode(helm_release.bootstrap.values[0]).manifests : "${m.kind}/${m.metadata.name}"] == ["Secret/in-cluster", "AppProject/root", "Application/root"]
    error_message = "the bootstrap must consist of the cluster's Secret, the root project and the root Application"
  }

  assert {
    condition = (
      local.cluster_secret.metadata.labels["argocd.argoproj.io/secret-type"] == "cluster" &&
      local.cluster_secret.metadata.labels.environment == "dev" &&
      local.cluster_secret.metadata.labels.aws-load-balancer-controller == "enabled" &&
      local.cluster_secret.metadata.labels.cluster-autoscaler == "enabled"
    )
    error_message = "the cluster's Secret must have the labels of its environment"
  }

  assert {
    condition     = local.root_application.spec.source.path == "." && local.root_application.spec.project == "root"
    error_message = "the root Application must sync the kustomization.yaml at the root of the repository"
  }

  assert {
    condition     = yamldecode(local.root_application.spec.source.kustomize.patches[0].patch)[0].value == var.repository_url
    error_message = "the project must allow only this repository"
  }

  assert {
    condition = (
      yamldecode(local.root_application.spec.source.kustomize.patches[1].patch)[0].value ==
      "'111111111111.dkr.ecr.eu-central-1.amazonaws.com/game-api:'"
    )
    error_message = "pods must run only images of the registry in the facts"
  }

  assert {
    condition     = local.root_project.spec.sourceRepos == [var.repository_url]
    error_message = "the root Application must create resources only from this repository"
  }

  assert {
    condition = [for allowed in local.root_project.spec.clusterResourceWhitelist : allowed.kind] == [
      "Namespace", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
    ]
    error_message = "the only cluster-wide resources that the root Application may create are namespaces and admission policies"
  }

  assert {
    condition = (
      local.root_application.spec.syncPolicy.automated == { prune = true, selfHeal = true } &&
      local.root_application.spec.syncPolicy.retry.refresh &&
      local.root_application.spec.syncPolicy.syncOptions == ["ServerSideApply=true", "PruneLast=true"]
    )
    error_message = "the root Application must undo changes in the cluster, retry with the newest commit, and prune last"
  }

  assert {
    condition     = tostring(yamldecode(helm_release.argocd.values[0]).configs.params["server.insecure"]) == "false"
    error_message = "users must reach Argo CD over TLS"
  }

  assert {
    condition     = yamldecode(helm_release.argocd.values[0]).configs.cm["application.resourceTrackingMethod"] == "annotation"
    error_message = "Argo CD must track resources by their annotation, because the charts set the label themselves"
  }

  assert {
    condition     = helm_release.argocd.atomic && helm_release.argocd.timeout == 900
    error_message = "an upgrade of Argo CD that is not ready within 15 minutes must be taken back"
  }
}

run "reads_a_private_repository" {
  variables {
    repository_secret_arn = "arn:aws:secretsmanager:eu-central-1:111111111111:secret:deploy-key-AbCdEf"
  }

  assert {
    condition     = jsondecode(base64decode(helm_release.bootstrap.set_sensitive[0].value)).stringData.sshPrivateKey == "mock-key"
    error_message = "the deploy key must be passed to Argo CD"
  }

  assert {
    condition     = !strcontains(helm_release.bootstrap.values[0], "mock-key")
    error_message = "the deploy key must not be in the values that a plan shows"
  }
}

run "leaves_out_the_controllers" {
  command = plan

  variables {
    cluster_autoscaler       = false
    load_balancer_controller = false
  }

  assert {
    condition     = keys(local.cluster_secret.metadata.labels) == ["argocd.argoproj.io/secret-type", "environment"]
    error_message = "without its label, a controller must not be installed"
  }
}

run "shows_and_compares_as_the_api_server_does" {
  command = plan

  assert {
    condition     = yamldecode(helm_release.argocd.values[0]).configs.params["controller.diff.server.side"] == "true"
    error_message = "the API server must compare what git has with what runs"
  }

  assert {
    condition     = yamldecode(helm_release.argocd.values[0]).configs.params["controller.resource.health.persist"] == "true"
    error_message = "the notifications need the health of each resource"
  }

  assert {
    condition = (
      yamldecode(helm_release.argocd.values[0]).configs.cm["timeout.reconciliation"] == "60s" &&
      yamldecode(helm_release.argocd.values[0]).configs.cm["timeout.reconciliation.jitter"] == "10s"
    )
    error_message = "a commit must be seen within two minutes"
  }

  assert {
    condition     = yamldecode(helm_release.argocd.values[0]).configs.cm.url == var.argocd_url
    error_message = "the links in notifications must lead to Argo CD"
  }

  assert {
    condition = (
      can(regex("local patience = 300", yamldecode(helm_release.argocd.values[0]).configs.cm["resource.customizations.health.autoscaling_HorizontalPodAutoscaler"])) &&
      yamldecode(helm_release.argocd.values[0]).configs.cm["resource.customizations.useOpenLibs.autoscaling_HorizontalPodAutoscaler"] == "true"
    )
    error_message = "an autoscaler must have five minutes to find metrics"
  }

  assert {
    condition     = yamldecode(helm_release.argocd.values[0]).configs.cm["resource.customLabels"] == "app.kubernetes.io/version"
    error_message = "the tree must show the version"
  }

  assert {
    condition     = local.repository_page == trimsuffix(var.repository_url, ".git")
    error_message = "links must lead to the page of the repository"
  }

  assert {
    condition = [for link in yamldecode(yamldecode(helm_release.argocd.values[0]).configs.cm["application.links"]) : link.title] == [
      "Commit of the running image", "What main has more than that", "How to roll back",
    ]
    error_message = "an Application must link to its commit, the comparison and the runbook"
  }

  assert {
    condition     = !yamldecode(helm_release.argocd.values[0]).notifications.enabled
    error_message = "without a secret there must be no notifications"
  }

  assert {
    condition     = length(local.root_project.spec.syncWindows) == 0
    error_message = "only production must have a window"
  }
}

run "production_changes_only_in_its_window" {
  command = plan

  override_data {
    target = data.terraform_remote_state.base
    values = {
      outputs = {
        account_id  = "333333333333"
        environment = "prod"
        cluster     = { name = "game-session-cluster", endpoint = "https://mock.eks.amazonaws.com", certificate_authority_data = "Y2E=" }
        facts       = { aws_region = "eu-central-1", ecr_registry = "111111111111.dkr.ecr.eu-central-1.amazonaws.com" }
      }
    }
  }

  assert {
    condition = jsonencode(local.root_project.spec.syncWindows) == jsonencode([{
      kind         = "allow"
      schedule     = "0 8 * * 1-4"
      duration     = "8h"
      timeZone     = "UTC"
      applications = ["root"]
      manualSync   = true
    }])
    error_message = "the root Application of production must have the window of the service"
  }
}

run "finds_the_page_of_a_repository_that_is_read_over_ssh" {
  command = plan

  variables {
    repository_url = "git@github.com:game-studio/game-api.git"
  }

  assert {
    condition     = local.repository_page == "https://github.com/game-studio/game-api"
    error_message = "links must lead to the page of a repository that is read over SSH"
  }
}

run "notifies_a_webhook" {
  variables {
    notifications_secret_arn = "arn:aws:secretsmanager:eu-central-1:111111111111:secret:webhook-AbCdEf"
  }

  assert {
    condition = alltrue([
      for trigger in distinct(flatten(local.subscriptions[*].triggers)) :
      contains(keys(local.notifications.triggers), "trigger.${trigger}")
    ])
    error_message = "every trigger that is subscribed to must exist"
  }

  assert {
    condition = alltrue(flatten([
      for name, conditions in local.triggers : [
        for condition in conditions : [
          for template in condition.send : contains(keys(local.notifications.templates), "template.${template}")
        ]
      ]
    ]))
    error_message = "every template that a trigger sends must exist"
  }

  assert {
    condition     = local.triggers.on-deployed[0].oncePer == "(app.status.operationState?.syncResult?.revision ?? '')"
    error_message = "a deployment must be reported once for the commit that was synced"
  }

  assert {
    condition     = keys(local.notifications.notifiers) == ["service.webhook.game-session"]
    error_message = "without a GitHub App, only the webhook must be notified"
  }

  assert {
    condition     = nonsensitive(local.notifications.secret.items["webhook-url"]) == "{\"sshPrivateKey\":\"mock-key\"}"
    error_message = "the URL of the webhook must come from its secret"
  }
}

run "writes_commit_statuses" {
  variables {
    github_app_secret_arn = "arn:aws:secretsmanager:eu-central-1:111111111111:secret:app-AbCdEf"
    github_enterprise_url = "https://github.example/api/v3"
  }

  override_data {
    target = data.aws_secretsmanager_secret_version.github_app
    values = { secret_string = "{\"appID\":1,\"installationID\":2,\"privateKey\":\"mock-key\"}" }
  }

  assert {
    condition = yamldecode(nonsensitive(local.notifications.notifiers["service.github"])) == {
      appID             = 1
      installationID    = 2
      privateKey        = "$github-app-key"
      enterpriseBaseURL = "https://github.example/api/v3"
    }
    error_message = "GitHub must be reached as the App"
  }

  assert {
    condition     = [for subscription in local.subscriptions : subscription.recipients[0]] == ["github"]
    error_message = "without a webhook, only GitHub must be notified"
  }

  assert {
    condition = alltrue([
      for name in keys(local.statuses) :
      yamldecode(local.notifications.templates["template.${name}"]).github.status.label == "argocd/{{ .app.metadata.name }}"
    ])
    error_message = "promotions read the commit status argocd/<Application>"
  }
}

run "rejects_a_github_app_without_its_key" {
  command = plan

  variables {
    github_app_secret_arn = "arn:aws:secretsmanager:eu-central-1:111111111111:secret:app-AbCdEf"
  }

  override_data {
    target = data.aws_secretsmanager_secret_version.github_app
    values = { secret_string = "{\"appID\":1,\"installationID\":2}" }
  }

  expect_failures = [data.aws_secretsmanager_secret_version.github_app]
}

run "rejects_invalid_variables" {
  command = plan

  variables {
    argocd_url               = "http://argocd.example/path"
    github_app_secret_arn    = "app"
    github_enterprise_url    = "github.example"
    notifications_secret_arn = "https://hooks.example/"
    rbac_policy              = "allow everybody"
    repository_revision      = "the main branch"
    repository_secret_arn    = "deploy-key"
    repository_url           = "github.com/game-studio/game-api"
    state_bucket             = "s3://bucket"
    state_region             = "Frankfurt"
  }

  expect_failures = [
    var.argocd_url,
    var.github_app_secret_arn,
    var.github_enterprise_url,
    var.notifications_secret_arn,
    var.rbac_policy,
    var.repository_revision,
    var.repository_secret_arn,
    var.repository_url,
    var.state_bucket,
    var.state_region,
  ]
}
