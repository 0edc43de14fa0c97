variable "admin_enabled" {
  description = "Whether Argo CD has its administrator, whose first password is in the Secret argocd-initial-admin-secret."
  type        = bool
  default     = true
}

variable "highly_available" {
  description = "Whether Argo CD survives the loss of a node: two of each part, three of its cache."
  type        = bool
  default     = false
}

variable "load_balancer_controller" {
  description = "Whether Argo CD installs the AWS Load Balancer Controller, without which the API has no address outside."
  type        = bool
  default     = true
}

variable "notifications_secret_arn" {
  description = "A secret that holds the URL of a webhook, which is told of deployments and failures; null: nobody is told."
  type        = string
  default     = null

  validation {
    condition     = var.notifications_secret_arn == null || can(regex("^arn:aws[-a-z]*:secretsmanager:", var.notifications_secret_arn))
    error_message = "notifications_secret_arn is the ARN of a secret in Secrets Manager."
  }
}

variable "rbac_policy" {
  description = "Who may do more in Argo CD than look: lines of its policy.csv."
  type        = string
  default     = ""

  validation {
    condition     = alltrue([for line in split("\n", trimspace(var.rbac_policy)) : line == "" || can(regex("^[pg],", trimspace(line)))])
    error_message = "rbac_policy has lines that begin with p, or g,."
  }
}

variable "repository_revision" {
  description = "The branch that is synced."
  type        = string
  default     = "main"

  validation {
    condition     = can(regex("^[A-Za-z0-9._/-]+$", var.repository_revision))
    error_message = "repository_revision is a branch."
  }
}

variable "repository_secret_arn" {
  description = "A secret with what Argo CD needs to read the repository, as JSON: sshPrivateKey, or githubAppID, githubAppInstallationID and githubAppPrivateKey; null: the repository is public."
  type        = string
  default     = null

  validation {
    condition     = var.repository_secret_arn == null || can(regex("^arn:aws[-a-z]*:secretsmanager:", var.repository_secret_arn))
    error_message = "repository_secret_arn is the ARN of a secret in Secrets Manager."
  }
}

variable "repository_url" {
  description = "This repository, as Argo CD reaches it."
  type        = string

  validation {
    condition     = can(regex("^(https://|ssh://|git@)[^ ]+$", var.repository_url))
    error_message = "repository_url begins with https://, ssh:// or git@."
  }
}

variable "state_bucket" {
  description = "The bucket with the first state."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9.-]{3,63}$", var.state_bucket))
    error_message = "state_bucket is the name of a bucket."
  }
}

variable "state_region" {
  description = "The region of that bucket."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.state_region))
    error_message = "state_region is like eu-central-1."
  }
}
