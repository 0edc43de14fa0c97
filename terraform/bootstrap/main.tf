# The bucket for an environment's Terraform states. The state of this configuration stays on the machine that creates the
# bucket. If it is lost, `terraform import` restores it.

terraform {
  required_version = ">= 1.11.0"

  backend "local" {}

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "6.25.0"
    }
  }
}

provider "aws" {
  region = var.region
  # Terraform stops if the credentials belong to another account.
  allowed_account_ids = var.allowed_account_ids

  default_tags {
    tags = {
      ManagedBy = "terraform"
      Project   = "game-session"
    }
  }
}

# The variables have the names of the S3 backend's settings, so that environments/<environment>.s3.tfbackend sets both.

variable "allowed_account_ids" {
  description = "The account of the environment."
  type        = list(string)

  validation {
    condition     = length(var.allowed_account_ids) == 1 && alltrue([for account in var.allowed_account_ids : can(regex("^[0-9]{12}$", account))])
    error_message = "allowed_account_ids must be one account, with 12 digits."
  }
}

variable "bucket" {
  description = "The name of the bucket."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9.-]{3,63}$", var.bucket))
    error_message = "bucket must be a valid bucket name."
  }
}

variable "region" {
  description = "The region of the bucket."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must look like eu-central-1."
  }
}

variable "key" {
  description = "A setting of the backend, not used here."
  type        = string
}

variable "use_lockfile" {
  description = "A setting of the backend, not used here."
  type        = bool
}

resource "aws_s3_bucket" "state" {
  # checkov:skip=CKV_AWS_18:CloudTrail records who reads the state, and a bucket for access logs would need access logs as well
  # checkov:skip=CKV_AWS_144:every version is kept, and `terraform import` can restore a state
  # checkov:skip=CKV2_AWS_62:nothing has to react to a change of the state
  bucket = var.bucket

  tags = { Name = var.bucket }

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "state" {
  bucket = aws_s3_bucket.state.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm = "aws:kms"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "state" {
  bucket = aws_s3_bucket.state.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_lifecycle_configuration" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    id     = "old-versions"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = 365
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

resource "aws_s3_bucket_policy" "state" {
  bucket = aws_s3_bucket.state.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "DenyInsecureTransport"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.state.arn, "${aws_s3_bucket.state.arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}
