"""What moves in a film: the optical flow from frame to frame, how far it can be relied on, and
frames that are moved along it.

M. Ruder, A. Dosovitskiy, T. Brox, "Artistic style transfer for videos", arXiv 1604.08610, section
5; the flow is DIS (T. Kroeger et al., "Fast Optical Flow using Dense Inverse Search", arXiv
1603.03590), as OpenCV has it.
"""

from __future__ import annotations

import cv2
import numpy as np

CONSISTENT, SLACK = 0.01, 0.5  # how far the two directions may be apart, and by how many pixels
STEADY, STEP = 0.01, 0.002  # likewise, how much the flow may change from a pixel to the next
# A scene ends where less of the flow can be relied on, and what was there before is further off.
CUT_SHARE, CUT_ERROR = 0.25, 10.0  # grey levels, on average
LEAST = 16  # pixels a side, of what DIS can compare: smaller frames are taken not to move


def optical_flow(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How far each pixel of one frame is from where it is in the other.

    Args:
        one, other: (H, W, 3) uint8 RGB.

    Returns:
        (H, W, 2) float32: pixels to the right, and down.
    """
    if min(one.shape[:2]) < LEAST:
        return np.zeros((*one.shape[:2], 2), np.float32)
    # What DIS finds depends on the number of threads, and a film must not depend on the machine.
    cv2.setNumThreads(1)
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)
    grey = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (one, other))
    return dis.calc(*grey, None)


def warped(frame: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """A frame moved to where another one has its things, by the flow from that one to it.

    Args:
        frame: (H, W) or (H, W, C) float32.
        flow: (H, W, 2).

    Returns:
        As `frame`, by cubic interpolation, which a film that is moved again and again stays sharp
        by; at the edge, what was not in the frame is its nearest pixel.
    """
    x, y = _places(flow)
    return cv2.remap(frame, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def reliable(back: np.ndarray, forth: np.ndarray) -> np.ndarray:
    """Where a frame can be held to the one before it: c of the paper.

    Not where the flow there and back does not come to where it began, as it does not at what has
    been hidden before: |w~ + w'|² > 0.01 (|w~|² + |w'|²) + 0.5, w' being the flow back and w~ the
    flow forth at where it leads; nor where things of different motions meet, and the flow is a
    mixture of theirs: |∇u'|² + |∇v'|² > 0.01 |w'|² + 0.002; nor what was outside the frame.

    Args:
        back: from the frame to the one before, (H, W, 2).
        forth: from the one before to the frame.

    Returns:
        (H, W) float32, 0 or 1.
    """
    x, y = _places(back)
    there = cv2.remap(forth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    lengths = np.sum(back**2, 2), np.sum(there**2, 2)
    is_back = np.sum((there + back) ** 2, 2) <= CONSISTENT * sum(lengths) + SLACK
    slopes = sum(np.sum(slope**2, 2) for slope in np.gradient(back, axis=(0, 1)))
    is_steady = slopes <= STEADY * lengths[0] + STEP
    height, width = back.shape[:2]
    is_inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return (is_back & is_steady & is_inside).astype(np.float32)


def is_cut(before: np.ndarray, frame: np.ndarray, back: np.ndarray, held: np.ndarray) -> bool:
    """Whether another scene begins with a frame: little of it is found in the frame before.

    Args:
        before, frame: (H, W, 3) uint8.
        back: the flow from the frame to the one before.
        held: from `reliable`.
    """
    moved = warped(before.astype(np.float32), back)
    error = np.abs(moved - frame).mean()
    return bool(held.mean() < CUT_SHARE and error > CUT_ERROR)


def _places(flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows that a flow leads to, (H, W) float32 each."""
    rows, columns = np.indices(flow.shape[:2], dtype=np.float32)
    return columns + flow[..., 0], rows + flow[..., 1]
