# With mock_provider: nothing is asked of AWS. Run with -var-file=environments/<environment>.tfvars.
# What the provider would compute is made up, and given here where the configuration looks into it.

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
}

run "base" {
  assert {
    condition     = aws_eks_cluster.this.name == "game-session-cluster"
    error_message = "the cluster is game-session-cluster"
  }

  assert {
    condition     = toset(one(aws_eks_cluster.this.vpc_config).subnet_ids) == toset(aws_subnet.private[*].id)
    error_message = "the cluster is on the private subnets"
  }

  assert {
    condition = (
      aws_eks_node_group.this.node_group_name == "game-session-nodes" &&
      aws_eks_node_group.this.instance_types == tolist(["t3.medium"]) &&
      one(aws_eks_node_group.this.scaling_config).desired_size == 3 &&
      one(aws_eks_node_group.this.scaling_config).max_size == 5 &&
      one(aws_eks_node_group.this.scaling_config).min_size == 1
    )
    error_message = "the nodes are game-session-nodes, t3.medium, 3 of 1 to 5"
  }

  assert {
    condition     = toset(aws_eks_node_group.this.subnet_ids) == toset(aws_subnet.private[*].id)
    error_message = "the nodes are on the private subnets"
  }

  assert {
    condition = (
      one(aws_eks_cluster.this.vpc_config).endpoint_private_access &&
      !contains(coalesce(one(aws_eks_cluster.this.vpc_config).public_access_cidrs, []), "0.0.0.0/0")
    )
    error_message = "the cluster's API is private"
  }

  assert {
    condition     = one(aws_eks_cluster.this.encryption_config).resources == toset(["secrets"])
    error_message = "the cluster's secrets are encrypted by a key of ours"
  }

  assert {
    condition     = length(aws_eks_cluster.this.enabled_cluster_log_types) == 5
    error_message = "the control plane logs everything"
  }

  assert {
    condition     = one(aws_eks_cluster.this.access_config).authentication_mode == "API"
    error_message = "access entries decide who gets into the cluster"
  }

  assert {
    condition = (
      aws_docdb_cluster.this.cluster_identifier == "game-session-db" &&
      aws_docdb_cluster.this.engine == "docdb" &&
      aws_docdb_cluster.this.backup_retention_period == 5 &&
      aws_docdb_cluster.this.preferred_backup_window == "07:00-09:00"
    )
    error_message = "the database is game-session-db, backed up for 5 days at 07:00-09:00"
  }

  assert {
    condition     = aws_docdb_cluster.this.manage_master_user_password && aws_docdb_cluster.this.master_password == null
    error_message = "AWS keeps the password, and no state does"
  }

  assert {
    condition     = aws_docdb_cluster.this.storage_encrypted
    error_message = "the database is encrypted"
  }

  assert {
    condition     = contains([for p in aws_docdb_cluster_parameter_group.this.parameter : "${p.name}=${p.value}"], "tls=enabled")
    error_message = "the database takes TLS alone"
  }

  assert {
    condition = (
      length(aws_docdb_cluster_instance.this) == var.db_instance_count &&
      alltrue([for i, instance in aws_docdb_cluster_instance.this : instance.instance_class == "db.t3.medium" && instance.identifier == "game-session-db-${i}"])
    )
    error_message = "the instances are game-session-db-0 and on, db.t3.medium"
  }

  assert {
    condition     = aws_cloudwatch_dashboard.this.dashboard_name == "game-session-metrics"
    error_message = "the dashboard is game-session-metrics"
  }

  assert {
    condition     = aws_cloudwatch_log_group.this["service"].name == "game-session-logs"
    error_message = "the service's log group is game-session-logs"
  }

  assert {
    condition     = one(aws_launch_template.nodes.metadata_options).http_tokens == "required" && one(aws_launch_template.nodes.metadata_options).http_put_response_hop_limit == 1
    error_message = "nodes answer IMDSv2 alone, and not their pods"
  }

  assert {
    condition     = length(aws_subnet.public) == 3 && length(aws_subnet.private) == 3 && length(distinct(aws_subnet.private[*].availability_zone)) == 3
    error_message = "three zones"
  }

  assert {
    condition     = length(aws_nat_gateway.this) == (var.nat_gateway_per_zone ? 3 : 1)
    error_message = "one NAT gateway, or one in each zone"
  }

  assert {
    condition     = alltrue([for name in ["logs", "secretsmanager"] : contains(keys(aws_vpc_endpoint.interface), name)])
    error_message = "pods have their endpoints: they may go nowhere else"
  }

  assert {
    condition     = jsondecode(aws_eks_addon.before_nodes["vpc-cni"].configuration_values).enableNetworkPolicy == "true"
    error_message = "network policies are enforced"
  }

  assert {
    condition     = var.environment != "prod" || (aws_docdb_cluster.this.deletion_protection && !aws_docdb_cluster.this.skip_final_snapshot && aws_docdb_cluster.this.final_snapshot_identifier != null && aws_eks_cluster.this.deletion_protection)
    error_message = "production is protected, and leaves a snapshot"
  }

  assert {
    condition     = var.environment != "prod" || (length(aws_docdb_cluster_instance.this) >= 2 && length(aws_nat_gateway.this) == 3)
    error_message = "production survives the loss of an instance and of a zone"
  }
}

run "refuses_bad_variables" {
  command = plan

  variables {
    account_id         = "12345"
    certificate_arn    = "arn:aws:iam::111111111111:server-certificate/x"
    cluster_admin_arns = []
    cluster_api_cidrs  = ["0.0.0.0/0"]
    db_instance_class  = "t3.medium"
    db_instance_count  = 0
    db_username        = "admin"
    github_repository  = "game-api"
    hostname           = "https://api.game.example/"
    kubernetes_version = "latest"
    log_retention_days = 42
    node_instance_type = "t3"
    region             = "Frankfurt"
    vpc_cidr           = "8.8.8.0/24"
  }

  expect_failures = [
    var.account_id,
    var.certificate_arn,
    var.cluster_admin_arns,
    var.cluster_api_cidrs,
    var.db_instance_class,
    var.db_instance_count,
    var.db_username,
    var.github_repository,
    var.hostname,
    var.kubernetes_version,
    var.log_retention_days,
    var.node_instance_type,
    var.region,
    var.vpc_cidr,
  ]
}

run "refuses_zones_that_are_not_three_of_the_region" {
  command = plan

  variables {
    zones = ["eu-central-1a", "eu-central-1b", "eu-west-1c"]
  }

  expect_failures = [var.zones]
}

run "refuses_an_unknown_environment" {
  command = plan

  variables {
    environment = "production"
  }

  expect_failures = [var.environment]
}

run "refuses_production_without_protection" {
  command = plan

  variables {
    environment          = "prod"
    db_instance_count    = 1
    nat_gateway_per_zone = false
    protected            = false
  }

  expect_failures = [var.db_instance_count, var.nat_gateway_per_zone, var.protected]
}
