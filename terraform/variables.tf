variable "account_id" {
  description = "The AWS account of this environment. Terraform refuses to run in any other account."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must have 12 digits."
  }
}

variable "alarm_emails" {
  description = "Email addresses that receive alarms. Each recipient has to confirm the subscription once."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for email in var.alarm_emails : can(regex("^[^@ ]+@[^@ ]+$", email))])
    error_message = "alarm_emails must be email addresses."
  }
}

variable "certificate_arn" {
  description = "The ACM certificate for the hostname, which the load balancer uses."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[-a-z]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/[0-9a-f-]+$", var.certificate_arn))
    error_message = "certificate_arn must be the ARN of an ACM certificate."
  }
}

variable "cluster_admin_arns" {
  description = "ARNs of the IAM roles and users that administer the cluster."
  type        = set(string)

  validation {
    condition     = length(var.cluster_admin_arns) > 0
    error_message = "cluster_admin_arns must not be empty: without an administrator, nobody can install Argo CD."
  }

  validation {
    condition     = alltrue([for arn in var.cluster_admin_arns : can(regex("^arn:aws[-a-z]*:iam::[0-9]{12}:(role|user)/.+$", arn))])
    error_message = "cluster_admin_arns must be ARNs of IAM roles or users."
  }
}

variable "cluster_api_cidrs" {
  description = "CIDR blocks that may call the Kubernetes API from outside the VPC. If empty, the API is reachable only from inside the VPC."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.cluster_api_cidrs : can(cidrhost(cidr, 0)) && tonumber(split("/", cidr)[1]) >= 16])
    error_message = "cluster_api_cidrs must be your own CIDR blocks, /16 or smaller, and never the whole internet."
  }

  validation {
    condition     = length(var.cluster_api_cidrs) + length(var.cluster_api_private_cidrs) > 0
    error_message = "Set cluster_api_private_cidrs or cluster_api_cidrs: without either, nobody can reach the Kubernetes API to install Argo CD."
  }
}

variable "cluster_api_private_cidrs" {
  description = "CIDR blocks of private networks, such as a VPN's, that are connected to the VPC and may call the Kubernetes API and the VPC endpoints."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.cluster_api_private_cidrs : can(cidrnetmask(cidr)) && can(regex("^(10\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.|192\\.168\\.|100\\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\\.)", cidr)) && tonumber(split("/", cidr)[1]) >= 8])
    error_message = "cluster_api_private_cidrs must be CIDR blocks of private networks, such as 10.200.0.0/16."
  }
}

variable "cognito" {
  description = "The Cognito user pool that issues the tokens of this environment: the prefix of its domain, which is unique in the region across all accounts, the URLs of the game to which sign-in and sign-out return, and the SES identity and the address that send its emails (by default Cognito sends them itself, at most 50 a day). Null if external_issuer is set."
  type = object({
    domain_prefix = string
    callback_urls = set(string)
    logout_urls   = optional(set(string))
    email         = optional(object({ identity_arn = string, from = string }))
  })
  default = null

  validation {
    condition     = var.cognito == null ? true : can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.cognito.domain_prefix)) && !can(regex("aws|amazon|cognito", var.cognito.domain_prefix))
    error_message = "cognito.domain_prefix must have 1 to 63 lower-case letters, digits and hyphens, and contain neither aws, amazon nor cognito."
  }

  validation {
    condition     = var.cognito == null ? true : length(var.cognito.callback_urls) > 0 && alltrue([for url in setunion(var.cognito.callback_urls, coalesce(var.cognito.logout_urls, toset([]))) : can(regex("^(https://[^ #]+|http://localhost[:/][^ #]*|[a-z][a-z0-9+.-]*\\.[a-z0-9+.-]*:/[^ #]*)$", url))])
    error_message = "cognito needs at least one callback URL. The URLs must begin with https://, http://localhost or an app's own scheme, such as example.game:/."
  }

  validation {
    condition     = try(var.cognito.email, null) == null ? true : can(regex("^arn:aws[-a-z]*:ses:[a-z0-9-]+:[0-9]{12}:identity/.+$", var.cognito.email.identity_arn))
    error_message = "cognito.email.identity_arn must be the ARN of an identity in SES."
  }
}

variable "db_engine_version" {
  description = "The engine version of the database. AWS can upgrade it to a later major version, but not back."
  type        = string
  default     = "5.0.0"

  validation {
    condition     = can(regex("^[0-9]+\\.[0-9]+\\.[0-9]+$", var.db_engine_version))
    error_message = "db_engine_version must look like 5.0.0."
  }
}

