# Replace the account, addresses and names with your own.
environment        = "dev"
account_id         = "111111111111"
region             = "eu-central-1"
zones              = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
vpc_cidr           = "10.10.0.0/16"
hostname           = "api.dev.game.example"
certificate_arn    = "arn:aws:acm:eu-central-1:111111111111:certificate/00000000-0000-0000-0000-000000000000"
cluster_admin_arns = ["arn:aws:iam::111111111111:role/game-session-admin"]

# The network of the VPN through which the cluster is administered.
cluster_api_private_cidrs = ["10.200.0.0/16"]

alarm_emails       = ["game-session-dev@game.example"]
monthly_budget_usd = 450

# Players sign in at https://game-studio-dev.auth.eu-central-1.amazoncognito.com.
cognito = {
  domain_prefix = "game-studio-dev"
  callback_urls = ["https://play.dev.game.example/signed-in"]
  logout_urls   = ["https://play.dev.game.example/"]
}

# All environments share one registry, which is in this account. It has a state of its own, with the OIDC provider for GitHub.
registry_account_id  = "111111111111"
registry_region      = "eu-central-1"
github_repository    = "game-studio@1234567/game-api@890123456"
github_oidc_provider = false

# Features that only production needs are off, and the environment can be destroyed.
protected          = false
db_final_snapshot  = false
log_retention_days = 30
