"""Several processes, as torchrun starts them, train to the losses of one."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from .test_loop import RUN, tokens, trained  # noqa: F401  (tokens is a fixture)

TRAINER = """
import json, sys
import numpy as np
sys.path.insert(0, sys.argv[2])
from training import test_loop
from scalelaws.training import loop, processes
folder = loop.Path(sys.argv[1])
parts = np.load(folder / "parts.npz")
tokens = {tuple(name.split(".")): test_loop.token_file(ids) for name, ids in parts.items()}
run = test_loop.replace(test_loop.RUN, precision="float32")
state = test_loop.trained(run, tokens, folder / f"run{processes.count()}")
(folder / f"losses{processes.rank()}.json").write_text(json.dumps(state.losses))
processes.leave()
"""


def test_several_processes_give_the_losses_of_one(tokens, tmp_path):  # noqa: F811
    count = 2
    np.savez(tmp_path / "parts.npz", **{".".join(key): file.ids for key, file in tokens.items()})
    script = tmp_path / "trainer.py"
    script.write_text(TRAINER)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}", str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, str(tmp_path), str(Path(__file__).parents[1])],
        env=environment, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    alone = trained(replace(RUN, precision="float32"), tokens, tmp_path / "alone").losses
    each = [json.loads((tmp_path / f"losses{rank}.json").read_text()) for rank in range(count)]
    assert all(losses == each[0] for losses in each)
    assert [row["loss"] for row in each[0]] == pytest.approx([row["loss"] for row in alone], rel=1e-4)
