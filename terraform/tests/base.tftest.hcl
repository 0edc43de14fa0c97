# The provider is mocked, so the tests do not need AWS. Run them with -var-file=environments/<environment>.tfvars.
# Terraform generates the computed values. They are set here where the configuration needs a certain form.

mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_eks_addon_version" {
    defaults = { version = "v1.0.0-eksbuild.1" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-central-1:111111111111:log-group:mock" }
  }
  mock_resource "aws_cognito_user_pool" {
    defaults = {
      arn      = "arn:aws:cognito-idp:eu-central-1:111111111111:userpool/eu-central-1_mock"
      endpoint = "cognito-idp.eu-central-1.amazonaws.com/eu-central-1_mock"
      id       = "eu-central-1_mock"
    }
  }
  mock_resource "aws_docdb_cluster" {
    defaults = {
      arn      = "arn:aws:rds:eu-central-1:111111111111:cluster:game-session-db"
      endpoint = "game-session-db.cluster-mock.eu-central-1.docdb.amazonaws.com"
      master_user_secret = [{
        kms_key_id    = "mock"
        secret_arn    = "arn:aws:secretsmanager:eu-central-1:111111111111:secret:rds!cluster-mock-AbCdEf"
        secret_status = "active"
      }]
    }
  }
  mock_resource "aws_ecr_repository" {
    defaults = { arn = "arn:aws:ecr:eu-central-1:111111111111:repository/game-api" }
  }
  mock_resource "aws_eks_cluster" {
    defaults = {
      arn                   = "arn:aws:eks:eu-central-1:111111111111:cluster/game-session-cluster"
      certificate_authority = [{ data = "Y2E=" }]
      endpoint              = "https://mock.eks.amazonaws.com"
    }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111111111111:role/mock" }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-central-1:111111111111:key/mock" }
  }
  mock_resource "aws_launch_template" {
    defaults = { id = "lt-0123456789abcdef0", latest_version = 1 }
  }
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-central-1:111111111111:game-session-alarms" }
  }
  mock_resource "aws_vpc" {
    defaults = { id = "vpc-0123456789abcdef0" }
  }
  mock_resource "aws_wafv2_web_acl" {
    defaults = { arn = "arn:aws:wafv2:eu-central-1:111111111111:regional/webacl/game-session/mock" }
  }
}

