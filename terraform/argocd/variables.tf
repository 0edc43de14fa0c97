variable "admin_enabled" {
  description = "Whether Argo CD has its admin user. The initial password is in the Secret argocd-initial-admin-secret."
  type        = bool
  default     = true
}

variable "argocd_url" {
  description = "The URL at which people open Argo CD, for links in notifications. The default is that of the port-forward in docs/deploy.md."
  type        = string
  default     = "https://localhost:8080"

  validation {
    condition     = can(regex("^https://[^/ ]+$", var.argocd_url))
    error_message = "argocd_url must be https://, a host and perhaps a port, without a path."
  }
}

variable "cluster_autoscaler" {
  description = "Whether Argo CD installs the cluster autoscaler. Without it, the number of nodes stays as it is."
  type        = bool
  default     = true
}

variable "github_app_secret_arn" {
  description = "The ARN of a secret with a GitHub App that may write commit statuses, as JSON: appID, installationID and privateKey. If null, no statuses are written, and promotions can't check them."
  type        = string
  default     = null

  validation {
    condition     = var.github_app_secret_arn == null || can(regex("^arn:aws[-a-z]*:secretsmanager:", var.github_app_secret_arn))
    error_message = "github_app_secret_arn must be the ARN of a secret in Secrets Manager."
  }
}

variable "github_enterprise_url" {
  description = "The URL of the API of GitHub Enterprise, such as https://github.example/api/v3. If null, it is that of github.com."
  type        = string
  default     = null

  validation {
    condition     = var.github_enterprise_url == null || can(regex("^https://[^ ]+$", var.github_enterprise_url))
    error_message = "github_enterprise_url must begin with https://."
  }
}

variable "highly_available" {
  description = "Whether Argo CD survives the loss of a node: two replicas of its server, repo server and ApplicationSet controller, and three of Redis."
  type        = bool
  default     = false
}

variable "load_balancer_controller" {
  description = "Whether Argo CD installs the AWS Load Balancer Controller. Without it, the API is not reachable from outside the cluster."
  type        = bool
  default     = true
}

variable "notifications_secret_arn" {
  description = "The ARN of a secret with the URL of a webhook that is notified of deployments and failures. If null, there are no notifications."
  type        = string
  default     = null

  validation {
    condition     = var.notifications_secret_arn == null || can(regex("^arn:aws[-a-z]*:secretsmanager:", var.notifications_secret_arn))
    error_message = "notifications_secret_arn must be the ARN of a secret in Secrets Manager."
  }
}

variable "rbac_policy" {
  description = "Permissions in Argo CD beyond reading, as lines of its policy.csv."
  type        = string
  default     = ""

  validation {
    condition     = alltrue([for line in split("\n", trimspace(var.rbac_policy)) : line == "" || can(regex("^[pg],", trimspace(line)))])
    error_message = "Each line of rbac_policy must begin with \"p,\" or \"g,\"."
  }
}

variable "repository_revision" {
  description = "The branch that Argo CD syncs."
  type        = string
  default     = "main"

  validation {
    condition     = can(regex("^[A-Za-z0-9._/-]+$", var.repository_revision))
    error_message = "repository_revision must be the name of a branch."
  }
}

variable "repository_secret_arn" {
  description = "The ARN of a secret with the credentials for the repository, as JSON: sshPrivateKey, or githubAppID, githubAppInstallationID and githubAppPrivateKey. Null if the repository is public."
  type        = string
  default     = null

  validation {
    condition     = var.repository_secret_arn == null || can(regex("^arn:aws[-a-z]*:secretsmanager:", var.repository_secret_arn))
    error_message = "repository_secret_arn must be the ARN of a secret in Secrets Manager."
  }
}

variable "repository_url" {
  description = "The URL at which Argo CD reaches this repository."
  type        = string

  validation {
    condition     = can(regex("^(https://|ssh://|git@)[^ ]+$", var.repository_url))
    error_message = "repository_url must begin with https://, ssh:// or git@."
  }
}

variable "state_bucket" {
  description = "The bucket with the state of the base configuration."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9.-]{3,63}$", var.state_bucket))
    error_message = "state_bucket must be a valid bucket name."
  }
}

variable "state_region" {
  description = "The region of the state bucket."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.state_region))
    error_message = "state_region must look like eu-central-1."
  }
}
