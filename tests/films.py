"""Films for the tests; it needs PyAV."""

from fractions import Fraction

import av
import numpy as np
from conftest import picture

WIDTH, HEIGHT = 64, 48


def frames_of(count, step=2, scene=0):
    """A camera that pans to the right over a picture."""
    wide = picture(HEIGHT, WIDTH + step * count, seed=scene)
    return [wide[:, step * i : step * i + WIDTH].astype(np.uint8) for i in range(count)]


def make(path, pictures, times, codec="libx264", pixels="yuv420p", sound=True, rotation=0):
    """A film, with a tone for sound."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixels
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        if codec == "libx264":
            stream.options = {"crf": "1"}
        if rotation:
            stream.set_display_rotation(rotation)
        tone = container.add_stream("aac", rate=16000) if sound else None
        for one, at in zip(pictures, times):
            kind = "rgba" if one.shape[2] == 4 else "rgb24"
            frame = av.VideoFrame.from_ndarray(one, format=kind).reformat(format=pixels)
            frame.pts, frame.time_base = at, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if tone:
            samples = np.sin(np.arange(16 * (times[-1] + 40)) / 9).astype(np.float32)
            wave = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
            wave.sample_rate, wave.pts = 16000, 0
            container.mux(tone.encode(wave))
            container.mux(tone.encode(None))
    return path
