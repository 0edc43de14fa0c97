"""Filters, updates and projections of one document, as MongoDB evaluates them.

Only what the stores use is implemented. Everything else raises NotImplementedError, so that a model
that is too small is noticed.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import bson

Document = dict[str, Any]


def values_at(document: Any, path: str) -> Iterator[Any]:
    """The values that a dotted path reaches. Arrays on the way are traversed."""
    name, _, rest = path.partition(".")
    if not isinstance(document, dict) or name not in document:
        return
    value = document[name]
    if not rest:
        yield value
        return
    for inner in value if isinstance(value, list) else [value]:
        yield from values_at(inner, rest)


def matches(document: Document, query: Mapping[str, Any]) -> bool:
    """Whether a document matches a filter."""
    if any(path.startswith("$") for path in query):
        raise NotImplementedError(f"the filter {query}")
    return all(
        _matches_field(list(values_at(document, path)), condition)
        for path, condition in query.items()
    )


def _matches_field(values: Sequence[Any], condition: Any) -> bool:
    if isinstance(condition, dict) and any(name.startswith("$") for name in condition):
        return all(_matches_operator(values, name, given) for name, given in condition.items())
    return _has_equal(values, condition)


def _matches_operator(values: Sequence[Any], operator: str, given: Any) -> bool:
    match operator:
        case "$eq":
            return _has_equal(values, given)
        case "$ne":
            return not _has_equal(values, given)
        case "$in":
            return any(_has_equal(values, item) for item in given)
        case "$nin":
            return not any(_has_equal(values, item) for item in given)
        case "$exists":
            return bool(values) == bool(given)
        case "$gt" | "$gte" | "$lt" | "$lte":
            return any(_compares(value, operator, given) for value in _with_elements(values))
    raise NotImplementedError(f"the operator {operator} of a filter")


def _with_elements(values: Sequence[Any]) -> Iterator[Any]:
    """The values, and the elements of those that are arrays."""
    for value in values:
        yield value
        if isinstance(value, list):
            yield from value


def _has_equal(values: Sequence[Any], wanted: Any) -> bool:
    if wanted is None and not values:
        return True  # A filter for null also matches a field that is missing.
    return any(_equal(value, wanted) for value in _with_elements(values))


def _equal(one: Any, other: Any) -> bool:
    if _kind(one) != _kind(other):
        return False
    if isinstance(one, dict | list):  # The order of the fields matters.
        return bson.encode({"": one}) == bson.encode({"": other})
    return bool(one == other)


def _compares(value: Any, operator: str, given: Any) -> bool:
    """Values of different types are never in order."""
    if _kind(value) != _kind(given):
        return False
    if _kind(given) not in ("number", "str", "datetime"):
        raise NotImplementedError(f"the comparison with {given!r}")
    return bool(
        operator == "$gt"
        and value > given
        or operator == "$gte"
        and value >= given
        or operator == "$lt"
        and value < given
        or operator == "$lte"
        and value <= given
    )


def _kind(value: Any) -> str:
    """The type by which MongoDB compares: all numbers are of one type, and no bool is a number."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number"
    if value is None or isinstance(value, bool | str | datetime | dict | list):
        return type(value).__name__
    raise NotImplementedError(f"values of the type {type(value).__name__}")


def updated(document: Document, update: Mapping[str, Any], inserted: bool = False) -> Document:
    """The document after an update; `inserted` if an upsert has just made it."""
    for operator, fields in update.items():
        for path, operand in fields.items():
            match operator:
                case "$set":
                    document = _replaced(document, path, operand)
                case "$setOnInsert":
                    if inserted:
                        document = _replaced(document, path, operand)
                case "$inc":
                    old = next(values_at(document, path), 0)
                    document = _replaced(document, path, old + operand)
                case "$unset":
                    document = _removed(document, path)
                case _:
                    raise NotImplementedError(f"the operator {operator} of an update")
    return document


def _replaced(document: Document, path: str, value: Any) -> Document:
    name, _, rest = path.partition(".")
    if rest:
        inner = document.get(name, {})
        if not isinstance(inner, dict):
            raise NotImplementedError("an update of elements of arrays")
        value = _replaced(inner, rest, value)
    return {**document, name: value}


def _removed(document: Document, path: str) -> Document:
    name, _, rest = path.partition(".")
    if name not in document:
        return document
    if not rest:
        return {key: value for key, value in document.items() if key != name}
    if not isinstance(document[name], dict):
        raise NotImplementedError("an update of elements of arrays")
    return {**document, name: _removed(document[name], rest)}


def upserted(query: Mapping[str, Any], update: Mapping[str, Any]) -> Document:
    """The document that an upsert inserts: what the filter says is equal, then the update."""
    document: Document = {}
    for path, condition in query.items():
        if not isinstance(condition, dict):
            document = _replaced(document, path, condition)
        elif "$eq" in condition or "$in" in condition:
            raise NotImplementedError("an upsert with an operator for equality")
    return updated(document, update, inserted=True)


def projected(document: Document, projection: Mapping[str, Any] | None) -> Document:
    """The `_id` and the fields that a projection includes."""
    if projection is None:
        return document
    if not all(projection.values()):
        raise NotImplementedError("a projection that excludes fields")
    tree: dict[str, Any] = {"_id": {}}
    for path in projection:
        branch = tree
        for name in path.split("."):
            branch = branch.setdefault(name, {})
    return _picked(document, tree)


def _picked(document: Document, tree: Mapping[str, Any]) -> Document:
    picked: Document = {}
    for name, value in document.items():  # In the order of the document.
        branch = tree.get(name)
        if branch == {}:
            picked[name] = value
        elif branch and isinstance(value, dict):
            picked[name] = _picked(value, branch)
        elif branch and isinstance(value, list):
            picked[name] = [_picked(item, branch) for item in value if isinstance(item, dict)]
    return picked
