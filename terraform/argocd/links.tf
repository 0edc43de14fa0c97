# The links that Argo CD shows at Applications and resources.

locals {
  # The repository's web page: https://host/owner/name for each form of its URL.
  repository_page = replace(
    replace(trimsuffix(var.repository_url, ".git"), "/^git@([^:/]+):/", "https://$1/"),
    "/^(ssh|git)://([^@/]+@)?/", "https://",
  )

  console = "https://${local.base.facts.aws_region}.console.aws.amazon.com/cloudwatch/home?region=${local.base.facts.aws_region}"

  # The newest hour of the log lines with one value in one field, in the encoding of CloudWatch's URLs.
  logs = join("", [
    "${local.console}#logsV2:logs-insights$3FqueryDetail$3D~(end~0~start~-3600~timeType~'RELATIVE~unit~'seconds~editorString~'",
    "fields*20*40timestamp*2c*20*40message*0a*7c*20filter*20pod*20*3d*20*22%s*22*0a*7c*20sort*20*40timestamp*20desc",
    "~source~(~'game-session-logs))",
  ])

  # The tag of the image that runs is the commit that it was built of.
  tag = "{{ (index .app.status.summary.images 0) | splitList \":\" | last }}"

  has_one_image = "len(app.status.summary.images ?? []) == 1 && app.metadata.labels[\"environment\"] != nil"

  application_links = [
    { title = "Commit of the running image", url = "${local.repository_page}/commit/${local.tag}", "if" = local.has_one_image },
    { title = "What main has more than that", url = "${local.repository_page}/compare/${local.tag}...main", "if" = local.has_one_image },
    { title = "How to roll back", url = "${local.repository_page}/blob/main/docs/deploy.md#rolling-back" },
  ]

  resource_links = [
    {
      title = "Logs of this pod"
      url   = format(local.logs, "{{ .resource.metadata.name }}")
      "if"  = "resource.kind == 'Pod' && resource.metadata.namespace == 'gaming-namespace'"
    },
  ]
}
