"""Where the time of a test run went, printed at its end, over all workers."""

import resource
import time
from collections import Counter

import jax

PARTS = {
    "/jax/core/compile/jaxpr_trace_duration": "tracing",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "lowering",
    "/jax/core/compile/backend_compile_duration": "compiling",
}
started = time.monotonic()
spent: Counter[str] = Counter()


def listen() -> None:
    """Count what JAX reports from now on."""

    def add(event: str, duration: float, **_: object) -> None:
        if event in PARTS:
            spent[PARTS[event]] += duration

    jax.monitoring.register_event_duration_secs_listener(add)


class Clock:
    """A plugin of pytest; with xdist, workers hand over what they counted when they end."""

    def pytest_sessionfinish(self, session):
        if session.config.pluginmanager.hasplugin("dsession"):  # the workers count
            return
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent["processes of tests (CPU)"] += children.ru_utime + children.ru_stime
        spent["in all"] += time.monotonic() - started
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["spent"] = dict(spent)
            spent.clear()

    def pytest_terminal_summary(self, terminalreporter):
        parts = ", ".join(f"{name} {seconds:.0f}" for name, seconds in spent.items())
        terminalreporter.write_line(f"seconds over all workers: {parts}")


class Controller:
    """The part that needs xdist."""

    def pytest_testnodedown(self, node, error):
        spent.update(getattr(node, "workeroutput", {}).get("spent", {}))
