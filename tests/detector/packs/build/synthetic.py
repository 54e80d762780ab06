"""Files of the formats that networks come in, with narrow networks of random weights; and numpy's view of layers.

They are written from the descriptions of the formats, independently of the readers that they test.
"""

from __future__ import annotations

import io
import struct
import tarfile
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def tarball(members):
    """A gzipped tar of (name, bytes), as npm and pip store it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def convolve(x, weights, bias, stride, pads):
    """Convolve (C, H, W) by (O, C, h, w); ``pads`` before and after, rows as columns."""
    padded = np.pad(x, ((0, 0), pads, pads))
    windows = sliding_window_view(padded, weights.shape[2:], axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("cyxhw,ochw->oyx", windows, weights, optimize=True) + bias[:, None, None]


def pool(x, size, stride, reduce):
    """Pool (C, H, W) without padding."""
    return reduce(sliding_window_view(x, (size, size), axis=(1, 2))[:, ::stride, ::stride], axis=(3, 4))


class DlibFile:
    """Writes the layers of a network as dlib does."""

    def __init__(self):
        self.versions, self.details = [], b""

    def mark(self):
        self.versions.append(1)

    def layer(self, kind, *fields):
        first = not any(version > 1 for version in self.versions)
        self.versions.append(3 if first else 2)
        self.details += self.text(kind) + b"".join(fields) + b"110" + self.tensor(()) * 3
        self.details += self.integer(1) if first else b""

    def convolution(self, weights, bias, stride, pad):
        packed = np.concatenate([weights.ravel(), bias])
        sizes = [len(weights), *weights.shape[2:], stride, stride, pad, pad]
        views = self.view(*weights.shape) + self.view(1, len(bias), 1, 1)
        self.layer("con_4", self.tensor(packed), *map(self.integer, sizes), views, self.rates())

    def affine(self, factors, summands):
        view = self.view(1, len(factors), 1, 1)
        self.layer("affine_", self.tensor(np.concatenate([factors, summands])), view, view, self.integer(0))

    def pooling(self, kind, *sizes):
        self.layer(kind, *map(self.integer, sizes))

    def dense(self, weights):
        sizes = self.integer(weights.shape[1]) + self.integer(weights.shape[0])
        views = self.view(*weights.shape, 1, 1) + self.view(0, 0, 0, 0)
        self.layer("fc_2", sizes, self.tensor(weights.ravel()), views, self.integer(1), self.rates())

    def content(self):
        """The file: the loss, the versions from the output to the input, the input, the details back again."""
        head = self.integer(1) + self.text("loss_metric_2") + self.real(0.04) + self.real(0.6)
        means = b"".join(map(self.real, (122.782, 117.001, 104.298)))
        start = self.text("input_rgb_image_sized") + means + self.integer(150) * 2
        return head + b"".join(map(self.integer, reversed(self.versions))) + start + self.details

    @staticmethod
    def integer(value):
        size = (abs(value).bit_length() + 7) // 8 or 1
        return bytes([size | (0x80 if value < 0 else 0)]) + abs(value).to_bytes(size, "little")

    def real(self, value):
        fraction, exponent = np.frexp(np.float32(value))
        return self.integer(int(fraction * 2**24)) + self.integer(int(exponent) - 24)

    def rates(self):
        return self.real(1) * 3 + self.real(0)

    def text(self, value):
        return self.integer(len(value)) + value.encode()

    def tensor(self, values):
        count = len(values)
        shape = [count, *[1 if count else 0] * 3]
        return b"".join(map(self.integer, [2, *shape])) + struct.pack(f"<{count}f", *values)

    def view(self, *shape):
        return b"".join(map(self.integer, [1, *shape]))


WIDTHS = (2, 2, 2, 2, 4, 4, 4, 4, 6, 6, 6, 8, 8, 8, 8)  # of the first layer and the fourteen blocks
HALVING = (4, 8, 11, 14)  # blocks, counted from 1


class Resnet:
    """dlib's network with few channels: writes itself, and computes itself with numpy."""

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        self.convolutions = [self._random(rng, WIDTHS[0], 3, 7)]
        for before, width in pairwise(WIDTHS):
            self.convolutions += [self._random(rng, width, before, 3), self._random(rng, width, width, 3)]
        self.dense = rng.normal(size=(WIDTHS[-1], 128)).astype(np.float32)

    @staticmethod
    def _random(rng, out, into, size):
        weights = rng.normal(size=(out, into, size, size)) / np.sqrt(into * size * size)
        more = rng.normal(size=out) / 10, rng.uniform(0.8, 1.2, out), rng.normal(size=out) / 10
        return [array.astype(np.float32) for array in (weights, *more)]

    def file(self):
        """The network as dlib writes it."""
        out = DlibFile()
        self._write(out, 0, 2, 0)
        out.layer("relu_")
        out.pooling("max_pool_2", 3, 3, 2, 2, 0, 0)
        for block in range(1, len(WIDTHS)):
            halving = block in HALVING
            out.mark()
            self._write(out, 2 * block - 1, 2 if halving else 1, 0 if halving else 1)
            out.layer("relu_")
            self._write(out, 2 * block, 1, 1)
            if halving:
                out.mark()
                out.mark()
                out.pooling("avg_pool_2", 2, 2, 2, 2, 0, 0)
            out.layer("add_prev_")
            out.layer("relu_")
        out.pooling("avg_pool_2", 0, 0, 1, 1, 0, 0)
        out.dense(self.dense)
        return out.content()

    def _write(self, out, number, stride, pad):
        weights, bias, factors, summands = self.convolutions[number]
        out.convolution(weights, bias, stride, pad)
        out.affine(factors, summands)

    def run(self, pixels):
        """The embedding (128,) of an RGB image (3, 150, 150) of 0…255."""
        x = (pixels - np.array([122.782, 117.001, 104.298])[:, None, None]) / 256
        x = pool(np.maximum(self._layer(x, 0, 2, 0), 0), 3, 2, np.max)
        for block in range(1, len(WIDTHS)):
            halving = block in HALVING
            out = np.maximum(self._layer(x, 2 * block - 1, 2 if halving else 1, 0 if halving else 1), 0)
            out = self._layer(out, 2 * block, 1, 1)
            x = np.maximum(self._add(out, pool(x, 2, 2, np.mean) if halving else x), 0)
        return x.mean(axis=(1, 2)) @ self.dense

    def _layer(self, x, number, stride, pad):
        weights, bias, factors, summands = self.convolutions[number]
        return convolve(x, weights, bias, stride, (pad, pad)) * factors[:, None, None] + summands[:, None, None]

    @staticmethod
    def _add(a, b):
        """dlib adds what both have; where only one has something, that stays."""
        total = np.zeros([max(sizes) for sizes in zip(a.shape, b.shape, strict=True)])
        for part in (a, b):
            total[tuple(slice(size) for size in part.shape)] += part
        return total
