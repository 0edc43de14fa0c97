# What the variables choose, and which values they reject. Run them like the tests in base.tftest.hcl.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "accepts_an_external_issuer" {
  variables {
    cognito = null
    external_issuer = {
      issuer   = "https://id.example/"
      audience = ["game", "backend"]
      jwks_url = "https://id.example/keys"
    }
    jwks_cidr = "203.0.113.0/24"
  }

  assert {
    condition = length(aws_cognito_user_pool.this) == 0 && output.cognito == null && {
      for name, fact in output.facts : name => fact if startswith(name, "jw")
      } == {
      jwks_cidr        = "203.0.113.0/24"
      jwks_url         = "https://id.example/keys"
      jwt_audience     = "backend,game"
      jwt_issuer       = "https://id.example/"
      jwt_roles_claim  = "roles"
      jwt_roles_prefix = ""
    }
    error_message = "an external issuer must replace the user pool, and the facts must describe it"
  }
}

run "creates_no_web_acl_without_a_limit" {
  variables {
    web_acl_rate_limit = null
  }

  assert {
    condition     = length(aws_wafv2_web_acl.this) == 0 && output.facts.web_acl_arn == "none"
    error_message = "without a limit there must be no web ACL, and the fact must be \"none\""
  }
}

run "pins_the_release_of_the_nodes" {
  variables {
    node_release_version = "1.36.1-20260901"
  }

  assert {
    condition     = aws_eks_node_group.this.release_version == "1.36.1-20260901"
    error_message = "node_release_version must be the release of the nodes"
  }
}

run "trusts_the_earlier_form_of_the_subject" {
  variables {
    github_repository = "game-studio/game-api"
  }

  assert {
    condition     = jsondecode(aws_iam_role.this["plan"].assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] == "repo:game-studio/game-api:environment:${var.environment}-plan"
    error_message = "the role that plans must trust exactly this subject"
  }
}

run "upgrades_the_engine_with_a_parameter_group_of_its_family" {
  variables {
    db_engine_version = "8.0.0"
  }

  assert {
    condition     = aws_docdb_cluster.this.engine_version == "8.0.0" && aws_docdb_cluster_parameter_group.this.family == "docdb8.0" && aws_docdb_cluster.this.allow_major_version_upgrade
    error_message = "db_engine_version must choose the engine and the family of its parameters"
  }
}

run "has_no_budget_without_a_limit_and_no_credits_without_a_burstable_class" {
  variables {
    db_instance_class  = "db.r6g.large"
    monthly_budget_usd = null
  }

  assert {
    condition     = length(aws_budgets_budget.this) == 0 && !contains(keys(aws_cloudwatch_metric_alarm.this), "database-credits")
    error_message = "without a limit there must be no budget, and without CPU credits no alarm on them"
  }
}

run "rejects_a_cluster_that_nobody_can_reach" {
  command = plan

  variables {
    cluster_api_private_cidrs = []
  }

  expect_failures = [var.cluster_api_cidrs]
}

run "rejects_a_public_network_as_a_private_one" {
  command = plan

  variables {
    cluster_api_private_cidrs = ["8.8.8.0/24"]
  }

  expect_failures = [var.cluster_api_private_cidrs]
}

run "rejects_a_release_of_another_version" {
  command = plan

  variables {
    node_release_version = "1.35.4-20260901"
  }

  expect_failures = [var.node_release_version]
}

run "rejects_the_account_of_another_region" {
  command = plan

  override_data {
    target = data.aws_iam_roles.existing
    values = { names = ["game-session-cluster"] }
  }

  override_data {
    target = data.aws_iam_role.existing
    values = { tags = { Region = "eu-west-1" } }
  }

  expect_failures = [var.zones]
}

run "rejects_the_account_of_another_environment" {
  command = plan

  override_data {
    target = data.aws_iam_roles.existing
    values = { names = ["game-session-cluster"] }
  }

  override_data {
    target = data.aws_iam_role.existing
    values = { tags = { Environment = "load" } }
  }

  expect_failures = [var.zones]
}

run "rejects_two_issuers" {
  command = plan

  variables {
    external_issuer = { issuer = "https://id.example/", audience = ["game"], jwks_url = "https://id.example/keys" }
  }

  expect_failures = [var.external_issuer]
}

run "rejects_no_issuer" {
  command = plan

  variables {
    cognito = null
  }

  expect_failures = [var.external_issuer]
}

run "rejects_keys_without_tls" {
  command = plan

  variables {
    cognito         = null
    external_issuer = { issuer = "https://id.example/", audience = ["game"], jwks_url = "http://id.example/keys" }
  }

  expect_failures = [var.external_issuer]
}

run "rejects_invalid_variables" {
  command = plan

  variables {
    account_id         = "12345"
    certificate_arn    = "arn:aws:iam::111111111111:server-certificate/x"
    cognito            = { domain_prefix = "Game Studio", callback_urls = ["http://play.game.example/"] }
    cluster_admin_arns = []
    cluster_api_cidrs  = ["0.0.0.0/0"]
    db_engine_version  = "5"
    db_instance_class  = "t3.medium"
    db_instance_count  = 0
    db_username        = "admin"
    github_repository  = "game-studio@*/game-api"
    hostname           = "https://api.game.example/"
    jwks_cidr          = "idp.example"
    kubernetes_version = "latest"
    log_retention_days = 42
    monthly_budget_usd = 0
    node_instance_type = "t3"
    region             = "Frankfurt"
    vpc_cidr           = "8.8.8.0/24"
    web_acl_rate_limit = 10
  }

  expect_failures = [
    var.account_id,
    var.certificate_arn,
    var.cognito,
    var.cluster_admin_arns,
    var.cluster_api_cidrs,
    var.db_engine_version,
    var.db_instance_class,
    var.db_instance_count,
    var.db_username,
    var.github_repository,
    var.hostname,
    var.jwks_cidr,
    var.kubernetes_version,
    var.log_retention_days,
    var.monthly_budget_usd,
    var.node_instance_type,
    var.region,
    var.vpc_cidr,
    var.web_acl_rate_limit,
  ]
}

run "rejects_zones_of_another_region" {
  command = plan

  variables {
    zones = ["eu-central-1a", "eu-central-1b", "eu-west-1c"]
  }

  expect_failures = [var.zones]
}

run "rejects_an_unknown_environment" {
  command = plan

  variables {
    environment = "production"
  }

  expect_failures = [var.environment]
}

run "rejects_production_without_protection" {
  command = plan

  variables {
    environment          = "prod"
    db_instance_count    = 1
    nat_gateway_per_zone = false
    protected            = false
    db_final_snapshot    = false
  }

  expect_failures = [var.db_final_snapshot, var.db_instance_count, var.nat_gateway_per_zone, var.protected]
}
