# GitHub Actions pushes images without an access key. AWS trusts the OIDC tokens that GitHub issues to jobs in one environment
# of one repository, and allows them only to push to one ECR repository.

resource "aws_iam_openid_connect_provider" "github" {
  count = local.owns_registry && var.github_oidc_provider ? 1 : 0

  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]

  tags = { Name = "github" }
}

resource "aws_iam_role" "release" {
  count = local.owns_registry ? 1 : 0

  name                 = "game-session-release"
  description          = "Pushes ${local.repository} images from GitHub Actions"
  max_session_duration = 3600
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = "${local.arn_prefix}:iam::${var.account_id}:oidc-provider/token.actions.githubusercontent.com" }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = {
          "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
          "token.actions.githubusercontent.com:sub" = "repo:${var.github_repository}:environment:release"
        }
      }
    }]
  })

  tags = { Name = "game-session-release" }
}

resource "aws_iam_role_policy" "release" {
  count = local.owns_registry ? 1 : 0

  role = aws_iam_role.release[0].name
  name = "push"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = "ecr:GetAuthorizationToken"
        Resource = "*" # this action does not support specific resources
      },
      {
        Effect = "Allow"
        Action = [
          "ecr:BatchCheckLayerAvailability",
          "ecr:BatchGetImage",
          "ecr:CompleteLayerUpload",
          "ecr:DescribeImages",
          "ecr:GetDownloadUrlForLayer",
          "ecr:InitiateLayerUpload",
          "ecr:ListImages",
          "ecr:PutImage",
          "ecr:UploadLayerPart",
        ]
        Resource = aws_ecr_repository.this[0].arn
      },
    ]
  })
}
