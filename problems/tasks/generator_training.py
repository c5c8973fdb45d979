"""Adversarial training: a generator against a critic, resumable at any epoch.

Wasserstein with a gradient penalty (Gulrajani et al. 2017, arXiv:1704.00028): the critic's mean over real
images less that over generated ones estimates the Wasserstein distance of the two, while a penalty keeps
the norm of its gradient between the two near 1. What is kept is the exponential mean of the generator's
parameters (Yazıcı et al. 2019, arXiv:1806.04498).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ..errors import InputError
from ..instances.npz import replacing
from ..networks.architectures import critic
from ..networks.image_generators import Generator, save_grid
from .fitting import Course

__all__ = ["Contest", "Terms", "fit_generator", "train_generator"]

SAVED = 20
"""Times in a training that its checkpoint and its samples are written."""

SHOWN = 200
"""Samples in the picture."""


@dataclass(frozen=True)
class Terms:
    """How a generator and its critic are trained.

    Attributes:
        learning_rate: of the generator; it falls to 0 along a cosine over the epochs, as the critic's does.
        critic_rate: learning rate of the critic.
        batch: images a step.
        epochs: passes of the critic over the images.
        critic_steps: of the critic for one of the generator.
        penalty: weight of the gradient penalty.
        memory: share of the averaged parameters that a step of the generator leaves.
        widths: of the critic's hidden layers.
    """

    learning_rate: float = 0.003
    critic_rate: float = 0.003
    batch: int = 64
    epochs: int = 100
    critic_steps: int = 5
    penalty: float = 10.0
    memory: float = 0.995
    widths: tuple[int, ...] = (256, 256)


def fit_generator(module: nn.Module, course: Course) -> Generator:
    """Train a generator of ours as its course says. Raises as `train_generator` does."""
    spec = course.spec
    return train_generator(
        cast(Generator, module),
        torch.tensor(course.data.train_inputs),
        terms=Terms(learning_rate=spec.learning_rate, batch=spec.batch, epochs=course.epochs),
        seed=course.seed,
        progress=course.progress,
        keep=course.keep and course.keep / f"{spec.name}.training",
        until=course.until,
    )


def train_generator(
    generator: Generator,
    images: Tensor,
    *,
    terms: Terms,
    seed: int,
    progress: Callable[[int, int, float], None] | None = None,
    keep: Path | None = None,
    until: int | None = None,
) -> Generator:
    """Train a generator in a contest on images (N, 1, side, side) and return its average.

    Parameters:
        progress: hears after each epoch its number, from 1 on, of how many, and the distance the critic saw.
        keep: twenty times in all, the checkpoint is written to `keep`.safetensors and a grid of samples to
            `keep`.png; a checkpoint that is there is gone on from. Once all epochs are done it is removed.
        until: stop after so many epochs, with a checkpoint; the average is what it is by then.

    Raises:
        InputError: a checkpoint of another training, or no place to write to.
    """
    contest = Contest(generator, images, terms=terms, seed=seed)
    checkpoint = keep and keep.with_name(f"{keep.name}.safetensors")
    if checkpoint and checkpoint.is_file():
        contest.resume(checkpoint)
    last = terms.epochs if until is None else min(until, terms.epochs)
    while contest.done < last:
        distance = contest.epoch()
        if progress is not None:
            progress(contest.done, terms.epochs, distance)
        due = contest.done % max(1, terms.epochs // SAVED) == 0 or contest.done == last
        if keep and checkpoint and due:
            contest.save(checkpoint)
            save_grid(contest.sample(SHOWN), keep.with_name(f"{keep.name}.png"))
    if checkpoint and contest.done == terms.epochs:
        checkpoint.unlink(missing_ok=True)
    return contest.average


class Contest:
    """A generator, its average, its critic and their optimisers, in training on images (N, 1, side, side)."""

    def __init__(self, generator: Generator, images: Tensor, *, terms: Terms, seed: int) -> None:
        self.generator, self.images, self.terms, self.seed = generator.train(), images, terms, seed
        self.done = 0
        self.average = copy.deepcopy(generator).eval().requires_grad_(False)
        self.random = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.critic = critic(images[0].numel(), *terms.widths)
        self.optimisers = tuple(
            torch.optim.Adam(module.parameters(), lr=rate, betas=(0.0, 0.9))
            for module, rate in ((generator, terms.learning_rate), (self.critic, terms.critic_rate))
        )

    def epoch(self) -> float:
        """One pass of the critic over the images: the mean Wasserstein distance that it saw."""
        self._schedule()
        order = torch.randperm(len(self.images), generator=self.random)
        # A last batch that is smaller would only add noise.
        batches = torch.split(order, self.terms.batch)[: max(1, len(order) // self.terms.batch)]
        total = 0.0
        for number, rows in enumerate(batches, start=1):
            total += self._teach_critic(self.images[rows])
            if number % self.terms.critic_steps == 0 or len(batches) < self.terms.critic_steps:
                self._teach_generator()
        self.done += 1
        return total / len(batches)

    def _teach_critic(self, real: Tensor) -> float:
        starts = self.generator.starts(len(real), random=self.random)
        with torch.no_grad():
            made = self.generator(starts)
        distance: Tensor = self.critic(real).mean() - self.critic(made).mean()
        self._step(1, self.terms.penalty * self._steepness(real, made) - distance)
        return distance.item()

    def _steepness(self, real: Tensor, made: Tensor) -> Tensor:
        """Mean square of what the gradient's norm lacks to 1, between real and generated images."""
        share = torch.rand(len(real), 1, 1, 1, generator=self.random)
        between = (share * real + (1.0 - share) * made).requires_grad_()
        (slope,) = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
        lacking: Tensor = slope.flatten(1).norm(dim=1) - 1.0
        return lacking.square().mean()

    def _teach_generator(self) -> None:
        starts = self.generator.starts(self.terms.batch, random=self.random)
        self._step(0, -self.critic(self.generator(starts)).mean())
        for kept, now in zip(self.average.parameters(), self.generator.parameters(), strict=True):
            kept.lerp_(now.detach(), 1.0 - self.terms.memory)

    def _step(self, which: int, loss: Tensor) -> None:
        module, optimiser = (self.generator, self.critic)[which], self.optimisers[which]
        optimiser.zero_grad()
        torch.autograd.backward(loss, inputs=list(module.parameters()))
        optimiser.step()

    def _schedule(self) -> None:
        """Both learning rates fall from their whole to 0 along half a cosine."""
        left = 0.5 * (1.0 + math.cos(math.pi * min(1.0, self.done / self.terms.epochs)))
        for optimiser, rate in zip(
            self.optimisers, (self.terms.learning_rate, self.terms.critic_rate), strict=True
        ):
            for group in optimiser.param_groups:
                group["lr"] = left * rate

    def sample(self, wanted: int) -> Tensor:
        """Images (wanted, 1, side, side) of the average, always from the same starts."""
        with torch.no_grad():
            images: Tensor = self.average(
                self.average.starts(wanted, random=torch.Generator().manual_seed(0))
            )
        return images

    def save(self, path: Path) -> None:
        """Write all that the next epoch depends on. Raises InputError where no file can be written."""
        with replacing(path) as file:
            file.write(save(self._state(), metadata=self._terms() | {"done": str(self.done)}))

    def resume(self, path: Path) -> None:
        """Take training up where the file of `save` left it; it goes on as if it had never stopped.

        Raises InputError for a damaged file, or that of another training.
        """
        try:
            with safe_open(path, framework="pt") as file:
                metadata = dict(file.metadata() or {})
            state = load_file(path)
        except SafetensorError as error:
            raise InputError(f"{path} must be a checkpoint, got damaged content; delete it") from error
        done = int(metadata.pop("done", "0"))
        if metadata != self._terms():
            raise InputError(f"{path} must be of the same training, got that of other terms; delete it")
        self._restore(state)
        self.done = done

    def _terms(self) -> dict[str, str]:
        """What two trainings must share for one to go on with the other's checkpoint."""
        terms = {name: str(value) for name, value in asdict(self.terms).items()}
        shapes = {key: tuple(value.shape) for key, value in self.generator.state_dict().items()}
        return terms | {"seed": str(self.seed), "images": str(len(self.images)), "shapes": str(shapes)}

    def _state(self) -> dict[str, Tensor]:
        """Every tensor that the next epoch depends on, by name."""
        state = {"random": self.random.get_state()}
        for name, part in self._parts().items():
            state |= {f"{name}.{key}": value for key, value in part.state_dict().items()}
        for which, optimiser in enumerate(self.optimisers):
            for number, moments in optimiser.state_dict()["state"].items():
                state |= {f"adam{which}.{number}.{key}": value for key, value in moments.items()}
        return {key: value.contiguous() for key, value in state.items()}

    def _restore(self, state: dict[str, Tensor]) -> None:
        self.random.set_state(state["random"])
        for name, part in self._parts().items():
            part.load_state_dict(_under(state, name))
        for which, optimiser in enumerate(self.optimisers):
            moments: dict[int, dict[str, Tensor]] = {}
            for key, value in _under(state, f"adam{which}").items():
                number, moment = key.split(".")
                moments.setdefault(int(number), {})[moment] = value
            optimiser.load_state_dict(optimiser.state_dict() | {"state": moments})

    def _parts(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "average": self.average, "critic": self.critic}


def _under(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors whose names begin with this one, without it."""
    return {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}
