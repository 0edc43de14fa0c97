# The provider is mocked, so the tests do not need AWS. Run them with -var-file=../environments/registry.tfvars.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "registry" {
  assert {
    condition     = aws_ecr_repository.this.name == "game-api" && one(aws_ecr_repository.this.image_scanning_configuration).scan_on_push
    error_message = "the repository must be named game-api, and scan its images"
  }

  assert {
    condition     = one(aws_ecr_repository.this.encryption_configuration).kms_key == aws_kms_key.images.arn
    error_message = "the images must be encrypted with the registry's own key"
  }

  assert {
    condition     = jsondecode(aws_ecr_lifecycle_policy.this.policy).rules[0].selection.tagStatus == "untagged"
    error_message = "a tagged image must never expire"
  }

  assert {
    condition     = length(aws_ecr_repository_policy.this) == 1 && aws_iam_openid_connect_provider.github[0].url == "https://token.actions.githubusercontent.com"
    error_message = "the other environments must be able to pull, and GitHub must be trusted"
  }
}

run "lets_promotions_only_read" {
  assert {
    condition = alltrue([
      for action in flatten(jsondecode(aws_iam_role_policy.promote.policy).Statement[*].Action) :
      can(regex("^ecr:(BatchGet|Describe|Get)", action))
    ])
    error_message = "the role of promotions must only read"
  }
}

run "trusts_the_earlier_form_of_the_subject" {
  variables {
    github_repository = "game-studio/game-api"
  }

  assert {
    condition     = jsondecode(aws_iam_role.release.assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] == "repo:game-studio/game-api:environment:release"
    error_message = "the release role must trust exactly this subject"
  }

  assert {
    condition     = jsondecode(aws_iam_role.promote.assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] == "repo:game-studio/game-api:environment:promote"
    error_message = "the role of promotions must trust exactly this subject"
  }
}

run "has_no_policy_without_readers" {
  variables {
    reader_account_ids = []
  }

  assert {
    condition     = length(aws_ecr_repository_policy.this) == 0
    error_message = "without other accounts there must be no policy"
  }
}

run "rejects_invalid_variables" {
  command = plan

  variables {
    account_id         = "12345"
    github_repository  = "game-studio@*/game-api"
    reader_account_ids = ["everybody"]
    region             = "Frankfurt"
  }

  expect_failures = [var.account_id, var.github_repository, var.reader_account_ids, var.region]
}

run "rejects_the_account_of_another_region" {
  command = plan

  override_data {
    target = data.aws_iam_roles.existing
    values = { names = ["game-session-release"] }
  }

  override_data {
    target = data.aws_iam_role.existing
    values = { tags = { Region = "eu-west-1" } }
  }

  expect_failures = [data.aws_iam_role.existing]
}
