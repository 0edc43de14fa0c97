terraform {
  required_version = ">= 1.11.0" # for S3 state locking with use_lockfile

  # terraform init -backend-config=../environments/registry.s3.tfbackend
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
  # Terraform stops if the credentials belong to another account.
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = {
      ManagedBy = "terraform"
      Project   = "game-session"
    }
  }
}
