"""srbench measures image super-resolution: how good, how fast, at what cost, and how sure we are.

Every number says how it was made, and can be made again by one command.

    from srbench import measure
    measure(sr, hr, metrics=("psnr_y", "ssim_y"), scale=4)   # {"psnr_y": 28.42, "ssim_y": 0.8104}
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from srbench.analysis.compare import compare, rank
    from srbench.base.assets import Asset
    from srbench.base.errors import SrbenchError
    from srbench.benchmark.evaluate import evaluate
    from srbench.datasets.sample import Dataset, Sample
    from srbench.images.degrade import degrade
    from srbench.images.files import read_image, write_image
    from srbench.metrics.metric import Metric
    from srbench.metrics.scorer import measure
    from srbench.models import list_models, load_model
    from srbench.models.spec import Backend, ModelSpec
    from srbench.results.results import Results
    from srbench.results.store import load_results

__version__ = "0.1.0"

__all__ = [
    "Asset",
    "Backend",
    "Dataset",
    "Metric",
    "ModelSpec",
    "Results",
    "Sample",
    "SrbenchError",
    "compare",
    "degrade",
    "evaluate",
    "list_models",
    "load_model",
    "load_results",
    "measure",
    "rank",
    "read_image",
    "write_image",
]

_HOME = {
    "Asset": "base.assets",
    "Backend": "models.spec",
    "Dataset": "datasets.sample",
    "Metric": "metrics.metric",
    "ModelSpec": "models.spec",
    "Results": "results.results",
    "Sample": "datasets.sample",
    "SrbenchError": "base.errors",
    "compare": "analysis.compare",
    "degrade": "images.degrade",
    "evaluate": "benchmark.evaluate",
    "list_models": "models",
    "load_model": "models",
    "load_results": "results.store",
    "measure": "metrics.scorer",
    "rank": "analysis.compare",
    "read_image": "images.files",
    "write_image": "images.files",
}


def __getattr__(name: str) -> Any:
    """Import a public function when it is first used, so that `import srbench` costs nothing."""
    if name not in _HOME:
        raise AttributeError(f"module 'srbench' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"srbench.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
