# The AWS base of one environment: network, cluster, database, registry, identities, monitoring. A second configuration,
# argocd/, installs Argo CD, which manages what runs in the cluster.

data "aws_partition" "current" {}

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

# Secrets of the cluster, data and logs have separate keys, so that access to one key gives no access to the others.

resource "aws_kms_key" "cluster" {
  description             = "Secrets of ${local.cluster_name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = jsonencode(local.key_policy.cluster)

  tags = { Name = "game-session-cluster" }
}

resource "aws_kms_key" "data" {
  description             = "The database, its password and the images"
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
  key_actions = [
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListResourceTags",
    "kms:ListRetirableGrants",
    "kms:PutKeyPolicy",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:RetireGrant",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
  ]

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
          Principal = { Service = "cloudwatch.amazonaws.com" }
          Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
          Resource  = "*"
          Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
        },
      ]
    }
  }
}
