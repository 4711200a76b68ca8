# SPDX-License-Identifier: GPL-2.0-only
"""Where things live: the source tree, its products, and the cache outside of it."""

import os
import pathlib

TOP = pathlib.Path(__file__).resolve().parents[3]
OUT = TOP / "out"
BUILD = TOP / "build"
LANES = TOP / "tests" / "kernel"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "svmirror"
JOBS = len(os.sched_getaffinity(0))
