"""From a command to trained and judged runs: processes, what they may see, what comes of them."""
