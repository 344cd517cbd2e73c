"""Images of loaded scripts, for those worth one."""

import threading
from collections import OrderedDict

from transformer.engines.sandbox import Image


class ScriptImages:
    """The images used last, and which scripts were loaded without one lately.

    An image is half a megabyte, so a script gets one the second time it is loaded: thousands of
    scripts that run once an hour each then cost their bytecode and no more.
    """

    def __init__(self, capacity: int, remembered: int) -> None:
        self._capacity = capacity
        self._remembered = remembered
        self._lock = threading.Lock()
        self._images: OrderedDict[str, Image] = OrderedDict()
        self._seen: OrderedDict[str, None] = OrderedDict()

    def get(self, digest: str) -> Image | None:
        """The script's image, which counts as used now."""
        with self._lock:
            if digest in self._images:
                self._images.move_to_end(digest)
            return self._images.get(digest)

    def wanted(self, digest: str) -> bool:
        """Whether a script that was just loaded should have an image from now on."""
        with self._lock:
            seen = digest in self._seen
            self._seen[digest] = None
            self._seen.move_to_end(digest)
            if len(self._seen) > self._remembered:
                self._seen.popitem(last=False)
            return seen

    def put(self, digest: str, image: Image) -> None:
        """Keep an image; the one used longest ago goes."""
        with self._lock:
            self._images[digest] = image
            self._images.move_to_end(digest)
            if len(self._images) > self._capacity:
                self._images.popitem(last=False)
