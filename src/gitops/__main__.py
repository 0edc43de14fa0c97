"""The command line of the make targets that deploy, and of the summaries of Terraform plans."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from gitops import overlay
from gitops.bump import bump
from gitops.check_promotion import check_promotion
from gitops.errors import GitOpsError
from gitops.outcome import Outcome
from gitops.plan_summary import summarise
from gitops.promote import Options, promote
from gitops.repository import Repository
from gitops.rollback import list_builds, rollback
from gitops.status import status

Arguments = argparse.Namespace


def run_promote(repository: Repository, arguments: Arguments) -> Outcome:
    verified = not arguments.unverified
    options = Options(arguments.ecr, arguments.tag, arguments.again, verified)
    return promote(repository, arguments.source, arguments.target, options)


def run_rollback(repository: Repository, arguments: Arguments) -> Outcome:
    if arguments.to:
        return rollback(repository, arguments.environment, arguments.to)
    return Outcome(list_builds(repository, arguments.environment))


COMMANDS: dict[str, Callable[[Repository, Arguments], Outcome]] = {
    "bump": lambda repository, given: Outcome(bump(repository, given.environment, given.tag)),
    "promote": run_promote,
    "rollback": run_rollback,
    "check-promotion": lambda repository, given: Outcome(
        check_promotion(repository, given.environment, given.commit)
    ),
    "status": lambda repository, _: Outcome(status(repository)),
    "summary": lambda _, given: Outcome(summarise(sys.stdin.read(), given.environment).rstrip()),
}


def parse_arguments() -> Arguments:
    parser = argparse.ArgumentParser(
        prog="gitops",
        description="Deploy by committing to the environments' branches, or summarise a plan.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = commands.add_parser("bump", help="deploy a newer image to the first environment")
    command.add_argument("environment", help=f"must be {overlay.ENVIRONMENTS[0]}")
    command.add_argument("tag", help="full SHA of the commit that the image was built from")
    command = commands.add_parser("promote", help="promote what an environment runs to the next")
    command.add_argument("source", help="the environment to promote from")
    command.add_argument("target", help="the next environment, which will run the same")
    command.add_argument("--ecr", help="check that this ECR repository has the image")
    command.add_argument("--tag", help="refuse any other build than this one")
    command.add_argument("--again", action="store_true", help="deploy what was taken back before")
    command.add_argument(
        "--unverified", action="store_true", help="do not ask GitHub whether the source is healthy"
    )
    command = commands.add_parser("rollback", help="go back to what an environment ran before")
    command.add_argument("environment", help="the environment that goes back")
    command.add_argument("to", nargs="?", help="the build; without it, all builds are listed")
    command = commands.add_parser("status", help="print what every environment runs")
    command = commands.add_parser(
        "check-promotion", help="check that a commit only brings an environment what another had"
    )
    command.add_argument("environment", help="the environment whose branch would get the commit")
    command.add_argument("commit", help="the commit")
    command = commands.add_parser(
        "summary", help="read `terraform show -json PLAN`, and print what it changes"
    )
    command.add_argument("environment", help="whose plan it is, for the title")
    return parser.parse_args()


def main() -> None:
    """Run a command. If it fails, print its error message and exit with code 1."""
    arguments = parse_arguments()
    try:
        outcome = COMMANDS[arguments.command](Repository(Path.cwd()), arguments)
    except GitOpsError as error:
        sys.exit(f"{arguments.command}: {error}")
    print(outcome.text)
    if outcome.branch and (output := os.environ.get("GITHUB_OUTPUT")):
        with open(output, "a") as file:
            file.write(f"branch={outcome.branch}\nbase={outcome.base}\n")


if __name__ == "__main__":
    main()
