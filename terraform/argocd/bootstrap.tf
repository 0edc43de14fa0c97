# The manifests that Argo CD needs before it can read git. They are installed by a Helm chart, bootstrap/, because the resource
# kubernetes_manifest needs Argo CD's CRDs when Terraform plans, and at that time they are not installed yet.

locals {
  annotations = merge(local.base.facts, {
    repository_url      = var.repository_url
    repository_revision = var.repository_revision
  })

  # Registers with Argo CD the cluster that it runs in. The annotations are the cluster's facts.
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
        var.cluster_autoscaler ? { cluster-autoscaler = "enabled" } : {},
        var.load_balancer_controller ? { aws-load-balancer-controller = "enabled" } : {},
      )
    }
    stringData = {
      name   = "in-cluster"
      server = "https://kubernetes.default.svc"
      config = jsonencode({ tlsClientConfig = { insecure = false } })
    }
  }

  # What the root Application may create: namespaces with their quotas and network policies, admission policies, projects,
  # Applications and ApplicationSets.
  root_project = {
    apiVersion = "argoproj.io/v1alpha1"
    kind       = "AppProject"
    metadata   = { name = "root", namespace = "argocd" }
    spec = {
      description = "Only for the root Application."
      sourceRepos = [var.repository_url]
      destinations = [
        for namespace in ["argocd", "gaming-namespace", "monitoring-namespace", "data-namespace"] :
        { server = "https://kubernetes.default.svc", namespace = namespace }
      ]
      clusterResourceWhitelist = [
        { group = "", kind = "Namespace" },
        { group = "admissionregistration.k8s.io", kind = "ValidatingAdmissionPolicy" },
        { group = "admissionregistration.k8s.io", kind = "ValidatingAdmissionPolicyBinding" },
      ]
      namespaceResourceWhitelist = [
        { group = "", kind = "ResourceQuota" },
        { group = "argoproj.io", kind = "AppProject" },
        { group = "argoproj.io", kind = "Application" },
        { group = "argoproj.io", kind = "ApplicationSet" },
        { group = "networking.k8s.io", kind = "NetworkPolicy" },
      ]
      syncWindows = local.root_sync_windows
    }
  }

  # In production, what every cluster runs changes at the same times as the service; clusters/projects/game-session.yaml has this
  # window as well. At other times, the root Application can be synced manually.
  root_sync_windows = local.base.environment != "prod" ? [] : [{
    kind         = "allow"
    schedule     = "0 8 * * 1-4"
    duration     = "8h"
    timeZone     = "Etc/UTC"
    applications = ["root"]
    manualSync   = true
  }]

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
          patches = [
            # The Applications' project allows only this repository.
            {
              target = { kind = "AppProject", name = "game-session" }
              patch = yamlencode([{
                op    = "replace"
                path  = "/spec/sourceRepos/0"
                value = var.repository_url
              }])
            },
            # Pods run only images of this registry.
            {
              target = { kind = "ValidatingAdmissionPolicy", name = "game-api-images" }
              patch = yamlencode([{
                op    = "replace"
                path  = "/spec/variables/0/expression"
                value = "'${local.base.facts.ecr_registry}/game-api:'"
              }])
            },
          ]
        }
      }
      syncPolicy = {
        automated = { prune = true, selfHeal = true }
        retry     = { limit = 5, refresh = true, backoff = { duration = "10s", factor = 2, maxDuration = "3m" } }
        # PruneLast, so that a project is removed only after the ApplicationSets that used it have another. Nothing that the root
        # Application creates has pods to wait for.
        syncOptions = ["ServerSideApply=true", "PruneLast=true"]
      }
    }
  }

  manifests = [local.cluster_secret, local.root_project, local.root_application]
}
