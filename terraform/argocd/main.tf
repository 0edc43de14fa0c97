# Installs Argo CD, the facts about its cluster, and the root Application, which creates all other Applications. From then on,
# git defines what runs in the cluster.

data "terraform_remote_state" "base" {
  backend = "s3"

  config = {
    bucket = var.state_bucket
    key    = "base.tfstate"
    region = var.state_region
  }
}

# The deploy key or the GitHub App credentials that Argo CD needs to read a private repository.
data "aws_secretsmanager_secret_version" "repository" {
  count = var.repository_secret_arn == null ? 0 : 1

  secret_id = var.repository_secret_arn
}

# The URL of the webhook that receives notifications.
data "aws_secretsmanager_secret_version" "notifications" {
  count = var.notifications_secret_arn == null ? 0 : 1

  secret_id = var.notifications_secret_arn
}

# The GitHub App that writes the commit statuses.
data "aws_secretsmanager_secret_version" "github_app" {
  count = var.github_app_secret_arn == null ? 0 : 1

  secret_id = var.github_app_secret_arn

  lifecycle {
    postcondition {
      condition     = can([for key in ["appID", "installationID", "privateKey"] : jsondecode(self.secret_string)[key]])
      error_message = "The secret github_app_secret_arn must be JSON with appID, installationID and privateKey."
    }
  }
}

locals {
  base = data.terraform_remote_state.base.outputs

  notification_secrets = {
    webhook_url = one(data.aws_secretsmanager_secret_version.notifications[*].secret_string)
    github_app  = try(jsondecode(data.aws_secretsmanager_secret_version.github_app[0].secret_string), null)
  }

  # Not one of local.manifests, because its content is sensitive.
  repository = length(data.aws_secretsmanager_secret_version.repository) == 0 ? null : {
    apiVersion = "v1"
    kind       = "Secret"
    metadata = {
      name      = "repository"
      namespace = "argocd"
      labels    = { "argocd.argoproj.io/secret-type" = "repository" }
    }
    stringData = merge(
      jsondecode(data.aws_secretsmanager_secret_version.repository[0].secret_string),
      { type = "git", url = var.repository_url },
    )
  }
}

resource "helm_release" "argocd" {
  name             = "argocd"
  namespace        = "argocd"
  create_namespace = true
  repository       = "https://argoproj.github.io/argo-helm"
  chart            = "argo-cd"
  version          = "10.10.0"
  timeout          = 900
  atomic           = true
  values           = [yamlencode(local.values)]
}

resource "helm_release" "bootstrap" {
  name      = "argocd-bootstrap"
  namespace = "argocd"
  chart     = "${path.module}/bootstrap"
  values    = [yamlencode({ manifests = local.manifests })]

  # A sensitive value is not shown in plans. The chart decodes it into a manifest.
  set_sensitive = local.repository == null ? [] : [{
    name  = "repository"
    value = base64encode(jsonencode(local.repository))
  }]

  depends_on = [helm_release.argocd]
}
