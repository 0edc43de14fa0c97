# Log groups, alarms, and a dashboard of the metrics and logs that the service emits.

locals {
  log_groups = merge(
    {
      service  = local.log_group
      cluster  = "/aws/eks/${local.cluster_name}/cluster"
      audit    = "/aws/docdb/${local.database}/audit"
      profiler = "/aws/docdb/${local.database}/profiler"
      flow     = "/aws/vpc/game-session/flow"
    },
    # AWS WAF writes only to log groups with this prefix.
    length(var.web_acl_rate_limit[*]) == 0 ? {} : { waf = "aws-waf-logs-${local.web_acl}" },
  )
}

resource "aws_cloudwatch_log_group" "this" {
  # checkov:skip=CKV_AWS_338:logs are kept for a year by default; dev sets thirty days
  for_each = local.log_groups

  name              = each.value
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.logs.arn

  tags = { Name = each.value }
}

resource "aws_sns_topic" "alarms" {
  name              = "game-session-alarms"
  kms_master_key_id = aws_kms_key.logs.arn

  tags = { Name = "game-session-alarms" }
}

resource "aws_sns_topic_subscription" "alarms" {
  for_each = var.alarm_emails

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.value
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Alarms"
      Effect    = "Allow"
      Principal = { Service = ["budgets.amazonaws.com", "cloudwatch.amazonaws.com"] }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.alarms.arn
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
}