run "base" {
  assert {
    condition     = aws_eks_cluster.this.name == "game-session-cluster"
    error_message = "the cluster must be named game-session-cluster"
  }

  assert {
    condition     = toset(one(aws_eks_cluster.this.vpc_config).subnet_ids) == toset(aws_subnet.private[*].id)
    error_message = "the cluster must be on the private subnets"
  }

  assert {
    condition = (
      aws_eks_node_group.this.node_group_name == "game-session-nodes" &&
      aws_eks_node_group.this.instance_types == tolist(["t3.medium"]) &&
      one(aws_eks_node_group.this.scaling_config).desired_size == 3 &&
      one(aws_eks_node_group.this.scaling_config).max_size == 5 &&
      one(aws_eks_node_group.this.scaling_config).min_size == 1
    )
    error_message = "the node group must be game-session-nodes with t3.medium nodes: 3 desired, 1 minimum, 5 maximum"
  }

  assert {
    condition     = toset(aws_eks_node_group.this.subnet_ids) == toset(aws_subnet.private[*].id)
    error_message = "the nodes must be on the private subnets"
  }

  assert {
    condition = (
      one(aws_eks_cluster.this.vpc_config).endpoint_private_access &&
      !contains(coalesce(one(aws_eks_cluster.this.vpc_config).public_access_cidrs, []), "0.0.0.0/0")
    )
    error_message = "the Kubernetes API must not be open to the internet"
  }

  assert {
    condition     = one(aws_eks_cluster.this.encryption_config).resources == toset(["secrets"])
    error_message = "the secrets of the cluster must be encrypted with a customer managed key"
  }

  assert {
    condition     = length(aws_eks_cluster.this.enabled_cluster_log_types) == 5
    error_message = "the control plane must write all log types"
  }

  assert {
    condition     = one(aws_eks_cluster.this.access_config).authentication_mode == "API"
    error_message = "access to the cluster must be managed by access entries"
  }

  assert {
    condition = (
      aws_docdb_cluster.this.cluster_identifier == "game-session-db" &&
      aws_docdb_cluster.this.engine == "docdb" &&
      aws_docdb_cluster.this.backup_retention_period == 5 &&
      aws_docdb_cluster.this.preferred_backup_window == "07:00-09:00"
    )
    error_message = "the database must be game-session-db, with 5 days of backups taken at 07:00-09:00"
  }

  assert {
    condition     = aws_docdb_cluster.this.manage_master_user_password && aws_docdb_cluster.this.master_password == null
    error_message = "AWS must manage the database password, and the state must not contain it"
  }

  assert {
    condition     = aws_docdb_cluster.this.storage_encrypted
    error_message = "the database must be encrypted"
  }

  assert {
    condition     = contains([for p in aws_docdb_cluster_parameter_group.this.parameter : "${p.name}=${p.value}"], "tls=enabled")
    error_message = "the database must require TLS"
  }

  assert {
    condition = (
      length(aws_docdb_cluster_instance.this) == var.db_instance_count &&
      alltrue([for i, instance in aws_docdb_cluster_instance.this : instance.instance_class == "db.t3.medium" && instance.identifier == "game-session-db-${i}"])
    )
    error_message = "the database instances must be db.t3.medium and named game-session-db-0, game-session-db-1 and so on"
  }

  assert {
    condition     = aws_cloudwatch_dashboard.this.dashboard_name == "game-session-metrics"
    error_message = "the dashboard must be named game-session-metrics"
  }

  assert {
    condition     = aws_cloudwatch_log_group.this["service"].name == "game-session-logs"
    error_message = "the log group of the service must be named game-session-logs"
  }

  assert {
    condition     = one(aws_launch_template.nodes.metadata_options).http_tokens == "required" && one(aws_launch_template.nodes.metadata_options).http_put_response_hop_limit == 1
    error_message = "the metadata service of the nodes must require IMDSv2 and be unreachable for pods"
  }

  assert {
    condition     = length(aws_subnet.public) == 3 && length(aws_subnet.private) == 3 && length(distinct(aws_subnet.private[*].availability_zone)) == 3
    error_message = "there must be a public and a private subnet in each of three zones"
  }

  assert {
    condition     = length(aws_nat_gateway.this) == (var.nat_gateway_per_zone ? 3 : 1)
    error_message = "there must be one NAT gateway, or one in each zone"
  }

  assert {
    condition     = alltrue([for name in ["logs", "secretsmanager"] : contains(keys(aws_vpc_endpoint.interface), name)])
    error_message = "the endpoints that pods need must exist, because pods may have no other way to reach AWS"
  }

  assert {
    condition     = jsondecode(aws_eks_addon.before_nodes["vpc-cni"].configuration_values).enableNetworkPolicy == "true"
    error_message = "network policies must be enforced"
  }

  assert {
    condition     = var.environment != "prod" || (aws_docdb_cluster.this.deletion_protection && !aws_docdb_cluster.this.skip_final_snapshot && aws_docdb_cluster.this.final_snapshot_identifier != null && aws_eks_cluster.this.deletion_protection && alltrue([for pool in aws_cognito_user_pool.this : pool.deletion_protection == "ACTIVE"]))
    error_message = "production must have deletion protection and leave a final snapshot"
  }

  assert {
    condition     = var.environment != "prod" || (length(aws_docdb_cluster_instance.this) >= 2 && length(aws_nat_gateway.this) == 3)
    error_message = "production must survive the loss of a database instance and of a zone"
  }
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
    db_instance_class  = "t3.medium"
    db_instance_count  = 0
    db_username        = "admin"
    github_repository  = "game-api"
    hostname           = "https://api.game.example/"
    jwks_cidr          = "idp.example"
    kubernetes_version = "latest"
    log_retention_days = 42
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
    var.db_instance_class,
    var.db_instance_count,
    var.db_username,
    var.github_repository,
    var.hostname,
    var.jwks_cidr,
    var.kubernetes_version,
    var.log_retention_days,
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
  }

  expect_failures = [var.db_instance_count, var.nat_gateway_per_zone, var.protected]
}
