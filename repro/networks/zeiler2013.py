"""What Zeiler and Fergus 2013 hold the weights of their networks to."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("repro")
class RenormalisedFilters(keras.constraints.Constraint):
    """A filter whose root mean square exceeds `radius` is scaled back to it; others stay.

    A filter is what makes one map: the kernel [height, width, maps in] of one entry of the last
    axis, without its bias. As the `kernel_constraint` of a layer it is applied after each update,
    whatever the optimizer is.
    """

    def __init__(self, radius=0.1):
        self.radius = radius

    def __call__(self, kernel):
        axes = tuple(range(len(kernel.shape) - 1))
        size = ops.sqrt(ops.mean(ops.square(kernel), axis=axes, keepdims=True))
        return kernel * (self.radius / ops.maximum(self.radius, size))

    def get_config(self):
        return {"radius": self.radius}