locals {
  # The alarms cover errors and latency that clients see, a database or a cluster close to its limits, and metrics or logs that do not
  # arrive. An alarm goes off when `breaching` of `minutes` breach the threshold; by default that is 80%.
  alarms = merge(local.base_alarms, local.burstable ? local.burst_alarms : {})

  base_alarms = {
    errors = {
      description = "More than 1% of requests fail"
      namespace   = "GameSession", metric = "ErrorRate", statistic = "Average", dimensions = {}
      comparison  = "GreaterThanThreshold", threshold = 1, minutes = 5, missing = "notBreaching"
    }
    latency = {
      description = "1% of requests take more than 500 ms"
      namespace   = "GameSession", metric = "APILatency", statistic = "p99", dimensions = {}
      comparison  = "GreaterThanThreshold", threshold = 500, minutes = 10, missing = "notBreaching"
    }
    silence = {
      description = "No metrics arrive: no pod is running, or none can deliver metrics"
      namespace   = "GameSession", metric = "LiveSessions", statistic = "SampleCount", dimensions = {}
      comparison  = "LessThanThreshold", threshold = 1, minutes = 10, missing = "breaching"
    }
    logs-dropped = {
      description = "Log records are dropped"
      namespace   = "GameSession", metric = "LogRecordsDropped", statistic = "Sum", dimensions = {}
      comparison  = "GreaterThanThreshold", threshold = 0, minutes = 5, missing = "notBreaching"
      breaching   = 1 # the service reports a loss only in the minute in which it happens
    }
    pods-pending = {
      description = "Pods wait for a node: the node group is at its maximum, or nodes do not start"
      namespace   = "AWS/EKS", metric = "scheduler_pending_pods", statistic = "Maximum", dimensions = { ClusterName = local.cluster_name }
      comparison  = "GreaterThanThreshold", threshold = 0, minutes = 15, missing = "notBreaching"
    }
    database-cpu = {
      description = "The CPU utilization of the database is above 80%"
      namespace   = "AWS/DocDB", metric = "CPUUtilization", statistic = "Average", dimensions = { DBClusterIdentifier = local.database }
      comparison  = "GreaterThanThreshold", threshold = 80, minutes = 15, missing = "missing"
    }
    database-memory = {
      description = "The database has less than 256 MiB of free memory"
      namespace   = "AWS/DocDB", metric = "FreeableMemory", statistic = "Minimum", dimensions = { DBClusterIdentifier = local.database }
      comparison  = "LessThanThreshold", threshold = 268435456, minutes = 15, missing = "missing"
    }
    database-connections = {
      description = "The database has more than half of the connections that it supports"
      namespace   = "AWS/DocDB", metric = "DatabaseConnections", statistic = "Maximum", dimensions = { DBClusterIdentifier = local.database }
      comparison  = "GreaterThanThreshold", threshold = 500, minutes = 5, missing = "missing"
    }
    database-lag = {
      description = "A replica of the database is more than a second behind: a failover would take longer"
      namespace   = "AWS/DocDB", metric = "DBClusterReplicaLagMaximum", statistic = "Maximum", dimensions = { DBClusterIdentifier = local.database }
      comparison  = "GreaterThanThreshold", threshold = 1000, minutes = 10, missing = "notBreaching"
    }
    database-volume = {
      description = "The database is larger than 100 GiB: more is written than its retention removes"
      namespace   = "AWS/DocDB", metric = "VolumeBytesUsed", statistic = "Maximum", dimensions = { DBClusterIdentifier = local.database }
      comparison  = "GreaterThanThreshold", threshold = 107374182400, minutes = 15, missing = "ignore"
      breaching   = 1 # AWS does not report it every minute
    }
  }

  # Instances of the classes db.t have CPU credits. When these are used up, AWS charges for each further burst.
  burstable = startswith(var.db_instance_class, "db.t")
  burst_alarms = {
    database-credits = {
      description = "The database has few CPU credits left, because it is too small for its load"
      namespace   = "AWS/DocDB", metric = "CPUCreditBalance", statistic = "Minimum", dimensions = { DBClusterIdentifier = local.database }
      comparison  = "LessThanThreshold", threshold = 100, minutes = 15, missing = "missing"
    }
  }

  # Terraform does not know the load balancer, the target groups and the instances, so these alarms query the metrics of all of them.
  # The account has no others.
  query_alarms = {
    load-balancer-errors = {
      description = "The load balancer gets more than 10 responses 5xx per minute from pods"
      query       = "SELECT SUM(HTTPCode_Target_5XX_Count) FROM SCHEMA(\"AWS/ApplicationELB\", LoadBalancer)"
      threshold   = 10, minutes = 5
    }
    load-balancer-unhealthy = {
      description = "The load balancer sends no requests to some pod, because its health check fails"
      query       = "SELECT MAX(UnHealthyHostCount) FROM SCHEMA(\"AWS/ApplicationELB\", LoadBalancer, TargetGroup)"
      threshold   = 0, minutes = 10
    }
    node-status = {
      description = "A node fails the status checks of EC2"
      query       = "SELECT MAX(StatusCheckFailed) FROM SCHEMA(\"AWS/EC2\", InstanceId)"
      threshold   = 0, minutes = 5
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "game-session-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  period              = 60
  evaluation_periods  = each.value.minutes
  datapoints_to_alarm = try(each.value.breaching, ceil(each.value.minutes * 0.8))
  treat_missing_data  = each.value.missing
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  tags = { Name = "game-session-${each.key}" }
}

resource "aws_cloudwatch_metric_alarm" "queries" {
  for_each = local.query_alarms

  alarm_name          = "game-session-${each.key}"
  alarm_description   = each.value.description
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  evaluation_periods  = each.value.minutes
  datapoints_to_alarm = ceil(each.value.minutes * 0.8)
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  metric_query {
    id          = "result"
    expression  = each.value.query
    period      = 60
    return_data = true
  }

  tags = { Name = "game-session-${each.key}" }
}

resource "aws_budgets_budget" "this" {
  count = length(var.monthly_budget_usd[*])

  name         = "game-session"
  budget_type  = "COST"
  limit_amount = tostring(var.monthly_budget_usd)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"

  dynamic "notification" {
    for_each = { ACTUAL = 80, FORECASTED = 100 }

    content {
      notification_type         = notification.key
      comparison_operator       = "GREATER_THAN"
      threshold                 = notification.value
      threshold_type            = "PERCENTAGE"
      subscriber_sns_topic_arns = [aws_sns_topic.alarms.arn]
    }
  }

  tags = { Name = "game-session" }

  depends_on = [aws_sns_topic_policy.alarms]
}

locals {
  # The metrics of refused requests, and the percentage of all requests from which on an alarm goes off.
  refusals = {
    unauthenticated = { metric = "Unauthenticated", threshold = 10, description = "More than 10% of requests have no valid token (401)" }
    forbidden       = { metric = "Forbidden", threshold = 10, description = "More than 10% of requests are not allowed for their caller (403)" }
    rate-limited    = { metric = "RateLimited", threshold = 5, description = "More than 5% of requests exceed a rate limit of the service (429)" }
  }

  # The entries of a graph: the percentages, and the metrics that they are calculated from.
  refused_percentages = concat(
    [["GameSession", "RequestCount", { stat = "Sum", id = "requests", visible = false }]],
    [for refusal in local.refusals : ["GameSession", refusal.metric, { stat = "Sum", id = lower(refusal.metric), visible = false }]],
    [for refusal in local.refusals : [{
      expression = "100 * FILL(${lower(refusal.metric)}, 0) / requests"
      id         = "percentage_${lower(refusal.metric)}"
      label      = "${refusal.metric} (%)"
    }]],
  )

  # The percentage of `refused` requests among `requests`. Without the minimum, a few requests at night would set off an alarm.
  refused_percentage = "IF(requests >= 100, 100 * FILL(refused, 0) / requests, 0)"
}

resource "aws_cloudwatch_metric_alarm" "refusals" {
  for_each = local.refusals

  alarm_name          = "game-session-${each.key}"
  alarm_description   = each.value.description
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  evaluation_periods  = 2
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  metric_query {
    id          = "percentage"
    label       = "${each.value.metric} (%)"
    expression  = local.refused_percentage
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { refused = each.value.metric, requests = "RequestCount" }

    content {
      id          = metric_query.key
      return_data = false

      metric {
        namespace   = "GameSession"
        metric_name = metric_query.value
        stat        = "Sum"
        period      = 300
      }
    }
  }

  tags = { Name = "game-session-${each.key}" }
}

locals {
  # Rows of graphs. A graph has statistics and either metrics, as [namespace, name, dimension, value, ...], or a search for
  # metrics. Entries are added to the graph as they are.
  graphs = [
    [
      { title = "Latency (ms)", stats = ["Average", "p50", "p95", "p99"], metrics = [["GameSession", "APILatency"]] },
      { title = "Requests", stats = ["Sum"], metrics = [["GameSession", "RequestCount"]] },
      { title = "Error rate (%)", stats = ["Average"], metrics = [["GameSession", "ErrorRate"]] },
    ],
    [
      { title = "Latency by route (ms, p99)", stats = ["p99"], search = "{GameSession,Route} MetricName=\"APILatency\"" },
      { title = "Requests by route", stats = ["Sum"], search = "{GameSession,Route} MetricName=\"RequestCount\"" },
      { title = "Error rate by route (%)", stats = ["Average"], search = "{GameSession,Route} MetricName=\"ErrorRate\"" },
    ],
    [
      { title = "Sessions and seated players", stats = ["Maximum"], metrics = [["GameSession", "LiveSessions"], ["GameSession", "SeatedPlayers"]] },
      { title = "Joins by outcome", stats = ["Sum"], search = "{GameSession,Outcome} MetricName=\"Joins\"" },
      { title = "Sessions created and ended", stats = ["Sum"], metrics = [["GameSession", "SessionsCreated"], ["GameSession", "SessionsEnded"]] },
    ],
    [
      { title = "Refused requests (%)", stats = [], entries = local.refused_percentages },
      { title = "Refused requests", stats = ["Sum"], metrics = [for refusal in local.refusals : ["GameSession", refusal.metric]] },
      { title = "Requests blocked by the web ACL", stats = ["Sum"], metrics = [
        ["AWS/WAFV2", "BlockedRequests", "WebACL", local.web_acl, "Region", var.region, "Rule", "ALL"],
      ] },
    ],
    [
      { title = "Changes per group commit", stats = ["Average", "Maximum"], metrics = [["GameSession", "GroupCommitSize"]] },
      { title = "Conflicts retried and log records dropped", stats = ["Sum"], metrics = [["GameSession", "ConflictsRetried"], ["GameSession", "LogRecordsDropped"]] },
      { title = "Database commands in flight", stats = ["Average", "Maximum"], metrics = [["GameSession", "DatabaseCommandsInFlight"]] },
    ],
    [
      { title = "Database commands (ms, p99)", stats = ["p99"], search = "{GameSession,Command} MetricName=\"DatabaseLatency\"" },
      { title = "DocumentDB: CPU (%)", stats = ["Average", "Maximum"], metrics = [["AWS/DocDB", "CPUUtilization", "DBClusterIdentifier", local.database]] },
      { title = "DocumentDB: connections, cursors", stats = ["Maximum"], metrics = [
        ["AWS/DocDB", "DatabaseConnections", "DBClusterIdentifier", local.database],
        ["AWS/DocDB", "DatabaseCursors", "DBClusterIdentifier", local.database],
      ] },
    ],
    [
      { title = "DocumentDB: volume (bytes)", stats = ["Maximum"], metrics = [["AWS/DocDB", "VolumeBytesUsed", "DBClusterIdentifier", local.database]] },
      { title = "DocumentDB: replica lag (ms)", stats = ["Maximum"], metrics = [["AWS/DocDB", "DBClusterReplicaLagMaximum", "DBClusterIdentifier", local.database]] },
      { title = "DocumentDB: free memory (bytes)", stats = ["Minimum"], metrics = [["AWS/DocDB", "FreeableMemory", "DBClusterIdentifier", local.database]] },
    ],
    [
      { title = "Nodes: CPU (%)", stats = ["Average", "Maximum"], search = "{AWS/EC2,AutoScalingGroupName} MetricName=\"CPUUtilization\"" },
      { title = "Pending pods", stats = ["Maximum"], metrics = [["AWS/EKS", "scheduler_pending_pods", "ClusterName", local.cluster_name]] },
      { title = "Kubernetes API requests", stats = ["Sum"], metrics = [["AWS/EKS", "apiserver_request_total", "ClusterName", local.cluster_name]] },
    ],
  ]

  # Log tables. The fields are those of the service's log lines.
  tables = [
    {
      title = "Slow and failed requests"
      query = "fields @timestamp, method, route, status, duration_ms, request_id, pod | filter logger = 'game_api.access' and (status >= 500 or duration_ms > 250) | sort duration_ms desc | limit 50"
    },
    {
      title = "Requests and version by pod"
      query = "filter logger = 'game_api.access' | stats count(*) as requests, avg(duration_ms) as average_ms, latest(version) as current_version by pod | sort requests desc"
    },
    {
      title = "Warnings and errors"
      query = "fields @timestamp, level, logger, message, request_id, pod | filter level in ['warning', 'error', 'critical'] | sort @timestamp desc | limit 50"
    },
  ]

  widgets = concat(
    flatten([
      for row, graphs in local.graphs : [
        for column, graph in graphs : {
          type   = "metric"
          x      = column * 8
          y      = row * 6
          width  = 8
          height = 6
          properties = {
            title  = graph.title
            region = var.region
            period = 300
            view   = "timeSeries"
            metrics = concat(
              [
                for pair in setproduct(try(graph.metrics, []), graph.stats) :
                concat(pair[0], [{ stat = pair[1], label = "${pair[0][1]} ${pair[1]}" }])
              ],
              [
                for stat in try(graph.search, null) == null ? [] : graph.stats :
                [{ expression = "SEARCH('${graph.search}', '${stat}', 300)", id = "search_${lower(stat)}", label = "" }]
              ],
              try(graph.entries, []),
            )
          }
        }
      ]
    ]),
    [
      for row, table in local.tables : {
        type   = "log"
        x      = 0
        y      = (length(local.graphs) + row) * 6
        width  = 24
        height = 6
        properties = {
          title  = table.title
          region = var.region
          view   = "table"
          query  = "SOURCE '${local.log_group}' | ${table.query}"
        }
      }
    ],
  )
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = "game-session-metrics"
  dashboard_body = jsonencode({ widgets = local.widgets })
}
