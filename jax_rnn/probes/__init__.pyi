from .run import Budget, Result, run_probe
from .task import Example, Task

__all__ = ["Budget", "Example", "Result", "Task", "run_probe"]
