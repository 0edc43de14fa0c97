# The cluster on private subnets, its nodes, and the add-ons that it needs.

resource "aws_eks_cluster" "this" {
  # checkov:skip=CKV_AWS_339:checkov knows no version after 1.35; docs/end_of_support.yaml has the end of support of this one
  # checkov:skip=CKV_AWS_38:the endpoint is public only for cluster_api_cidrs, which cannot be the whole internet
  name     = local.cluster_name
  role_arn = aws_iam_role.this["cluster"].arn
  version  = var.kubernetes_version

  enabled_cluster_log_types = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
  deletion_protection       = var.protected

  vpc_config {
    subnet_ids              = aws_subnet.private[*].id
    endpoint_private_access = true
    # If cluster_api_cidrs is empty, the API is reachable only from inside the VPC.
    endpoint_public_access = length(var.cluster_api_cidrs) > 0
    public_access_cidrs    = length(var.cluster_api_cidrs) > 0 ? var.cluster_api_cidrs : null
  }

  access_config {
    authentication_mode                         = "API"
    bootstrap_cluster_creator_admin_permissions = false
  }

  encryption_config {
    resources = ["secrets"]
    provider {
      key_arn = aws_kms_key.cluster.arn
    }
  }

  # When standard support for the version ends, AWS upgrades the cluster to the next version by itself. The alternative,
  # extended support, costs six times as much.
  upgrade_policy {
    support_type = "STANDARD"
  }

  tags = { Name = local.cluster_name }

  depends_on = [
    aws_cloudwatch_log_group.this,
    aws_iam_role_policy_attachment.this,
  ]
}

resource "aws_eks_access_entry" "admin" {
  for_each = var.cluster_admin_arns

  cluster_name  = aws_eks_cluster.this.name
  principal_arn = each.value

  tags = { Name = "admin" }
}

resource "aws_eks_access_policy_association" "admin" {
  for_each = var.cluster_admin_arns

  cluster_name  = aws_eks_cluster.this.name
  principal_arn = aws_eks_access_entry.admin[each.key].principal_arn
  policy_arn    = "arn:${data.aws_partition.current.partition}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"

  access_scope {
    type = "cluster"
  }
}

# Beyond the nodes, which are members of this group, only these networks reach the API's private addresses.
resource "aws_vpc_security_group_ingress_rule" "cluster_api" {
  for_each = var.cluster_api_private_cidrs

  security_group_id = one(aws_eks_cluster.this.vpc_config).cluster_security_group_id
  description       = "The Kubernetes API, from connected networks"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443

  tags = { Name = "game-session-cluster-api" }
}

# The nodes have this group in addition to the cluster's own group. Rules of other groups refer to it to allow the nodes and
# their pods.
resource "aws_security_group" "nodes" {
  name        = "game-session-nodes"
  description = "The nodes and their pods"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "game-session-nodes" }
}

resource "aws_launch_template" "nodes" {
  name_prefix = "game-session-nodes-"
  description = "IMDSv2, encrypted volumes"

  # A change makes a new version of the template, to which the nodes roll one by one. In the node group, it would replace the group.
  instance_type = var.node_instance_type

  vpc_security_group_ids = [
    one(aws_eks_cluster.this.vpc_config).cluster_security_group_id,
    aws_security_group.nodes.id,
  ]

  metadata_options {
    http_endpoint = "enabled"
    http_tokens   = "required"
    # With a limit of one hop, the metadata service answers nodes but not their pods.
    http_put_response_hop_limit = 1
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      volume_size = 30
      volume_type = "gp3"
      # The account's default EBS key. A customer managed key would have to trust the service-linked role of Auto Scaling,
      # which a new account does not have yet.
      encrypted             = true
      delete_on_termination = true
    }
  }

  # The provider's default tags do not apply to resources that the launch template creates.
  dynamic "tag_specifications" {
    for_each = toset(["instance", "network-interface", "volume"])

    content {
      resource_type = tag_specifications.value
      tags          = merge(local.tags, { Name = "game-session-nodes" })
    }
  }

  tags = { Name = "game-session-nodes" }

  lifecycle {
    create_before_destroy = true
  }
}

# The newest release of the AMI for this Kubernetes version.
data "aws_ssm_parameter" "node_release_version" {
  count = var.node_release_version == null ? 1 : 0

  name = "/aws/service/eks/optimized-ami/${var.kubernetes_version}/amazon-linux-2023/x86_64/standard/recommended/release_version"
}

resource "aws_eks_node_group" "this" {
  cluster_name           = aws_eks_cluster.this.name
  node_group_name_prefix = "game-session-nodes-"
  node_role_arn          = aws_iam_role.this["nodes"].arn
  subnet_ids             = aws_subnet.private[*].id
  ami_type               = "AL2023_x86_64_STANDARD"
  version                = aws_eks_cluster.this.version
  release_version        = coalesce(var.node_release_version, nonsensitive(one(data.aws_ssm_parameter.node_release_version[*].value)))

  launch_template {
    id      = aws_launch_template.nodes.id
    version = aws_launch_template.nodes.latest_version
  }

  scaling_config {
    desired_size = 3
    max_size     = 5
    min_size     = 1
  }

  update_config {
    max_unavailable = 1
  }

  node_repair_config {
    enabled = true
  }

  tags = { Name = "game-session-nodes" }

  lifecycle {
    create_before_destroy = true
    ignore_changes        = [scaling_config[0].desired_size] # the cluster autoscaler sets it
  }

  # Nodes become ready only when the network add-ons run.
  depends_on = [
    aws_eks_addon.before_nodes,
    aws_iam_role_policy_attachment.this,
  ]
}

locals {
  addons_before_nodes = {
    eks-pod-identity-agent = "{}"
    kube-proxy             = "{}"
    vpc-cni                = jsonencode({ enableNetworkPolicy = "true" })
  }
  addons = {
    coredns                   = "{}"
    eks-node-monitoring-agent = "{}" # finds faults for node_repair_config that the kubelet does not report
    metrics-server            = "{}"
  }
}

# The add-on versions that AWS installs by default for this Kubernetes version.
data "aws_eks_addon_version" "this" {
  for_each = merge(local.addons_before_nodes, local.addons)

  addon_name         = each.key
  kubernetes_version = var.kubernetes_version
}

# AWS changes these defaults at any time. The versions stay as they were first read, until the Kubernetes version changes.
resource "terraform_data" "addon_versions" {
  input            = { for name, addon in data.aws_eks_addon_version.this : name => addon.version }
  triggers_replace = [var.kubernetes_version, keys(merge(local.addons_before_nodes, local.addons))]

  lifecycle {
    ignore_changes = [input]
  }
}

resource "aws_eks_addon" "before_nodes" {
  for_each = local.addons_before_nodes

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = terraform_data.addon_versions.output[each.key]
  configuration_values        = each.value
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"

  dynamic "pod_identity_association" {
    for_each = each.key == "vpc-cni" ? ["aws-node"] : []

    content {
      service_account = pod_identity_association.value
      role_arn        = aws_iam_role.this["vpc-cni"].arn
    }
  }

  tags = { Name = each.key }
}

resource "aws_eks_addon" "this" {
  for_each = local.addons

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = terraform_data.addon_versions.output[each.key]
  configuration_values        = each.value
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"

  tags = { Name = each.key }

  depends_on = [aws_eks_node_group.this]
}
