# SPDX-License-Identifier: GPL-2.0-only
"""Which source a lane's kernel is built from, and with which options."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
sys.dont_write_bytecode = True

from vm.lib import debian, kernel, lanes
from vm.lib.say import Failed, Skipped


class Sources(unittest.TestCase):
	"""The sources are in the cache already; the mirror is asked which of them a lane has."""

	def setUp(self):
		folder = tempfile.TemporaryDirectory()
		self.addCleanup(folder.cleanup)
		self.cache = pathlib.Path(folder.name)
		self.asked = []
		for patch in (mock.patch.object(kernel, "CACHE", self.cache), mock.patch.object(debian, "CACHE", self.cache),
				mock.patch.object(debian.Suite, "update", lambda suite: self.asked.append(suite.codename)),
				mock.patch.dict(os.environ)):
			patch.start()
			self.addCleanup(patch.stop)
		os.environ.pop("KSRC", None)

	def source(self, name, *offered, refresh=False):
		for package in offered:
			(self.cache / "src" / f"{package}_1-1").mkdir(parents=True, exist_ok=True)
		with mock.patch.object(debian.Suite, "_cache",
				lambda suite, *words: "\n".join(offered) if words[0] == "pkgnames" else "Version: 1-1\n"):
			return kernel.source(lanes.one(name), refresh)

	def test_current_is_7_3_of_backports_while_it_is_offered(self):
		found = self.source("current", "linux-source-7.2", "linux-source-7.3", "linux-source-7.10", "linux-source")
		self.assertEqual((found.version, found.owned), ("7.3_1-1", True))
		self.assertEqual(found.path, self.cache / "src" / "linux-source-7.3_1-1")
		self.assertEqual(self.asked, ["trixie-backports"])

	def test_current_is_the_newest_where_7_3_is_not_offered(self):
		self.assertEqual(self.source("current", "linux-source-7.9", "linux-source-7.10", "linux-source").version, "7.10_1-1")

	def test_no_source_is_a_reason_to_skip(self):
		with self.assertRaisesRegex(Skipped, "trixie-backports offers no linux-source-7.3"):
			self.source("current")

	def test_the_mirror_is_asked_once_in_a_while(self):
		for _ in range(2):
			self.assertEqual(self.source("current", "linux-source-7.3").version, "7.3_1-1")
		self.assertEqual(len(self.asked), 1)
		self.source("current", "linux-source-7.3", refresh=True)
		self.assertEqual(len(self.asked), 2)

	def test_ksrc_names_another_package_of_the_suite(self):
		offered = ("linux-source-7.2", "linux-source-7.3")
		self.assertEqual(self.source("current", *offered).version, "7.3_1-1")
		os.environ["KSRC"] = "linux-source-7.2"
		found = self.source("current", *offered)
		self.assertEqual((found.version, found.owned), ("7.2_1-1", True))
		del os.environ["KSRC"]
		self.assertEqual(self.source("current", *offered).version, "7.3_1-1")

	def test_ksrc_takes_no_package_for_another(self):
		os.environ["KSRC"] = "linux-source-7.1"
		with self.assertRaisesRegex(Skipped, "offers no linux-source-7.1"):
			self.source("current", "linux-source-7.2", "linux-source-7.3")

	def test_ksrc_names_a_tree(self):
		tree = self.cache / "mine"
		tree.mkdir()
		(tree / "Makefile").write_text("kernelversion:\n\t@echo 7.2.99\n")
		os.environ["KSRC"] = str(tree)
		with self.assertRaisesRegex(Failed, "neither a kernel source tree nor a package"):
			self.source("current")
		(tree / "Kbuild").touch()
		found = self.source("current")
		self.assertEqual((found.path, found.owned), (tree.resolve(), False))
		self.assertRegex(found.version, r"^7\.2\.99-\w{6}$")
		self.assertEqual(self.asked, [])

	def test_ksrc_of_another_lanes_package_is_an_error(self):
		os.environ["KSRC"] = "linux-source-7.2"
		with self.assertRaisesRegex(Failed, "neither a kernel source tree nor a package"):
			self.source("debian-12", "linux-source-6.1")


class Config(unittest.TestCase):
	def test_an_option_without_effect_is_an_error(self):
		lane = lanes.one("current")
		with tempfile.TemporaryDirectory() as folder:
			build = pathlib.Path(folder)
			(build / ".config").write_text("\n".join(kernel.wanted(lane, "base")) + "\n")
			kernel._verify(lane, "base", build)
			text = (build / ".config").read_text().replace("CONFIG_DRM=y", "# CONFIG_DRM is not set")
			(build / ".config").write_text(text.replace("# CONFIG_WERROR is not set", "CONFIG_WERROR=y"))
			with self.assertRaisesRegex(Failed, "CONFIG_DRM=y.*CONFIG_WERROR is not set"):
				kernel._verify(lane, "base", build)

	def test_a_lane_has_options_of_its_own(self):
		for config in lanes.CONFIGS:
			with self.subTest(config):
				self.assertIn("CONFIG_SYSCTL=y", kernel.wanted(lanes.one("current"), config))
				self.assertNotIn("CONFIG_SYSCTL=y", kernel.wanted(lanes.one("debian-12"), config))

	def test_a_build_is_named_by_its_lanes_options(self):
		old, new = (kernel._key(lanes.one(name), "debug") for name in ("debian-12", "current"))
		self.assertNotEqual(old, new)
		self.assertEqual(old, kernel._key(lanes.one("debian-13"), "debug"))

	def test_every_absent_option_names_a_lane_and_a_reason(self):
		for line in (kernel.LANES / "absent.txt").read_text().splitlines():
			if line and not line.startswith("#"):
				lane, option, reason = line.split(maxsplit=2)
				self.assertIn(lane, lanes.LANES)
				self.assertTrue(option.startswith("CONFIG_") and len(reason) > 10, line)



class Told(unittest.TestCase):
	"""Which of the kernel's files the checks are compiled into."""

	def said(self, config, variable, target):
		done = subprocess.run(["make", "-s", "-f", "-", *kernel.TOLD[config], target], input=f"%.o:\n\t@echo '$({variable})'\n",
			capture_output=True, text=True, env=kernel.clean_env(), cwd="/")
		self.assertEqual((done.returncode, done.stderr), (0, ""))
		return done.stdout.strip()

	def test_what_shares_no_memory_with_us_is_not_instrumented(self):
		for variable in ("KASAN_SANITIZE", "UBSAN_SANITIZE"):
			for target in ("mm/hmm.o", "kernel/fork.o", "lib/xarray.o", "fs/exec.o", "drivers/gpu/drm/drm_gem.o", "drivers/dma-buf/dma-buf.o"):
				self.assertEqual(self.said("debug", variable, target), "", f"as the kernel has it: {target}")
			for target in ("drivers/acpi/acpica/nsaccess.o", "fs/ext4/inode.o", "net/unix/af_unix.o", "arch/x86/entry/vdso/vclock_gettime.o"):
				self.assertEqual(self.said("debug", variable, target), "n", target)

	def test_what_cannot_be_instrumented_is_not(self):
		for target in ("mm/kasan/common.o", "kernel/kcsan/core.o", "kernel/entry/common.o"):
			self.assertEqual(self.said("debug", "KASAN_SANITIZE", target), "n", target)

	def test_races_are_looked_for_where_they_would_be_ours(self):
		self.assertEqual([self.said("kcsan", "KCSAN_SANITIZE", target) for target in ("mm/hmm.o", "mm/memory.o", "drivers/gpu/drm/drm_gem.o")],
			["y", "n", "y"])


if __name__ == "__main__":
	unittest.main()
