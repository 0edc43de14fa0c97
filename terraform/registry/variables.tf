variable "account_id" {
  description = "The AWS account of the registry. Terraform refuses to run in any other account."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must have 12 digits."
  }
}

variable "github_oidc_provider" {
  description = "Whether to create the OIDC identity provider for GitHub. An account can have only one, so set this to false if it exists already."
  type        = bool
  default     = true
}

variable "github_repository" {
  description = "This repository on GitHub, as GitHub's tokens name it: OWNER@OWNER_ID/NAME@REPOSITORY_ID, or OWNER/NAME for a repository that was created before 15 July 2026 and not renamed since."
  type        = string

  validation {
    condition     = can(regex("^([A-Za-z0-9_.-]+@[0-9]+/[A-Za-z0-9_.-]+@[0-9]+|[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+)$", var.github_repository))
    error_message = "github_repository must have the form owner@123/name@456, or owner/name."
  }
}

variable "reader_account_ids" {
  description = "The accounts of the other environments, which may pull images. AWS refuses accounts that do not exist."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for account in var.reader_account_ids : can(regex("^[0-9]{12}$", account))])
    error_message = "reader_account_ids must have 12 digits each."
  }
}

variable "region" {
  description = "The AWS region."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must look like eu-central-1."
  }
}
