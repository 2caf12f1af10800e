"""srbench measures image super-resolution: how good, how fast, at what cost, and how sure we are.

Every number says how it was made, and can be made again by one command.
"""

from __future__ import annotations

__version__ = "0.1.0"
