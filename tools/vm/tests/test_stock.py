# SPDX-License-Identifier: GPL-2.0-only
"""The distribution's own kernel: which packages, what is done to them, and what a machine must have for it."""

import lzma
import os
import pathlib
import subprocess
import sys
import tempfile
import types
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
sys.dont_write_bytecode = True

from vm.lib import debian, lanes, qemu, stock
from vm.lib.paths import TOP
from vm.lib.say import Failed

SHOWN = {
	"linux-image-amd64=6.1.9-1": "Depends: linux-image-6.1.0-5-amd64 (= 6.1.9-1)\n",
	"linux-image-6.1.0-5-amd64=6.1.9-1": "Depends: kmod, linux-base (>= 4.3~), initramfs-tools | linux-initramfs-tool\n",
	"linux-headers-6.1.0-5-amd64=6.1.9-1": "Depends: linux-headers-6.1.0-5-common (= 6.1.9-1), linux-kbuild-6.1 (>= 6.1.9-1), "
		"linux-compiler-gcc-12-x86\n",
}


class Packages(unittest.TestCase):
	def test_image_headers_and_what_they_need_of_the_kernel(self):
		suite = debian.Suite("bookworm", True)
		with mock.patch.object(debian.Suite, "_cache", lambda self, *words: SHOWN.get(words[-1], "Version: 6.1.9-1\n")):
			self.assertEqual(stock.packages(suite, "linux-image-amd64", "6.1.9-1"), dict.fromkeys((
				"linux-image-6.1.0-5-amd64", "linux-headers-6.1.0-5-amd64", "linux-headers-6.1.0-5-common", "linux-kbuild-6.1"),
				"6.1.9-1"))
			with self.assertRaisesRegex(Failed, "names no kernel image"):
				stock.packages(suite, "linux-image-amd64", "7")

	def test_the_lane_is_the_distributions(self):
		stocked = lanes.one("stock")
		self.assertTrue(stocked.prebuilt)
		self.assertEqual(stocked.codename, lanes.one(lanes.default()).codename)
		self.assertEqual(lanes.config("base", stocked), "base")
		with self.assertRaisesRegex(Failed, "as it is"):
			lanes.config("debug", stocked)


class Tree(unittest.TestCase):
	def setUp(self):
		self.folder = tempfile.TemporaryDirectory()
		self.addCleanup(self.folder.cleanup)
		self.tree = pathlib.Path(self.folder.name)
		self.headers = self.tree / "usr" / "src" / "linux-headers-6.1.0-5-amd64"
		self.headers.mkdir(parents=True)
		(self.tree / "boot").mkdir()
		(self.tree / "boot" / "vmlinuz-6.1.0-5-amd64").touch()

	def test_the_headers_find_their_common_part_where_the_tree_will_lie(self):
		(self.headers / "Makefile").write_text("include /usr/src/linux-headers-6.1.0-5-common/Makefile\n")
		with mock.patch.object(stock, "kmod") as kmod:
			stock.finish(self.tree, "/cache/there")
		self.assertEqual((self.headers / "Makefile").read_text(),
			"include /cache/there/usr/src/linux-headers-6.1.0-5-common/Makefile\n")
		kmod.assert_called_once_with("depmod", "-b", str(self.tree), "6.1.0-5-amd64")

	def test_a_missing_compiler_is_named_with_its_package(self):
		(self.headers / ".kernelvariables").write_text(
			"CCACHE = ccache\nCC = $(if $(DEBIAN_KERNEL_USE_CCACHE),$(CCACHE)) $(CROSS_COMPILE)gcc-99\n")
		with self.assertRaisesRegex(Failed, "with gcc-99, which is missing here: apt-get install gcc-99"):
			stock.headers(self.tree)
		(self.headers / ".kernelvariables").write_text("CC = $(CCACHE) x86_64-linux-gnu-gcc-14\n")
		with mock.patch("shutil.which", lambda name: None if "g++" in name else name), \
				self.assertRaisesRegex(Failed, "apt-get install g\\+\\+-14"):
			stock.headers(self.tree)

	def test_one_image_is_the_kernel(self):
		self.assertEqual(stock.image(self.tree)[0], "6.1.0-5-amd64")
		(self.tree / "boot" / "vmlinuz-6.1.0-6-amd64").touch()
		with self.assertRaisesRegex(Failed, "2 kernel images"):
			stock.image(self.tree)

	def test_modules_are_unpacked(self):
		(self.tree / "a.ko.xz").write_bytes(lzma.compress(b"code"))
		(self.tree / "b.ko").write_bytes(b"plain")
		self.assertEqual(stock.copy(self.tree / "a.ko.xz", self.tree / "to" / "a.ko.xz"), self.tree / "to" / "a.ko")
		self.assertEqual((self.tree / "to" / "a.ko").read_bytes(), b"code")
		self.assertEqual(stock.copy(self.tree / "b.ko", self.tree / "to" / "b.ko").read_bytes(), b"plain")


class Modules(unittest.TestCase):
	def listed(self, kunit):
		text = f"KERNELRELEASE := x\nsrc := {TOP}\nCONFIG_KUNIT := {kunit}\ninclude {TOP}/Makefile\nall:;@echo $(obj-m)\n"
		return subprocess.run(["make", "-s", "-f", "-", "all"], input=text, capture_output=True, text=True, check=True,
			env={key: value for key, value in os.environ.items() if not key.startswith("MAKE")}).stdout.split()

	def test_a_kernel_without_kunit_gets_the_modules_without_its_tests(self):
		self.assertEqual(self.listed(""), ["mm/", "drivers/svm/", "drivers/svgpu/", "drivers/dmirror/"])
		self.assertEqual(self.listed("y"), ["mm/", "drivers/svm/", "drivers/svgpu/", "drivers/dmirror/", "tests/kunit/"])
		self.assertEqual(self.listed("m"), ["mm/", "drivers/svm/", "drivers/svgpu/", "drivers/dmirror/", "tests/kunit/"])


class CommandLine(unittest.TestCase):
	def line(self, packages):
		kernel = types.SimpleNamespace(image="/boot/vmlinuz", packages=packages)
		files = dict.fromkeys(("ram", "root", "results", "console", "control"), "/x")
		argv = qemu.command(kernel, qemu.TCG, files, 1536, "")
		return argv[argv.index("-append") + 1].split()

	def test_a_busy_host_does_not_make_the_guest_panic_at_its_timer(self):
		self.assertIn("no_timer_check", self.line(None))

	def test_registers_may_be_mapped_on_a_prebuilt_kernel(self):
		self.assertIn("iomem=relaxed", self.line("/cache/there"))

	def test_only_a_prebuilt_kernel_has_persistent_memory(self):
		self.assertIn(f"memmap={qemu.PMEM}", self.line("/cache/there"))
		self.assertNotIn(f"memmap={qemu.PMEM}", self.line(None))


if __name__ == "__main__":
	unittest.main()
