"""Timings as rows of text, for Markdown, LaTeX and the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from srbench.benchmark.speed.steadiness import marked

if TYPE_CHECKING:
    from srbench.results.records import SpeedRow
    from srbench.results.results import Results

HEADINGS = (
    "model", "scale", "device", "threads", "input", "batch", "repeats", "p50 ms", "p95 ms", "output MP/s", "peak MiB",
    "GMACs", "params",
)  # fmt: skip


def speed_table(results: Results) -> tuple[list[str], list[list[str]]]:
    """Headings, and a row of text a timing; what was not measured is a dash.

    Without the threads where no timing tells them, as those of earlier versions.
    """
    order = list(dict.fromkeys((*results.models, *(row.model for row in results.speeds))))

    def place(row: SpeedRow) -> tuple[object, ...]:
        return row.scale, row.device, row.width * row.height, row.batch, order.index(row.model)

    rows = [_row(row) for row in sorted(results.speeds, key=place)]
    hidden = None if any(row.threads for row in results.speeds) else HEADINGS.index("threads")
    shown = [index for index in range(len(HEADINGS)) if index != hidden]
    return [HEADINGS[index] for index in shown], [[row[index] for index in shown] for row in rows]


def _row(row: SpeedRow) -> list[str]:
    return [
        row.model,
        f"×{row.scale}",
        device(row),
        str(row.threads or "–"),
        f"{row.width}×{row.height}",
        str(row.batch),
        str(row.repeats or "–"),
        marked(row),
        "–" if row.p95_ms is None else f"{row.p95_ms:.2f}",
        f"{row.output_mp_per_s:.2f}",
        "–" if row.peak_memory_mib is None else f"{row.peak_memory_mib:.0f}",
        "–" if row.gmacs is None else f"{'≥' if row.uncounted else ''}{row.gmacs:.2f}",
        f"{row.params:,}",
    ]


def device(row: SpeedRow) -> str:
    """`cuda bf16 compile (NVIDIA H100)`, `cpu (AMD EPYC)`; what is usual (fp32, eager) is left out."""
    how = " ".join([row.device, *(word for word in (row.precision, row.backend) if word not in ("fp32", "eager"))])
    return f"{how} ({row.processor})" if row.processor else how
