"""Training speed: the engine against the plain loop (plain_loop.py), the same model on the same batches.

    python benchmarks/training.py                 all sixteen cases: half an hour on an idle core
    python benchmarks/training.py --quick         four of them, with one round each: two minutes
    python benchmarks/training.py --device cuda   on one GPU, at most eight minutes

On a CPU every loop has one thread and a process of its own, and they take turns, so that what else the machine does
falls on all of them. Speeds are in tokens per CPU second, the median of the rounds. Utilization is the engine's, of the
largest matrix product that the machine was seen to make in this run.
"""

import argparse
import gc
import itertools
import math
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing import Queue
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier

import numpy as np
import torch
from plain_loop import PlainLoop
from scalelaws.models.shapes import shape_of
from scalelaws.training.engine import Engine
from scalelaws.training.memory import keep_freed_memory
from scalelaws.training.run import Run
from scalelaws.training.speed import PRECISIONS, native_precision
from scalelaws.training.state import initial_state

SIZES = (5e4, 2e5, 8e5, 3e6)
VOCABULARIES = (4096, 50_257)
CONTEXTS = (128, 256)
QUICK = ((5e4, 4096, 128), (3e6, 4096, 256), (5e4, 50_257, 256), (8e5, 50_257, 128))
BATCH_TOKENS = 2048
LOOPS = ("plain", "tuned", "engine")
"""The plain loop in float32; the same compiled, with fused AdamW and bfloat16 where the hardware has it; ours."""
ROUNDS, ROUND_SECONDS = 5, 1.0
STEPS_COMPARED = 4
GPU_CASES = (
    (1e5, 8192), (1e5, 32_768), (1e6, 8192), (1e6, 32_768),
    (1e7, 32_768), (3e7, 32_768), (1e8, 131_072), (4e8, 131_072),
)  # fmt: skip
"""Sizes and batches in tokens."""
GPU_STEPS, GPU_SECONDS, GPU_LIMIT = 12, 2.0, 300.0
"""Updates before the timed ones, in which loops compile; a case starts within the limit, and takes at most two minutes
with its compiling."""
MEMBERS, MEMBERS_CASE, MEMBERS_SECONDS = 6, (1e5, 8192), 60
"""Runs that share the GPU, each in a process of its own, at once where NVIDIA's multi-process service was started
(`nvidia-cuda-mps-control -d`) and else by turns; what each waits for the others at most."""


def benchmark_run(parameters: float, vocabulary: int, context: int, batch_tokens: int, device: str) -> Run:
    """A run of about this size, long enough that the engine compiles."""
    shape = shape_of(parameters, context, vocabulary)
    precision = native_precision("auto", torch.device(device))
    return Run(
        run=shape.name, family="transformer", parameters=shape.parameters,
        embedding_parameters=shape.embedding_parameters, n_layer=shape.n_layer, d_model=shape.d_model,
        n_head=shape.n_head, context=context, vocabulary=vocabulary, positions="learned", dataset_tokens=10**6, seed=0,
        batch_tokens=batch_tokens, steps=10**6, learning_rate=1e-3, schedule="constant", warmup_steps=10, averaging=0.0,
        dropout=0.0, weight_decay=0.1, patience=0, evaluations=2, evaluation_tokens=1000, precision=precision,
    )  # fmt: skip


def token_ids(vocabulary: int, count: int) -> np.ndarray:
    """Ids as frequent as words are (Zipf), (count,) int64."""
    frequencies = 1 / np.arange(1, vocabulary + 1)
    return np.random.default_rng(0).choice(vocabulary, size=count, p=frequencies / frequencies.sum())


def make_loop(name: str, run: Run, device: str) -> PlainLoop | Engine:
    """A loop of LOOPS."""
    if name == "engine":
        keep_freed_memory()
        return Engine(run, initial_state(run.shape, run.seed).to(torch.device(device)), torch.device(device))
    tuned = name == "tuned"
    return PlainLoop(run, PRECISIONS[run.precision] if tuned else torch.float32, compiled=tuned, device=device)


def serve(name: str, run: Run, channel: Connection) -> None:
    """A process of one loop: for every number received, at least so many updates and CPU seconds' worth of them.

    Answers with the losses and the tokens per CPU second.
    """
    torch.set_num_threads(1)
    loop = make_loop(name, run, "cpu")
    ids = token_ids(run.vocabulary, 16 * run.batch_tokens + 1)
    step = 0
    while (fewest := channel.recv()) is not None:
        losses: list[float] = []
        started = time.process_time()
        while len(losses) < fewest or time.process_time() < started + ROUND_SECONDS:
            begin = step % 16 * run.batch_tokens
            chosen = ids[begin : begin + run.batch_tokens + 1]
            losses.append(loop.update(chosen[:-1].reshape(-1, run.context), chosen[1:].reshape(-1, run.context)))
            step += 1
        channel.send((losses, len(losses) * run.batch_tokens / (time.process_time() - started)))


def race(run: Run, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Tokens per CPU second of every loop, and how far the first losses of each are from the plain loop's."""
    spawn = multiprocessing.get_context("spawn")
    channels: dict[str, Connection] = {}
    for name in LOOPS:
        channels[name], theirs = spawn.Pipe()
        spawn.Process(target=serve, args=(name, run, theirs), daemon=True).start()
    losses, speeds = {}, {name: [] for name in LOOPS}
    for turn, (name, channel) in itertools.product(range(rounds + 1), channels.items()):
        channel.send(STEPS_COMPARED if turn == 0 else 1)
        seen, speed = channel.recv()
        if turn == 0:  # compiling falls here
            losses[name] = seen[:STEPS_COMPARED]
        else:
            speeds[name].append(speed)
    for channel in channels.values():
        channel.send(None)
    differences = {
        name: max(abs(a - b) for a, b in zip(own, losses["plain"], strict=True)) for name, own in losses.items()
    }
    return {name: statistics.median(measured) for name, measured in speeds.items()}, differences


def matrix_product_rate(precision: str) -> float:
    """FLOP per CPU second of a large product in the named precision on one thread, the best of ten."""
    torch.set_num_threads(1)
    factor = torch.ones((1024, 1024), dtype=PRECISIONS[precision])
    seconds = []
    for _ in range(10):
        started = time.process_time()
        factor @ factor
        seconds.append(time.process_time() - started)
    return 2 * 1024**3 / min(seconds)


def print_cpu_table(cases: list[tuple[float, int, int]], rounds: int) -> None:
    """Race every case, print a line for each, and the geometric means."""
    ratios: dict[str, list[float]] = {"plain": [], "tuned": []}
    peak = 0.0
    print(f"tokens per CPU second, one thread, batches of {BATCH_TOKENS:,} tokens; differences of loss in nats")
    print(
        "vocabulary context        N  layers     plain     tuned    engine  × plain  × tuned  utilization  difference"
    )
    for parameters, vocabulary, context in cases:
        run = benchmark_run(parameters, vocabulary, context, BATCH_TOKENS, "cpu")
        speeds, differences = race(run, rounds)
        peak = max(peak, matrix_product_rate(run.precision))
        for name, collected in ratios.items():
            collected.append(speeds["engine"] / speeds[name])
        print(
            f"{vocabulary:>10,} {context:>7} {run.parameters:>8.1e} {run.run:>7}"
            + "".join(f"{speeds[name]:>10,.0f}" for name in LOOPS)
            + f"{ratios['plain'][-1]:>9.1f}{ratios['tuned'][-1]:>9.1f}"
            + f"{3 * run.shape.forward_flops * speeds['engine'] / peak:>10.0%}{differences['engine']:>12.0e}",
            flush=True,
        )
    for name, collected in ratios.items():
        mean = math.exp(statistics.fmean(map(math.log, collected)))
        print(f"engine against {name}: {mean:.2f} times in the geometric mean, {min(collected):.2f} at least")


def gpu_speed(
    loop: PlainLoop | Engine, run: Run, ready: Callable[[], object] = lambda: None
) -> tuple[list[float], float]:
    """The first losses, and tokens per second of wall time once compiled, from when `ready` returns."""
    ids = token_ids(run.vocabulary, 16 * run.batch_tokens + 1)

    def batch(step: int) -> tuple[np.ndarray, np.ndarray]:
        begin = step % 16 * run.batch_tokens
        chosen = ids[begin : begin + run.batch_tokens + 1]
        return chosen[:-1].reshape(-1, run.context), chosen[1:].reshape(-1, run.context)

    losses = [loop.update(*batch(step)) for step in range(GPU_STEPS)]
    ready()
    done, started = 0, time.perf_counter()
    while time.perf_counter() < started + GPU_SECONDS:
        done += 1
        if isinstance(loop, PlainLoop):
            loop.update(*batch(done))
            continue
        loop.queue(*batch(done))
        while loop.has_room:
            done += 1
            loop.queue(*batch(done))
        loop.settle()
    return losses[:STEPS_COMPARED], done * run.batch_tokens / (time.perf_counter() - started)


def gpu_row(run: Run, device: str, peak: float) -> str:
    """The tuned loop against the engine on one run, or which of them the GPU has no memory for."""
    measured = {}
    for name in ("tuned", "engine"):
        try:
            measured[name] = gpu_speed(make_loop(name, run, device), run)
        except torch.OutOfMemoryError:
            return f"{run.parameters:>8.1e}{run.run:>10}  the GPU's memory is too small for {name}"
        gc.collect()  # an engine and its updates know each other
        torch.cuda.empty_cache()
    (tuned_losses, tuned), (losses, ours) = measured.values()
    difference = max(abs(a - b) for a, b in zip(losses, tuned_losses, strict=True))
    used = 3 * run.shape.forward_flops * ours / peak
    speeds = f"{tuned:>18,.0f}{ours:>18,.0f}{ours / tuned:>9.1f}{used:>10.0%}"
    return f"{run.parameters:>8.1e}{run.run:>10}{run.batch_tokens:>10,}{speeds}{difference:>12.0e}"


def member(run: Run, device: str, barrier: Barrier, speeds: Queue) -> None:
    """A process of one of the runs that share a GPU, timed while all of them train."""
    speeds.put(gpu_speed(make_loop("engine", run, device), run, barrier.wait)[1])


def members_speed(run: Run, device: str) -> float:
    """Tokens per second of MEMBERS runs together."""
    spawn = multiprocessing.get_context("spawn")
    barrier, speeds = spawn.Barrier(MEMBERS, timeout=MEMBERS_SECONDS), spawn.Queue()
    members = [spawn.Process(target=member, args=(run, device, barrier, speeds), daemon=True) for _ in range(MEMBERS)]
    for process in members:
        process.start()
    total = sum(speeds.get(timeout=MEMBERS_SECONDS) for _ in members)
    for process in members:
        process.join()
    return total


def print_gpu_table(device: str) -> None:
    """The tuned loop against the engine at context 1,024 and vocabulary 50,257, for as long as GPU_LIMIT allows."""
    begun = time.perf_counter()
    factor = torch.randn((8192, 8192), dtype=torch.bfloat16, device=device)
    product = factor @ factor
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(20):
        torch.mm(factor, factor, out=product)
    torch.cuda.synchronize()
    peak = 20 * 2 * 8192**3 / (time.perf_counter() - started)
    print(f"{torch.cuda.get_device_name(device)}: {peak / 1e12:.0f} TFLOP/s in bfloat16 products")
    print("       N     shape     batch    tuned tokens/s   engine tokens/s  × tuned  utilized  difference")
    for parameters, batch_tokens in GPU_CASES:
        if time.perf_counter() > begun + GPU_LIMIT:
            print("the time is used up; larger sizes were left out")
            return
        print(gpu_row(benchmark_run(parameters, 50_257, 1024, batch_tokens, device), device, peak), flush=True)
    run = benchmark_run(*MEMBERS_CASE[:1], 50_257, 1024, MEMBERS_CASE[1], device)
    together = members_speed(run, device)
    print(
        f"{MEMBERS} runs of {run.run} in batches of {run.batch_tokens:,} at a time: {together:,.0f} tokens/s together"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="four cases, one round each")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments = parser.parse_args()
    if arguments.device == "cuda":
        if not torch.cuda.is_available():
            sys.exit("PyTorch sees no GPU on this machine. Run this where there is one, or leave out --device cuda.")
        print_gpu_table("cuda")
        return
    cases = QUICK if arguments.quick else itertools.product(SIZES, VOCABULARIES, CONTEXTS)
    print_cpu_table(list(cases), 1 if arguments.quick else ROUNDS)


if __name__ == "__main__":
    main()
