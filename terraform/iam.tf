# IAM roles and policies. Pods get their role from EKS Pod Identity, so they need neither access keys nor annotations.

locals {
  # Each role's trust policy, the AWS managed policies attached to it, and its own inline policies.
  roles = {
    cluster = {
      trust    = local.trust.eks
      managed  = ["AmazonEKSClusterPolicy"]
      policies = {}
    }
    nodes = {
      trust    = local.trust.ec2
      managed  = ["AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodePolicy"]
      policies = {}
    }
    vpc-cni = {
      trust    = local.trust.pod
      managed  = ["AmazonEKS_CNI_Policy"]
      policies = {}
    }
    flow-logs = {
      trust    = local.trust.flow_logs
      managed  = []
      policies = { logs = local.policies.flow_logs }
    }
    game-api = {
      trust    = local.trust.pod
      managed  = []
      policies = { logs = local.policies.service_logs, password = local.policies.password }
    }
    game-api-create-indexes = {
      trust    = local.trust.pod
      managed  = []
      policies = { password = local.policies.password }
    }
    aws-load-balancer-controller = {
      trust    = local.trust.pod
      managed  = []
      policies = { load-balancers = file("${path.module}/policies/aws-load-balancer-controller.json") }
    }
  }

  # The service accounts that get the role of the same name, and their namespaces.
  service_accounts = {
    aws-load-balancer-controller = "kube-system"
    game-api                     = local.namespace
    game-api-create-indexes      = local.namespace
  }

  # AWS services act on behalf of any account. The conditions allow them to take a role only for this account and, for pods,
  # only for this cluster.
  trust = {
    eks = jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Principal = { Service = "eks.amazonaws.com" }
        Action    = "sts:AssumeRole"
        Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
      }]
    })
    ec2 = jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Principal = { Service = "ec2.amazonaws.com" }
        Action    = "sts:AssumeRole"
      }]
    })
    flow_logs = jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Principal = { Service = "vpc-flow-logs.amazonaws.com" }
        Action    = "sts:AssumeRole"
        Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
      }]
    })
    pod = jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Principal = { Service = "pods.eks.amazonaws.com" }
        Action    = ["sts:AssumeRole", "sts:TagSession"]
        Condition = {
          StringEquals = { "aws:SourceAccount" = var.account_id }
          ArnEquals    = { "aws:SourceArn" = "${local.arn_prefix}:eks:${var.region}:${var.account_id}:cluster/${local.cluster_name}" }
        }
      }]
    })
  }

  policies = {
    service_logs = jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.this["service"].arn}:log-stream:*"
      }]
    })

    password = jsonencode({
      Version = "2012-10-17"
      Statement = [
        {
          Effect   = "Allow"
          Action   = "secretsmanager:GetSecretValue"
          Resource = local.database_secret_arn
        },
      ]
    })

    flow_logs = jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.this["flow"].arn}:*"
      }]
    })
  }

  managed_policies = merge([
    for role, config in local.roles : { for policy in config.managed : "${role}/${policy}" => { role = role, policy = policy } }
  ]...)

  own_policies = merge([
    for role, config in local.roles : { for name, policy in config.policies : "${role}/${name}" => { role = role, name = name, policy = policy } }
  ]...)
}

resource "aws_iam_role" "this" {
  for_each = local.roles

  name               = "game-session-${each.key}"
  assume_role_policy = each.value.trust

  tags = { Name = "game-session-${each.key}" }
}

resource "aws_iam_role_policy_attachment" "this" {
  for_each = local.managed_policies

  role       = aws_iam_role.this[each.value.role].name
  policy_arn = "${local.aws_iam_arn}:policy/${each.value.policy}"
}

resource "aws_iam_role_policy" "this" {
  for_each = local.own_policies

  role   = aws_iam_role.this[each.value.role].name
  name   = each.value.name
  policy = each.value.policy
}

resource "aws_eks_pod_identity_association" "this" {
  for_each = local.service_accounts

  cluster_name    = aws_eks_cluster.this.name
  namespace       = each.value
  service_account = each.key
  role_arn        = aws_iam_role.this[each.key].arn

  tags = { Name = each.key }
}
