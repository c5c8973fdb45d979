"""Networks become instances: shapes of problem, formulations, data and trained networks."""

# Importing a family's file registers its problems.
from . import without_network  # noqa: F401
from .analog import ais_rounding, ais_topology, sign_magnitude, topology  # noqa: F401
from .errors import InputError, MissingDataError
from .formats.loading import load_instance, save_instance
from .instances.blackbox import BlackBox
from .instances.capacity import Capacity
from .instances.instance import SHAPES, Instance
from .instances.qubo import Qubo
from .instances.rounding import Rounding
from .own.task import own_task
from .pruning import formulations  # noqa: F401
from .quantization import adaround  # noqa: F401
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
