"""`srbench run`: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from srbench.cli.listing import tell
from srbench.cli.options import (
    FOLDER,
    MODELS,
    data_root_option,
    degradation_option,
    device_option,
    model_options,
    named_models,
    precision_option,
    srbench_command,
    tell_damaged,
    threads_option,
)
from srbench.cli.values import CommaList, Names, complete, scale

if TYPE_CHECKING:
    from srbench.benchmark.distributed import Ranks
    from srbench.benchmark.plan import Plan, Request

BACKEND = "How networks run: eager, channels-last, compile, cuda-graphs, onnx[:PROVIDER], openvino."
BATCH = "Images in a row that are of one size and go through the model together; moves SR by rounding."
WORKERS = "Threads that read, score and save beside the model.  [default: two beside a GPU, else idle processors]"
SCALES = CommaList(scale, "2,4,…")
NO_SETS = "the test sets found, else samples"


@srbench_command(
    help="Score models on data sets, time them, and print the table.\n\n"
    "Scores already in OUT are kept: a run that was stopped goes on where it was.",
    kept="what was computed is kept; the same command goes on from there",
)
@click.argument("refs", metavar="[MODEL]...", nargs=-1, type=MODELS)
@click.option("--models", type=MODELS, help="all, names, files, module:factory, A+B.  [default: all]")
@model_options
@click.option(
    "--datasets",
    type=Names("datasets", "all"),
    default=(),
    help=f"samples, all, names or folders.  [default: {NO_SETS}]",
)
@click.option(
    "--scale", "scales", type=SCALES, default="4", show_default=True, help="2, 3, 4 or 8, with commas or spaces."
)
@click.option(
    "--metrics", type=Names("metrics"), default="psnr_y,ssim_y,lpips", show_default=True, help="NAME[@CONVENTION]."
)
@degradation_option
@device_option
@threads_option
@click.option("--backend", default="eager", show_default=True, shell_complete=complete("backends"), help=BACKEND)
@precision_option
@click.option("--tile", default="auto", show_default=True, help="auto (when out of memory), none, or LR pixels.")
@click.option("--self-ensemble", is_flag=True, help="Average over the eight flips and quarter turns.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first N images of each set.")
@click.option("--seed", type=int, default=0, show_default=True, help="For models that draw random numbers.")
@click.option("--force", is_flag=True, help="Do again what is already there.")
@click.option("--save-images/--no-save-images", help="Keep SR images as PNG, so that they can be scored again.")
@click.option("--speed/--no-speed", default=True, show_default=True, help="Time each model after scoring it.")
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True, help=BATCH)
@click.option("--workers", type=click.IntRange(min=0), help=WORKERS)
@click.option("--unverified", is_flag=True, help="Score a standard set that does not verify; the signature says so.")
@click.option("--out", type=FOLDER, default=Path("results"), show_default=True)
@data_root_option
def command(refs: tuple[tuple[str, ...], ...], models: tuple[str, ...] | None, **options: Any) -> int:
    from srbench.benchmark.distributed import ElsewhereError, joined
    from srbench.benchmark.plan import Request
    from srbench.metrics import usual_name

    options["models"] = named_models(refs, models)
    options["metrics"] = tuple(dict.fromkeys(map(usual_name, options["metrics"])))
    with joined() as ranks:
        request = Request(**{**options, "device": ranks.device(options["device"])})
        try:
            return _run(request, ranks)
        except ElsewhereError as error:
            if ranks.first:
                raise
            return error.exit_status


def _run(request: Request, ranks: Ranks) -> int:
    """The run of one process. Whether it went well is told by rank 0: a launcher stops all when one says it did not."""
    from srbench.benchmark.distributed import run_together, share_of_rank
    from srbench.benchmark.plan import plan
    from srbench.benchmark.progress import Progress, RunProgress, print_results

    progress = RunProgress() if ranks.first else Progress()
    planned = ranks.together(lambda: plan(request))
    mine = share_of_rank(planned, ranks)
    progress.begin(mine.jobs)
    try:
        if ranks.size > 1:
            progress.note(f"{ranks.size} processes share out the images; what follows is the share of rank 0")
        if not request.datasets:
            progress.note(chosen_sets(planned))
        for name, reason in planned.skipped.items():
            progress.note(f"{name}: left out: {reason}")
        for job in {job.spec.name: job for job in planned.jobs if job.spec.remark}.values():
            progress.note(f"{job.spec.name}: {job.spec.remark}")
        results = run_together(planned, mine, progress, ranks)
    finally:
        progress.close()
    if results is None:
        return 0
    results = results.only(job.identity for job in planned.jobs)
    print_results(results, request.metrics)
    tell_damaged(results)
    more = f", or srbench figure {request.out} --image NAME" if request.save_images else ""
    next_step = f"srbench report {request.out} --format html,tex{more}"
    tell(f"Results: {request.out.absolute()}. Next: {next_step}", err=True)  # where tables can be piped past it
    named_but_missing = planned.without_jobs and "all" not in request.models
    return int(bool(named_but_missing) or planned.damaged or any(run.error or run.failures for run in results.runs))


def chosen_sets(planned: Plan) -> str:
    """Which data sets were taken where none were asked for, and why."""
    from srbench.datasets import SAMPLES, data_root

    names = list(dict.fromkeys(job.identity.dataset for job in planned.jobs))
    root = data_root(planned.request.data_root)
    why = f"no standard test set is under {root}" if names == [SAMPLES] else f"found under {root}"
    return f"data sets: {', '.join(names)} ({why}; see srbench data list)"
