# One repository for every environment, in the account that `registry_account_id` names: what is promoted is the very image
# that was tested. A tag is a commit and never changes.

locals {
  repository    = "game-api"
  owns_registry = var.registry_account_id == var.account_id
}

resource "aws_ecr_repository" "this" {
  # checkov:skip=CKV_AWS_51:images are immutable; what is excluded are the lists of an image's signatures
  count = local.owns_registry ? 1 : 0

  name                 = local.repository
  image_tag_mutability = "IMMUTABLE_WITH_EXCLUSION"

  # Signatures and attestations: clients without the referrers API keep a list of them under a tag.
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

# Tagged images stay: nobody here knows which of them is deployed, or will be again.
resource "aws_ecr_lifecycle_policy" "this" {
  count = local.owns_registry ? 1 : 0

  repository = aws_ecr_repository.this[0].name
  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "what has no tag, and belongs to no image that has one"
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
      Principal = { AWS = [for account in var.registry_reader_account_ids : "${local.arn}:iam::${account}:root"] }
      Action    = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    }]
  })
}
