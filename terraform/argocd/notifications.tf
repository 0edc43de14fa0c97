# What Argo CD reports: to people through a webhook, and to GitHub as the commit status argocd/<Application>.

locals {
  has_webhook = var.notifications_secret_arn != null
  has_github  = var.github_app_secret_arn != null

  # The beginning of each template. It sets $image, $tag, $revision (the commit that was synced last) and $reason.
  # Each resource of the last sync lists its images, which are those of the new build while old pods are still running.
  template_variables = <<-EOT
    {{- $operation := dig "status" "operationState" (dict) .app -}}
    {{- $results := dig "syncResult" "resources" (list) $operation -}}
    {{- $revision := dig "syncResult" "revision" (dig "status" "sync" "revision" "" .app) $operation -}}
    {{- $image := "" -}}
    {{- range $results }}{{ range (dig "images" (list) .) }}{{ $image = . }}{{ end }}{{ end -}}
    {{- if not $image }}{{ range (dig "status" "summary" "images" (list) .app) }}{{ $image = . }}{{ end }}{{ end -}}
    {{- $tag := $image | splitList ":" | last -}}
    {{- $reasons := list -}}
    {{- if ne (dig "phase" "" $operation) "Succeeded" -}}
      {{- range $results -}}
        {{- if or (has (dig "hookPhase" "" .) (list "Failed" "Error")) (eq (dig "status" "" .) "SyncFailed") -}}
          {{- $reasons = append $reasons (printf "%s %s: %s" .kind .name (dig "message" "" .)) -}}
        {{- end -}}
      {{- end -}}
      {{- $reasons = append $reasons (dig "message" "" $operation) -}}
    {{- end -}}
    {{- range (dig "status" "resources" (list) .app) -}}
      {{- if has (dig "health" "status" "" .) (list "Degraded" "Missing") -}}
        {{- $reasons = append $reasons (printf "%s %s: %s" .kind .name (dig "health" "message" "" .)) -}}
      {{- end -}}
    {{- end -}}
    {{- range (dig "status" "conditions" (list) .app) -}}
      {{- if contains "Error" .type }}{{ $reasons = append $reasons .message }}{{ end -}}
    {{- end -}}
    {{- $reason := $reasons | compact | uniq | join "; " | trimSuffix "." -}}
  EOT

  # The messages, as expressions of Go's templates.
  messages = {
    app-deployed            = "(printf \"%s runs %s, from %s.\" .app.metadata.name $image $revision)"
    app-health-degraded     = "(printf \"%s is degraded%s: %s. If a deployment is the cause, roll it back.\" .app.metadata.name (ternary (printf \" with %s\" $image) \"\" (ne $image \"\")) $reason)"
    app-sync-failed         = "(printf \"%s could not be synced to %s (%s): %s. A revert is enough, because the next try takes the newest commit; outside of the window, press Terminate and then Sync.\" .app.metadata.name $revision $image $reason)"
    app-sync-status-unknown = "(printf \"%s can't be compared with git: %s.\" .app.metadata.name $reason)"
  }

  # Of the Application in Argo CD and, where there is one, of the commit of its image.
  message_links = join(" ", [
    "(printf \"%s/applications/%s\" .context.argocdUrl .app.metadata.name)",
    "(ternary (printf \"${local.repository_page}/commit/%s\" $tag) \"\" (regexMatch \"^[0-9a-f]{40}$\" $tag))",
  ])

  message_templates = {
    for name, message in local.messages : "template.${name}" => yamlencode({
      webhook = {
        game-session = {
          method = "POST"
          body   = "${local.template_variables}{{ dict \"text\" (list ${message} ${local.message_links} | compact | join \" \") | toJson }}"
        }
      }
    })
  }

  # GitHub shows a status at the commit that the image was built of. Its description is a template's message, 140 characters at most.
  statuses = {
    github-healthy = { state = "success", description = "Healthy at {{ .app.status.sync.revision }}" }
    github-pending = { state = "pending", description = "Rolling out {{ $revision }}" }
    github-failed  = { state = "failure", description = "{{ $reason }}" }
  }

  status_templates = {
    for name, status in local.statuses : "template.${name}" => yamlencode({
      message = "${local.template_variables}${status.description}"
      github = {
        repoURLPath  = "{{ .app.spec.source.repoURL }}"
        revisionPath = "${local.template_variables}{{ if regexMatch \"^[0-9a-f]{40}$\" $tag }}{{ $tag }}{{ else }}{{ $revision }}{{ end }}"
        status = {
          state     = status.state
          label     = "argocd/{{ .app.metadata.name }}"
          targetURL = "{{ .context.argocdUrl }}/applications/{{ .app.metadata.name }}"
        }
      }
    })
  }

  # A sync has succeeded as soon as everything is applied. Until Argo CD has seen the new pods, the health is still that of the old
  # ones. So the health must have changed since the sync began. A sync that changes no health has been deployed a minute later.
  is_deployed = join(" and ", [
    "app.status.operationState?.phase == 'Succeeded'",
    "app.status.sync.status == 'Synced'",
    "app.status.health.status == 'Healthy'",
    "(${join(" or ", [
      "time.Parse(app.status.health.lastTransitionTime).After(time.Parse(app.status.operationState.startedAt))",
      "time.Now().Sub(time.Parse(app.status.operationState.finishedAt)).Seconds() > 60",
    ])})",
  ])

  # Between two tries of a failed sync its phase is Running, for up to an hour. So is that of a sync during which the window closed,
  # until it opens again. Only the message says so.
  is_failing = join(" or ", [
    "app.status.operationState?.phase in ['Error', 'Failed']",
    "(app.status.operationState?.phase == 'Running' and (app.status.operationState?.message ?? '') matches 'Retrying attempt #|blocked by sync window')",
  ])

  synced_revision = "(app.status.operationState?.syncResult?.revision ?? '')"

  # A status is sent again if the health changes, such as after an outage, or if another commit is synced or needs no sync.
  once_per_change = "(app.status.sync?.revision ?? '') + (app.status.health?.lastTransitionTime ?? '')"

  triggers = {
    on-deployed            = [{ when = local.is_deployed, oncePer = local.synced_revision, send = ["app-deployed"] }]
    on-health-degraded     = [{ when = "app.status.health.status == 'Degraded'", send = ["app-health-degraded"] }]
    on-sync-failed         = [{ when = local.is_failing, oncePer = local.synced_revision, send = ["app-sync-failed"] }]
    on-sync-status-unknown = [{ when = "app.status.sync.status == 'Unknown'", send = ["app-sync-status-unknown"] }]
    on-github-status = [
      { when = local.is_deployed, oncePer = local.once_per_change, send = ["github-healthy"] },
      {
        when    = "app.status.health.status == 'Degraded' or ${local.is_failing}"
        oncePer = "'failed' + ${local.once_per_change}"
        send    = ["github-failed"]
      },
      {
        when    = "app.status.health.status == 'Progressing' and not (${local.is_failing})"
        oncePer = "'pending' + ${local.once_per_change}"
        send    = ["github-pending"]
      },
    ]
  }

  # Which Applications report what. The Applications of the game API have the label `environment`; the root Application and those
  # of the controllers report failures only.
  services = concat(local.has_webhook ? ["game-session"] : [], local.has_github ? ["github"] : [])
  subscriptions = [
    for subscription in [
      { recipients = ["game-session"], triggers = ["on-health-degraded", "on-sync-failed", "on-sync-status-unknown"] },
      { recipients = ["game-session"], triggers = ["on-deployed"], selector = "environment" },
      { recipients = ["github"], triggers = ["on-github-status"], selector = "environment" },
    ] : subscription if contains(local.services, subscription.recipients[0])
  ]

  notifications = {
    enabled   = local.has_webhook || local.has_github
    resources = local.resources.notifications
    argocdUrl = var.argocd_url
    secret = {
      items = merge(
        !local.has_webhook ? {} : { webhook-url = local.notification_secrets.webhook_url },
        !local.has_github ? {} : { github-app-key = local.notification_secrets.github_app.privateKey },
      )
    }
    notifiers = merge(
      !local.has_webhook ? {} : {
        "service.webhook.game-session" = yamlencode({
          url     = "$webhook-url"
          headers = [{ name = "Content-Type", value = "application/json" }]
        })
      },
      !local.has_github ? {} : {
        "service.github" = yamlencode(merge(
          {
            appID          = local.notification_secrets.github_app.appID
            installationID = local.notification_secrets.github_app.installationID
            privateKey     = "$github-app-key"
          },
          var.github_enterprise_url == null ? {} : { enterpriseBaseURL = var.github_enterprise_url },
        ))
      },
    )
    subscriptions = local.subscriptions
    templates     = merge(local.message_templates, local.status_templates)
    triggers      = { for name, conditions in local.triggers : "trigger.${name}" => yamlencode(conditions) }
  }
}
