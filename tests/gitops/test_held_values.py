"""Every value in the table `held_values` is held: the rule reports its removal and its change."""

from copy import deepcopy
from typing import Any

import pytest

from tests.gitops.held_values import HELD, Documents, Held, keys_of, matching, value_at, violations
from tests.gitops.tree import Tree


@pytest.fixture(scope="module")
def documents() -> Documents:
    return dict(Tree().all_manifests())


def identity(held: Held) -> str:
    return f"{held.where}-{held.manifest}-{keys_of(held.path)[-1]}"


@pytest.mark.parametrize("held", HELD, ids=identity)
def test_a_removed_value_and_a_changed_one_are_reported(documents: Documents, held: Held) -> None:
    *parents, key = keys_of(held.path)
    for where in held.where.split():
        for number, manifest in enumerate(matching(held, documents[where])):
            value = value_at(manifest, [*parents, key])
            for replacement in ([], [changed(value)]):
                mutated = deepcopy(documents[where])
                parent = value_at(list(matching(held, mutated))[number], parents)
                parent.pop(key)
                parent.update({key: item for item in replacement})
                found = list(violations(held, {**documents, where: mutated}))
                assert len(found) == 1 and f"{where}: {manifest['kind']}" in found[0]


def test_a_manifest_that_is_gone_is_reported(documents: Documents) -> None:
    for held in HELD:
        for where in held.where.split():
            gone = list(matching(held, documents[where]))
            rest = [manifest for manifest in documents[where] if manifest not in gone]
            assert f"{where}: there is no {held.manifest}" in violations(
                held, {**documents, where: rest}
            )


def changed(value: Any) -> Any:
    """Another value of the same type, as a careless edit would leave it."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 100
    if isinstance(value, str):
        return f"{value}0"
    return [*value, "more"] if isinstance(value, list) else {**value, "more": "more"}
