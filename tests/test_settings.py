"""Settings: their defaults, and one readable line without secrets for each mistake."""

from pathlib import Path

import pytest

from game_api.database.client import database_uri
from game_api.settings import Settings, SettingsError, load_settings

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!cluster-5e9c-kX2abc"


def test_no_setting_is_required() -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.environment) == ("127.0.0.1", 8000, "local")
    assert settings.embedded


@pytest.mark.parametrize(
    ("environment", "mistake"),
    [
        ({"PORT": "x"}, "GAME_API_PORT: Input should be a valid integer"),
        ({"PORT": "65536"}, "GAME_API_PORT: Input should be less than or equal to 65535"),
        ({"ENVIRONMENT": "production"}, "GAME_API_ENVIRONMENT: Input should be 'local', 'dev'"),
        ({"ENVIRONMENT": "prod"}, "the embedded database is only for GAME_API_ENVIRONMENT=local"),
        ({"MONGODB_URI": "postgres://x"}, "GAME_API_MONGODB_URI: is not a MongoDB connection"),
        # checkov:skip=CKV_SECRET_4:made up
        ({"MONGODB_URI": "mongodb://u:hunter2@h:x/"}, "GAME_API_MONGODB_URI: is not a MongoDB"),
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


def test_every_setting_is_documented() -> None:
    page = (Path(__file__).parent.parent / "docs" / "settings.md").read_text()
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, "", ()) else f"`{field.default}`"
        assert f"| `GAME_API_{name.upper()}` | {default} | " in page


def test_every_mistake_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAME_API_PORT", "x")
    monkeypatch.setenv("GAME_API_DOCUMENTDB_PORT", "0")
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert len(error.value.mistakes) == 2


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
    assert load_settings().embedded


def test_the_connection_string_for_documentdb_has_the_required_options(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.touch()
    monkeypatch.setenv("GAME_API_DOCUMENTDB_CA_FILE", str(bundle))
    monkeypatch.setenv("GAME_API_ENVIRONMENT", "prod")
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
