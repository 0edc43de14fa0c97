"""The command line of `make bump` and `make promote`, and of the summaries of Terraform plans."""

import argparse
import os
import sys
from pathlib import Path

from gitops import overlay
from gitops.bump import bump
from gitops.errors import GitOpsError
from gitops.plan_summary import summarise
from gitops.promote import plan, push
from gitops.repository import MAIN, Repository


def promote(repository: Repository, source: str, target: str, ecr: str | None) -> str:
    """Push the promotion's branch. Returns a text that says what it changes and what to do next."""
    tip, promotion = plan(repository, source, target)
    if promotion is None:
        return f"{target} already has {source}'s build; nothing to promote"
    if ecr:
        # Only this check needs an installed package (boto3). `make bump` runs without any.
        from gitops.registry import check_image

        check_image(ecr, promotion.new)
    push(repository, tip, promotion)
    if output := os.environ.get("GITHUB_OUTPUT"):
        with open(output, "a") as file:
            file.write(f"branch={promotion.branch}\n")
    return f"{promotion}\npushed {promotion.branch}; merge it into {MAIN} to deploy"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="gitops",
        description="Deploy a build with a commit to an overlay, or summarise a Terraform plan.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = commands.add_parser("bump", help="deploy a newer image to the first environment")
    command.add_argument("environment", help=f"must be {overlay.ENVIRONMENTS[0]}")
    command.add_argument("tag", help="full SHA of the commit that the image was built from")
    command = commands.add_parser("promote", help="promote an image to the next environment")
    command.add_argument("source", help="the environment that has the image")
    command.add_argument("target", help="the next environment, which will get the image")
    command.add_argument("--ecr", help="check that this ECR repository has the image")
    command = commands.add_parser(
        "summary", help="read `terraform show -json PLAN`, and print what it changes"
    )
    command.add_argument("environment", help="whose plan it is, for the title")
    return parser.parse_args()


def main() -> None:
    """Run a command. If it fails, print its error message and exit with code 1."""
    arguments = parse_arguments()
    repository = Repository(Path.cwd())
    try:
        if arguments.command == "bump":
            print(bump(repository, arguments.environment, arguments.tag))
        elif arguments.command == "summary":
            print(summarise(sys.stdin.read(), arguments.environment), end="")
        else:
            print(promote(repository, arguments.source, arguments.target, arguments.ecr))
    except GitOpsError as error:
        sys.exit(f"{arguments.command}: {error}")


if __name__ == "__main__":
    main()
