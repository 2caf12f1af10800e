"""Trainings that are killed at random moments: what is lost is little, and what comes of them is the same.

In a process of its own, which forks a child for each attempt: so nothing has to be imported twenty times over.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from reference_models.weights import read_weights

SCRIPT = """
import os, random, signal, sys, time
from dataclasses import replace
from pathlib import Path
import torch
import reference_models.session as session
from reference_models.fit import fit
from reference_models.fit_gan import fit_gan
from reference_models.recipes import RECIPES
from reference_models.train import make_fabric
from reference_models.validation import Validation
from reference_models.watch import Watch
from tests.reference_models.conftest import pool_for, tiny
from tests.reference_models.test_fit import Bystander

torch.set_num_threads(1)
session.SAVE_EVERY = 0.3  # where a user's is three minutes
name, pictures, home = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
recipe = tiny(RECIPES[name], steps=150, validate_every=60, ema=0.9)
gan = name.startswith("srgan")
if gan:
    import reference_models.perceptual as module
    module.PerceptualLoss = Bystander
loop = fit_gan if gan else fit

class FirstStep(Watch):
    def step(self, clock, losses, rate):
        started.touch()

def train(out):
    fabric = make_fabric(torch.device("cpu"), 1, "32-true")
    torch.manual_seed(0)
    resume = (out / "last.ckpt").is_file()
    loop(recipe, pool_for(recipe, pictures), Validation(), out, fabric, FirstStep(), resume=resume)

started = home / "started"
moments = random.Random(1)

def over(child):
    found, status = os.waitpid(child, os.WNOHANG)
    if status:
        sys.exit("a training failed")  # before its first step, it would be waited for
    return found == child

def attempts(out, kills):
    done, killed = False, 0
    while not done:
        started.unlink(missing_ok=True)
        child = os.fork()
        if child == 0:
            train(out)
            os._exit(0)
        while not started.exists() and not (done := over(child)):
            time.sleep(0.01)
        until = time.time() + (moments.uniform(0.0, 1.5) if killed < kills else 1e9)
        while not done and time.time() < until:
            done = over(child)
            time.sleep(0.01)
        if not done:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            killed += 1
    return killed

print(attempts(home / "whole", 0), attempts(home / "killed", 20))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="forks")
@pytest.mark.parametrize("name", ["srresnet-quick", "srgan-quick"])
def test_twenty_kills_change_no_weight(name: str, pictures: Path, tmp_path: Path) -> None:
    line = [sys.executable, "-c", SCRIPT, name, str(pictures), str(tmp_path)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=3000)
    assert done.returncode == 0, done.stderr
    whole, killed = map(int, done.stdout.split()[-2:])
    assert whole == 0
    assert killed >= 5  # of a busy machine the later ones come when all is done
    for file in ("best.safetensors", "last.safetensors"):
        undisturbed, parts = (read_weights(tmp_path / out / file).tensors for out in ("whole", "killed"))
        assert all(torch.equal(undisturbed[tensor], parts[tensor]) for tensor in undisturbed)
