# The computed values of resources and data. Terraform generates the others.

mock_data "aws_partition" {
  defaults = { partition = "aws" }
}
mock_data "aws_ssm_parameter" {
  defaults = { value = "1.36.3-20261101" }
}
mock_data "aws_eks_addon_version" {
  defaults = { version = "v1.0.0-eksbuild.1" }
}
mock_resource "aws_cloudwatch_log_group" {
  defaults = { arn = "arn:aws:logs:eu-central-1:111111111111:log-group:mock" }
}
mock_resource "aws_cognito_user_pool" {
  defaults = {
    arn      = "arn:aws:cognito-idp:eu-central-1:111111111111:userpool/eu-central-1_mock"
    endpoint = "cognito-idp.eu-central-1.amazonaws.com/eu-central-1_mock"
    id       = "eu-central-1_mock"
  }
}
mock_resource "aws_docdb_cluster" {
  defaults = {
    arn      = "arn:aws:rds:eu-central-1:111111111111:cluster:game-session-db"
    endpoint = "game-session-db.cluster-mock.eu-central-1.docdb.amazonaws.com"
    master_user_secret = [{
      kms_key_id    = "mock"
      secret_arn    = "arn:aws:secretsmanager:eu-central-1:111111111111:secret:rds!cluster-mock-AbCdEf"
      secret_status = "active"
    }]
  }
}
mock_resource "aws_eks_cluster" {
  defaults = {
    arn                   = "arn:aws:eks:eu-central-1:111111111111:cluster/game-session-cluster"
    certificate_authority = [{ data = "Y2E=" }]
    endpoint              = "https://mock.eks.amazonaws.com"
  }
}
mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::111111111111:role/mock" }
}
mock_resource "aws_kms_key" {
  defaults = { arn = "arn:aws:kms:eu-central-1:111111111111:key/mock" }
}
mock_resource "aws_launch_template" {
  defaults = { id = "lt-0123456789abcdef0", latest_version = 1 }
}
mock_resource "aws_sns_topic" {
  defaults = { arn = "arn:aws:sns:eu-central-1:111111111111:game-session-alarms" }
}
mock_resource "aws_vpc" {
  defaults = { id = "vpc-0123456789abcdef0" }
}
mock_resource "aws_wafv2_web_acl" {
  defaults = { arn = "arn:aws:wafv2:eu-central-1:111111111111:regional/webacl/game-session/mock" }
}
