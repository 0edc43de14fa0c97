"""The indexes that the models declare."""

from collections.abc import Sequence

from odmantic import Model
from odmantic.index import ODMBaseIndex

from game_api.database.client import Database


async def create_indexes(database: Database, models: Sequence[type[Model]]) -> list[str]:
    """Create the indexes of these models; existing ones are left unchanged.

    Returns their names as `collection.index`.
    """
    created = []
    for model in models:
        indexes = [
            index.get_pymongo_index() if isinstance(index, ODMBaseIndex) else index
            for index in model.__indexes__()
        ]
        names = await database[+model].create_indexes(indexes)
        created += [f"{+model}.{name}" for name in names]
    return created
