"""A task holds a network and its data apart from the caller's, and knows when two are the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from generating import system
from tiny import cnn, mlp, one_thread
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from qubopress.problems import (
    InputError,
    MissingDataError,
    classification_task,
    denoising_task,
    generator_task,
    own_task,
    psnr_samples,
    task_of,
)
from qubopress.problems.datasets.dataset import load_dataset
from qubopress.problems.networks import weights
from qubopress.problems.tasks import calibration, frechet_distance, kinds
from qubopress.problems.tasks.training_losses import summed_cross_entropy, summed_squared_error

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((20, 3)).astype(np.float32), RNG.integers(0, 2, 20)


def model() -> nn.Sequential:
    return mlp(3, 4, 2)


def test_digits_come_calibrated_held_out_and_judged() -> None:
    task = classification_task("digits-mlp", calibration=30)
    assert (len(task.inputs), len(task.targets)) == (30, 30)
    assert (len(task.held_inputs), len(task.held_targets)) == (30, 30)
    assert (task.metric, task.higher_is_better) == ("accuracy", True)
    assert task.judge is not None
    assert task.judge(task.network) == kinds.float_metric("digits-mlp")


def test_photographs_come_calibrated_held_out_and_judged_in_decibels() -> None:
    task = task_of("photographs-denoiser-small", calibration=10)
    assert task.inputs.shape == task.targets.shape == task.held_inputs.shape == (10, 3, 32, 32)
    assert (task.metric, task.higher_is_better, task.kept) == ("PSNR", True, True)
    assert task.judge is not None
    judged = task.judge(task.network)
    assert judged == pytest.approx(kinds.float_metric("photographs-denoiser-small"), abs=1e-3)
    assert judged == pytest.approx(psnr_samples(task.network).mean())
    assert list(task.also) == ["SSIM"]
    assert task.also["SSIM"](nn.Identity()) < task.also["SSIM"](task.network) < 1


@pytest.fixture
def _untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """A generator of digits that no file need hold."""
    monkeypatch.setattr(calibration, "load_network", lambda name: system(side=8, hidden=1).float())


@pytest.mark.usefixtures("_untrained")
def test_generators_come_with_initial_states_and_their_own_images() -> None:
    task = task_of("digits-generator", calibration=20)
    assert task.inputs.shape == task.held_inputs.shape == (20, 128)
    assert torch.equal(task.targets, task.network(task.inputs))
    assert torch.equal(task.held_targets, task.network(task.held_inputs))
    assert not (task.inputs[:, None] == task.held_inputs).all(dim=2).any()
    assert (task.metric, task.higher_is_better, task.kept) == ("Fréchet distance", False, True)
    assert task.criterion is summed_squared_error
    images = frechet_distance.samples_of(task.network)
    assert task.judge is not None
    assert task.judge(task.network) == frechet_distance.distance(images, "digits")
    assert {name: judge(task.network) for name, judge in task.also.items()} == {
        "classes covered": frechet_distance.coverage(images, "digits"),
        "confidence": frechet_distance.confidence(images, "digits"),
    }


@pytest.mark.usefixtures("_untrained")
def test_initial_states_that_calibrate_never_judge() -> None:
    made = system(side=8, hidden=1).float()
    judging = made.starts(2000, random=torch.Generator().manual_seed(0))
    tasks = [generator_task("digits-generator", calibration=20, calibration_seed=seed) for seed in (0, 1)]
    drawn = torch.cat([part for task in tasks for part in (task.inputs, task.held_inputs)])
    assert len(torch.unique(torch.cat([judging, drawn]), dim=0)) == 2080
    assert tasks[0].identity != tasks[1].identity
    assert tasks[0].identity == generator_task("digits-generator", calibration=20).identity


def test_a_networks_data_choose_its_task() -> None:
    classes, images = (
        task_of("digits-mlp", calibration=9),
        task_of("photographs-denoiser-small", calibration=9),
    )
    assert classes.identity == classification_task("digits-mlp", calibration=9).identity
    assert images.identity == denoising_task("photographs-denoiser-small", calibration=9).identity
    assert (classes.criterion, images.criterion) == (summed_cross_entropy, summed_squared_error)
    assert not classes.also


def test_a_task_of_the_other_kind_is_refused() -> None:
    with pytest.raises(
        InputError, match="digits-mlp must map images to images, got a classifier; call task_of"
    ):
        denoising_task("digits-mlp")
    with pytest.raises(
        InputError, match="digits-generator must map images to images, got a generator; call task_of"
    ):
        denoising_task("digits-generator")
    with pytest.raises(InputError, match="digits-mlp must be a generator, got another network; call task_of"):
        generator_task("digits-mlp")
    with pytest.raises(InputError, match="digits-generator must be a classifier, got a generator; call task"):
        classification_task("digits-generator")
    with pytest.raises(
        InputError, match="photographs-denoiser must be a classifier, got a denoiser; call task"
    ):
        classification_task("photographs-denoiser")


def test_no_patch_calibrates_and_is_held_out() -> None:
    task = task_of("photographs-denoiser-small", calibration=500, calibration_seed=2)
    clean = [{image.numpy().tobytes() for image in part} for part in (task.targets, task.held_targets)]
    shared = clean[0] & clean[1]
    assert all(np.frombuffer(image, dtype=np.float32).max() < 0.01 for image in shared)  # black is black
    assert len(shared) <= 1


def test_calibration_and_held_out_samples_are_disjoint_training_samples() -> None:
    task = classification_task("digits-mlp", calibration=100, calibration_seed=3)
    data = load_dataset("digits")

    def images(array) -> set[bytes]:
        return {np.asarray(image).tobytes() for image in array}

    assert not images(task.inputs) & images(task.held_inputs)
    assert images(task.inputs) | images(task.held_inputs) <= images(data.train_inputs)


def test_the_identity_tells_network_size_and_seed_of_the_draw() -> None:
    settings = [
        ("digits-mlp", 20, 0),
        ("digits-cnn", 20, 0),
        ("digits-mlp", 21, 0),
        ("digits-mlp", 20, 1),
    ]
    tasks = [classification_task(name, calibration=k, calibration_seed=seed) for name, k, seed in settings]
    assert len({task.identity for task in tasks}) == 4
    again = classification_task("digits-mlp", calibration=20)
    assert again.identity == tasks[0].identity
    assert torch.equal(again.inputs, tasks[0].inputs)
    assert not torch.equal(again.inputs, tasks[3].inputs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "digits-mpl"}, "no network named 'digits-mpl'; did you mean 'digits-mlp'"),
        ({"calibration": 0}, r"calibration must be an integer in \[1, 648\], got 0"),
        ({"calibration": 649}, r"calibration must be an integer in \[1, 648\], got 649"),
        ({"calibration": True}, r"calibration must be an integer in \[1, 648\], got True"),
        ({"calibration_seed": -1}, "calibration_seed must be an integer of at least 0, got -1"),
    ],
)
def test_a_draw_that_cannot_be_is_refused(arguments, message) -> None:
    given = {"name": "digits-mlp"} | arguments
    with pytest.raises(InputError, match=message):
        classification_task(given.pop("name"), **given)


def test_missing_data_is_said_to_be_missing(monkeypatch) -> None:
    def gone(_):
        raise MissingDataError("fashion-mnist is not on this machine")

    monkeypatch.setattr(calibration, "load_dataset", gone)
    with pytest.raises(MissingDataError, match="fashion-mnist is not on this machine"):
        classification_task("fashion-mlp")


class Rows(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, i: int):
        return X[i], int(Y[i])


@pytest.mark.parametrize(
    "data",
    [
        (X, Y),
        [X, Y],
        (torch.tensor(X), torch.tensor(Y)),
        (X.tolist(), Y.tolist()),
        (X.astype(np.float64), Y.astype(np.int32)),
        (X.astype(np.float64), Y.astype(np.uint8)),
        DataLoader(TensorDataset(torch.tensor(X), torch.tensor(Y)), batch_size=7),
        DataLoader(Rows(), batch_size=20),
        [(X[:9], Y[:9]), (X[9:], Y[9:])],
        [[X[:5], Y[:5]], [X[5:9], Y[5:9]], [X[9:], Y[9:]]],
        iter([(X[:9], Y[:9]), (X[9:], Y[9:])]),
    ],
)
def test_every_form_of_the_same_data_makes_the_same_task(data) -> None:
    task, plain = own_task(model(), data), own_task(model(), (X, Y))
    assert torch.equal(task.inputs, plain.inputs)
    assert torch.equal(task.targets, plain.targets)
    assert task.inputs.dtype == torch.float32
    assert task.targets.dtype == torch.int64
    assert task.identity == plain.identity


def test_one_sample_in_four_is_held_out() -> None:
    task = own_task(model(), (X, Y))
    np.testing.assert_array_equal(task.held_inputs, X[3::4])
    np.testing.assert_array_equal(task.held_targets, Y[3::4])
    assert len(task.inputs) == len(task.targets) == 15
    assert task.judge is None


def test_whole_numbers_are_classes_and_real_ones_are_outputs() -> None:
    assert own_task(model(), (X, Y)).criterion is summed_cross_entropy
    task = own_task(model(), (X, RNG.standard_normal((20, 2))))
    assert task.criterion is summed_squared_error
    assert task.targets.dtype == torch.float32
    assert torch.isfinite(task.criterion(task.network(task.inputs), task.targets))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_up_to_three_samples_serve_as_both(n) -> None:
    task = own_task(model(), (X[:n], Y[:n]))
    np.testing.assert_array_equal(task.inputs, X[:n])
    np.testing.assert_array_equal(task.held_inputs, X[:n])


@pytest.mark.parametrize("data", [(X, Y), DataLoader(TensorDataset(torch.tensor(X), torch.tensor(Y)), 3)])
def test_the_first_samples_are_taken(data) -> None:
    task = own_task(model(), data, samples=10)
    assert len(task.inputs) + len(task.held_inputs) == 10
    np.testing.assert_array_equal(task.held_inputs, X[:10][3::4])


def test_inputs_get_the_type_of_the_parameters() -> None:
    assert own_task(model().double(), (X, Y)).inputs.dtype == torch.float64
    assert own_task(model(), (X.astype(np.float16), Y)).inputs.dtype == torch.float32
    assert own_task(model(), (RNG.integers(0, 5, (8, 3)), Y[:8])).inputs.dtype == torch.int64


def test_the_callers_model_and_data_stay_theirs() -> None:
    network, x, y = (
        cnn().train(),
        RNG.standard_normal((8, 1, 4, 4)).astype(np.float32),
        np.zeros(8, dtype=int),
    )
    x.setflags(write=False)
    task = own_task(network, (x, y))
    assert network.training
    assert not any(part.training for part in task.network.modules())
    before, inputs = weights.weights_checksum(task.network), task.inputs.clone()
    with torch.no_grad():
        network[0].weight.zero_()
    x.setflags(write=True)
    x[:] = 0
    assert weights.weights_checksum(task.network) == before
    assert torch.equal(task.inputs, inputs)


def test_a_tensor_changed_later_does_not_change_the_task() -> None:
    x = torch.tensor(X)
    task = own_task(model(), (x, torch.tensor(Y)))
    x.zero_()
    np.testing.assert_array_equal(task.held_inputs, X[3::4])


def test_a_copy_is_in_eval_mode_and_apart() -> None:
    task = own_task(cnn().train(), (np.ones((4, 1, 4, 4)), np.zeros(4)))
    copied = task.copy()
    assert not any(part.training for part in copied.modules())
    with torch.no_grad():
        copied[0].weight.zero_()
    assert float(task.network[0].weight.detach().abs().sum()) > 0


def test_the_identity_tells_whatever_makes_another_task() -> None:
    tanh = model()
    tanh[1] = nn.Tanh()
    others = [
        own_task(mlp(3, 4, 2, seed=1), (X, Y)),
        own_task(tanh, (X, Y)),
        own_task(model(), (X + 1, Y)),
        own_task(model(), (X, 1 - Y)),
        own_task(model(), (X, Y), samples=19),
        own_task(model(), (X[:, None], Y)),
    ]
    plain = own_task(model(), (X, Y), name="another name")
    assert plain.identity == own_task(model(), (X, Y)).identity
    assert len({task.identity for task in [plain, *others]}) == 7


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            (X[:0], Y[:0]),
            r"data must hold at least one sample, got none; pass a non-empty loader or \(x, y\)",
        ),
        ([], "data must hold at least one sample, got none"),
        (([], []), "data must hold at least one sample, got none"),
        ((X, Y[:3]), "data must have as many targets as inputs, got 20 and 3"),
        (5, r"or a pair \(x, y\) of arrays, got a int"),
        (None, r"or a pair \(x, y\) of arrays, got a NoneType"),
        ((X, 3), r"or a pair \(x, y\) of arrays, got a "),
        ((X, Y, Y), r"the inputs of forward, or these and targets, got 3 arrays for \(input\); pass"),
        (([["a"], ["b"]], [0, 1]), "data must be numbers in arrays, got list"),
        (([[1.0], [1.0, 2.0]], [0, 1]), "data must be numbers in arrays, got list"),
        ((np.where(X > 1, np.nan, X), Y), "data must be finite, got NaN or infinity in the inputs"),
        ((X, np.where(X > 1, np.inf, X)), "data must be finite, got NaN or infinity in the targets"),
        (
            (np.where(X > 1, 1e300, X.astype(float)), Y),
            "data must be finite, got NaN or infinity in the inputs",
        ),
    ],
)
def test_data_of_another_form_is_refused_in_one_line(data, message) -> None:
    with pytest.raises(InputError, match=message) as caught:
        own_task(model(), data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("samples", [0, -1, 2.5, True])
def test_samples_must_be_a_positive_integer(samples) -> None:
    with pytest.raises(InputError, match="samples must be an integer of at least 1, got"):
        own_task(model(), (X, Y), samples=samples)


def test_a_model_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match=r"model must be a torch.nn.Module, got function"):
        own_task(lambda x: x, (X, Y))


def test_an_error_in_the_callers_own_dataset_is_not_hidden() -> None:
    def broken():
        yield X, Y
        raise TypeError("the data set's own fault")

    with pytest.raises(TypeError, match="the data set's own fault"):
        own_task(model(), broken())


def test_data_that_run_backwards_in_memory_are_taken_as_they_read() -> None:
    inputs = np.arange(12.0, dtype=np.float32).reshape(6, 2)[::-1]
    task = own_task(nn.Linear(2, 2), (inputs, np.arange(6)[::-1] % 2))
    np.testing.assert_array_equal(torch.cat([task.inputs, task.held_inputs])[0], [10.0, 11.0])
