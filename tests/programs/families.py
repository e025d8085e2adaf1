"""The networks that tests/test_backends.py compares and one_backend.py builds."""

# One of each family, some with fewer classes or smaller images than the paper's.
FAMILIES = ("lenet5", "lenet5-modern", "alexnet-local-lrn", "nin-mnist", "vgg-a", "googlenet")
FAMILIES += ("resnet20", "densenet40-k12")
SMALLER = {"vgg-a": {"classes": 10, "side": 32}, "googlenet": {"classes": 10}}
# Those whose weights are compared after updates too.
UPDATED = ("lenet5-modern", "normalised", "recomputed")
