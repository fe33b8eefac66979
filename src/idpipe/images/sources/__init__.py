"""Sources of images, one loader each.

Adding a source: its facts in `idpipe.cells.data.SOURCES`, a loader, its entry in `LOADERS`.
"""

from collections.abc import Callable

from idpipe.cells import SOURCES, every_one_of
from idpipe.images.sources.base import Loaded, Request, Split
from idpipe.images.sources.embedded import digits, photos
from idpipe.images.sources.own_images import image_folder
from idpipe.images.sources.torchvision_sets import cifar10, fashion_mnist, mnist

LOADERS: dict[str, Callable[[Request], Loaded]] = {
    "digits": digits,
    "photos": photos,
    "mnist": mnist,
    "fashion_mnist": fashion_mnist,
    "cifar10": cifar10,
    "image_folder": image_folder,
}
"""Source -> its loader."""
every_one_of("LOADERS", LOADERS, SOURCES)

__all__ = ["LOADERS", "Loaded", "Request", "Split"]
