"""Networks become instances: shapes of problem, formulations, data and trained networks."""

# Importing a family's file registers its problems.
from . import adaround, ais_rounding, ais_topology, bare, pruning, sign_magnitude, topology  # noqa: F401
from .blackbox import BlackBox
from .capacity import Capacity
from .denoising import psnr_samples
from .errors import InputError, MissingDataError
from .instance import Instance, load_instance, save_instance
from .qubo import Qubo
from .registry import Problem, drive, get, names, problem
from .rounding import Rounding
from .task import Task, bare_task, classification_task, denoising_task, generator_task, own_task, task_of

__all__ = [
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
