# Replace the account, addresses and names with your own.
environment        = "dev"
account_id         = "111111111111"
region             = "eu-central-1"
zones              = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
vpc_cidr           = "10.10.0.0/16"
hostname           = "api.dev.game.example"
certificate_arn    = "arn:aws:acm:eu-central-1:111111111111:certificate/00000000-0000-0000-0000-000000000000"
cluster_admin_arns = ["arn:aws:iam::111111111111:role/game-session-admin"]
alarm_emails       = ["game-session-dev@game.example"]

# Players sign in at https://game-studio-dev.auth.eu-central-1.amazoncognito.com.
cognito = {
  domain_prefix = "game-studio-dev"
  callback_urls = ["https://play.dev.game.example/signed-in"]
  logout_urls   = ["https://play.dev.game.example/"]
}

# All environments share one registry, which is in this account.
registry_account_id         = "111111111111"
registry_region             = "eu-central-1"
github_repository           = "game-studio/game-api"
registry_reader_account_ids = ["222222222222", "333333333333"]

# Features that only production needs are off, and the environment can be destroyed.
protected          = false
log_retention_days = 30
