"""MNIST, Fashion-MNIST, EMNIST and CIFAR-10: where their files lie, their checksums, how they are read."""

from __future__ import annotations

from pathlib import Path

from .cifar import read_batches
from .idx import Bytes, read_idx
from .sources import Source, SourceFile

__all__ = [
    "CIFAR_10",
    "EMNIST",
    "FASHION_MNIST",
    "MNIST",
    "read_cifar",
    "read_emnist",
    "read_idx_files",
]

FASHION_MNIST = Source(
    "fashion-mnist",
    (
        SourceFile(
            "train-images-idx3-ubyte",
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        ),
        SourceFile(
            "train-labels-idx1-ubyte",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "25c81989df183df01b3e8a0aad5dffbe",
        ),
        SourceFile(
            "t10k-images-idx3-ubyte",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "bef4ecab320f06d8554ea6380940ec79",
        ),
        SourceFile(
            "t10k-labels-idx1-ubyte",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
    ),
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    debian="dataset-fashion-mnist",
    folder=Path("/usr/share/datasets/fashion-mnist"),
)


MNIST = Source(
    "mnist",
    (
        SourceFile(
            "train-images-idx3-ubyte",
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        ),
        SourceFile(
            "train-labels-idx1-ubyte",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "d53e105ee54ea40749a09fcbcd1e9432",
        ),
        SourceFile(
            "t10k-images-idx3-ubyte",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "9fb629c4189551a2d022fa330f9573f3",
        ),
        SourceFile(
            "t10k-labels-idx1-ubyte",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
    ),
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)


EMNIST = Source(
    "emnist-balanced",
    (
        SourceFile("emnist-balanced-train-images-idx3-ubyte"),
        SourceFile("emnist-balanced-train-labels-idx1-ubyte"),
        SourceFile("emnist-balanced-test-images-idx3-ubyte"),
        SourceFile("emnist-balanced-test-labels-idx1-ubyte"),
    ),
    "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
    archive_md5="58c8d27c78d21e728a6bc7b3cc06412e",
)


CIFAR_10 = Source(
    "cifar-10",
    (*(SourceFile(f"data_batch_{number}.bin") for number in range(1, 6)), SourceFile("test_batch.bin")),
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    archive_md5="c32a1d4ab5d03f1284b67883e8d87530",
)


def read_idx_files(source: Source) -> list[Bytes]:
    """Train images, train labels, test images, test labels."""
    pairs = zip(source.paths(), source.files, strict=True)
    return [read_idx(path, sha256=file.sha256) for path, file in pairs]


def read_emnist(source: Source) -> list[Bytes]:
    """The same; EMNIST stores its images column by column."""
    train_images, train_labels, test_images, test_labels = read_idx_files(source)
    return [train_images.transpose(0, 2, 1), train_labels, test_images.transpose(0, 2, 1), test_labels]


def read_cifar(source: Source) -> list[Bytes]:
    """The same of five training batches and a test batch."""
    *train, test = source.paths()
    return [*read_batches(train), *read_batches([test])]
