terraform {
  required_version = ">= 1.11.0"

  # terraform init -backend-config=../environments/<environment>.s3.tfbackend -backend-config=key=argocd.tfstate
  backend "s3" {}

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "6.25.0"
    }
    helm = {
      source  = "hashicorp/helm"
      version = "3.1.1"
    }
  }
}

provider "aws" {
  region              = local.base.facts.aws_region
  allowed_account_ids = [local.base.account_id]
}

provider "helm" {
  kubernetes = {
    host                   = local.base.cluster.endpoint
    cluster_ca_certificate = base64decode(local.base.cluster.certificate_authority_data)
    exec = {
      api_version = "client.authentication.k8s.io/v1beta1"
      command     = "aws"
      args        = ["eks", "get-token", "--region", local.base.facts.aws_region, "--cluster-name", local.base.cluster.name]
    }
  }
}
