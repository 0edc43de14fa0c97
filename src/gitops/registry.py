"""Amazon ECR, where the images are."""

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from gitops.errors import Refused


def check_image(repository: str, tag: str) -> None:
    """Raises Refused unless the ECR repository has an image of that tag."""
    try:
        ecr = boto3.client("ecr", config=Config(connect_timeout=5, read_timeout=10))
        ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
    except ClientError as error:
        if error.response["Error"]["Code"] == "ImageNotFoundException":
            raise Refused(f"ECR repository {repository} has no image {tag}") from None
        raise Refused(f"can't ask ECR for the image: {error}") from None
    except BotoCoreError as error:
        raise Refused(f"can't ask ECR for the image: {error}") from None
