"""Data: datasets, preprocessing, augmentation, and the order in which a run sees its examples."""
