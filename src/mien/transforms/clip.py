"""What a model sees of a face."""

from __future__ import annotations

# ImageNet statistics: what the published SVFAP and MAE-DFER weights were trained with (official.md 4.2).
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# Of grey faces: what the lip-reading models were trained with (official.md 9.2).
GREY_MEAN = (0.421,)
GREY_STD = (0.165,)
