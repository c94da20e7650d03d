"""What a study's graph costs as it grows from 100 runs to 10,000: CPU seconds and memory of Snakemake, and files.

Each row is a study of so many runs, a job each, none of which is trained: its first start, a start when all is there,
and one after a new size N, as CPU seconds of a dry run; the baseline is the first row.
Run: .venv/bin/python benchmarks/scale.py [runs ...]
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import yaml
from scalelaws.config import SCHEMA, checked_config
from scalelaws.training.plan import runs_of

ROOT = Path(__file__).resolve().parents[1]
SIZES, SUBSETS = [3_500, 6_000, 14_000, 38_000, 124_000], [24_000, 80_000, 240_000, 800_000]
DOCUMENTED = {"kind": "installed-docs", "content": "code"}
STEPS = ("extracted", "cleaned", "unique", "documents")


def study(runs: int, sizes: list[int]) -> dict:
    """A study of so many runs of the grid's 20 cells, and of the further sizes."""
    return {
        "study": "scale",
        "corpora": {
            "pages": {"role": "train", "sources": [DOCUMENTED]},
            "code": {"role": "ood", "sources": [DOCUMENTED]},
        },
        "training": {
            "parameters": sizes,
            "dataset_tokens": SUBSETS,
            "repeats": {"seeds": runs // (len(SIZES) * len(SUBSETS)), "dataset_tokens": SUBSETS},
            "context": 128,
            "batch_tokens": 2048,
            "max_tokens": 800_000,
            "evaluation_tokens": 12_288,
        },
    }


def make_all(folder: Path, config: dict) -> None:
    """Empty files in place of all that the study makes up to its observations, one in each run's folder."""
    results = folder / "results/scale"
    made = [f"corpus/{corpus}/{step}" for step in STEPS for corpus in ("pages", "code")]
    made += [f"{path}.json" for path in made] + ["tokens/tokenizer"]
    splits = ("pages.train", "pages.test", "code.test")
    made += [f"tokens/{split}.{end}" for split in splits for end in ("bin", "offsets.npy", "json")]
    made.append("plan.csv")
    for name in runs_of(checked_config(config, SCHEMA, "scale")):
        made += [f"runs/{name}/.snakemake_timestamp", f"logs/train/{name}.log", f"benchmarks/train/{name}.tsv"]
    made += ["observations.parquet", "runs.parquet", "positions.parquet", "observations.csv"]
    now = time.time()
    for when, path in enumerate(made):
        place = results / path
        if Path(path).suffix or "/runs/" in f"/{path}":
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text('{"tokens": 1000000000}' if path.startswith("tokens/") else "")
        else:
            place.mkdir(parents=True)
        os.utime(place, (now + when / 1e3, now + when / 1e3))


def dry_run(folder: Path, *options: str) -> tuple[float, float, int]:
    """CPU seconds and megabytes of `snakemake runs --dry-run`, and how many jobs it plans."""
    command = [sys.executable, "-m", "snakemake", "--profile", str(ROOT / "workflow/profiles/local"), "--dry-run"]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--configfile", "study.yaml", "--quiet", "rules", "progress"]
    with (folder / "printed").open("w+") as printed:
        process = os.fork()
        if process == 0:
            os.chdir(folder)
            os.dup2(printed.fileno(), 1)
            os.dup2(printed.fileno(), 2)
            os.execv(command[0], [*command, *options, "--", "runs"])
        _, status, usage = os.wait4(process, 0)
        printed.seek(0)
        lines = printed.read().splitlines()
    if status:
        sys.exit("\n".join(lines))
    planned = [int(line.split()[1].replace(",", "")) for line in lines if line.startswith("all ")]
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3, sum(planned)


def main() -> None:
    counts = [int(text) for text in sys.argv[1:]] or [100, 500, 2_000, 5_000, 10_000]
    print("  runs    jobs |  first start        | all is there        | one size more")
    base = None
    for runs in counts:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "study.yaml").write_text(yaml.safe_dump(study(runs, SIZES)))
            first, _, jobs = dry_run(folder)
            make_all(folder, study(runs, SIZES))
            again, _, left = dry_run(folder)
            assert left == 0, left
            (folder / "study.yaml").write_text(yaml.safe_dump(study(runs, [*SIZES, 300_000])))
            # What a study has recorded of its own making would tell; these files come without.
            more, megabytes, new = dry_run(folder, "--forcerun", "gather")
        base = base or (first, again, more)
        cells = (f"{s:6.1f} s {s / b:5.1f} x" for s, b in zip((first, again, more), base, strict=True))
        ends = ("       ", "       ", f" {new:,} jobs, {megabytes:,.0f} MB")
        columns = " | ".join(cell + end for cell, end in zip(cells, ends, strict=True))
        print(f"{runs:6,}  {jobs:6,} | {columns}", flush=True)


if __name__ == "__main__":
    main()
