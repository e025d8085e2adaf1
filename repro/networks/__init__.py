"""Networks: layers by the paper they come from, losses, optimizers, anatomy."""
