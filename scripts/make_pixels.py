"""Write `srbench/datasets/pixels.tsv` from a data root that holds the sets: python scripts/make_pixels.py ROOT

Sets are read from `ROOT/NAME/HR`, and training sets also from `ROOT/train/NAME` or `ROOT/train_NAME`. A set that is not
there keeps its lines. A second run over the same data writes the same bytes.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from srbench.datasets.standard.pixels import Known, describe, published, to_table
from srbench.datasets.standard.table import STANDARD_SETS
from srbench.images.files import list_images, read_image

TABLE = Path(__file__).parents[1] / "srbench/datasets/pixels.tsv"
NOTE = "Written by scripts/make_pixels.py; see srbench/datasets/standard/pixels.py. '=' repeats the digest to its left."


def known_images(root: Path) -> list[Known]:
    """The lines of every set with fixed pixels, in the order of sets.toml, ids sorted."""
    return [known for row in STANDARD_SETS.values() if not row.first_use for known in of_set(root, row.name)]


def of_set(root: Path, name: str) -> list[Known]:
    """The lines of one set; those that are committed where the set is not here."""
    places = [place for place in (root / name / "HR", root / "train" / name, root / f"train_{name}") if place.is_dir()]
    if not places:
        return list(published().sets[name].values())
    with ThreadPoolExecutor() as pool:
        files = list_images(places[0]).items()
        return list(pool.map(lambda item: describe(name, item[0], read_image(item[1])), files))


if __name__ == "__main__":
    TABLE.write_text(to_table(known_images(Path(sys.argv[1])), NOTE), encoding="utf-8")
