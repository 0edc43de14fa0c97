# Replace the accounts and the repository with your own.
account_id         = "111111111111"
region             = "eu-central-1"
github_repository  = "game-studio@1234567/game-api@890123456"
reader_account_ids = ["222222222222", "333333333333"]
