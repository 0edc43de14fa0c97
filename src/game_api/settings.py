"""Settings, read from `GAME_API_*` environment variables."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from ipaddress import IPv6Address
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import limits
from jwt import InvalidKeyError
from jwt.algorithms import HMACAlgorithm
from limits import RateLimitItem, RateLimitItemPerMinute
from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from pymongo.common import URI_OPTIONS_VALIDATOR_MAP
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri, split_options
from pymongo.uri_parser_shared import URI_OPTIONS

PREFIX = "GAME_API_"
ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?|[a-z][a-z0-9+.-]*://[A-Za-z0-9.-]+")
"""The scheme, host and port of a page, without a path. Desktop shells have schemes of their own."""

SERVICE_VARIABLE = re.compile(
    PREFIX + r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?|ENV_\w+)"
)
"""Variables that Kubernetes and Docker set for a service named game-api or game-api-..."""
SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://.+")
"""What they set GAME_API_PORT and GAME_API_..._PORT to."""
LINK_NAME = re.compile(r"/[^/]+/[^/]+")
"""What Docker sets GAME_API_NAME and GAME_API_..._NAME to."""

LONGEST_RETENTION = 10 * 365 * 86400

SHORTEST_SECRET = 32
"""The number of bytes of a secret for HS256, which RFC 7518 requires."""
HMAC_SHA256 = HMACAlgorithm(HMACAlgorithm.SHA256)
HIGHEST_LIMIT = 100_000
"""Each request within a limit takes some memory until its period has passed."""


class SettingsError(Exception):
    """The settings are invalid; `mistakes` holds one readable line for each mistake."""

    def __init__(self, mistakes: list[str]) -> None:
        self.mistakes = mistakes
        super().__init__("; ".join(mistakes))


class Settings(BaseSettings):
    """The settings of the service. The variable of a field is `GAME_API_` followed by its name."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        arbitrary_types_allowed=True,
    )

    environment: Literal["local", "dev", "staging", "prod"] = "local"
    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(
        8000, ge=0, le=65535, description="The port to listen on; 0 means any free port."
    )
    root_path: str = Field(
        "",
        pattern=r"^(/[A-Za-z0-9._~-]+)*$",
        description="The path prefix that a proxy removes before it passes a request on.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="The origins whose pages may use the API in a browser, separated by commas; "
        "`*` means every origin.",
    )
    commit: str = Field("unknown", description="The commit that this build was made from.")

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] | None = Field(
        None,
        description="JSON lines or readable text; by default, readable text only at a terminal.",
    )
    pod_name: str | None = Field(
        None, description="The pod name in each log line; by default, the host name."
    )
    cloudwatch_log_group: str | None = Field(
        None, description="The CloudWatch Logs group that receives records and metrics."
    )
    cloudwatch_log_stream: str = "api-logs"
    metrics: Literal["off", "stdout"] = Field(
        "off", description="Whether metric documents are also written to standard output."
    )
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="The port of GET /metrics for Prometheus; 0 means any free port.",
    )

    mongodb_uri: SecretStr | None = Field(
        None, description="The connection string of the database."
    )
    documentdb_host: str | None = Field(
        None, pattern=r"^[A-Za-z0-9.-]{1,253}$", description="The endpoint of Amazon DocumentDB."
    )
    documentdb_port: int = Field(27017, ge=1, le=65535)
    documentdb_username: str | None = None
    documentdb_password: SecretStr | None = None
    documentdb_secret_arn: str | None = Field(
        None,
        pattern=r"^arn:aws[-a-z]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:"
        r"[A-Za-z0-9_/+=.@!-]{1,512}$",
        description="The AWS secret with the user name and password for DocumentDB.",
    )
    documentdb_ca_file: Path = Field(
        Path("/etc/ssl/certs/global-bundle.pem"), description="The CA bundle of DocumentDB."
    )
    database: str = Field("game", min_length=1, max_length=63, pattern=r"^[A-Za-z0-9_-]+$")
    data_dir: Path = Field(Path(".data"), description="The directory of the embedded database.")

    session_retention: int = Field(
        30 * 86400,
        ge=60,
        le=LONGEST_RETENTION,
        description="How many seconds ended sessions are kept.",
    )

    auth: Literal["jwt", "none"] | None = Field(
        None,
        description="Whether requests need a token; `none` is only for the environment `local`, "
        "where it is the default.",
    )
    jwt_secret: SecretStr | None = Field(
        None, description="The secret that signs tokens (HS256), at least 32 bytes."
    )
    jwks_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?(\?[^\s#]*)?$",
        description="Where the public keys are that verify tokens (RS256, ES256).",
    )
    jwt_issuer: str | None = Field(None, description="The `iss` that tokens must have.")
    jwt_audience: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="The `aud` that tokens must have, or several of which one suffices, separated "
        "by commas. It is compared with `client_id` if a token has no `aud`.",
    )
    jwt_roles_claim: str = Field(
        "roles", min_length=1, description="The claim that holds the roles of the caller."
    )
    jwt_roles_prefix: str = Field(
        "", description="What precedes a role in that claim, such as `game-api/`."
    )
    rate_limit: Annotated[RateLimitItem | None, NoDecode] = Field(
        RateLimitItemPerMinute(600),
        description="How many requests each principal may make, such as `600/minute`, or `off`.",
    )
    auth_failure_limit: Annotated[RateLimitItem | None, NoDecode] = Field(
        RateLimitItemPerMinute(30),
        description="How many wrong tokens may come from one address, or `off`.",
    )
    trusted_proxies: int = Field(
        0,
        ge=0,
        le=10,
        description="How many proxies add an address to X-Forwarded-For in front of the service.",
    )

    shutdown_delay: float = Field(
        0,
        ge=0,
        le=300,
        description="How many seconds to keep serving after SIGTERM, while /health/ready responds "
        "with 503 and every response closes its connection.",
    )
    shutdown_timeout: int = Field(
        20, ge=1, le=300, description="How many seconds requests in flight may take to finish."
    )

    @property
    def authenticates(self) -> bool:
        """Whether requests need a token."""
        return (self.auth or ("none" if self.environment == "local" else "jwt")) == "jwt"

    @property
    def embedded(self) -> bool:
        """Whether the process starts its own database."""
        return self.mongodb_uri is None and self.documentdb_host is None

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _origins(cls, text: Any) -> Any:
        if not isinstance(text, str):
            return text
        origins = tuple(origin.strip() for origin in text.split(","))
        for origin in origins:
            if origin != "*" and not ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is not an origin such as https://play.example.com")
        return origins

    @field_validator("jwt_audience", mode="before")
    @classmethod
    def _audiences(cls, text: Any) -> Any:
        if not isinstance(text, str):
            return text
        return tuple(name.strip() for name in text.split(",") if name.strip())

    @field_validator("jwt_secret")
    @classmethod
    def _fit_to_sign(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value().encode()) < SHORTEST_SECRET:
            raise ValueError(f"must have at least {SHORTEST_SECRET} bytes")
        try:
            if secret is not None:
                HMAC_SHA256.prepare_key(secret.get_secret_value())
        except InvalidKeyError:  # PyJWT would refuse every token.
            raise ValueError("must not be a public key, a certificate or a JWK") from None
        return secret

    @field_validator("rate_limit", "auth_failure_limit", mode="before")
    @classmethod
    def _limit(cls, text: Any) -> Any:
        if not isinstance(text, str):
            return text
        if text == "off":
            return None
        try:
            (limit,) = limits.parse_many(text)
        except ValueError:
            raise ValueError(f"{text!r} is neither a limit such as 600/minute nor off") from None
        if not 1 <= limit.amount <= HIGHEST_LIMIT or limit.get_expiry() < 1:
            raise ValueError(f"the limit must be between 1 and {HIGHEST_LIMIT} requests")
        return limit

    @field_validator("port", "metrics_port", "documentdb_port", mode="before")
    @classmethod
    def _no_service_address(cls, port: Any, field: ValidationInfo) -> Any:
        """Kubernetes sets these variables if a service has such a name. They count as not set."""
        if isinstance(port, str) and SERVICE_ADDRESS.fullmatch(port):
            return cls.model_fields[str(field.field_name)].default
        return port

    @field_validator("data_dir", "documentdb_ca_file")
    @classmethod
    def _expanded(cls, path: Path) -> Path:
        return Path(os.path.expanduser(path))

    @field_validator("host")
    @classmethod
    def _without_brackets(cls, host: str) -> str:
        """An IPv6 address may be written as in a URL, such as `[::1]`."""
        if not host.startswith("["):
            return host
        return str(IPv6Address(host.removeprefix("[").removesuffix("]")))

    @field_validator("mongodb_uri")
    @classmethod
    def _readable(cls, uri: SecretStr | None) -> SecretStr | None:
        if uri is not None:
            mistakes = list(connection_string_mistakes(uri.get_secret_value()))
            if mistakes:
                raise ValueError("\n".join(mistakes))
        return uri

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        mistakes = []
        if self.mongodb_uri is not None and self.documentdb_host is not None:
            mistakes.append(f"set {PREFIX}MONGODB_URI or {PREFIX}DOCUMENTDB_HOST, not both")
        if self.embedded and self.environment != "local":
            mistakes.append(
                f"the embedded database is only for {PREFIX}ENVIRONMENT=local; for "
                f"{self.environment!r} set {PREFIX}MONGODB_URI or {PREFIX}DOCUMENTDB_HOST"
            )
        if self.documentdb_host is not None and not self.documentdb_ca_file.is_file():
            mistakes.append(
                f"{PREFIX}DOCUMENTDB_CA_FILE: there is no file {self.documentdb_ca_file}"
            )
        if (self.documentdb_username is None) != (self.documentdb_password is None):
            mistakes.append(
                f"set both or neither of {PREFIX}DOCUMENTDB_USERNAME and "
                f"{PREFIX}DOCUMENTDB_PASSWORD"
            )
        if self.documentdb_secret_arn is not None:
            if self.documentdb_host is None:
                mistakes.append(f"{PREFIX}DOCUMENTDB_SECRET_ARN requires {PREFIX}DOCUMENTDB_HOST")
            if self.documentdb_username is not None or self.documentdb_password is not None:
                mistakes.append(
                    f"set {PREFIX}DOCUMENTDB_SECRET_ARN, or {PREFIX}DOCUMENTDB_USERNAME and "
                    f"{PREFIX}DOCUMENTDB_PASSWORD, not both"
                )
        mistakes += self._access_mistakes()
        if mistakes:
            raise ValueError("\n".join(mistakes))
        return self

    def _access_mistakes(self) -> Iterator[str]:
        if not self.authenticates:
            if self.environment != "local":
                yield f"{PREFIX}AUTH=none is only for {PREFIX}ENVIRONMENT=local"
            return
        if (self.jwt_secret is None) == (self.jwks_url is None):
            yield f"{PREFIX}AUTH=jwt requires one of {PREFIX}JWT_SECRET and {PREFIX}JWKS_URL"
        if self.jwks_url is not None:
            if not self.jwt_issuer or not self.jwt_audience:
                yield f"{PREFIX}JWKS_URL requires {PREFIX}JWT_ISSUER and {PREFIX}JWT_AUDIENCE"
            if self.environment != "local" and not self.jwks_url.startswith("https://"):
                yield f"{PREFIX}JWKS_URL must begin with https:// outside of the environment local"


