# All environments share one repository, in the account `registry_account_id`, so the image that is promoted is the image that
# was tested. A tag is the sha of a commit and never changes.

locals {
  repository    = "game-api"
  owns_registry = var.registry_account_id == var.account_id
}

resource "aws_ecr_repository" "this" {
  # checkov:skip=CKV_AWS_51:image tags are immutable; only the tags that list an image's signatures are excluded
  count = local.owns_registry ? 1 : 0

  name                 = local.repository
  image_tag_mutability = "IMMUTABLE_WITH_EXCLUSION"

  # Clients that do not support the referrers API list the signatures and attestations of an image under such a tag.
  image_tag_mutability_exclusion_filter {
    filter      = "sha256-*"
    filter_type = "WILDCARD"
  }

  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = aws_kms_key.data.arn
  }

  image_scanning_configuration {
    scan_on_push = true
  }

  tags = { Name = local.repository }
}

# Tagged images are never deleted: any of them may be deployed now, or again after a rollback.
resource "aws_ecr_lifecycle_policy" "this" {
  count = local.owns_registry ? 1 : 0

  repository = aws_ecr_repository.this[0].name
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
  count = local.owns_registry && length(var.registry_reader_account_ids) > 0 ? 1 : 0

  repository = aws_ecr_repository.this[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OtherEnvironmentsPull"
      Effect    = "Allow"
      Principal = { AWS = [for account in var.registry_reader_account_ids : "${local.arn_prefix}:iam::${account}:root"] }
      Action    = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    }]
  })
}
