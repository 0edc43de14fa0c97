# The registry of all environments, so that the image that is promoted is the image that was tested. It has a state of its own,
# because production needs its images whatever happens to the environment in whose account they are.

data "aws_partition" "current" {}

locals {
  repository = "game-api"
  arn_prefix = "arn:${data.aws_partition.current.partition}"
  host       = "token.actions.githubusercontent.com"

  # AWS trusts the OIDC tokens that GitHub issues to jobs in one environment of one repository.
  trust = {
    for environment in ["promote", "release"] : environment => jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Principal = { Federated = "${local.arn_prefix}:iam::${var.account_id}:oidc-provider/${local.host}" }
        Action    = "sts:AssumeRoleWithWebIdentity"
        Condition = {
          StringEquals = {
            "${local.host}:aud" = "sts.amazonaws.com"
            "${local.host}:sub" = "repo:${var.github_repository}:environment:${environment}"
          }
        }
      }]
    })
  }
}

# A registry cannot move. With the variables of another region, Terraform would not find the repository, and create another one.
data "aws_iam_roles" "existing" {
  name_regex = "^game-session-release$"
}

data "aws_iam_role" "existing" {
  for_each = data.aws_iam_roles.existing.names

  name = each.value

  lifecycle {
    postcondition {
      condition     = lookup(self.tags, "Region", var.region) == var.region
      error_message = "The registry of this account is in ${lookup(self.tags, "Region", "?")}, but the variables are those of ${var.region}. A registry cannot move."
    }
  }
}

resource "aws_kms_key" "images" {
  description             = "The images of ${local.repository}"
  enable_key_rotation     = true
  deletion_window_in_days = 30

  # The account's IAM policies decide who may use the key. Without this statement, nobody could ever change it.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Account"
      Effect    = "Allow"
      Principal = { AWS = "${local.arn_prefix}:iam::${var.account_id}:root" }
      Action    = jsondecode(file("${path.module}/../policies/key-actions.json"))
      Resource  = "*" # in a key policy, this is the key itself
    }]
  })

  tags = { Name = "game-session-images" }

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_kms_alias" "images" {
  name          = "alias/game-session-images"
  target_key_id = aws_kms_key.images.key_id
}

# A tag is the sha of a commit and never changes.
resource "aws_ecr_repository" "this" {
  # checkov:skip=CKV_AWS_51:image tags are immutable; only the tags that list an image's signatures are excluded
  name                 = local.repository
  image_tag_mutability = "IMMUTABLE_WITH_EXCLUSION"

  # Clients that do not support the referrers API list the signatures and attestations of an image under such a tag.
  image_tag_mutability_exclusion_filter {
    filter      = "sha256-*"
    filter_type = "WILDCARD"
  }

  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = aws_kms_key.images.arn
  }

  image_scanning_configuration {
    scan_on_push = true
  }

  tags = { Name = local.repository }

  lifecycle {
    ignore_changes  = [encryption_configuration] # it cannot be changed, and the images must not be replaced
    prevent_destroy = true
  }
}

# Tagged images are never deleted: any of them may be deployed now, or again after a rollback.
resource "aws_ecr_lifecycle_policy" "this" {
  repository = aws_ecr_repository.this.name
  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "Expire images that are neither tagged nor part of a tagged image"
      selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 14 }
      action       = { type = "expire" }
    }]
  })
}

resource "aws_ecr_repository_policy" "this" {
  count = length(var.reader_account_ids) > 0 ? 1 : 0

  repository = aws_ecr_repository.this.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "EnvironmentsPull"
      Effect    = "Allow"
      Principal = { AWS = [for account in var.reader_account_ids : "${local.arn_prefix}:iam::${account}:root"] }
      Action    = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    }]
  })
}

# GitHub Actions pushes images without an access key, and may only push to one ECR repository. What promotes an image may only look
# for it and for its signature.

resource "aws_iam_openid_connect_provider" "github" {
  count = var.github_oidc_provider ? 1 : 0

  url            = "https://${local.host}"
  client_id_list = ["sts.amazonaws.com"]

  tags = { Name = "github" }

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_iam_role" "release" {
  # checkov:skip=CKV_AWS_393:checkov does not know the ids in GitHub's subjects; a rule of the tests allows one environment of one repository
  name                 = "game-session-release"
  description          = "Pushes ${local.repository} images from GitHub Actions"
  max_session_duration = 3600
  assume_role_policy   = local.trust["release"]

  tags = { Name = "game-session-release", Region = var.region }

  # The role belongs to no region, so it stops a `destroy` with the variables of another one, too.
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_iam_role_policy" "release" {
  role = aws_iam_role.release.name
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
        Resource = aws_ecr_repository.this.arn
      },
    ]
  })
}

resource "aws_iam_role" "promote" {
  # checkov:skip=CKV_AWS_393:checkov does not know the ids in GitHub's subjects; a rule of the tests allows one environment of one repository
  name                 = "game-session-promote"
  description          = "Verifies ${local.repository} images from GitHub Actions"
  max_session_duration = 3600
  assume_role_policy   = local.trust["promote"]

  tags = { Name = "game-session-promote" }
}

resource "aws_iam_role_policy" "promote" {
  role = aws_iam_role.promote.name
  name = "verify"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = "ecr:GetAuthorizationToken"
        Resource = "*" # this action does not support specific resources
      },
      {
        Effect   = "Allow"
        Action   = ["ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer"]
        Resource = aws_ecr_repository.this.arn
      },
    ]
  })
}
