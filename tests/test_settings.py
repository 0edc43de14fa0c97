"""Settings: their defaults, and one readable line without secrets for each mistake."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from game_api.clock import utc_now
from game_api.database.client import database_uri
from limits import RateLimitItem

from game_api.settings import LONGEST_RETENTION, Settings, SettingsError, load_settings

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!cluster-5e9c-kX2abc"


def test_no_setting_is_required() -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.environment) == ("127.0.0.1", 8000, "local")
    assert settings.embedded


JWT = {"AUTH": "jwt", "JWT_SECRET": "x" * 32}
ISSUER = {"JWT_ISSUER": "x", "JWT_AUDIENCE": "x"}
REMOTE = {"ENVIRONMENT": "dev", "MONGODB_URI": "mongodb://h/"}


@pytest.mark.parametrize(
    ("environment", "mistake"),
    [
        ({"PORT": "x"}, "GAME_API_PORT: Input should be a valid integer"),
        ({"PORT": "65536"}, "GAME_API_PORT: Input should be less than or equal to 65535"),
        ({"ENVIRONMENT": "production"}, "GAME_API_ENVIRONMENT: Input should be 'local', 'dev'"),
        (
            {"ENVIRONMENT": "prod", **JWT},
            "the embedded database is only for GAME_API_ENVIRONMENT=local",
        ),
        (
            {"AUTH": "jwt"},
            "GAME_API_AUTH=jwt requires one of GAME_API_JWT_SECRET and GAME_API_JWKS",
        ),
        ({**JWT, "JWKS_URL": "http://x", **ISSUER}, "GAME_API_AUTH=jwt requires one of"),
        ({"JWT_SECRET": "x" * 31}, "GAME_API_JWT_SECRET: must have at least 32 bytes"),
        ({"JWT_SECRET": '{"kty": "oct"}' + " " * 32}, "GAME_API_JWT_SECRET: must not be a public"),
        ({"JWT_SECRET": f"ssh-rsa {'A' * 32}"}, "GAME_API_JWT_SECRET: must not be a public key"),
        (
            {"AUTH": "jwt", "JWKS_URL": "http://x/keys", "JWT_ISSUER": "x"},
            "GAME_API_JWKS_URL requires GAME_API_JWT_ISSUER and GAME_API_JWT_AUDIENCE",
        ),
        (
            {**REMOTE, "JWKS_URL": "http://x/keys", **ISSUER},
            "GAME_API_JWKS_URL must begin with https:// outside of the environment local",
        ),
        ({"JWKS_URL": "ftp://x"}, "GAME_API_JWKS_URL: String should match pattern"),
        ({"JWKS_URL": "https://u:p@x/keys"}, "GAME_API_JWKS_URL: String should match pattern"),
        ({**REMOTE, "AUTH": "none"}, "GAME_API_AUTH=none is only for GAME_API_ENVIRONMENT=local"),
        (REMOTE, "GAME_API_AUTH=jwt requires one of GAME_API_JWT_SECRET and GAME_API_JWKS_URL"),
        ({"RATE_LIMIT": "fast"}, "GAME_API_RATE_LIMIT: 'fast' is neither a limit such as"),
        ({"RATE_LIMIT": "0/minute"}, "GAME_API_RATE_LIMIT: the limit must be between 1 and"),
        ({"RATE_LIMIT": "9/second;60/minute"}, "GAME_API_RATE_LIMIT: '9/second;60/minute' is"),
        ({"AUTH_FAILURE_LIMIT": "1000000/day"}, "GAME_API_AUTH_FAILURE_LIMIT: the limit must be"),
        ({"TRUSTED_PROXIES": "-1"}, "GAME_API_TRUSTED_PROXIES: Input should be greater"),
        ({"MONGODB_URI": "postgres://x"}, "GAME_API_MONGODB_URI: is not a MongoDB connection"),
        # checkov:skip=CKV_SECRET_4:made up
        ({"MONGODB_URI": "mongodb://u:hunter2@h:x/"}, "GAME_API_MONGODB_URI: is not a MongoDB"),
        ({"MONGODB_URI": "mongodb://u:1?hunter2=x@h/"}, "GAME_API_MONGODB_URI: is not a MongoDB"),
        ({"MONGODB_URI": "mongodb+srv://u:hunter2@h/x/y"}, "GAME_API_MONGODB_URI: is not a Mong"),
        ({"MONGODB_URI": "mongodb+srv://u:hunter2@h:x/"}, "GAME_API_MONGODB_URI: is not a MongoDB"),
        (
            {"MONGODB_URI": "mongodb://u:hunter2@h/?retryWritess=true"},
            "GAME_API_MONGODB_URI: the option retryWritess does not exist; did you mean "
            "retryWrites?",
        ),
        (
            {"MONGODB_URI": "mongodb+srv://u:hunter2@h.example/?w=1&maxPolSize=5"},
            "GAME_API_MONGODB_URI: the option maxPolSize does not exist; did you mean maxPoolSize?",
        ),
        (
            {"MONGODB_URI": "mongodb://h/?tls=hunter2"},
            "GAME_API_MONGODB_URI: the option tls has an invalid value",
        ),
        ({"MONGODB_URI": "mongodb://h/?hunter2"}, "GAME_API_MONGODB_URI: its options must be key="),
        (
            {
                "MONGODB_URI": "mongodb://h/",
                "DOCUMENTDB_HOST": "h",
                "DOCUMENTDB_CA_FILE": __file__,
            },
            "set GAME_API_MONGODB_URI or GAME_API_DOCUMENTDB_HOST, not both",
        ),
        (
            {"MONGODB_URI": "mongodb://h/?tls=true&tlsCAFile=/nope.pem"},
            "GAME_API_MONGODB_URI: /nope.pem: No such file or directory",
        ),
        (
            {"DOCUMENTDB_HOST": "h", "DOCUMENTDB_CA_FILE": "/nope.pem"},
            "GAME_API_DOCUMENTDB_CA_FILE: there is no file /nope.pem",
        ),
        (
            {"DOCUMENTDB_HOST": "h", "DOCUMENTDB_CA_FILE": __file__, "DOCUMENTDB_USERNAME": "u"},
            "set both or neither of GAME_API_DOCUMENTDB_USERNAME and",
        ),
        (
            {"DOCUMENTDB_SECRET_ARN": ARN},
            "GAME_API_DOCUMENTDB_SECRET_ARN requires GAME_API_DOCUMENTDB_HOST",
        ),
        (
            {
                "DOCUMENTDB_SECRET_ARN": ARN,
                "DOCUMENTDB_HOST": "h",
                "DOCUMENTDB_CA_FILE": __file__,
                "DOCUMENTDB_USERNAME": "u",
                "DOCUMENTDB_PASSWORD": "hunter2",
            },
            "set GAME_API_DOCUMENTDB_SECRET_ARN, or GAME_API_DOCUMENTDB_USERNAME and GAME_API_DOC",
        ),
        (
            {"DOCUMENTDB_SECRET_ARN": ARN.replace("secretsmanager", "ssm")},
            "GAME_API_DOCUMENTDB_SECRET_ARN: String should match pattern",
        ),
        (
            {"DOCUMENTDB_SECRET_ARN": ARN.replace(":eu-central-1", "")},
            "GAME_API_DOCUMENTDB_SECRET_ARN: String should match pattern",
        ),
        ({"SHUTDOWN_DELAY": "-1"}, "GAME_API_SHUTDOWN_DELAY: Input should be greater than"),
        ({"DOCUMENTDB_HOST": "h:1"}, "GAME_API_DOCUMENTDB_HOST: String should match pattern"),
        ({"DATABASE": "a b"}, "GAME_API_DATABASE: String should match pattern"),
        ({"SESSION_RETENTION": "315360001"}, "GAME_API_SESSION_RETENTION: Input should be less"),
        ({"MONGODB_URL": "x"}, "GAME_API_MONGODB_URL: no such setting; did you mean GAME_API_MON"),
        ({"LOGLEVEL": "x"}, "GAME_API_LOGLEVEL: no such setting; did you mean GAME_API_LOG_LEVEL?"),
        ({"DATABASE_NAME": "x"}, "GAME_API_DATABASE_NAME: no such setting; did you mean GAME_API"),
        ({"ZZ": "x"}, "GAME_API_ZZ: no such setting"),
        ({"ZZ\x1b\n": "x"}, "GAME_API_ZZ\\x1b\\n: no such setting"),
    ],
)
def test_a_mistake_is_one_readable_line(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], mistake: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(f"GAME_API_{name}", value)
    with pytest.raises(SettingsError) as error:
        load_settings()
    (line,) = error.value.mistakes
    assert line.startswith(mistake) and "\n" not in line
    assert "hunter2" not in line


def test_every_variable_in_the_repository_is_a_setting() -> None:
    """The service would refuse to start with any other one."""
    root = Path(__file__).parent.parent
    files = [root / "Dockerfile", root / "Makefile", root / ".ci" / "run"]
    files += [*root.glob("apps/**/*.yaml"), *root.glob("terraform/**/*.tf")]
    names = {n for file in files for n in re.findall(r"GAME_API_\w+", file.read_text())}
    assert "GAME_API_PORT" in names
    assert names <= {f"GAME_API_{name.upper()}" for name in Settings.model_fields}


SERVICES = {
    "GAME_API_SERVICE_HOST": "10.0.0.1",
    "GAME_API_SERVICE_PORT": "80",
    "GAME_API_SERVICE_PORT_HTTP": "80",
    "GAME_API_PORT": "tcp://10.0.0.1:80",
    "GAME_API_PORT_80_TCP": "tcp://10.0.0.1:80",
    "GAME_API_PORT_80_TCP_PROTO": "tcp",
    "GAME_API_PORT_80_TCP_PORT": "80",
    "GAME_API_PORT_80_TCP_ADDR": "10.0.0.1",
    "GAME_API_CANARY_SERVICE_HOST": "10.0.0.2",
    "GAME_API_CANARY_PORT": "udp://10.0.0.2:80",
    "GAME_API_CANARY_PORT_80_UDP_ADDR": "10.0.0.2",
    "GAME_API_METRICS_PORT": "tcp://10.0.0.3:9090",
    "GAME_API_DOCUMENTDB_PORT": "tcp://10.0.0.4:27017",
    "GAME_API_NAME": "/web/game-api",
    "GAME_API_ENV_PATH": "/bin",
}
"""What Kubernetes and Docker set for services whose names begin with game-api."""


def test_the_variables_of_services_are_not_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SERVICES.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert (settings.port, settings.metrics_port, settings.documentdb_port) == (8000, None, 27017)


def test_the_case_of_a_variable_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("game_api_port", "81")
    assert load_settings().port == 81
    monkeypatch.setenv("game_api_prt", "81")
    with pytest.raises(
        SettingsError, match="^game_api_prt: no such setting; did you mean GAME_API"
    ):
        load_settings()


def test_a_tilde_stands_for_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("GAME_API_DATA_DIR", "~/x")
    monkeypatch.setenv("GAME_API_DOCUMENTDB_CA_FILE", "~/bundle.pem")
    settings = load_settings()
    assert settings.data_dir == Path("/home/ada/x")
    assert settings.documentdb_ca_file == Path("/home/ada/bundle.pem")


def test_the_longest_retention_is_a_date_that_can_be_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GAME_API_SESSION_RETENTION", str(LONGEST_RETENTION))
    assert utc_now() + timedelta(seconds=load_settings().session_retention)


def test_every_setting_is_documented() -> None:
    page = (Path(__file__).parent.parent / "docs" / "settings.md").read_text()
    for name, field in Settings.model_fields.items():
        value = field.default
        if isinstance(value, RateLimitItem):
            value = f"{value.amount}/{value.GRANULARITY.name}"
        default = "" if value in (None, "", ()) else f"`{value}`"
        assert f"| `GAME_API_{name.upper()}` | {default} | " in page


def test_every_mistake_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAME_API_PORT", "x")
    monkeypatch.setenv("GAME_API_DOCUMENTDB_PORT", "0")
    monkeypatch.setenv("GAME_API_MONGODB_URI", "mongodb://h/?one=1&two=2")
    monkeypatch.setenv("GAME_API_METRIC", "x")
    monkeypatch.setenv("GAME_API_LOGFORMAT", "json")
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert len(error.value.mistakes) == 6


def test_every_contradiction_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAME_API_MONGODB_URI", "mongodb://h/")
    monkeypatch.setenv("GAME_API_DOCUMENTDB_HOST", "h")
    monkeypatch.setenv("GAME_API_DOCUMENTDB_CA_FILE", "/nope.pem")
    monkeypatch.setenv("GAME_API_DOCUMENTDB_USERNAME", "u")
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert len(error.value.mistakes) == 3


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAME_API_MONGODB_URI", "")
    monkeypatch.setenv("GAME_API_MONGODB_URL", "")
    assert load_settings().embedded


def test_the_connection_string_for_documentdb_has_the_required_options(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.touch()
    monkeypatch.setenv("GAME_API_DOCUMENTDB_CA_FILE", str(bundle))
    monkeypatch.setenv("GAME_API_DOCUMENTDB_HOST", "db.example")
    monkeypatch.setenv("GAME_API_DOCUMENTDB_USERNAME", "us/er")
    monkeypatch.setenv("GAME_API_DOCUMENTDB_PASSWORD", "p@ss:word")
    settings = load_settings()
    assert "p@ss" not in repr(settings)
    assert database_uri(settings) == (
        # checkov:skip=CKV_SECRET_4:made up
        "mongodb://us%2Fer:p%40ss%3Aword@db.example:27017/?tls=true"
        f"&tlsCAFile={bundle}&replicaSet=rs0&readPreference=primary"
    )
