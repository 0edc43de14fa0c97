# The values of the Argo CD chart.

locals {
  replicas = var.highly_available ? 2 : 1

  values = {
    global = {
      # The latest patch release of the minor version that the chart installs.
      image = { tag = "v3.2.11" }
    }

    configs = {
      cm = {
        # The admin user is no longer needed once single sign-on is configured.
        "admin.enabled"                      = tostring(var.admin_enabled)
        "application.resourceTrackingMethod" = "annotation"
        "statusbadge.enabled"                = "false"
        # How often Argo CD checks git for new commits.
        "timeout.reconciliation" = "180s"
      }
      params = {
        # Users reach the server through a port-forward, over TLS.
        "server.insecure" = false
      }
      rbac = {
        # Every signed-in user may read. rbac_policy grants further permissions.
        "policy.default" = "role:readonly"
        "policy.csv"     = var.rbac_policy
        scopes           = "[groups, email]"
      }
    }

    controller     = { replicas = 1 }
    server         = { replicas = local.replicas, service = { type = "ClusterIP" } }
    repoServer     = { replicas = local.replicas }
    applicationSet = { replicas = local.replicas }
    redis-ha       = { enabled = var.highly_available }
    dex            = { enabled = false }

    notifications = {
      enabled = var.notifications_secret_arn != null
      secret = {
        items = { for item in data.aws_secretsmanager_secret_version.notifications : "webhook-url" => item.secret_string }
      }
      # The Applications subscribe to the notification service `game-session`.
      notifiers = {
        "service.webhook.game-session" = yamlencode({
          url     = "$webhook-url"
          headers = [{ name = "Content-Type", value = "application/json" }]
        })
      }
      templates = {
        for template in ["app-deployed", "app-health-degraded", "app-sync-failed"] :
        "template.${template}" => yamlencode({
          webhook = {
            game-session = {
              method = "POST"
              body = jsonencode({
                text = join(" ", [
                  "{{.app.metadata.name}}:",
                  trimprefix(template, "app-"),
                  "at {{.app.status.sync.revision}}",
                ])
              })
            }
          }
        })
      }
      triggers = {
        "trigger.on-deployed" = yamlencode([{
          when    = "app.status.operationState != nil and app.status.operationState.phase in ['Succeeded'] and app.status.health.status == 'Healthy'"
          oncePer = "app.status.sync.revision"
          send    = ["app-deployed"]
        }])
        "trigger.on-health-degraded" = yamlencode([{
          when = "app.status.health.status == 'Degraded'"
          send = ["app-health-degraded"]
        }])
        "trigger.on-sync-failed" = yamlencode([{
          when = "app.status.operationState != nil and app.status.operationState.phase in ['Error', 'Failed']"
          send = ["app-sync-failed"]
        }])
      }
    }
  }
}
