"""`samples`: photographs that scikit-image brings along, so that a first run needs neither data nor network.

Terms, as scikit-image states them: astronaut (NASA, public domain), chelsea (Stefan van der Walt, CC0), coffee (Rachel
Michetti, CC0), rocket (SpaceX, public domain), ihc (CMMI, no known copyright restrictions), motorcycle (Scharstein et
al., Middlebury Stereo 2014, no terms stated).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from srbench.base.errors import UnavailableError, UsageError
from srbench.datasets.folder import FileDataset
from srbench.images.degrade import is_given

FILE_NAMES = {
    "astronaut": "astronaut.png",
    "chelsea": "chelsea.png",
    "coffee": "coffee.png",
    "ihc": "ihc.png",
    "motorcycle": "motorcycle_left.png",
    "rocket": "rocket.jpg",
}


def open_samples(scale: int, degradation: str) -> FileDataset:
    """Six photographs, 1.5 megapixels together; raises `UnavailableError` where scikit-image lacks one."""
    if is_given(degradation):
        raise UsageError("samples come without LR files; use --degradation matlab")
    return FileDataset("samples", files(), scale, degradation)


def files() -> dict[str, Path]:
    """The photographs' files by id; raises `UnavailableError` where scikit-image lacks one."""
    spec = find_spec("skimage")
    home = Path(spec.submodule_search_locations[0], "data") if spec and spec.submodule_search_locations else Path()
    found = {id: home / name for id, name in FILE_NAMES.items()}
    if missing := [path.name for path in found.values() if not path.is_file()]:
        remedy = "pip install --force-reinstall scikit-image"
        raise UnavailableError(f"scikit-image is installed without {missing[0]}: {remedy}")
    return found
