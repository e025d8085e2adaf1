"""Optimizers as the papers define them.

`build` turns the description of a recipe (one of `repro.spec.SGD`, `StochasticDiagonalLM` and
`WinnerTakeAll`) into a Keras optimizer. Beside what Keras asks of one, each has

before_pass(number, model, loss, examples)  what it does before a pass, from 0; returns the least
        and the greatest rate where it sets any. examples(count): images and labels to learn from
set_rate(rate)  sets the rate of the next updates, None where every weight has its own; returns the
        least and the greatest rate that it has set, if any
before_test(model, images, labels)  what it does before a test, with the training images
averages        of each variable, where those are tested; else empty
by_gradients    whether it is given the gradients of the loss. If not, it has
steps(model, images)  the network's outputs, and what it is given for each variable instead
"""

from fnmatch import fnmatchcase

import keras
from keras import ops

from repro import spec
from repro.errors import UsageError
from repro.networks import curvature, fukushima1980


class CoupledSGD(keras.optimizers.Optimizer):
    """v <- momentum * v - rate * (gradient + weight_decay * w);  w <- w + v.

    The decay goes through the momentum, as in the papers of these years; the `weight_decay` of
    Keras' optimizers is applied beside the update instead. See `repro.spec.SGD` for what differs
    from one variable to another, for Nesterov's momentum, and for the averages of the weights.
    """

    by_gradients = True

    def __init__(self, description: spec.SGD):
        super().__init__(learning_rate=0.0, name="coupled_sgd")
        self.description = description
        self.averages = []  # of each variable, where the recipe tests those

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.velocities = self.add_optimizer_variables(variables, "velocity")
        if self.description.averaging:
            self.averages = self.add_optimizer_variables(variables, "average")
        decay = self.description.weight_decay
        if decay and all(group_of(self.description, variable) for variable in variables):
            raise UsageError(
                f"recipe.optimizer.weight_decay={decay:g}: the recipe's groups cover every weight, "
                "and each group has its own; accepted is 0"
            )
        self.factors_and_decays = [
            factor_and_decay(self.description, variable) for variable in variables
        ]

    def before_pass(self, number, model, loss, examples) -> None:
        """Nothing."""

    def before_test(self, model, images, labels) -> None:
        """Nothing."""

    def set_rate(self, rate: float) -> tuple[float, float]:
        self.learning_rate.assign(rate)
        return rate, rate

    def update_step(self, gradient, variable, learning_rate):
        index, momentum = self._get_variable_index(variable), self.description.momentum
        velocity, (factor, decay) = self.velocities[index], self.factors_and_decays[index]
        rate = ops.cast(learning_rate, variable.dtype) * factor
        if decay:
            gradient = gradient + decay * variable
        step = rate * gradient
        self.assign(velocity, momentum * velocity - step)
        self.assign_add(
            variable, momentum * velocity - step if self.description.nesterov else velocity
        )
        if self.averages:  # at first the mean of all, so that the initial weights do not linger
            average, made = self.averages[index], ops.cast(self.iterations, variable.dtype)
            keep = ops.minimum(self.description.averaging, made / (made + 1.0))
            self.assign(average, keep * average + (1.0 - keep) * variable)


def group_of(description: spec.SGD, variable) -> spec.ParameterGroup | None:
    """The first group whose pattern fits a Keras variable, if any."""
    layer_and_variable = "/".join(variable.path.split("/")[-2:])
    fitting = (g for g in description.groups if fnmatchcase(layer_and_variable, g.variables))
    return next(fitting, None)


def factor_and_decay(description: spec.SGD, variable) -> tuple[float, float]:
    """What the rate is multiplied by for a Keras variable, and its weight decay."""
    if group := group_of(description, variable):
        return group.rate, group.weight_decay
    decayed = description.decayed == "all" or variable.name == "kernel"
    return 1.0, description.weight_decay if decayed else 0.0


class StochasticDiagonalLM(keras.optimizers.Optimizer):
    """w_k <- w_k - eps_k dE/dw_k, eps_k = eta / (mu + h_kk) (LeCun et al. 1998, Appendix C).

    `set_rates` takes eta and the curvatures h_kk; they hold until it is called again.
    """

    by_gradients = True
    averages = ()

    def __init__(self, description: spec.StochasticDiagonalLM):
        super().__init__(learning_rate=0.0, name="stochastic_diagonal_lm")
        self.description = description

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.rates = self.add_optimizer_variables(variables, "rate")

    def before_pass(self, number, model, loss, examples) -> tuple[float, float]:
        """Estimates the curvatures on some of the training images, for the rates of the pass."""
        curvatures = curvature.curvatures(model, loss, *examples(self.description.examples))
        return self.set_rates(self.description.eta.at(number), curvatures)

    def before_test(self, model, images, labels) -> None:
        """Nothing."""

    def set_rate(self, rate: None) -> None:
        """The rates are set before each pass."""

    def set_rates(self, eta: float, curvatures) -> tuple[float, float]:
        """Sets every weight's own rate; returns the smallest and the largest."""
        values = [eta / (self.description.mu + h) for h in curvatures]
        for rate, value in zip(self.rates, values, strict=True):
            rate.assign(value)
        flat = [ops.convert_to_numpy(v).ravel() for v in values]
        return min(float(v.min()) for v in flat), max(float(v.max()) for v in flat)

    def update_step(self, gradient, variable, learning_rate):
        rate = self.rates[self._get_variable_index(variable)]
        self.assign_sub(variable, rate * gradient)


class WinnerTakeAll(keras.optimizers.Optimizer):
    """w <- w + what its plane's representative adds, 0 without one (Fukushima 1980, section 3).

    The network is a chain that ends in `fukushima1980.Naming`. All S-layers learn at once, from
    what they saw and gave before. Of several patterns in a batch each adds its own.
    """

    by_gradients = False
    averages = ()

    def __init__(self, description: spec.WinnerTakeAll):
        super().__init__(learning_rate=0.0, name="winner_take_all")
        self.description = description
        self.cells = None  # the network without what names its last cells

    def before_pass(self, number, model, loss, examples) -> None:
        """Nothing."""

    def before_test(self, model, images, labels) -> None:
        """Which cells win for the training images, as they are, decides what cells stand for."""
        naming = model.layers[-1]
        if self.cells is None:
            self.cells = keras.Model(model.inputs, naming.input)
        naming.take_note(self.cells.predict_on_batch(images), labels)

    def set_rate(self, rate: None) -> None:
        """There is none."""

    def steps(self, model, images) -> tuple:
        learning = iter(zip(self.description.speeds, self.description.columns, strict=True))
        steps, u = [], images
        for layer in model.layers:
            before, u = u, layer(u)
            if isinstance(layer, fukushima1980.SCells):
                steps += layer.reinforcements(before, u, *next(learning))
        return u, steps

    def update_step(self, step, variable, learning_rate):
        self.assign_add(variable, step)


METHODS = {
    spec.SGD: CoupledSGD,
    spec.StochasticDiagonalLM: StochasticDiagonalLM,
    spec.WinnerTakeAll: WinnerTakeAll,
}


def build(
    description: spec.SGD | spec.StochasticDiagonalLM | spec.WinnerTakeAll,
) -> keras.optimizers.Optimizer:
    """The Keras optimizer of a recipe's description."""
    return METHODS[type(description)](description)
