# Replace the account and the repository with your own.
state_bucket   = "game-session-terraform-333333333333"
state_region   = "eu-central-1"
repository_url = "https://github.com/game-studio/game-api.git"

# Promotions bring this branch what the environment before has.
repository_revision = "env/prod"

highly_available = true
