# Argo CD, what it has to know of its cluster, and the one Application from which all others come. From there on, what runs in
# the cluster is git's.

data "terraform_remote_state" "base" {
  backend = "s3"

  config = {
    bucket = var.state_bucket
    key    = "base.tfstate"
    region = var.state_region
  }
}

# The deploy key or the GitHub App with which Argo CD reads the repository, where it is not public.
data "aws_secretsmanager_secret_version" "repository" {
  count = var.repository_secret_arn == null ? 0 : 1

  secret_id = var.repository_secret_arn
}

# Where notifications go.
data "aws_secretsmanager_secret_version" "notifications" {
  count = var.notifications_secret_arn == null ? 0 : 1

  secret_id = var.notifications_secret_arn
}

locals {
  base = data.terraform_remote_state.base.outputs

  # A Secret as well, apart from the others: it is secret.
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
  version          = "9.1.9"
  timeout          = 900
  atomic           = true
  values           = [yamlencode(local.values)]
}

resource "helm_release" "bootstrap" {
  name      = "argocd-bootstrap"
  namespace = "argocd"
  chart     = "${path.module}/bootstrap"
  values    = [yamlencode({ manifests = local.manifests })]

  # The chart has no template of its own for a secret: what it is given is all that it holds.
  set_sensitive = local.repository == null ? [] : [{
    name  = "repository"
    value = base64encode(jsonencode(local.repository))
  }]

  depends_on = [helm_release.argocd]
}
