"""How colours look to people who see two kinds of cones: Machado, Oliveira and Fernandes 2009, severity 1."""

import numpy as np

SEEN = {
    "all cones": np.eye(3),
    "without M cones (deuteranopia)": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "without L cones (protanopia)": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
}
"""Matrices on linear RGB; their table's last row each."""

_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])


def lab(colors, seen):
    """CIE L*a*b* (D65) of colours #rrggbb, (n, 3), as they are seen through a matrix."""
    rgb = np.array([[int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)] for color in colors])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    shares = np.clip(linear @ seen.T, 0, 1) @ _XYZ.T / _WHITE
    f = np.where(shares > 216 / 24389, np.cbrt(shares), (24389 / 27 * shares + 16) / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def closest(colors, seen):
    """The least distance of two of the colours (dE 1976), and which two."""
    places = lab(colors, seen)
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
    apart[np.tril_indices(len(colors))] = np.inf
    i, j = np.unravel_index(apart.argmin(), apart.shape)
    return float(apart[i, j]), (colors[i], colors[j])
