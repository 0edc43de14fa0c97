"""The user name and password of the database, as AWS Secrets Manager keeps and rotates them."""

import asyncio
from collections.abc import Callable

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from pydantic import BaseModel, Field, SecretStr, ValidationError

from game_api.database.errors import CredentialsError


class Credentials(BaseModel, frozen=True):
    """A user name and a password; other members of the secret are ignored."""

    username: str = Field(min_length=1)
    password: SecretStr = Field(min_length=1)


class Secret:
    """A secret that holds credentials. `redact` is called with each password that it returns."""

    def __init__(self, arn: str, redact: Callable[[str], None]) -> None:
        self._arn = arn
        self._redact = redact
        self._client = boto3.client(
            "secretsmanager",
            region_name=arn.split(":")[3],
            config=Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2}),
        )

    async def read(self) -> Credentials:
        """The current credentials. Raises CredentialsError; takes a few seconds at most."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> Credentials:
        try:
            answer = self._client.get_secret_value(SecretId=self._arn)
        except (BotoCoreError, ClientError, ResponseParserError) as error:
            code = type(error).__name__
            if isinstance(error, ClientError):
                code = str(error.response.get("Error", {}).get("Code", code))
            raise CredentialsError(f"the secret can't be read ({code})") from None
        try:
            credentials = Credentials.model_validate_json(answer.get("SecretString", ""))
        except ValidationError:  # Its text would quote the secret.
            raise CredentialsError("the secret holds no username and password") from None
        self._redact(credentials.password.get_secret_value())
        return credentials
