"""The database's user and password as AWS Secrets Manager has them, which rotates them."""

import asyncio
from collections.abc import Callable

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from pydantic import BaseModel, Field, SecretStr, ValidationError

from game_api.errors import CredentialsError


class Credentials(BaseModel, frozen=True):
    """A user and a password; whatever else the secret says is ignored."""

    username: str = Field(min_length=1)
    password: SecretStr = Field(min_length=1)


class Secret:
    """A secret that holds credentials; each password it shows is told to `hide` first."""

    def __init__(self, arn: str, hide: Callable[[str], None]) -> None:
        self._arn = arn
        self._hide = hide
        self._client = boto3.client(
            "secretsmanager",
            region_name=arn.split(":")[3],
            config=Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2}),
        )

    async def read(self) -> Credentials:
        """The credentials as they are now. Raises CredentialsError; ends within a few seconds."""
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
        except ValidationError:  # its text quotes the secret
            raise CredentialsError("the secret holds no username and password") from None
        self._hide(credentials.password.get_secret_value())
        return credentials
