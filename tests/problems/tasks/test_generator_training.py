"""A contest is a function of its seed, resumes as if it had never stopped, and moves images nearer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from qubopress.problems.errors import InputError
from qubopress.problems.networks import weights, zoo
from qubopress.problems.networks.image_generators import Generator, NeuralGenerator, interacting
from qubopress.problems.tasks import training
from qubopress.problems.tasks.generator_training import Contest, Terms, train_generator

TERMS = Terms(learning_rate=0.005, critic_rate=0.001, epochs=4, batch=16, critic_steps=2, widths=(16,))


def untrained(seed: int = 0) -> Generator:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return interacting(side=3, hidden=0, radius=1, segments=2, steps=2)


def images() -> Tensor:
    """A bright or a brighter square in a dark field: (64, 1, 3, 3)."""
    made = torch.full((64, 1, 3, 3), 0.2)
    made[::2, 0, :2, :2], made[1::2, 0, :2, :2] = 0.9, 0.6
    return made


def checksum(module: torch.nn.Module) -> str:
    return weights.weights_checksum(module)


def trained(seed: int = 0, *, keep: Path | None = None, terms: Terms = TERMS) -> Generator:
    return train_generator(untrained(), images(), terms=terms, seed=seed, keep=keep)


def test_the_same_seed_gives_the_same_generator_and_another_another() -> None:
    assert checksum(trained(1)) == checksum(trained(1))
    assert checksum(trained(1)) != checksum(trained(2))


def test_a_contest_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    trained()
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_resumed_contest_goes_on_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    whole = Contest(untrained(), images(), terms=TERMS, seed=3)
    first = Contest(untrained(), images(), terms=TERMS, seed=3)
    heard = [whole.epoch() for _ in range(4)]
    for _ in range(2):
        first.epoch()
    first.save(tmp_path / "checkpoint")
    second = Contest(untrained(5), images(), terms=TERMS, seed=3)
    second.resume(tmp_path / "checkpoint")
    assert [second.epoch() for _ in range(2)] == heard[2:]
    for one, other in ((whole.generator, second.generator), (whole.average, second.average)):
        assert checksum(one) == checksum(other)


def test_an_interrupted_training_resumes_and_leaves_only_the_picture(tmp_path: Path) -> None:
    def interrupt(epoch: int, total: int, distance: float) -> None:
        if epoch == 3:
            raise KeyboardInterrupt("enough")

    with pytest.raises(KeyboardInterrupt, match="enough"):
        train_generator(
            untrained(), images(), terms=TERMS, seed=1, progress=interrupt, keep=tmp_path / "small"
        )
    assert (tmp_path / "small.safetensors").is_file()
    heard: list[int] = []
    again = train_generator(
        untrained(),
        images(),
        terms=TERMS,
        seed=1,
        keep=tmp_path / "small",
        progress=lambda epoch, *_: heard.append(epoch),
    )
    assert heard == [3, 4]
    assert checksum(again) == checksum(trained(1))
    assert [path.name for path in tmp_path.iterdir()] == ["small.png"]


def test_a_training_that_stops_early_is_gone_on_with(tmp_path: Path) -> None:
    given = {"terms": TERMS, "seed": 1, "keep": tmp_path / "small"}
    early = train_generator(untrained(), images(), until=3, **given)  # type: ignore[arg-type]
    assert (tmp_path / "small.safetensors").is_file()
    again = train_generator(untrained(5), images(), until=3, **given)  # type: ignore[arg-type]
    assert checksum(again) == checksum(early) != checksum(trained(1))
    whole = train_generator(untrained(), images(), **given)  # type: ignore[arg-type]
    assert checksum(whole) == checksum(trained(1))
    assert not (tmp_path / "small.safetensors").exists()


@pytest.mark.parametrize(
    ("name", "until", "message"),
    [
        ("digits-generator", 0, r"until must lie in \[1, 300\], the epochs of digits-generator, got 0"),
        ("digits-generator", 301, r"until must lie in \[1, 300\], the epochs of digits-generator, got 301"),
        ("digits-mlp", 3, "digits-mlp must be a generator to stop early, got a classifier; leave out until"),
    ],
)
def test_what_cannot_stop_early_is_refused(name: str, until: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        training.train(name, until=until)


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    contest = Contest(untrained(), images(), terms=TERMS, seed=0)
    contest.epoch()
    contest.save(tmp_path / "checkpoint")
    for other in (
        Contest(untrained(), images(), terms=TERMS, seed=1),
        Contest(untrained(), images()[:50], terms=TERMS, seed=0),
        Contest(NeuralGenerator(latent=4, widths=(8,), side=3), images(), terms=TERMS, seed=0),
    ):
        with pytest.raises(InputError, match=r"checkpoint must be of the same training.*delete it"):
            other.resume(tmp_path / "checkpoint")
    (tmp_path / "checkpoint").write_bytes(b"nothing")
    with pytest.raises(InputError, match="must be a checkpoint, got damaged content; delete it"):
        contest.resume(tmp_path / "checkpoint")


def test_training_brings_images_nearer_to_the_real_ones() -> None:
    def missing(generator: Generator) -> float:
        """Distance of the mean image to the real images'."""
        made = generator(generator.starts(500, random=torch.Generator().manual_seed(0))).detach()
        return float((made.mean(0) - images().mean(0)).norm())

    longer = Terms(
        learning_rate=0.05, critic_rate=0.01, batch=32, epochs=60, critic_steps=2, memory=0.9, widths=(32,)
    )
    assert missing(trained(terms=longer)) < 0.6 * missing(untrained())


def test_learning_rates_fall_to_nothing_along_half_a_cosine() -> None:
    contest = Contest(untrained(), images(), terms=TERMS, seed=0)
    rates = []
    for _ in range(4):
        contest.epoch()
        rates.append([group["lr"] for optimiser in contest.optimisers for group in optimiser.param_groups])
    assert rates[0] == [0.005, 0.001]
    assert rates[2] == pytest.approx([0.0025, 0.0005])
    assert rates[3] < rates[2] < rates[1] < rates[0]


def test_an_untrained_generator_is_not_saved(tmp_path: Path) -> None:
    for name in ("digits-generator", "digits-generator-neural"):
        module = training.initialised(zoo.network(name), seed=0)
        with pytest.raises(
            InputError, match=rf"images of {name} must be closer .* drawn one by one, \d+\.\d, got \d+"
        ):
            training.save_weights(name, module, seed=0, epochs=1, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []
