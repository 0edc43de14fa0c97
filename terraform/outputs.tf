output "account_id" {
  description = "The account of this environment. The argocd configuration refuses to run in any other account."
  value       = var.account_id
}

output "environment" {
  description = "The name of this environment."
  value       = var.environment
}

output "cluster" {
  description = "What the argocd configuration needs to connect to the cluster."
  value = {
    name                       = aws_eks_cluster.this.name
    endpoint                   = aws_eks_cluster.this.endpoint
    certificate_authority_data = one(aws_eks_cluster.this.certificate_authority).data
  }
}

output "facts" {
  description = "Values that are not in git. The argocd configuration writes them as annotations of the cluster's Secret, which Argo CD's ApplicationSets read."
  value = {
    aws_region            = var.region
    certificate_arn       = var.certificate_arn
    documentdb_host       = aws_docdb_cluster.this.endpoint
    documentdb_secret_arn = local.database_secret_arn
    ecr_registry          = "${var.registry_account_id}.dkr.ecr.${var.registry_region}.amazonaws.com"
    hostname              = var.hostname
    jwks_cidr             = var.jwks_cidr
    jwks_url              = local.issuer.jwks_url
    jwt_audience          = local.issuer.audience
    jwt_issuer            = local.issuer.issuer
    jwt_roles_claim       = local.issuer.roles_claim
    jwt_roles_prefix      = local.issuer.roles_prefix
    vpc_cidr              = var.vpc_cidr
    vpc_id                = aws_vpc.this.id
    # An empty value would leave a web ACL associated. The AWS Load Balancer Controller removes it if this is "none".
    web_acl_arn = length(aws_wafv2_web_acl.this) == 0 ? "none" : aws_wafv2_web_acl.this[0].arn
  }
}

output "plan_role_arn" {
  description = "The role for the variable AWS_ROLE_ARN of GitHub's environment `<environment>-plan`."
  value       = aws_iam_role.this["plan"].arn
}

output "alarms_topic_arn" {
  description = "The SNS topic to which alarms are published."
  value       = aws_sns_topic.alarms.arn
}

output "cognito" {
  description = "Where clients get their tokens, and the ids of the clients. Null if another issuer is used."
  value = length(aws_cognito_user_pool.this) == 0 ? null : {
    sign_in_url = "https://${aws_cognito_user_pool_domain.this[0].domain}.auth.${var.region}.amazoncognito.com/oauth2/authorize"
    token_url   = "https://${aws_cognito_user_pool_domain.this[0].domain}.auth.${var.region}.amazoncognito.com/oauth2/token"
    clients = merge(
      { player = aws_cognito_user_pool_client.player[0].id },
      { for name, client in aws_cognito_user_pool_client.program : name => client.id },
    )
  }
}

output "cognito_client_secrets" {
  description = "The secrets of the clients `server` and `admin`. They are in the state as well."
  value       = { for name, client in aws_cognito_user_pool_client.program : name => client.client_secret }
  sensitive   = true
}
