"""The training loop. It names no method, no data set and no metric.

Exact resume: the batch of step s, its augmentation and masks are functions of (seed, s) in the loader, torch's generator is
set from (seed, s, rank) before each micro-batch, the learning rate is a function of s; a checkpoint holds the rest.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from mien.errors import Interrupted, UserError, option, require
from mien.rng import mix
from mien.train.blocks import compile_blocks, recompute_activations
from mien.train.checkpoint import load_checkpoint, save_checkpoint
from mien.train.distributed import World, distribute, unsynchronised
from mien.train.log import RunLog
from mien.train.optim import OptimConfig, Rates, build_optimizer, rates, set_rates


@dataclass(frozen=True)
class TrainConfig:
    """How long, how much at once, how often to write. `batch_size` counts clips of one optimizer step, all processes together."""

    batch_size: int = 256
    """Clips of one optimizer step, all processes together."""
    accumulate: int = 1
    """Micro-batches per optimizer step."""
    epochs: float = 100
    """How often all training clips are seen."""
    steps: int | None = None
    """Optimizer steps; overrides `epochs`."""
    warmup_epochs: float = 5
    """Epochs in which the learning rate rises to its highest."""
    schedule_epochs: float | None = None
    """Length of the learning rate's cosine where it is longer than the run (the published MAE-DFER weights: 100 of 50)."""
    seed: int = 0
    """Of weights, order, augmentation and masks: the same seed gives the same run."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto: bf16 autocast on a GPU, fp32 on a CPU."""
    checkpoint_activations: bool = False
    """Keep only the inputs of the blocks for the backward pass and compute the rest again: less memory, more time, the same
    numbers (docs/speed.md)."""
    compile: bool = False
    """Compile each block (torch.compile): pays on a GPU, after a minute or two; numbers differ in their last digits."""
    workers: int = 2
    """Threads that decode clips beside the training; 0 decodes in between the steps."""
    log_every: int = 10
    """Steps between two lines of metrics.jsonl."""
    save_every_steps: int = 1000
    """Steps between two checkpoints."""
    save_every_s: float = 600.0
    """Seconds after which a checkpoint is written anyway."""
    evaluate_every: int = 500
    """Steps between two looks at held-out data."""
    evaluations: int | None = None
    """How many looks in the whole run, evenly spread, in place of --evaluate-every."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "accumulate", "log_every", "save_every_steps", "evaluate_every"):
            require(getattr(self, name) >= 1, f"{option(name)} {getattr(self, name)}: give 1 or more")
        require(self.steps is None or self.steps >= 1, f"--steps {self.steps}: give 1 or more")
        require(self.evaluations is None or self.evaluations >= 1, f"--evaluations {self.evaluations}: give 1 or more")
        require(self.epochs > 0, f"--epochs {self.epochs:g}: give a number above 0")
        longer = self.schedule_epochs is None or self.schedule_epochs >= self.epochs
        require(longer, f"--schedule-epochs {self.schedule_epochs}: give at least --epochs ({self.epochs:g})")
        for name in ("warmup_epochs", "seed", "workers", "save_every_s"):
            require(getattr(self, name) >= 0, f"{option(name)} {getattr(self, name):g}: give 0 or more")

    def total_steps(self, num_clips: int) -> int:
        return self.steps or max(1, round(self.epochs * num_clips / self.batch_size))

    def evaluate_steps(self, num_clips: int) -> int:
        """Steps between two looks."""
        return max(1, self.total_steps(num_clips) // self.evaluations) if self.evaluations else self.evaluate_every

    def schedule_steps(self, num_clips: int) -> int:
        """Steps until the learning rate has reached its end."""
        return round(self.total_steps(num_clips) * max(1.0, (self.schedule_epochs or 0) / self.epochs))

    def warmup_steps(self, num_clips: int) -> int:
        """Warm-up keeps its share of the run when `steps` is given."""
        return round(self.total_steps(num_clips) * min(1.0, self.warmup_epochs / self.epochs))


class Batches(Protocol):
    """Batches on the device, ready for the learner, as a function of the step."""

    def __call__(self, start: int, stop: int) -> Iterator[dict[str, Any]]: ...


@dataclass(frozen=True)
class Evaluator:
    """Called with the learner every `every` steps and at the end; returns numbers for the log."""

    every: int
    call: Callable[[nn.Module], dict[str, float]]


@contextmanager
def _signals() -> Iterator[list[int]]:
    """A list that fills when SIGTERM or SIGINT arrives; a second one acts as usual."""
    received: list[int] = []
    previous = {}

    def note(signum: int, frame: Any) -> None:
        received.append(signum)
        signal.signal(signum, previous[signum])

    for signum in (signal.SIGTERM, signal.SIGINT):
        previous[signum] = signal.getsignal(signum)
        signal.signal(signum, note)
    try:
        yield received
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)


def _autocast(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    if precision == "bf16" or (precision == "auto" and device.type == "cuda"):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


class _Trainer:
    """State of one run: what `fit` passes between its steps."""

    def __init__(
        self, learner: nn.Module, optim: OptimConfig, config: TrainConfig, num_clips: int, world: World, out: Path
    ):
        self.learner = learner.to(world.device)
        if config.checkpoint_activations:
            recompute_activations(self.learner)
        if config.compile:
            compile_blocks(self.learner)
        self.wrapped = distribute(self.learner, world)
        self.optimizer = build_optimizer(self.learner, optim)
        self.optim, self.config, self.world, self.out = optim, config, world, out
        self.total, self.warmup = config.total_steps(num_clips), config.warmup_steps(num_clips)
        self.schedule = config.schedule_steps(num_clips)
        self.step, self.best = 0, float("-inf")
        self._pending: list[dict[str, Tensor]] = []
        self._pending_index: list[Tensor] = []

    def rates(self, step: int) -> Rates:
        return rates(self.optim, step, self.schedule, self.warmup, self.config.batch_size / 256)

    def load(self) -> None:
        state = load_checkpoint(self.out / "checkpoints")
        if state is not None:
            self.learner.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.best = state["step"], state["best"]

    def save(self) -> None:
        if self.world.is_main:
            state = {"model": self.learner.state_dict(), "optimizer": self.optimizer.state_dict(), "best": self.best}
            save_checkpoint(self.out / "checkpoints", self.step, state)
        self.world.barrier()

    def train_step(self, batches: Iterator[dict[str, Any]]) -> None:
        """One optimizer step over `accumulate` micro-batches."""
        config, outputs = self.config, []
        self.learner.train()
        set_rates(self.optimizer, self.rates(self.step))
        for micro in range(config.accumulate):
            batch = next(batches)
            torch.manual_seed(mix("step", config.seed, self.step, micro, self.world.rank))
            with unsynchronised(self.wrapped, micro == config.accumulate - 1):
                with _autocast(config.precision, self.world.device):
                    out = self.wrapped(batch)
                (out["loss"] / config.accumulate).backward()
            outputs.append({k: v.detach().float() for k, v in out.items()})
            self._pending_index.append(batch["index"])
        norm = self._gradient_norm()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.learner.after_step(self.step / self.total)  # type: ignore[operator]
        means = {k: torch.stack([o[k] for o in outputs]).mean() for k in outputs[0]}
        self._pending.append(means | {"grad_norm": norm})

    def _gradient_norm(self) -> Tensor:
        """Of all gradients, before they are clipped. Always taken: a finite loss may have a gradient that is not."""
        if self.optim.clip_norm is not None:
            return nn.utils.clip_grad_norm_(self.learner.parameters(), self.optim.clip_norm)
        return nn.utils.get_total_norm([p.grad for p in self.learner.parameters() if p.grad is not None])

    def flush(self, log: RunLog | None) -> float:
        """Writes the steps since the last flush; returns the last loss. One transfer from the device for all of them."""
        names = list(self._pending[0]) if self._pending else []
        table = self.world.mean(torch.stack([torch.stack([p[n] for n in names]) for p in self._pending])).tolist()
        first = self.step - len(self._pending) + 1
        indices, self._pending, self._pending_index = self._pending_index, [], []
        for i, row in enumerate(table):
            values = dict(zip(names, row, strict=True))
            if not all(abs(v) < float("inf") for v in row):
                rows = torch.cat(indices).tolist()
                raise UserError(f"step {first + i}: {values} is not finite; manifest rows since step {first}: {rows}")
            if log:
                log.write(first + i, **values, lr=self.rates(first + i - 1).lr)
        return table[-1][names.index("loss")]


def fit(
    learner: nn.Module,
    batches: Batches,
    num_clips: int,
    optim: OptimConfig,
    config: TrainConfig,
    out: Path,
    world: World,
    evaluators: Sequence[Evaluator] = (),
    keep_best: str | None = None,
    label: str = "train",
) -> nn.Module:
    """Trains to the end, from the newest checkpoint in `out` where there is one.

    Args:
        batches: micro-batches ``[start, stop)`` of the run, `config.accumulate` to an optimizer step.
        num_clips: clips in an epoch.
        keep_best: name of an evaluator's number; the weights that had the highest are returned instead of the last.

    Raises:
        Interrupted: a signal came; everything is saved.
        UserError: the loss or its gradient is not finite; the newest checkpoint is from before.
    """
    run = _Trainer(learner, optim, config, num_clips, world, out)
    run.load()
    log = RunLog(out, run.step, run.total, label) if world.is_main else None
    if log and run.step:
        log.say(f"{label} {'was finished' if run.step == run.total else 'goes on'} at step {run.step} of {run.total}")
    try:
        with _signals() as received:
            _run(run, batches, log, evaluators, keep_best, received)
    finally:
        if log:
            log.close()
    best = out / "checkpoints" / "best.pt"
    if keep_best and best.is_file():
        run.learner.load_state_dict(torch.load(best, map_location=world.device, weights_only=True))
    return run.learner


def _run(
    run: _Trainer,
    batches: Batches,
    log: RunLog | None,
    evaluators: Sequence[Evaluator],
    keep_best: str | None,
    received: list[int],
) -> None:
    config, accumulate = run.config, run.config.accumulate
    stream = batches(run.step * accumulate, run.total * accumulate)
    last_save = last_show = time.monotonic()
    shown = run.step
    while run.step < run.total:
        run.train_step(stream)
        agree = run.world.size == 1 or run.step % config.log_every == 0 or run.step == run.total
        stop = run.world.any(bool(received)) if agree else False
        due = agree and run.world.any(time.monotonic() - last_save > config.save_every_s)
        evaluate = [e for e in evaluators if run.step % e.every == 0 or run.step == run.total]
        save = due or stop or run.step % config.save_every_steps == 0 or run.step == run.total
        if run.step % config.log_every == 0 or evaluate or save:
            loss = run.flush(log)
            seconds, last_show = time.monotonic() - last_show, time.monotonic()
            speed, shown = (run.step - shown) * config.batch_size / max(seconds, 1e-9), run.step
            if log:
                log.write(run.step, clips_per_s=speed)
                left = (run.total - run.step) * config.batch_size / max(speed, 1e-9)
                log.show(run.step, loss, run.rates(run.step - 1).lr, speed, left)
        for evaluator in evaluate:
            _evaluate(run, evaluator, log, keep_best)
            last_show = time.monotonic()
        if save:
            if log:
                log.flush()
            run.save()
            last_save = time.monotonic()
        if stop and run.step < run.total:
            raise Interrupted((received or [signal.SIGTERM])[0], f"step {run.step}")


def _evaluate(run: _Trainer, evaluator: Evaluator, log: RunLog | None, keep_best: str | None) -> None:
    run.learner.eval()
    values = evaluator.call(run.learner)
    if log:
        log.write(run.step, **values)
        log.say("  ".join(f"{k} {v:.4f}" for k, v in values.items()))
    if keep_best in values and values[keep_best] > run.best:
        run.best = values[keep_best]
        if run.world.is_main:
            path = run.out / "checkpoints" / "best.pt"
            path.parent.mkdir(exist_ok=True)
            torch.save(run.learner.state_dict(), path.with_suffix(".tmp"))
            path.with_suffix(".tmp").replace(path)
