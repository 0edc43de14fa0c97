# Replace the account, addresses and names with your own.
environment        = "prod"
account_id         = "333333333333"
region             = "eu-central-1"
zones              = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
vpc_cidr           = "10.30.0.0/16"
hostname           = "api.game.example"
certificate_arn    = "arn:aws:acm:eu-central-1:333333333333:certificate/00000000-0000-0000-0000-000000000000"
cluster_admin_arns = ["arn:aws:iam::333333333333:role/game-session-admin"]

# The network of the VPN through which the cluster is administered.
cluster_api_private_cidrs = ["10.200.0.0/16"]

alarm_emails       = ["game-session-prod@game.example"]
monthly_budget_usd = 800

# Players sign in at https://game-studio-prod.auth.eu-central-1.amazoncognito.com.
cognito = {
  domain_prefix = "game-studio-prod"
  callback_urls = ["https://play.game.example/signed-in"]
  logout_urls   = ["https://play.game.example/"]
}

# All environments share one registry, which is in dev's account.
registry_account_id = "111111111111"
registry_region     = "eu-central-1"
github_repository   = "game-studio@1234567/game-api@890123456"

db_instance_count    = 2
nat_gateway_per_zone = true
node_endpoints       = true
