output "promote_role_arn" {
  description = "The role for the variable AWS_ROLE_ARN of GitHub's environment `promote`."
  value       = aws_iam_role.promote.arn
}

output "release_role_arn" {
  description = "The role for the variable AWS_ROLE_ARN of GitHub's environment `release`."
  value       = aws_iam_role.release.arn
}

output "repository_url" {
  description = "Where images are pushed."
  value       = aws_ecr_repository.this.repository_url
}
