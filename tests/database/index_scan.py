"""What the scan of an index reads, by the rules that the databases document.

The embedded database always reads every document that the condition on one field leaves over, so
what another database reads can't be measured with it. This computes it from the definition of the
index and the documents.
"""

from collections.abc import Collection, Sequence
from itertools import takewhile

from game_api.database.client import Document

Key = Sequence[tuple[str, int]]
"""The fields of an index with their directions."""


def examined(
    key: Key, query: Document, documents: Sequence[Document], matching: Collection[str], limit: int
) -> int:
    """The number of documents that a list of at most `limit` documents reads through an index.

    The conditions on the first fields narrow the scan while they name one value each. If `_id`,
    descending, is the next field, the documents come in the order of the list, and the scan ends
    with the page. Otherwise an `$in` on the next field narrows it further, and all documents that
    are left are read, to be sorted. `matching` has the ids that meet the whole query.
    """
    prefix = list(takewhile(lambda field: is_value(query, field), [field for field, _ in key]))
    narrowed = [d for d in documents if all(d.get(field) == query[field] for field in prefix)]
    following = list(key[len(prefix) :])
    if following[:1] != [("_id", -1)]:
        for field, _ in following[:1]:
            values = query.get(field, {}).get("$in")
            narrowed = [d for d in narrowed if values is None or d.get(field) in values]
        return len(narrowed)
    page: list[str] = []
    for number, document in enumerate(sorted(narrowed, key=by_id, reverse=True), start=1):
        page += [document["_id"]] if document["_id"] in matching else []
        if len(page) == limit:
            return number
    return len(narrowed)


def is_value(query: Document, field: str) -> bool:
    """Whether the condition on the field is equality with one value."""
    return field in query and not isinstance(query[field], dict)


def by_id(document: Document) -> str:
    return str(document["_id"])
