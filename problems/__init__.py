"""Networks become instances: shapes of problem, formulations, data and trained networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lazy import lazily

if TYPE_CHECKING:
    from .errors import InputError, MissingDataError
    from .formats.loading import load_instance, save_instance
    from .instances.blackbox import BlackBox
    from .instances.capacity import Capacity
    from .instances.instance import SHAPES, Instance
    from .instances.qubo import Qubo
    from .instances.rounding import Rounding
    from .own.task import own_task
    from .registry import Problem, drive, get, names, problem
    from .tasks.denoising_metrics import psnr_samples
    from .tasks.task import Task, bare_task, classification_task, denoising_task, generator_task, task_of

__all__ = [
    "SHAPES",
    "BlackBox",
    "Capacity",
    "InputError",
    "Instance",
    "MissingDataError",
    "Problem",
    "Qubo",
    "Rounding",
    "Task",
    "bare_task",
    "classification_task",
    "denoising_task",
    "drive",
    "generator_task",
    "get",
    "load_instance",
    "names",
    "own_task",
    "problem",
    "psnr_samples",
    "save_instance",
    "task_of",
]

HOMES = {
    "BlackBox": "instances.blackbox",
    "Capacity": "instances.capacity",
    "InputError": "errors",
    "Instance": "instances.instance",
    "MissingDataError": "errors",
    "Problem": "registry",
    "Qubo": "instances.qubo",
    "Rounding": "instances.rounding",
    "SHAPES": "instances.instance",
    "Task": "tasks.task",
    "bare_task": "tasks.task",
    "classification_task": "tasks.task",
    "denoising_task": "tasks.task",
    "drive": "registry",
    "generator_task": "tasks.task",
    "get": "registry",
    "load_instance": "formats.loading",
    "names": "registry",
    "own_task": "own.task",
    "problem": "registry",
    "psnr_samples": "tasks.denoising_metrics",
    "save_instance": "formats.loading",
    "task_of": "tasks.task",
}
"""Module of each public name: imported when first asked for, because torch takes seconds."""


__getattr__, __dir__ = lazily(__name__, HOMES)
