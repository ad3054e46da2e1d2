"""Step ``train``: getitune's engine at work on our recipe."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

from retrain import checkpoints
from retrain.files import read_json, write_bytes, write_json
from retrain.images import Unreadable

from ..program import BAD_DATA, OUT_OF_TIME, TRAINING, Clock, Job, Refused
from . import VERSION, data, machine, recipe, weights
from .models import TASKS, Model
from .progress import Progress


def _rows(job: Job, folder: Path) -> list[data.Row]:
    """The pictures, written for getitune below ``folder``."""
    try:
        rows = data.read(read_json(Path(job.raw["data"])), job.out / "pictures")
    except Unreadable as problem:
        raise Refused(BAD_DATA, f"a picture cannot be read: {problem}") from None
    counts = {side: sum(row.side == side for row in rows) for side in data.SIDES}
    if not all(counts.values()):
        raise Refused(BAD_DATA, f"{counts['train']} training and {counts['val']} validation images")
    data.write(rows, job.raw["task"], job.classes, folder)
    return rows


def _machine() -> machine.Machine:
    import torch

    cores, main = machine.cores(), machine.main_memory()
    if torch.cuda.is_available():
        return machine.Machine(cores, torch.cuda.mem_get_info()[0], main, "gpu")
    return machine.Machine(cores, main, main, "cpu")


class Session:
    """One training: where its files are, and the engine, made anew when it is spoilt."""

    def __init__(self, job: Job, model: Model, size: tuple[int, int]) -> None:
        self.job, self.model, self.size = job, model, size
        self.set = job.out / "set"
        self.cache = weights.prepare()
        self.machine = _machine()
        self.images = 0

    def _recipe(self, pretrained: bool) -> Path:
        import getitune
        import yaml

        recipes = Path(getitune.__file__).parent / "recipe"
        path = recipes / self.model.recipe
        content = yaml.safe_load(path.read_text())
        base_path = (path.parent / content["data"]).resolve()
        base = yaml.safe_load(base_path.read_text())
        wanted = recipe.batch_of(content, base)
        loads = machine.loads(self.machine, self.model.task, self.images, wanted, self.size)
        print(
            f"{self.job.raw['model']} at {self.size[0]} x {self.size[1]} on {self.machine.device}, "
            f"batches of {loads.batch}, {loads.workers} workers",
            flush=True,
        )
        made = recipe.adapted(
            content, base, str(base_path), self.model, self.size, loads, pretrained
        )
        own = self.job.out / "recipe.yaml"
        write_json(own, made)  # JSON is YAML
        return own

    def engine(self, pretrained: bool) -> Any:
        """Getitune's engine with a new network."""
        from getitune.engine import create_engine
        from lightning import seed_everything

        seed_everything(int(self.job.raw["seed"]), workers=True)
        work = self.job.out / "getitune"
        shutil.rmtree(work, ignore_errors=True)

        def make() -> Any:
            try:
                return create_engine(
                    model=str(self._recipe(pretrained)),
                    data=str(self.set),
                    work_dir=str(work),
                    device=self.machine.device,
                    task=TASKS[self.model.task],
                )
            except SystemExit as end:  # its parser of recipes ends the program
                raise Refused(TRAINING, "getitune does not take the recipe") from end

        if not pretrained:
            return make()
        name = self.job.raw["model"]
        with weights.fetched(name, self.cache, self._give_up):
            return make()

    def _give_up(self, refusal: Refused) -> None:
        """From another thread: there is no other way out of a call that hangs."""
        document = {
            "v": 1,
            "status": "failed",
            "stage": "train",
            "reason": str(refusal),
            "trainer": {"name": "getitune", "version": VERSION},
            "warnings": self.job.warnings,
        }
        write_json(self.job.out / "result.json", document)
        os._exit(refusal.code)


def _go_on(session: Session, progress: Progress) -> Path | None:
    """This job's checkpoint from before a reboot or an eviction, whose history goes on; or None."""
    from . import warm
    from .keeper import ABOUT

    job = session.job
    snapshot = checkpoints.load(job.out, job.raw["job_id"])
    if snapshot is None:
        return None
    path = job.out / "own.ckpt"
    write_bytes(path, snapshot.last)
    try:
        about = warm.load(path).get(ABOUT) or {}
        if any(about.get(key) != value for key, value in progress.about().items() if value):
            raise warm.Unusable("it is of another task, model or classes")
        if about["history"][-1]["epoch"] > int(job.raw["epochs"]):
            raise warm.Unusable("it has more epochs than asked for")
    except (warm.Unusable, KeyError, IndexError) as problem:
        job.warn(f"own checkpoint not used: {problem}")
        return None
    progress.history = list(about["history"])
    print(f"continuing after epoch {progress.epoch}", flush=True)
    return path


def _begin(session: Session, progress: Progress) -> tuple[Any, dict[str, Any]]:
    """The engine with the weights to begin with, and what its ``train`` is to be told besides."""
    from . import warm

    job = session.job
    name, own = job.raw["model"], _go_on(session, progress)
    if own is not None and progress.epoch:
        return session.engine(False), {"resume": True, "checkpoint": str(own)}
    former = own or (Path(job.raw["init_checkpoint"]) if job.raw["init_checkpoint"] else None)
    if former is not None:
        engine = session.engine(False)
        try:
            warm.start(engine.model, session.model, name, former, job.classes)
            print("warm start from the former checkpoint", flush=True)
            return engine, {} if own else {"num_sanity_val_steps": -1}
        except warm.Unusable as problem:
            job.warn(f"former checkpoint not used, training from scratch: {problem}")
            progress.history.clear()
    return session.engine(bool(job.raw.get("pretrained", True))), {}


def _work(session: Session, clock: Clock, progress: Progress) -> bool:
    """Train; whether the time was up before all epochs were done."""
    from .keeper import Keeper, OutOfTime

    raw = session.job.raw
    engine, more = _begin(session, progress)
    if progress.epoch >= int(raw["epochs"]):
        return False
    (keeper,) = (c for c in engine.trainer_params["callbacks"] if isinstance(c, Keeper))
    keeper.bind(progress, clock)
    try:
        engine.train(max_epochs=int(raw["epochs"]), seed=int(raw["seed"]) + progress.epoch, **more)
    except OutOfTime:
        return True
    except FileNotFoundError:
        # Getitune ends with a copy of its own best file, which is not there when no epoch after a
        # restart was better than those before. Ours are.
        if not engine.trainer.state.finished:
            raise
    if progress.epoch < int(raw["epochs"]):
        print(f"no better for some epochs: training ends after {progress.epoch}", flush=True)
    return False


def train(job: Job, model: Model, size: tuple[int, int]) -> dict[str, Any]:
    """Epochs until all are done or the time is up; a checkpoint after each."""
    clock, progress = Clock(job.raw), Progress(job)
    session = Session(job, model, size)
    began = time.monotonic()
    rows = _rows(job, session.set)
    session.images = sum(row.side == "train" for row in rows)
    print(f"{len(rows)} images for getitune in {time.monotonic() - began:.1f} s", flush=True)
    out_of_time = _work(session, clock, progress)
    if not progress.history:
        raise Refused(OUT_OF_TIME, "the time was up before the first epoch was finished")
    best = progress.best()
    return {
        "metrics": {name: best[name] for name in progress.names} | {"history": progress.history},
        "epochs_done": progress.epoch,
        "best_epoch": best["epoch"],
        "out_of_time": out_of_time,
    }
