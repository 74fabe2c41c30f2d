from .gates import gate_activations
from .gradients import gradient_norms
from .jacobians import hidden_radii, lyapunov_exponents, step_jacobians

__all__ = [
    "gate_activations",
    "gradient_norms",
    "hidden_radii",
    "lyapunov_exponents",
    "step_jacobians",
]
