# SPDX-License-Identifier: GPL-2.0-only
"""Packages of any Debian suite, looked at and fetched without touching the machine's own apt.

apt runs on private state directories inside the cache with a source list made here. The mirror
is the one that the machine already uses, as `apt-get indextargets` reports it, so no host is
named in this project and nothing is installed.
"""

import os
import pathlib
import re
import subprocess

from . import say
from .paths import CACHE
from .say import Skipped

KEYRING = pathlib.Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def _mirrors():
	"""(base, security base) of the machine's Debian mirror; the latter may be None."""
	found = subprocess.run(
		["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(ORIGIN)"],
		capture_output=True, text=True)
	base = security = None
	for line in found.stdout.splitlines():
		site, release, origin = (line.split(maxsplit=2) + ["", ""])[:3]
		# ORIGIN is known once the lists were fetched; before that the suite's name has to do.
		if origin != "Debian" and not re.search(r"/debian(-security)?/?$", site):
			continue
		if "security" in release:
			security = security or site
		elif not re.search(r"backports|updates", release):
			base = base or site
	if not base:
		raise Skipped("apt names no Debian mirror (`apt-get indextargets` lists none)")
	return base, security


class Suite:
	"""One suite (with its security archive) seen through apt's private state."""

	def __init__(self, codename, security):
		self.codename = codename
		self.root = CACHE / "apt" / codename
		self.security = security
		self.env = dict(os.environ, APT_CONFIG=str(self.root / "apt.conf"), LC_ALL="C")

	def _write_config(self):
		for folder in ("state/lists/partial", "cache/archives/partial"):
			(self.root / folder).mkdir(parents=True, exist_ok=True)
		base, security = _mirrors()
		signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
		lines = [f"deb {signed}{base} {self.codename} main"]
		if self.security and security:
			lines.append(f"deb {signed}{security} {self.codename}-security main")
		(self.root / "sources.list").write_text("\n".join(lines) + "\n")
		settings = {
			"Dir::State": self.root / "state", "Dir::State::status": "/dev/null",
			"Dir::Cache": self.root / "cache", "Dir::Etc::sourcelist": self.root / "sources.list",
			"Dir::Etc::sourceparts": "/dev/null", "Dir::Etc::preferences": "/dev/null",
			"Dir::Etc::preferencesparts": "/dev/null", "Acquire::Languages": "none",
			"Acquire::Retries": "3", "APT::Architecture": "amd64",
		}
		if os.geteuid() == 0:
			# apt's own user could not write below a private home directory.
			settings["APT::Sandbox::User"] = "root"
		(self.root / "apt.conf").write_text(
			"".join(f'{key} "{value}";\n' for key, value in settings.items()))

	def update(self):
		self._write_config()
		log = self.root / "update.log"
		say.run(f"package list of {self.codename}", ["apt-get", "update", "--error-on=any"],
			log, env=self.env, check=False)
		# A failed refresh matters only if nothing usable is there: newest() finds out.

	def newest(self, pattern, preferred):
		"""(package, version) of the preferred package, else of the newest one that matches."""
		listed = self._cache("pkgnames", "linux-").split()
		matching = [name for name in listed if re.fullmatch(pattern, name)]
		matching.sort(key=lambda name: [int(part) for part in re.findall(r"\d+", name)])
		if preferred in matching:
			matching.append(preferred)
		if not matching:
			raise Skipped(f"the mirror's suite {self.codename} offers no {preferred} "
				f"(see {self.root / 'update.log'})")
		return matching[-1], self.version(matching[-1])

	def _cache(self, *arguments):
		return subprocess.run(["apt-cache", *arguments], env=self.env, capture_output=True, text=True).stdout

	def version(self, package):
		"""The newest version of a package."""
		version = re.search(r"^Version: (.+)$", self._cache("show", "--no-all-versions", package), re.M)
		if not version:
			raise Skipped(f"apt knows no version of {package}")
		return version.group(1)

	def depends(self, package, version, pattern):
		"""Of the packages that this one depends on, those that match the pattern: its first group of each."""
		listed = re.search(r"^Depends: (.+)$", self._cache("show", f"{package}={version}"), re.M)
		names = [entry.split()[0] for entry in listed.group(1).split(",")] if listed else []
		matches = [re.fullmatch(pattern, name.partition(":")[0]) for name in names]
		return [match.group(1) for match in matches if match]

	def download(self, package, version, folder):
		"""The path of the fetched .deb."""
		folder.mkdir(parents=True, exist_ok=True)
		status = say.run(f"fetching {package} {version}",
			["apt-get", "download", f"{package}={version}"],
			self.root / "download.log", cwd=folder, env=self.env, check=False)
		if status:
			raise Skipped(f"{package} {version} could not be fetched: "
				+ say.tail(self.root / "download.log", 2))
		return next(folder.glob(f"{package}_*.deb"))
