terraform {
  required_version = ">= 1.11.0" # S3 state with its own lock file

  # terraform init -backend-config=environments/<environment>.s3.tfbackend
  backend "s3" {}

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "6.25.0"
    }
  }
}

provider "aws" {
  region = var.region
  # A plan in the wrong account ends here.
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = local.tags
  }
}
