# The provider is mocked, so the tests do not need AWS. Run them with -var-file=environments/<environment>.tfvars.
# The computed values that the configuration needs in a certain form are in mocks/.

mock_provider "aws" {
  source = "./tests/mocks"
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
      aws_eks_node_group.this.node_group_name_prefix == "game-session-nodes-" &&
      aws_launch_template.nodes.instance_type == "t3.medium" &&
      one(aws_eks_node_group.this.scaling_config).desired_size == 3 &&
      one(aws_eks_node_group.this.scaling_config).max_size == 5 &&
      one(aws_eks_node_group.this.scaling_config).min_size == 1
    )
    error_message = "the node group must be game-session-nodes with t3.medium nodes: 3 desired, 1 minimum, 5 maximum"
  }

  assert {
    condition = (
      aws_eks_node_group.this.version == aws_eks_cluster.this.version &&
      aws_eks_node_group.this.release_version == "1.36.3-20261101" &&
      length(aws_eks_node_group.this.launch_template) == 1
    )
    error_message = "the nodes must follow the version of the cluster and its newest AMI"
  }

  assert {
    condition     = [for rule in aws_vpc_security_group_ingress_rule.cluster_api : rule.cidr_ipv4 if rule.security_group_id == one(aws_eks_cluster.this.vpc_config).cluster_security_group_id && rule.from_port == 443] == ["10.200.0.0/16"]
    error_message = "the private network must reach the Kubernetes API"
  }

  assert {
    condition     = toset([for rule in aws_vpc_security_group_ingress_rule.endpoints : rule.cidr_ipv4]) == toset([var.vpc_cidr, "10.200.0.0/16"])
    error_message = "the VPC and the private network must reach the VPC endpoints"
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
    condition     = length(terraform_data.protection) == (var.protected ? 1 : 0)
    error_message = "Terraform must refuse to destroy a protected environment"
  }

  assert {
    condition     = aws_docdb_cluster.this.skip_final_snapshot != var.db_final_snapshot && (!var.db_final_snapshot || can(regex("^game-session-db-final-[0-9]{14}$", aws_docdb_cluster.this.final_snapshot_identifier)))
    error_message = "the final snapshot must have a name of its own"
  }

  assert {
    condition     = aws_docdb_cluster.this.apply_immediately && alltrue([for instance in aws_docdb_cluster_instance.this : instance.apply_immediately])
    error_message = "a change of the database must not wait for the maintenance window"
  }

  assert {
    condition     = toset(keys(aws_eks_addon.this)) == toset(["coredns", "eks-node-monitoring-agent", "metrics-server"]) && alltrue([for addon in aws_eks_addon.this : addon.addon_version == "v1.0.0-eksbuild.1"])
    error_message = "the add-ons must have exact versions"
  }

  assert {
    condition     = contains([for attachment in aws_iam_role_policy_attachment.this : "${attachment.role} ${split("/", attachment.policy_arn)[1]}"], "game-session-nodes AmazonSSMManagedInstanceCore")
    error_message = "Session Manager must reach the nodes"
  }

  assert {
    condition     = alltrue([for budget in aws_budgets_budget.this : tonumber(budget.limit_amount) == var.monthly_budget_usd && length(budget.notification) == 2])
    error_message = "the budget must notify about its use and its forecast"
  }

  assert {
    condition     = var.environment != "prod" || (length(aws_docdb_cluster_instance.this) >= 2 && length(aws_nat_gateway.this) == 3)
    error_message = "production must survive the loss of a database instance and of a zone"
  }
}
