"""`python -m srbench`, which is what `torchrun -m srbench` starts."""

from __future__ import annotations

import sys

from srbench.cli import main

sys.exit(main())
