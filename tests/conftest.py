"""What holds for all tests: how hypothesis looks for examples, once, for every room."""

from __future__ import annotations

import os

import hypothesis

# The first call of a kernel compiles it, so no deadline. A submission is judged on fixed examples; every other run explores
# new ones, and prints what it finds.
hypothesis.settings.register_profile("kernels", deadline=None, derandomize=bool(os.environ.get("CI")))
hypothesis.settings.load_profile("kernels")
