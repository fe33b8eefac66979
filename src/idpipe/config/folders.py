"""Folders of a user's own images: their files, and what identifies them."""

from __future__ import annotations

import hashlib
from pathlib import Path

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}


def folder_digest(folder: Path) -> str:
    """SHA-256 over names and contents of every image below `folder`."""
    digest = hashlib.sha256()
    for path in image_files(folder):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def folder_counts(folder: Path) -> list[int]:
    """Training images per class of an image folder (`idpipe.images.sources.own_images`).

    Raises ValueError where it holds no training image, or some beside the folders of classes.
    """
    base = folder / "train" if (folder / "train").is_dir() else folder
    images = image_files(base)
    if not images:
        raise ValueError("training images, but its folder train is empty")
    classes = sorted(p for p in base.iterdir() if p.is_dir() and image_files(p))
    loose = [path for path in images if path.parent == base]
    if classes and loose:
        raise ValueError(
            f"images in folders, one per class, or none in folders; {loose[0].name} is beside "
            f"the folder {classes[0].name}"
        )
    return [len(image_files(p)) for p in classes] if classes else [len(images)]


def image_files(folder: Path) -> list[Path]:
    """Every image file below `folder`, sorted by path."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
