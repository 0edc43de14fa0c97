"""Models as documents, and the reverse, by Pydantic's serialiser and validator.

ODMantic's `model_dump_doc` and `model_validate_doc` have the same results for the models of this
service, which refer to no other documents. They visit each field in Python, which takes more than
twice as long.
"""

from functools import cache
from typing import TypeVar

from odmantic import Model

from game_api.database.client import Document

AnyModel = TypeVar("AnyModel", bound=Model)


@cache
def _renamed(kind: type[Model]) -> tuple[tuple[str, str], ...]:
    """The names of the fields that are stored under other names, and these names."""
    keys = ((name, +getattr(kind, name)) for name in kind.model_fields)
    return tuple((name, key) for name, key in keys if name != key)


def document_of(model: Model) -> Document:
    """The document that holds this model."""
    document = model.model_dump()
    for name, key in _renamed(type(model)):
        document[key] = document.pop(name)
    return document


def model_of(kind: type[AnyModel], document: Document) -> AnyModel:
    """The model in this document, which is validated. Raises pydantic.ValidationError."""
    fields = document.copy()
    for name, key in _renamed(kind):
        if key in fields:
            fields[name] = fields.pop(key)
    return kind.model_validate(fields)
