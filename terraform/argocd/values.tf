# The values of the Argo CD chart.

locals {
  replicas = var.highly_available ? 2 : 1

  # What each component reserves of a node, and the memory at which it is restarted. There is no limit of CPU, which would only slow
  # down syncs on idle nodes.
  resources = {
    for component, sizes in {
      controller     = ["250m", "512Mi", "1Gi"]
      server         = ["50m", "128Mi", "512Mi"]
      repoServer     = ["100m", "256Mi", "1Gi"]
      applicationSet = ["50m", "128Mi", "512Mi"]
      notifications  = ["25m", "64Mi", "256Mi"]
      redis          = ["50m", "64Mi", "256Mi"]
      haproxy        = ["25m", "64Mi", "128Mi"]
      sentinel       = ["25m", "32Mi", "128Mi"]
      script         = ["10m", "16Mi", "64Mi"]
    } : component => { requests = { cpu = sizes[0], memory = sizes[1] }, limits = { memory = sizes[2] } }
  }

  # While nodes roll, one of two replicas keeps running.
  disruption_budget = { enabled = var.highly_available, maxUnavailable = 1 }

  # The chart has a policy for each component, but not for a highly available Redis. Its pods and their proxies are reached only by
  # pods of this namespace, and ask them for a password.
  redis_policy = {
    apiVersion = "networking.k8s.io/v1"
    kind       = "NetworkPolicy"
    metadata   = { name = "argocd-redis-ha", namespace = "argocd" }
    spec = {
      podSelector = { matchExpressions = [{ key = "app", operator = "In", values = ["redis-ha", "redis-ha-haproxy"] }] }
      policyTypes = ["Ingress"]
      ingress     = [{ from = [{ podSelector = {} }] }]
    }
  }

  values = {
    global = {
      # The latest patch release of the minor version that the chart installs.
      image = { tag = "v3.5.7" }
      # Only the components that need each other reach each other. What they reach outside, such as git, is not restricted, and a
      # port-forward to the server still works.
      networkPolicy = { create = true, defaultDenyIngress = true }
      # Replicas run on different nodes: by preference, or always if Argo CD has to survive the loss of one.
      affinity = { podAntiAffinity = var.highly_available ? "hard" : "soft" }
    }

    configs = {
      cm = {
        # The admin user is no longer needed once single sign-on is configured.
        "admin.enabled"                      = tostring(var.admin_enabled)
        "application.resourceTrackingMethod" = "annotation"
        "statusbadge.enabled"                = "false"
        # How often Argo CD asks git for new commits. No webhook reaches it, because it has no public address.
        "timeout.reconciliation"        = "60s"
        "timeout.reconciliation.jitter" = "10s"
        url                             = var.argocd_url
        # New pods have no metrics for up to a minute, which Argo CD's own check takes for a failure in every rollout.
        "resource.customizations.health.autoscaling_HorizontalPodAutoscaler"      = file("${path.module}/autoscaler_health.lua")
        "resource.customizations.useOpenLibs.autoscaling_HorizontalPodAutoscaler" = "true" # for the functions of strings
        "application.links"                                                       = yamlencode(local.application_links)
        "resource.links"                                                          = yamlencode(local.resource_links)
        # The tree shows the version beside each name.
        "resource.customLabels" = "app.kubernetes.io/version"
      }
      params = {
        # Users reach the server through a port-forward, over TLS.
        "server.insecure" = "false"
        # The API server says what an apply would change. Argo CD alone does not know the defaults of each kind.
        "controller.diff.server.side" = "true"
        # The notifications say which resource is degraded, and why.
        "controller.resource.health.persist" = "true"
        # Rendered manifests are not kept longer than this, in case one of them is wrong.
        "reposerver.repo.cache.expiration" = "1h"
      }
      rbac = {
        # Every signed-in user may read. rbac_policy grants further permissions.
        "policy.default" = "role:readonly"
        "policy.csv"     = var.rbac_policy
        scopes           = "[groups, email]"
      }
    }

    controller = { replicas = 1, resources = local.resources.controller }
    server = {
      replicas  = local.replicas
      resources = local.resources.server
      pdb       = local.disruption_budget
      service   = { type = "ClusterIP" }
    }
    repoServer     = { replicas = local.replicas, resources = local.resources.repoServer, pdb = local.disruption_budget }
    applicationSet = { replicas = local.replicas, resources = local.resources.applicationSet, pdb = local.disruption_budget }
    redis          = { resources = local.resources.redis }
    redis-ha = {
      enabled             = var.highly_available
      redis               = { resources = local.resources.redis }
      sentinel            = { resources = local.resources.sentinel }
      podDisruptionBudget = { maxUnavailable = 1 }
      splitBrainDetection = { resources = local.resources.script }
      haproxy = {
        resources           = local.resources.haproxy
        podDisruptionBudget = { maxUnavailable = 1 }
        # As in Argo CD's own manifests. Otherwise HAProxy reserves memory for as many connections as the node has file descriptors.
        extraConfig = "global\n  maxconn 4096\n"
      }
    }
    extraObjects = [for policy in [local.redis_policy] : policy if var.highly_available]
    dex          = { enabled = false }

    notifications = local.notifications
  }
}
