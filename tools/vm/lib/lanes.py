# SPDX-License-Identifier: GPL-2.0-only
"""The lanes: which kernels the project is tested on, and which one a plain `make check` takes."""

import dataclasses
import os
import re

from .say import Failed

CONFIGS = ("base", "debug", "kcsan")
PREBUILT = "base"           # what a prebuilt kernel is asked for as: it has no config of ours


@dataclasses.dataclass(frozen=True)
class Lane:
	name: str
	codename: str       # Debian suite that carries the kernel
	security: bool      # whether the suite has a security archive
	package: str        # a regular expression; of several matches the newest version is taken
	preferred: str      # the package to take while it is offered, whatever else matches
	prebuilt: bool = False      # the package is the distribution's kernel, ready made


SOURCES = {lane.name: lane for lane in (
	Lane("debian-12", "bookworm", True, r"linux-source-6\.1", "linux-source-6.1"),
	Lane("debian-13", "trixie", True, r"linux-source-6\.12", "linux-source-6.12"),
	Lane("current", "trixie-backports", False, r"linux-source-\d+\.\d+", "linux-source-7.3"),
)}
STOCK = "stock"
IMAGE = "linux-image-amd64"


def default():
	"""The lane whose kernel the running distribution ships; others get the current one."""
	release = {}
	try:
		with open("/etc/os-release") as lines:
			for line in lines:
				key, _, value = line.strip().partition("=")
				release[key] = value.strip('"')
	except OSError:
		pass
	name = f"debian-{release.get('VERSION_ID', '')}" if release.get("ID") == "debian" else ""
	return name if name in SOURCES else "current"


def _stock():
	"""The distribution's own kernel, as its packages have it."""
	like = SOURCES[default()]
	return Lane(STOCK, like.codename, like.security, IMAGE, IMAGE, prebuilt=True)


LANES = {**SOURCES, STOCK: _stock()}


def one(name):
	if name not in LANES:
		raise Failed(f"there is no lane '{name}'; lanes are {', '.join(LANES)}")
	return LANES[name]


def chosen(text=None, otherwise=None):
	"""The lanes that LANE= asks for: a name, several (comma or space), `all`; else all in CI, or this one, or the default."""
	text = (os.environ.get("LANE", "") if text is None else text).strip()
	if not text:
		text = "all" if os.environ.get("CI") == "true" else otherwise or default()
	if text == "all":
		return list(LANES.values())
	return [one(name) for name in dict.fromkeys(re.split(r"[,\s]+", text))]


def config(name, lane=None):
	"""The config of this name, if the lane (any of ours, if none is given) has it."""
	if name not in CONFIGS:
		raise Failed(f"there is no kernel config '{name}'; configs are {', '.join(CONFIGS)}")
	if lane and lane.prebuilt and name != PREBUILT:
		raise Failed(f"lane {lane.name} is the distribution's kernel as it is: its only config is {PREBUILT}")
	return name
