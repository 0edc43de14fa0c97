# The issuer of the tokens that the API accepts: a Cognito user pool of this environment, or an issuer outside of it. The facts
# in `local.issuer` are all that the service needs to know about either of them.

locals {
  resource_server = "game-api"

  # What Cognito writes into the claim `scope` of an access token. The service reads the roles from it.
  scopes = {
    player = "Play: act as the player who has signed in"
    server = "Run game sessions, for game servers"
    admin  = "Administer all players and sessions"
  }

  # Programs that get tokens for themselves, each with one scope.
  programs = toset(["server", "admin"])

  issuer = one(concat(
    [for pool in aws_cognito_user_pool.this : {
      issuer   = "https://${pool.endpoint}"
      jwks_url = "https://${pool.endpoint}/.well-known/jwks.json"
      # Cognito's access tokens have no `aud`. The service compares their `client_id` instead.
      audience     = join(",", sort(concat(aws_cognito_user_pool_client.player[*].id, [for client in aws_cognito_user_pool_client.program : client.id])))
      roles_claim  = "scope"
      roles_prefix = "${local.resource_server}/"
    }],
    [for issuer in var.external_issuer[*] : merge(issuer, { audience = join(",", sort(issuer.audience)) })],
  ))
}

resource "aws_cognito_user_pool" "this" {
  count = length(var.cognito[*])

  name                = "game-session"
  user_pool_tier      = "ESSENTIALS"
  deletion_protection = var.protected ? "ACTIVE" : "INACTIVE"

  # Players sign up and sign in with their email address. The username, and with it the `sub` of their tokens, is a UUID, which
  # is a valid player_id.
  username_attributes      = ["email"]
  auto_verified_attributes = ["email"]

  username_configuration {
    case_sensitive = false
  }

  user_attribute_update_settings {
    attributes_require_verification_before_update = ["email"]
  }

  password_policy {
    minimum_length                   = 12
    require_lowercase                = true
    require_numbers                  = true
    require_symbols                  = true
    require_uppercase                = true
    temporary_password_validity_days = 3
  }

  mfa_configuration = "OPTIONAL"

  software_token_mfa_configuration {
    enabled = true
  }

  account_recovery_setting {
    recovery_mechanism {
      name     = "verified_email"
      priority = 1
    }
  }

  dynamic "email_configuration" {
    for_each = var.cognito.email[*]

    content {
      email_sending_account = "DEVELOPER"
      source_arn            = email_configuration.value.identity_arn
      from_email_address    = email_configuration.value.from
    }
  }

  tags = { Name = "game-session" }
}

# Sign-in pages, and the endpoint at which clients get tokens.
resource "aws_cognito_user_pool_domain" "this" {
  count = length(aws_cognito_user_pool.this)

  user_pool_id          = aws_cognito_user_pool.this[0].id
  domain                = var.cognito.domain_prefix
  managed_login_version = 2
}

# Without a style, the sign-in pages of this version are not available.
resource "aws_cognito_managed_login_branding" "player" {
  count = length(aws_cognito_user_pool.this)

  user_pool_id                = aws_cognito_user_pool.this[0].id
  client_id                   = aws_cognito_user_pool_client.player[0].id
  use_cognito_provided_values = true
}

resource "aws_cognito_resource_server" "this" {
  count = length(aws_cognito_user_pool.this)

  user_pool_id = aws_cognito_user_pool.this[0].id
  identifier   = local.resource_server
  name         = "The game API"

  dynamic "scope" {
    for_each = local.scopes

    content {
      scope_name        = scope.key
      scope_description = scope.value
    }
  }
}

# The game itself. It runs on devices of players, so it has no secret and proves with PKCE that it began the sign-in.
resource "aws_cognito_user_pool_client" "player" {
  count = length(aws_cognito_user_pool.this)

  user_pool_id    = aws_cognito_user_pool.this[0].id
  name            = "player"
  generate_secret = false

  allowed_oauth_flows_user_pool_client = true
  allowed_oauth_flows                  = ["code"]
  allowed_oauth_scopes                 = ["openid", "${aws_cognito_resource_server.this[0].identifier}/player"]
  supported_identity_providers         = ["COGNITO"]
  callback_urls                        = var.cognito.callback_urls
  logout_urls                          = var.cognito.logout_urls

  # Sign-in pages don't need these flows of Cognito's own API. One of them has to be allowed, and it must not be the one for
  # refresh tokens, which are rotated. Tokens from Cognito's own API have none of the scopes, so the service refuses them.
  explicit_auth_flows           = ["ALLOW_USER_SRP_AUTH"]
  prevent_user_existence_errors = "ENABLED"
  enable_token_revocation       = true

  access_token_validity  = 60
  id_token_validity      = 60
  refresh_token_validity = 30

  token_validity_units {
    access_token  = "minutes"
    id_token      = "minutes"
    refresh_token = "days"
  }

  # Each refresh token works once. The grace period covers an answer that was lost.
  refresh_token_rotation {
    feature                    = "ENABLED"
    retry_grace_period_seconds = 30
  }
}

resource "aws_cognito_user_pool_client" "program" {
  for_each = length(aws_cognito_user_pool.this) == 0 ? toset([]) : local.programs

  user_pool_id    = aws_cognito_user_pool.this[0].id
  name            = each.key
  generate_secret = true

  allowed_oauth_flows_user_pool_client = true
  allowed_oauth_flows                  = ["client_credentials"]
  allowed_oauth_scopes                 = ["${aws_cognito_resource_server.this[0].identifier}/${each.key}"]

  # The only flow of Cognito's own API that signs nobody in. By default, others would be allowed.
  explicit_auth_flows           = ["ALLOW_REFRESH_TOKEN_AUTH"]
  prevent_user_existence_errors = "ENABLED"
  enable_token_revocation       = true

  access_token_validity = 60

  token_validity_units {
    access_token = "minutes"
  }
}
