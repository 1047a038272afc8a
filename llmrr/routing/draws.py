"""Draws that depend on nothing but a seed and a name: the same for any order of the candidates."""

import math
from typing import Final

_MASK: Final = (1 << 64) - 1
_GOLDEN: Final = 0x9E3779B97F4A7C15


def salt(name: str) -> int:
    """64 bits of a name; what the draws of a candidate begin from."""
    import hashlib  # not at every start: most have nothing to draw

    content = name.encode(errors="surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def uniform(seed: int, number: int = 0) -> float:
    """The ``number``-th draw of a seed, above 0 and below 1: SplitMix64
    (https://prng.di.unimi.it/splitmix64.c).

    >>> 0 < uniform(7) < 1, uniform(7) == uniform(7), uniform(7) == uniform(7, 1)
    (True, True, False)
    """
    mixed = (seed + (number + 1) * _GOLDEN) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((mixed ^ (mixed >> 31)) >> 11 | 1) * 2.0**-53


def turn(seed: int, weight: float) -> float:
    """The place in an order that is drawn by weight: the smallest comes first, in a share of the
    draws that is its weight's (Efraimidis and Spirakis, 2006)."""
    return -math.log(uniform(seed)) / weight


def beta(seed: int, successes: float, failures: float) -> float:
    """A draw from the Beta distribution with these parameters, both at least 1, as the quotient of
    two gamma draws by the approximation of Wilson and Hilferty (1931): it costs a microsecond."""
    radius = math.sqrt(-2.0 * math.log(uniform(seed, 1)))
    angle = 6.283185307179586 * uniform(seed, 2)
    good = _gamma(successes, radius * math.cos(angle))
    return good / (good + _gamma(failures, radius * math.sin(angle)))


def _gamma(shape: float, normal: float) -> float:
    spread = 1.0 / (9.0 * shape)
    root = 1.0 - spread + normal * math.sqrt(spread)
    return shape * root * root * root if root > 0.0 else 1e-12