variable "db_final_snapshot" {
  description = "Whether the database leaves a snapshot when it is destroyed. Without one, all its data is lost."
  type        = bool
  default     = true

  validation {
    condition     = var.environment != "prod" || var.db_final_snapshot
    error_message = "db_final_snapshot must be true in prod."
  }
}

variable "db_instance_class" {
  description = "The instance class of the database."
  type        = string
  default     = "db.t3.medium"

  validation {
    condition     = can(regex("^db\\.[a-z0-9]+\\.[a-z0-9]+$", var.db_instance_class))
    error_message = "db_instance_class must look like db.t3.medium."
  }
}

variable "db_instance_count" {
  description = "The number of database instances. A second instance takes over within two minutes when the first one fails."
  type        = number
  default     = 1

  validation {
    condition     = var.db_instance_count >= 1 && var.db_instance_count <= 16 && floor(var.db_instance_count) == var.db_instance_count
    error_message = "db_instance_count must be a whole number from 1 to 16."
  }

  validation {
    condition     = var.environment != "prod" || var.db_instance_count >= 2
    error_message = "db_instance_count must be at least 2 in prod."
  }
}

variable "db_username" {
  description = "The name of the database's master user. AWS generates the password."
  type        = string
  default     = "gameapi"

  validation {
    condition     = can(regex("^[a-zA-Z][a-zA-Z0-9]{0,62}$", var.db_username)) && !contains(["admin", "root"], var.db_username)
    error_message = "db_username must begin with a letter, contain only letters and digits, and be neither admin nor root."
  }
}

variable "environment" {
  description = "The name of this environment. It selects the overlay that Argo CD syncs."
  type        = string

  validation {
    condition     = contains(["dev", "staging", "prod"], var.environment)
    error_message = "environment must be dev, staging or prod."
  }
}

variable "external_issuer" {
  description = "An OpenID Connect provider outside of this environment that issues the tokens: its `iss`, the `aud` of which one has to match, the https URL of its keys, the claim with the roles, and what precedes each role in that claim. Null if cognito is set."
  type = object({
    issuer       = string
    audience     = set(string)
    jwks_url     = string
    roles_claim  = optional(string, "roles")
    roles_prefix = optional(string, "")
  })
  default = null

  validation {
    condition     = (var.external_issuer == null) != (var.cognito == null)
    error_message = "Set exactly one of cognito and external_issuer: the API needs one issuer of tokens."
  }

  validation {
    condition     = var.external_issuer == null ? true : can(regex("^https://[^ ?#@]+$", var.external_issuer.jwks_url)) && length(var.external_issuer.issuer) > 0
    error_message = "external_issuer.jwks_url must begin with https://, and external_issuer.issuer must not be empty."
  }

  validation {
    condition     = var.external_issuer == null ? true : length(var.external_issuer.audience) > 0 && alltrue([for audience in var.external_issuer.audience : can(regex("^[^, ]+$", audience))])
    error_message = "external_issuer.audience must not be empty, and no audience may contain a comma or a space."
  }
}

variable "github_oidc_provider" {
  description = "Whether to create the OIDC identity provider for GitHub. An account can have only one, so set this to false in the account of the registry, and wherever else it exists already."
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

variable "hostname" {
  description = "The domain name at which clients reach the API."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.hostname))
    error_message = "hostname must be a domain name, such as api.game.example."
  }
}

variable "jwks_cidr" {
  description = "The addresses from which pods may fetch the issuer's keys, over HTTPS. Cognito has no fixed addresses, so every address is allowed by default."
  type        = string
  default     = "0.0.0.0/0"

  validation {
    condition     = can(cidrnetmask(var.jwks_cidr))
    error_message = "jwks_cidr must be an IPv4 CIDR block, such as 203.0.113.0/24."
  }
}

variable "kubernetes_version" {
  description = "The Kubernetes version of the cluster. The tests validate the manifests against its schemas."
  type        = string
  default     = "1.36"

  validation {
    condition     = can(regex("^1\\.[0-9]{2}$", var.kubernetes_version))
    error_message = "kubernetes_version must look like 1.36."
  }
}