def connection_string_mistakes(uri: str) -> Iterator[str]:
    """What is wrong with a connection string, without any of its values, which may be secret.

    This opens no connection. A mongodb+srv:// name is resolved only when it is used.
    """
    malformed = "is not a MongoDB connection string"
    address, _, options = uri.partition("?")
    try:
        parse_uri(address.replace("mongodb+srv://", "mongodb://", 1))
    except (PyMongoError, ValueError):
        yield malformed
        return
    mistakes = list(option_mistakes(options)) if options else []
    # After an unquoted password with a question mark, the "options" are a part of the password.
    yield from [malformed] if mistakes and "@" in options else mistakes


def option_mistakes(options: str) -> Iterator[str]:
    """What is wrong with the options of a connection string."""
    for option in re.split("[&;]", options):
        name, separator, _ = option.partition("=")
        if not name or not separator:
            yield "its options must be key=value pairs"
        elif name.lower() not in URI_OPTIONS_VALIDATOR_MAP:
            yield f"the option {printable(name)} does not exist{suggestion(name, URI_OPTIONS)}"
        else:
            try:
                split_options(option)
            except OSError as error:
                yield f"{error.filename}: {error.strerror}"
            except (PyMongoError, ValueError, TypeError):
                yield f"the option {name} has an invalid value"


def unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    """A line for each variable with the prefix of the settings that is not a setting."""
    known = [name.upper() for name in Settings.model_fields]
    for variable, value in sorted(environment.items()):
        name = variable.upper().removeprefix(PREFIX)
        if not value or name in known or not variable.upper().startswith(PREFIX):
            continue
        if not is_service_variable(variable, value):
            hint = suggestion(name, known, PREFIX)
            yield f"{printable(variable)}: no such setting{hint}"


def is_service_variable(variable: str, value: str) -> bool:
    """Whether Kubernetes or Docker sets this variable to tell the address of a service."""
    if variable.endswith("_PORT"):
        return bool(SERVICE_ADDRESS.fullmatch(value) or SERVICE_VARIABLE.fullmatch(variable))
    if variable.endswith("_NAME"):
        return bool(LINK_NAME.fullmatch(value))
    return bool(SERVICE_VARIABLE.fullmatch(variable))


def suggestion(name: str, known: Iterable[str], prefix: str = "") -> str:
    """What somebody who wrote `name` probably meant, to be added to a sentence."""
    spellings = {spelling.upper(): spelling for spelling in known if spelling != name}
    close = get_close_matches(name.upper(), spellings, n=1)
    return f"; did you mean {prefix}{spellings[close[0]]}?" if close else ""


def printable(name: str) -> str:
    """The name on one line, without control characters."""
    return ascii(name)[1:-1]


def load_settings() -> Settings:
    """The settings from the environment. Raises SettingsError with every mistake."""
    mistakes = list(unknown_variables(os.environ))
    try:
        settings = Settings()
    except ValidationError as error:
        mistakes += [
            ": ".join([*(PREFIX + str(name).upper() for name in mistake["loc"]), line])
            for mistake in error.errors(include_input=False, include_url=False)
            for line in mistake["msg"].removeprefix("Value error, ").splitlines()
        ]
    if mistakes:
        raise SettingsError(mistakes)
    return settings
