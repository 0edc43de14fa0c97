# The AWS base of one environment: network, cluster, database, identities, monitoring. Two other configurations belong to it:
# registry/ holds the images of all environments, and argocd/ installs Argo CD, which manages what runs in the cluster.

data "aws_partition" "current" {}

# The names of the cluster, the database and the IAM roles are the same in every environment, so an account can have only one. IAM
# roles belong to no region, so the tags of one of them tell which environment the account has. The variable `zones` is compared with
# them: its validation is an error in every plan, while a postcondition is only a warning in the plan of a `destroy`.
data "aws_iam_roles" "existing" {
  name_regex = "^game-session-cluster$"
}

data "aws_iam_role" "existing" {
  for_each = data.aws_iam_roles.existing.names

  name = each.value
}

locals {
  # What the account has, as environment and region. Empty before the first apply.
  existing = [
    for role in data.aws_iam_role.existing :
    { environment = lookup(role.tags, "Environment", var.environment), region = lookup(role.tags, "Region", var.region) }
  ]
}

# `terraform destroy` plans everything before it destroys anything, and stops if one resource of the plan may not be destroyed. The
# deletion protection of AWS alone would stop it only when most of the environment is gone.
resource "terraform_data" "protection" {
  count = var.protected ? 1 : 0

  lifecycle {
    prevent_destroy = true
  }
}

locals {
  cluster_name = "game-session-cluster"
  database     = "game-session-db"
  namespace    = "gaming-namespace"
  log_group    = "game-session-logs"

  arn_prefix  = "arn:${data.aws_partition.current.partition}"
  aws_iam_arn = "${local.arn_prefix}:iam::aws"

  tags = {
    Environment = var.environment
    ManagedBy   = "terraform"
    Project     = "game-session"
  }
}

# In earlier states, the base of dev has the repository. registry/ imports it, and until then other environments pull from it.
removed {
  from = aws_ecr_repository.this

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_ecr_repository_policy.this

  lifecycle {
    destroy = false
  }
}

# Secrets of the cluster, data and logs have separate keys, so that access to one key gives no access to the others.

resource "aws_kms_key" "cluster" {
  description             = "Secrets of ${local.cluster_name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = jsonencode(local.key_policy.cluster)

  tags = { Name = "game-session-cluster" }
}

resource "aws_kms_key" "data" {
  description             = "The database"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = jsonencode(local.key_policy.data)

  tags = { Name = "game-session-data" }
}

resource "aws_kms_key" "logs" {
  description             = "Log groups and alarms"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = jsonencode(local.key_policy.logs)

  tags = { Name = "game-session-logs" }
}

resource "aws_kms_alias" "this" {
  for_each = {
    cluster = aws_kms_key.cluster.key_id
    data    = aws_kms_key.data.key_id
    logs    = aws_kms_key.logs.key_id
  }

  name          = "alias/game-session-${each.key}"
  target_key_id = each.value
}

locals {
  # The account's IAM policies decide who may use a key. Without this statement, nobody could ever change the key.
  key_owner = {
    Sid       = "Account"
    Effect    = "Allow"
    Principal = { AWS = "${local.arn_prefix}:iam::${var.account_id}:root" }
    Action    = local.key_actions
    Resource  = "*" # in a key policy, this is the key itself
  }

  # All current key actions. A wildcard would also allow actions that AWS adds later.
  key_actions = jsondecode(file("${path.module}/policies/key-actions.json"))

  key_policy = {
    cluster = {
      Version   = "2012-10-17"
      Statement = [local.key_owner]
    }

    data = {
      Version   = "2012-10-17"
      Statement = [local.key_owner]
    }

    logs = {
      Version = "2012-10-17"
      Statement = [
        local.key_owner,
        {
          Sid       = "LogGroups"
          Effect    = "Allow"
          Principal = { Service = "logs.${var.region}.amazonaws.com" }
          Action = [
            "kms:Decrypt",
            "kms:DescribeKey",
            "kms:Encrypt",
            "kms:GenerateDataKey",
            "kms:GenerateDataKeyWithoutPlaintext",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
          ]
          Resource = "*"
          Condition = {
            ArnLike = {
              "kms:EncryptionContext:aws:logs:arn" = "${local.arn_prefix}:logs:${var.region}:${var.account_id}:log-group:*"
            }
          }
        },
        {
          Sid       = "Alarms"
          Effect    = "Allow"
          Principal = { Service = ["budgets.amazonaws.com", "cloudwatch.amazonaws.com"] }
          Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
          Resource  = "*"
          Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
        },
      ]
    }
  }
}