variable "log_retention_days" {
  description = "How many days logs are kept."
  type        = number
  default     = 365

  validation {
    condition     = contains([7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_retention_days)
    error_message = "log_retention_days must be a value that CloudWatch Logs supports: 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731."
  }
}

variable "monthly_budget_usd" {
  description = "What this environment's account may cost in a month, in US dollars. At 80% of it, and when the forecast exceeds it, an alarm is sent. If null, there is no budget."
  type        = number
  default     = null

  validation {
    condition     = var.monthly_budget_usd == null ? true : var.monthly_budget_usd > 0
    error_message = "monthly_budget_usd must be more than 0, or null."
  }
}

variable "nat_gateway_per_zone" {
  description = "Whether each zone has its own NAT gateway, so that the loss of one zone does not cut off the others. Otherwise all zones share one."
  type        = bool
  default     = false

  validation {
    condition     = var.environment != "prod" || var.nat_gateway_per_zone
    error_message = "nat_gateway_per_zone must be true in prod."
  }
}

variable "node_endpoints" {
  description = "Whether the nodes, too, reach AWS through VPC endpoints instead of NAT."
  type        = bool
  default     = false
}

variable "node_instance_type" {
  description = "The instance type of the nodes."
  type        = string
  default     = "t3.medium"

  validation {
    condition     = can(regex("^[a-z0-9-]+\\.[a-z0-9]+$", var.node_instance_type))
    error_message = "node_instance_type must look like t3.medium."
  }
}

variable "node_release_version" {
  description = "The release of the nodes' AMI, such as 1.36.3-20261101. If null, each apply takes the newest one of kubernetes_version."
  type        = string
  default     = null

  validation {
    condition     = var.node_release_version == null ? true : can(regex("^1\\.[0-9]{2}\\.[0-9]+-[0-9]{8}$", var.node_release_version)) && startswith(var.node_release_version, "${var.kubernetes_version}.")
    error_message = "node_release_version must be a release of kubernetes_version, such as 1.36.3-20261101, or null."
  }
}

variable "protected" {
  description = "Whether the cluster, the database and the user pool have deletion protection, and Terraform refuses to destroy the environment."
  type        = bool
  default     = true

  validation {
    condition     = var.environment != "prod" || var.protected
    error_message = "protected must be true in prod."
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

variable "registry_account_id" {
  description = "The account that owns the ECR repository of all environments."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.registry_account_id))
    error_message = "registry_account_id must have 12 digits."
  }
}

variable "registry_region" {
  description = "The region of the ECR repository."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.registry_region))
    error_message = "registry_region must look like eu-central-1."
  }
}

variable "vpc_cidr" {
  description = "The CIDR block of the VPC: a private /16 to /20 that no connected network uses."
  type        = string

  validation {
    condition     = can(cidrhost(var.vpc_cidr, 0)) && contains([16, 17, 18, 19, 20], try(tonumber(split("/", var.vpc_cidr)[1]), 0))
    error_message = "vpc_cidr must be a CIDR block from /16 to /20."
  }

  validation {
    condition     = can(regex("^(10\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.|192\\.168\\.)", var.vpc_cidr))
    error_message = "vpc_cidr must be in a private range: 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16."
  }
}

variable "web_acl_rate_limit" {
  description = "How many requests each client address may make in five minutes. Players behind one address share the limit, and so do game servers behind one NAT gateway. If null, there is no web ACL."
  type        = number
  default     = 10000

  validation {
    condition     = var.web_acl_rate_limit == null ? true : var.web_acl_rate_limit >= 100 && var.web_acl_rate_limit <= 2000000000 && floor(var.web_acl_rate_limit) == var.web_acl_rate_limit
    error_message = "web_acl_rate_limit must be a whole number from 100 to 2000000000, or null."
  }
}

variable "zones" {
  description = "The three availability zones. They are listed explicitly because a subnet cannot move when AWS adds a zone."
  type        = list(string)

  validation {
    condition     = length(var.zones) == 3 && length(distinct(var.zones)) == 3 && alltrue([for zone in var.zones : startswith(zone, var.region)])
    error_message = "zones must be three different zones of the region."
  }

  # With the variables of another region or environment, Terraform would look for every resource in the wrong place, conclude that it is
  # gone, and create it there, or forget it.
  validation {
    condition = alltrue([
      for existing in local.existing :
      existing.environment == var.environment && alltrue([for zone in var.zones : startswith(zone, existing.region)])
    ])
    error_message = "This account has ${join(" and ", [for existing in local.existing : "the environment ${existing.environment} in ${existing.region}"])}, but the variables are those of ${var.environment} in ${var.region}. An environment needs an account of its own, and cannot move to another region."
  }
}
