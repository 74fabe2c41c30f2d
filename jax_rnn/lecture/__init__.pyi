from .teaching.training import OpenRun, open_run, train_lesson

__all__ = ["OpenRun", "open_run", "train_lesson"]
