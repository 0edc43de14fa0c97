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
    vpc_cidr              = var.vpc_cidr
    vpc_id                = aws_vpc.this.id
  }
}

output "release_role_arn" {
  description = "The role for the GitHub variable AWS_ROLE_ARN. Null if another account owns the registry."
  value       = one(aws_iam_role.release[*].arn)
}

output "alarms_topic_arn" {
  description = "The SNS topic to which alarms are published."
  value       = aws_sns_topic.alarms.arn
}
