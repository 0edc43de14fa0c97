# IAM roles and policies. Pods get their role from EKS Pod Identity, so they need neither access keys nor annotations.

locals {
  # Each role's trust policy, and the AWS managed policies attached to it. What our own policies name, such as the database, must not
  # be named here, or no role could be created before it.
  roles = {
    cluster                      = { trust = local.trust.eks, managed = ["AmazonEKSClusterPolicy"] }
    vpc-cni                      = { trust = local.trust.pod, managed = ["AmazonEKS_CNI_Policy"] }
    flow-logs                    = { trust = local.trust.flow_logs, managed = [] }
    game-api                     = { trust = local.trust.pod, managed = [] }
    game-api-create-indexes      = { trust = local.trust.pod, managed = [] }
    aws-load-balancer-controller = { trust = local.trust.pod, managed = [] }
    cluster-autoscaler           = { trust = local.trust.pod, managed = [] }
    # Session Manager is the only way to get a shell on a node.
    nodes = {
      trust   = local.trust.ec2
      managed = ["AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodePolicy", "AmazonSSMManagedInstanceCore"]
    }
    # GitHub Actions plans with this role. It changes nothing.
    plan = { trust = local.trust.github_plan, managed = ["ReadOnlyAccess"] }
  }

  # The inline policies of each role.
  role_policies = {
    flow-logs                    = { logs = local.policies.flow_logs }
    game-api                     = { logs = local.policies.service_logs, password = local.policies.password }
    game-api-create-indexes      = { password = local.policies.password }
    aws-load-balancer-controller = { load-balancers = file("${path.module}/policies/aws-load-balancer-controller.json") }
    cluster-autoscaler           = { nodes = local.policies.cluster_autoscaler }
    plan                         = { no-data = local.policies.no_data }
  }

  # The service accounts that get the role of the same name, and their namespaces.
  service_accounts = {
    aws-load-balancer-controller = "kube-system"
    cluster-autoscaler           = "kube-system"
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
    github_plan = jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Principal = { Federated = "${local.arn_prefix}:iam::${var.account_id}:oidc-provider/${local.github_host}" }
        Action    = "sts:AssumeRoleWithWebIdentity"
        Condition = {
          StringEquals = {
            "${local.github_host}:aud" = "sts.amazonaws.com"
            "${local.github_host}:sub" = "repo:${var.github_repository}:environment:${var.environment}-plan"
          }
        }
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

  github_host = "token.actions.githubusercontent.com"

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
      Statement = [
        {
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
          Resource = "${aws_cloudwatch_log_group.this["flow"].arn}:*"
        },
        {
          Effect   = "Allow"
          Action   = "logs:DescribeLogGroups"
          Resource = "*" # this action lists all groups
        },
      ]
    })

    # As the project's documentation for one cluster.
    cluster_autoscaler = jsonencode({
      Version = "2012-10-17"
      Statement = [
        {
          Effect = "Allow"
          Action = [
            "autoscaling:DescribeAutoScalingGroups",
            "autoscaling:DescribeAutoScalingInstances",
            "autoscaling:DescribeLaunchConfigurations",
            "autoscaling:DescribeScalingActivities",
            "autoscaling:DescribeTags",
            "ec2:DescribeImages",
            "ec2:DescribeInstanceTypes",
            "ec2:DescribeLaunchTemplateVersions",
            "ec2:GetInstanceTypesFromInstanceRequirements",
          ]
          Resource = "*" # these actions do not support specific resources
        },
        {
          Effect   = "Allow"
          Action   = "eks:DescribeNodegroup"
          Resource = "${local.arn_prefix}:eks:${var.region}:${var.account_id}:nodegroup/${local.cluster_name}/*"
        },
        {
          Effect    = "Allow"
          Action    = ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"]
          Resource  = "${local.arn_prefix}:autoscaling:${var.region}:${var.account_id}:autoScalingGroup:*:autoScalingGroupName/*"
          Condition = { StringEquals = { "aws:ResourceTag/k8s.io/cluster-autoscaler/${local.cluster_name}" = "owned" } }
        },
      ]
    })

    # A plan needs the settings of resources and the Terraform state, and none of the players' data.
    no_data = jsonencode({
      Version = "2012-10-17"
      Statement = [
        {
          Effect = "Deny"
          Action = [
            "cognito-idp:AdminGetUser",
            "cognito-idp:ListUsers",
            "cognito-idp:ListUsersInGroup",
            "logs:FilterLogEvents",
            "logs:GetLogEvents",
            "logs:GetLogRecord",
            "logs:GetQueryResults",
            "logs:StartLiveTail",
            "logs:StartQuery",
          ]
          Resource = "*"
        },
        {
          Effect      = "Deny"
          Action      = "s3:GetObject"
          NotResource = "${local.arn_prefix}:s3:::*/*.tfstate"
        },
      ]
    })
  }

  managed_policies = merge([
    for role, config in local.roles : { for policy in config.managed : "${role}/${policy}" => { role = role, policy = policy } }
  ]...)

  own_policies = merge([
    for role, policies in local.role_policies : { for name, policy in policies : "${role}/${name}" => { role = role, name = name, policy = policy } }
  ]...)
}

# An account can have only one. In the account of the registry, registry/ creates it.
resource "aws_iam_openid_connect_provider" "github" {
  count = var.github_oidc_provider ? 1 : 0

  url            = "https://${local.github_host}"
  client_id_list = ["sts.amazonaws.com"]

  tags = { Name = "github" }
}

resource "aws_iam_role" "this" {
  for_each = local.roles

  name               = "game-session-${each.key}"
  assume_role_policy = each.value.trust

  tags = { Name = "game-session-${each.key}", Region = var.region }
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
