"""Lists that show themselves as a table, at a prompt and in a notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import pandas as pd

Item = TypeVar("Item")


class Shown(list[Item], Generic[Item]):
    """A list of rows; `columns` maps each heading to what a row shows under it."""

    def __init__(self, items: Iterable[Item], columns: Mapping[str, Callable[[Item], object]]) -> None:
        super().__init__(items)
        self._columns = columns

    def frame(self) -> pd.DataFrame:
        """The table as pandas has it: every cell as it is shown."""
        import pandas as pd

        rows = [[show(item) for show in self._columns.values()] for item in self]
        return pd.DataFrame(rows, columns=list(self._columns))

    def __repr__(self) -> str:
        return self.frame().to_string(index=False) if self else "nothing to compare"

    def _repr_html_(self) -> str:
        return str(self.frame().to_html(index=False)) if self else "<p>nothing to compare</p>"
