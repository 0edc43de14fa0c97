# What Argo CD has to know before it knows anything from git. `bootstrap/` is a chart that holds what it is given:
# kubernetes_manifest would need Argo CD's definitions while Terraform still plans to install them.

locals {
  annotations = merge(local.base.facts, {
    repository_url      = var.repository_url
    repository_revision = var.repository_revision
  })

  # How Argo CD knows the cluster that it runs in: the facts are its annotations.
  cluster_secret = {
    apiVersion = "v1"
    kind       = "Secret"
    metadata = {
      name        = "in-cluster"
      namespace   = "argocd"
      annotations = local.annotations
      labels = merge(
        {
          "argocd.argoproj.io/secret-type" = "cluster"
          environment                      = local.base.environment
        },
        var.load_balancer_controller ? { aws-load-balancer-controller = "enabled" } : {},
      )
    }
    stringData = {
      name   = "in-cluster"
      server = "https://kubernetes.default.svc"
      config = jsonencode({ tlsClientConfig = { insecure = false } })
    }
  }

  # What the root Application may make: namespaces with their guards, projects, ApplicationSets.
  root_project = {
    apiVersion = "argoproj.io/v1alpha1"
    kind       = "AppProject"
    metadata   = { name = "root", namespace = "argocd" }
    spec = {
      description = "The root Application, and nothing else."
      sourceRepos = [var.repository_url]
      destinations = [
        for namespace in ["argocd", "gaming-namespace", "monitoring-namespace", "data-namespace"] :
        { server = "https://kubernetes.default.svc", namespace = namespace }
      ]
      clusterResourceWhitelist = [{ group = "", kind = "Namespace" }]
      namespaceResourceWhitelist = [
        { group = "", kind = "ResourceQuota" },
        { group = "argoproj.io", kind = "AppProject" },
        { group = "argoproj.io", kind = "Application" },
        { group = "argoproj.io", kind = "ApplicationSet" },
        { group = "networking.k8s.io", kind = "NetworkPolicy" },
      ]
    }
  }

  root_application = {
    apiVersion = "argoproj.io/v1alpha1"
    kind       = "Application"
    metadata   = { name = "root", namespace = "argocd" }
    spec = {
      project     = "root"
      destination = { server = "https://kubernetes.default.svc", namespace = "argocd" }
      source = {
        repoURL        = var.repository_url
        targetRevision = var.repository_revision
        path           = "."
        kustomize = {
          # The one repository that the Applications' project allows is this one.
          patches = [{
            target = { kind = "AppProject", name = "game-session" }
            patch = yamlencode([{
              op    = "replace"
              path  = "/spec/sourceRepos/0"
              value = var.repository_url
            }])
          }]
        }
      }
      syncPolicy = {
        automated   = { prune = true, selfHeal = true }
        retry       = { limit = 5, refresh = true, backoff = { duration = "10s", factor = 2, maxDuration = "3m" } }
        syncOptions = ["ServerSideApply=true", "PruneLast=true"]
      }
    }
  }

  manifests = [local.cluster_secret, local.root_project, local.root_application]
}
