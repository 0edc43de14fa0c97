"""Promote what one environment runs to the next, on a branch that is reviewed and merged."""

from datetime import datetime
from itertools import takewhile
from typing import NamedTuple

from gitops import image, overlay
from gitops.changes import describe
from gitops.errors import GitOpsError
from gitops.github import Status, context, statuses
from gitops.history import DEPLOYED, deployment_of, history, taken_back
from gitops.moments import date, time_since
from gitops.outcome import Outcome
from gitops.repository import Repository

UNVERIFIED = "UNVERIFIED=1 promotes without asking GitHub"


class Options(NamedTuple):
    """`ecr` is the repository in ECR that must have the image, and `tag` the only build that may be
    promoted. `again` deploys what was taken back before. Without `verified`, GitHub is not asked
    whether the source is healthy.
    """

    ecr: str | None = None
    tag: str | None = None
    again: bool = False
    verified: bool = True


class Promotion(NamedTuple):
    """The tree of `commit`, which is the tip of the source's branch, on top of the target's `tip`.

    `notes` are for the reviewer. `since` is when the source became healthy, if that was checked.
    """

    source: str
    target: str
    tip: str
    commit: str
    changes: str
    notes: list[str]
    since: datetime | None

    def commit_to(self, repository: Repository) -> str:
        """Commit it. With both parents, git knows what the target has, however it is merged."""
        tag = image.tag_in(repository.read(self.commit, image.PATH))
        subject = f"deploy({self.target}): game-api {tag[:12]}"
        since = [f"healthy in {self.source} since {date(self.since)} UTC"] if self.since else []
        message = "\n".join([subject, "", self.changes, *self.notes, *since, ""])
        return repository.commit(repository.tree(self.commit), [self.tip, self.commit], message)


def promote(repository: Repository, source: str, target: str, options: Options) -> Outcome:
    """Push a commit that gives the target's branch the tree of the source's. Raises GitOpsError."""
    check_order(source, target)
    repository.check_clean()
    promotion: Promotion | None = None

    def make_commit() -> str | None:
        nonlocal promotion
        promotion = plan(repository, source, target, options)
        return promotion.commit_to(repository) if promotion else None

    branch, base = f"promote/{target}", overlay.branch(target)
    pushed = repository.push(branch, make_commit)
    if promotion is None:
        return Outcome(f"{target} already has what {source} has; nothing to promote")
    lines = [promotion.changes, *promotion.notes]
    if promotion.since:
        lines.append(f"healthy in {source} for {time_since(promotion.since)}")
    verb = "pushed" if pushed else "there was already"
    lines.append(f"{verb} {branch}; merge it into {base} to deploy")
    return Outcome("\n".join(lines), branch, base)


def check_order(source: str, target: str) -> None:
    """Raise GitOpsError unless the target is the environment after the source."""
    overlay.check_environment(source)
    overlay.check_environment(target)
    order = overlay.ENVIRONMENTS
    if (source, target) not in zip(order, order[1:]):
        raise GitOpsError(
            f"cannot promote {source} -> {target}; "
            f"builds are promoted {' -> '.join(order)}, one environment at a time"
        )


def plan(repository: Repository, source: str, target: str, options: Options) -> Promotion | None:
    """The promotion, as the branches are now, or None if it would deploy nothing new."""
    commit = repository.tip(overlay.branch(source))
    tip = repository.tip(overlay.branch(target))
    if not repository.differences(tip, commit, *DEPLOYED):
        return None
    check_changes_by_hand(repository, target, commit)
    check_age(repository, source, target)
    notes, since = [], None
    if back := taken_back_at(repository, target, commit):
        if not options.again:
            raise GitOpsError(
                f"{target} ran this before, and it was taken back on {date(back)} UTC; "
                "AGAIN=1 deploys it again"
            )
        notes.append(f"deployed again: it was taken back on {date(back)} UTC")
    tag = image.tag_in(repository.read(commit, image.PATH))
    if options.tag not in (None, tag):
        raise GitOpsError(f"{source} has {tag} by now, and not {options.tag}: try again")
    if options.ecr:
        # Only this check needs an installed package (boto3). `make bump` runs without any.
        from gitops.registry import check_image

        check_image(options.ecr, tag)
    if options.verified:
        since = healthy_since(repository, source, tag, commit)
    else:
        notes.append(f"not verified: whether {source} is healthy was not checked")
    changes = describe(repository, target, tip, commit)
    return Promotion(source, target, tip, commit, changes, notes, since)


