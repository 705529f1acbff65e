"""What an INSERT does with rows that are there already, said once for both dialects."""

from typing import Literal, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

Known = Literal["refused", "left", "replaced"]
AnyInsert = TypeVar("AnyInsert", sqlite.Insert, postgresql.Insert)


def settle_known(insert: AnyInsert, table: sa.Table, known: Known) -> AnyInsert:
    """Return the INSERT with what it does with rows whose keys are there."""
    if known == "left":
        return insert.on_conflict_do_nothing()
    if known == "replaced":
        keys = [column.name for column in table.primary_key]
        changes = {
            column.name: insert.excluded[column.name]
            for column in table.columns
            if column.name not in keys
        }
        return insert.on_conflict_do_update(index_elements=keys, set_=changes)
    return insert
