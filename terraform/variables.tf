variable "account_id" {
  description = "The AWS account of this environment; in any other, Terraform stops."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id has 12 digits."
  }
}

variable "alarm_emails" {
  description = "Who gets a mail for an alarm; each confirms once."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for email in var.alarm_emails : can(regex("^[^@ ]+@[^@ ]+$", email))])
    error_message = "alarm_emails are mail addresses."
  }
}

variable "certificate_arn" {
  description = "The certificate in ACM for the hostname, for the load balancer."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[-a-z]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/[0-9a-f-]+$", var.certificate_arn))
    error_message = "certificate_arn is the ARN of a certificate in ACM."
  }
}

variable "cluster_admin_arns" {
  description = "IAM roles and users that administrate the cluster."
  type        = set(string)

  validation {
    condition     = length(var.cluster_admin_arns) > 0
    error_message = "cluster_admin_arns names somebody: without it nobody could install Argo CD."
  }

  validation {
    condition     = alltrue([for arn in var.cluster_admin_arns : can(regex("^arn:aws[-a-z]*:iam::[0-9]{12}:(role|user)/.+$", arn))])
    error_message = "cluster_admin_arns are ARNs of IAM roles or users."
  }
}

variable "cluster_api_cidrs" {
  description = "Addresses that may call the cluster's API from outside of the VPC; none: it is reached from inside alone."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.cluster_api_cidrs : can(cidrhost(cidr, 0)) && tonumber(split("/", cidr)[1]) >= 16])
    error_message = "cluster_api_cidrs are addresses of yours, in /16 at the widest, and not the whole internet."
  }
}

variable "db_instance_class" {
  description = "The size of the database's instances."
  type        = string
  default     = "db.t3.medium"

  validation {
    condition     = can(regex("^db\\.[a-z0-9]+\\.[a-z0-9]+$", var.db_instance_class))
    error_message = "db_instance_class is like db.t3.medium."
  }
}

variable "db_instance_count" {
  description = "How many instances the database has; the second takes over within two minutes when the first fails."
  type        = number
  default     = 1

  validation {
    condition     = var.db_instance_count >= 1 && var.db_instance_count <= 16 && floor(var.db_instance_count) == var.db_instance_count
    error_message = "db_instance_count is from 1 to 16."
  }

  validation {
    condition     = var.environment != "prod" || var.db_instance_count >= 2
    error_message = "db_instance_count is 2 at least in prod."
  }
}

variable "db_username" {
  description = "The database's user. AWS makes the password."
  type        = string
  default     = "gameapi"

  validation {
    condition     = can(regex("^[a-zA-Z][a-zA-Z0-9]{0,62}$", var.db_username)) && !contains(["admin", "root"], var.db_username)
    error_message = "db_username is letters and digits, begins with a letter, and is neither admin nor root."
  }
}

variable "environment" {
  description = "Which environment this is. It chooses the overlay that Argo CD syncs."
  type        = string

  validation {
    condition     = contains(["dev", "staging", "prod"], var.environment)
    error_message = "environment is dev, staging or prod."
  }
}

variable "github_oidc_provider" {
  description = "Whether to make GitHub's identity provider; an account has it once, so say false where it is there already."
  type        = bool
  default     = true
}

variable "github_repository" {
  description = "This repository on GitHub, as owner/name."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", var.github_repository))
    error_message = "github_repository is owner/name."
  }
}

variable "hostname" {
  description = "Where clients find the API."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.hostname))
    error_message = "hostname is a domain name, such as api.game.example."
  }
}

variable "kubernetes_version" {
  description = "The release of Kubernetes; the manifests are held against its schemas."
  type        = string
  default     = "1.34"

  validation {
    condition     = can(regex("^1\\.[0-9]{2}$", var.kubernetes_version))
    error_message = "kubernetes_version is like 1.34."
  }
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
  default     = 365

  validation {
    condition     = contains([7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_retention_days)
    error_message = "log_retention_days is one of those that CloudWatch Logs has: 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731."
  }
}

variable "nat_gateway_per_zone" {
  description = "A NAT gateway in each zone, so that the loss of one zone cuts off no other; otherwise one in all."
  type        = bool
  default     = false

  validation {
    condition     = var.environment != "prod" || var.nat_gateway_per_zone
    error_message = "nat_gateway_per_zone is true in prod."
  }
}

variable "node_endpoints" {
  description = "Whether the nodes reach AWS by endpoints in the VPC as well, rather than by NAT."
  type        = bool
  default     = false
}

variable "node_instance_type" {
  description = "The size of the nodes."
  type        = string
  default     = "t3.medium"

  validation {
    condition     = can(regex("^[a-z0-9-]+\\.[a-z0-9]+$", var.node_instance_type))
    error_message = "node_instance_type is like t3.medium."
  }
}

variable "protected" {
  description = "Whether the cluster and the database refuse to be destroyed, and the database leaves a snapshot."
  type        = bool
  default     = true

  validation {
    condition     = var.environment != "prod" || var.protected
    error_message = "protected is true in prod."
  }
}

variable "region" {
  description = "The AWS region."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region is like eu-central-1."
  }
}

variable "registry_account_id" {
  description = "The account that has the ECR repository for all environments."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.registry_account_id))
    error_message = "registry_account_id has 12 digits."
  }
}

variable "registry_reader_account_ids" {
  description = "The other environments' accounts, which may pull from the repository."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for account in var.registry_reader_account_ids : can(regex("^[0-9]{12}$", account))])
    error_message = "registry_reader_account_ids have 12 digits each."
  }
}

variable "registry_region" {
  description = "The region that has the ECR repository."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.registry_region))
    error_message = "registry_region is like eu-central-1."
  }
}

variable "vpc_cidr" {
  description = "The VPC's addresses: a private /16 to /20 that nothing it is connected to uses."
  type        = string

  validation {
    condition     = can(cidrhost(var.vpc_cidr, 0)) && contains([16, 17, 18, 19, 20], try(tonumber(split("/", var.vpc_cidr)[1]), 0))
    error_message = "vpc_cidr is a network from /16 to /20."
  }

  validation {
    condition     = can(regex("^(10\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.|192\\.168\\.)", var.vpc_cidr))
    error_message = "vpc_cidr is of the private addresses: 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16."
  }
}

variable "zones" {
  description = "The three availability zones. Named, since a subnet can't move when AWS adds a zone."
  type        = list(string)

  validation {
    condition     = length(var.zones) == 3 && length(distinct(var.zones)) == 3 && alltrue([for zone in var.zones : startswith(zone, var.region)])
    error_message = "zones are three different ones of the region."
  }
}