def check_changes_by_hand(repository: Repository, target: str, commit: str) -> None:
    """Raise GitOpsError if the promotion of this commit takes away what was changed by hand.

    A tree that no environment before the target ever had was made on the target's own branch.
    """
    branch = overlay.branch(target)
    earlier = overlay.ENVIRONMENTS[: overlay.ENVIRONMENTS.index(target)]
    tips = [repository.tip(overlay.branch(name)) for name in earlier]
    known = {other.tree for tip in tips for other in repository.first_parents(tip)}
    own = repository.first_parents(repository.tip(branch))
    if own[0].tree in known:
        return
    base = next((other.sha for other in own if other.tree in known), commit)
    changed = repository.changed_files(base, own[0].sha)
    if lost := repository.differences(own[0].sha, commit, *changed):
        files = "\n".join(f"  {line}" for line in lost)
        raise GitOpsError(
            f"{branch} was changed by hand, and the promotion would take these changes away; "
            f"commit them to {overlay.MAIN} first, or revert them on {branch}:\n{files}"
        )


def check_age(repository: Repository, source: str, target: str) -> None:
    """Raise GitOpsError if the source's build is older than the target's."""
    new, old = (
        image.tag_in(repository.read(repository.tip(overlay.branch(name)), image.PATH))
        for name in (source, target)
    )
    if not repository.has_commit(new):
        raise GitOpsError(f"{source}'s build {new} is not a commit in this clone")
    if repository.has_commit(old) and not repository.is_ancestor(old, new):
        raise GitOpsError(
            f"{target}'s build {old} is newer than {source}'s build {new}; "
            f"make rollback ENV={target} goes back"
        )


def taken_back_at(repository: Repository, target: str, commit: str) -> datetime | None:
    """When the target went back to an earlier build than that of this commit, or manifests."""
    deployments = history(repository, target)
    new = deployment_of(repository, commit)
    tags = [deployment.tag for deployment in deployments]
    states = [deployment.state for deployment in deployments]
    index = taken_back(tags, new.tag)
    if index is None:
        index = taken_back(states, new.state)
    return None if index is None else deployments[index].time


def healthy_since(repository: Repository, source: str, tag: str, commit: str) -> datetime:
    """Since when Argo CD has reported that the source is healthy with the commit's manifests.

    Raises GitOpsError if it is not, or if GitHub can't be asked.
    """
    try:
        reports = statuses(repository, source, tag)
    except GitOpsError as error:
        raise GitOpsError(f"{error}\n{UNVERIFIED}") from None
    if not reports:
        raise GitOpsError(
            f"{source} has not deployed {tag[:12]} yet: this commit has no status "
            f"{context(source)} on GitHub\n{UNVERIFIED}"
        )

    # Argo CD syncs an Application only if its own manifests change, so only these are compared.
    rendered = ("apps/game-api/base", f"apps/game-api/overlays/{source}")

    def is_good(status: Status) -> bool:
        revision = status.revision
        return (
            status.state == "success"
            and revision is not None
            and repository.has_commit(revision)
            and not repository.differences(revision, commit, *rendered)
        )

    newest = reports[0]
    deployments = history(repository, source)
    earlier = [deployment.tag for deployment in deployments[:-1]]
    if tag in earlier and newest.time < deployments[-1].time:
        raise GitOpsError(
            f"{source} went back to {tag[:12]}, and Argo CD has not reported it since then"
        )
    if newest.state != "success":
        raise GitOpsError(f"{source} is not healthy ({newest.state}): {newest.description}")
    if not is_good(newest):
        raise GitOpsError(f"{source} has not deployed {commit} yet: {newest.description}")
    return [*takewhile(is_good, reports)][-1].time
