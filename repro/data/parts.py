"""What a recipe may do to images: every preprocessing and augmentation."""

from repro.data import augmentation, crops, distortion, preprocessing

PREPROCESSINGS = (
    preprocessing.PadTo,
    preprocessing.ShrinkInto,
    preprocessing.Enlarge,
    crops.Square,
    preprocessing.Contrast,
    preprocessing.PerPixelMean,
    preprocessing.ChannelMean,
    preprocessing.ChannelMeanAndDeviation,
    preprocessing.GlobalContrastNormalization,
    preprocessing.ZCAWhitening,
    preprocessing.LocalContrastNormalization,
)
AUGMENTATIONS = (
    distortion.DistortedCopies,
    augmentation.CropAndFlip,
    augmentation.RandomCrop,
    augmentation.OneOfTenCrops,
    crops.ScaleJitter,
    crops.InceptionCrop,
    augmentation.PCAColour,
    crops.PhotometricDistortions,
    augmentation.Chain,
)
