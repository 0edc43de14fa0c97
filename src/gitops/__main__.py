"""The command line: `make bump` and `make promote`."""

import argparse
import os
import sys
from pathlib import Path

from gitops import overlay
from gitops.bump import bump
from gitops.errors import Refused
from gitops.promote import plan, push
from gitops.repository import MAIN, Repository


def promote(repository: Repository, source: str, target: str, ecr: str | None) -> str:
    """Push the promotion's branch. Returns what it changes and what comes next."""
    tip, promotion = plan(repository, source, target)
    if promotion is None:
        return f"{target} already has {source}'s build; nothing to promote"
    if ecr:
        from gitops.registry import check_image  # the one part that needs a package

        check_image(ecr, promotion.new)
    push(repository, tip, promotion)
    if output := os.environ.get("GITHUB_OUTPUT"):
        with open(output, "a") as file:
            file.write(f"branch={promotion.branch}\n")
    return f"{promotion}\npushed {promotion.branch}; merge it into {MAIN} to deploy"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gitops", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = commands.add_parser("bump", help="give the first environment a newer image")
    command.add_argument("environment", help=overlay.ENVIRONMENTS[0])
    command.add_argument("tag", help="the commit that the image was built of, all 40 characters")
    command = commands.add_parser("promote", help="bring an environment's image to the next one")
    command.add_argument("source", help="the environment that has the image")
    command.add_argument("target", help="the one after it, that shall have it")
    command.add_argument("--ecr", help="the ECR repository that must have the image")
    return parser.parse_args()


def main() -> None:
    """Run a command; exit with 1 and one clear line when it is refused."""
    given = arguments()
    repository = Repository(Path.cwd())
    try:
        if given.command == "bump":
            print(bump(repository, given.environment, given.tag))
        else:
            print(promote(repository, given.source, given.target, given.ecr))
    except Refused as refusal:
        sys.exit(f"{given.command}: {refusal}")


if __name__ == "__main__":
    main()
