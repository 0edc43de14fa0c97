"""Amazon ECR, the registry of the images."""

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from gitops.errors import GitOpsError


def check_image(repository: str, tag: str) -> None:
    """Raise GitOpsError unless the ECR repository has an image with this tag."""
    try:
        ecr = boto3.client("ecr", config=Config(connect_timeout=5, read_timeout=10))
        ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
    except ClientError as error:
        if error.response["Error"]["Code"] == "ImageNotFoundException":
            raise GitOpsError(f"ECR repository {repository} has no image {tag}") from None
        raise GitOpsError(f"cannot look up the image in ECR: {error}") from None
    except BotoCoreError as error:
        raise GitOpsError(f"cannot look up the image in ECR: {error}") from None
