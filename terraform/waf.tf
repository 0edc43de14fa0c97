# A limit of requests for each client address, before they reach the cluster. The service's own limits are counted by each pod;
# this one is shared by all of them. The AWS Load Balancer Controller associates the web ACL with the load balancer.
#
# It has no managed rule groups. They search for SQL, HTML and paths of other software. The service has none of these, but its
# players write names that look like them, and the core rules block bodies over 8 KiB, while the service accepts 64 KiB.

locals {
  web_acl = "game-session"
}

resource "aws_wafv2_web_acl" "this" {
  # checkov:skip=CKV_AWS_192:there is no Java in the service
  count = length(var.web_acl_rate_limit[*])

  name        = local.web_acl
  description = "Limits the requests of each client address" # A change would replace the resource.
  scope       = "REGIONAL"

  default_action {
    allow {}
  }

  # The answer has the form of the service's own 429, so that clients wait and try again.
  custom_response_body {
    key          = "rate-limited"
    content_type = "APPLICATION_JSON"
    content = jsonencode({
      type   = "about:blank"
      title  = "Too Many Requests"
      status = 429
      detail = "Too many requests come from this address."
      code   = "rate_limited"
    })
  }

  rule {
    name     = "rate-per-address"
    priority = 1

    statement {
      rate_based_statement {
        aggregate_key_type    = "IP"
        evaluation_window_sec = 300
        limit                 = var.web_acl_rate_limit
      }
    }

    action {
      block {
        custom_response {
          response_code            = 429
          custom_response_body_key = "rate-limited"

          response_header {
            name  = "Retry-After"
            value = "60"
          }
        }
      }
    }

    visibility_config {
      metric_name                = "rate-per-address"
      cloudwatch_metrics_enabled = true
      sampled_requests_enabled   = false
    }
  }

  visibility_config {
    metric_name                = local.web_acl
    cloudwatch_metrics_enabled = true
    # Samples contain all headers, including tokens. The redaction below applies only to the log.
    sampled_requests_enabled = false
  }

  tags = { Name = local.web_acl }
}

# Logs the requests that were blocked, without tokens.
resource "aws_wafv2_web_acl_logging_configuration" "this" {
  count = length(aws_wafv2_web_acl.this)

  resource_arn            = aws_wafv2_web_acl.this[0].arn
  log_destination_configs = [aws_cloudwatch_log_group.this["waf"].arn]

  logging_filter {
    default_behavior = "DROP"

    filter {
      behavior    = "KEEP"
      requirement = "MEETS_ANY"

      condition {
        action_condition {
          action = "BLOCK"
        }
      }
    }
  }

  redacted_fields {
    single_header {
      name = "authorization"
    }
  }

  # The service does not log query strings either.
  redacted_fields {
    query_string {}
  }

  depends_on = [aws_cloudwatch_log_resource_policy.waf]
}

resource "aws_cloudwatch_log_resource_policy" "waf" {
  count = length(aws_wafv2_web_acl.this)

  policy_name = "game-session-waf"
  policy_document = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "WebAclLogs"
      Effect    = "Allow"
      Principal = { Service = "delivery.logs.amazonaws.com" }
      Action    = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource  = "${aws_cloudwatch_log_group.this["waf"].arn}:log-stream:*"
      Condition = {
        StringEquals = { "aws:SourceAccount" = var.account_id }
        ArnLike      = { "aws:SourceArn" = "${local.arn_prefix}:logs:${var.region}:${var.account_id}:*" }
      }
    }]
  })
}
